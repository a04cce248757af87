"""Texts from strings and files, and their parts."""

from __future__ import annotations

import gzip

import pytest

from longspan.errors import InputError
from longspan.tasks.language.corpus import divide, read_text

SHARES = {"validation_share": 0.2, "test_share": 0.1, "lowercase": False}


def test_texts_and_files(tmp_path):
    plain, packed = tmp_path / "a.txt", tmp_path / "b.txt.gz"
    plain.write_bytes("\ufeffé\n".encode())
    packed.write_bytes(gzip.compress("ö".encode()))
    assert read_text("any text") == "any text"
    assert read_text(plain) == read_text(str(plain)) == "é\n"
    assert read_text([plain, packed, "c"]) == "é\nö\nc"
    assert read_text([]) == ""
    latin = tmp_path / "latin.txt"
    latin.write_bytes("one\ncafé\n".encode("latin-1"))
    assert read_text(latin, "latin-1") == "one\ncafé\n"
    with pytest.raises(InputError, match=r"latin.txt is not in utf-8: line 2.*--encoding"):
        read_text(latin)
    with pytest.raises(InputError, match="no encoding 'nonsense'"):
        read_text(plain, "nonsense")


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_text(tmp_path / "none.txt")
    broken = tmp_path / "broken.gz"
    whole = gzip.compress(bytes(range(256)))
    for data in (b"no gzip at all", whole[:-12], whole[:12] + b"?" * 9 + whole[21:]):
        broken.write_bytes(data)
        with pytest.raises(InputError, match=r"broken\.gz cannot be read"):
            read_text(broken)
    for data in (3, None, b"bytes", [1]):
        with pytest.raises(InputError, match="must be a string"):
            read_text(data)


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
