"""Texts from strings and files, and their parts."""

from __future__ import annotations

import pytest

from longspan.errors import InputError
from longspan.tasks.language.corpus import divide

SHARES = {"validation_share": 0.2, "test_share": 0.1, "lowercase": False}


def test_parts_are_in_order_and_end_with_lines():
    text = "".join(f"line {k:03d}\n" for k in range(100))
    parts = divide(text, None, None, **SHARES)
    assert parts.train + parts.validation + parts.test == text
    assert len(parts.validation) == pytest.approx(0.2 * len(text), abs=9)
    assert len(parts.test) == pytest.approx(0.1 * len(text), abs=9)
    assert all(part.endswith("\n") for part in (parts.train, parts.validation, parts.test))
    own = divide(text, "val", "tést\r\n", **SHARES)
    assert (own.train, own.validation, own.test) == (text, "val", "tést\n")
    none = divide(text, None, None, **(SHARES | {"validation_share": 0, "test_share": 0}))
    assert (none.train, none.validation, none.test) == (text, None, None)
    assert divide("AB", "C", None, **(SHARES | {"lowercase": True, "test_share": 0})).train == "ab"


def test_without_ends_of_lines_the_share_decides():
    parts = divide("x" * 100, None, None, **SHARES)
    assert [len(parts.train), len(parts.validation), len(parts.test)] == [70, 20, 10]
    assert divide("x", None, None, **SHARES).validation is None  # a share of one is nothing


@pytest.mark.parametrize("empty", ["", " \n\t\n"])
def test_empty_texts(empty):
    with pytest.raises(InputError, match="`data` is empty"):
        divide(empty, None, None, **SHARES)
    with pytest.raises(InputError, match="`test` is empty"):
        divide("text", None, empty, **SHARES)


@pytest.mark.parametrize("share", [-0.1, 0.8, 1.0])
def test_shares_that_leave_nothing(share):
    with pytest.raises(InputError, match="test_share"):
        divide("text", None, None, **(SHARES | {"test_share": share}))
