"""Where files can be written, and that they are written whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from longspan.errors import InputError
from longspan.files import check_place, make_directory, write_text, write_whole


def test_a_place_is_judged_and_nothing_made(tmp_path):
    (tmp_path / "file").write_text("x")
    for good in ("new", "file", "a/b/new"):
        check_place(tmp_path / good)
    for good in (".", "new", "a/b/new"):
        check_place(tmp_path / good, directory=True)
    with pytest.raises(InputError, match=r"is a directory\. Name a file"):
        check_place(tmp_path)
    with pytest.raises(InputError, match=r"is a file\. Name a directory"):
        check_place(tmp_path / "file", directory=True)
    for below in ("file/x", "file/a/b"):
        for directory in (False, True):
            with pytest.raises(InputError, match=r"A file is where .* needs a directory"):
                check_place(tmp_path / below, directory=directory)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_relative_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    check_place(Path("new.csv"))
    with pytest.raises(InputError, match="A file is where"):
        check_place(Path("file/new.csv"))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="permission denied"):
        check_place(tmp_path / "new")


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x")
    make_directory(tmp_path / "a" / "b")
    make_directory(tmp_path / "a" / "b")
    with pytest.raises(InputError, match="cannot be made: Not a directory"):
        make_directory(tmp_path / "file" / "b")


def test_what_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "file"
    write_text(path, "before")
    with pytest.raises(ZeroDivisionError):
        write_whole(path, lambda temporary: temporary.write_text(str(1 / 0)))
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
