"""Texts from strings and files."""

from __future__ import annotations

import gzip
import json

import pytest

from longspan.data import read_labelled
from longspan.data.files import read_text
from longspan.errors import InputError


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


def test_json_lines_may_hold_what_python_takes_for_ends_of_lines(tmp_path):
    path = tmp_path / "reviews.jsonl"
    texts = ["one\u2028half", "two\u0085half", "three\x0chalf"]
    lines = [json.dumps({"text": text, "label": 1}, ensure_ascii=False) for text in texts]
    path.write_text("\r\n".join(lines), "utf-8")
    assert read_labelled(path).sequences == texts
