"""Comparisons that begin with vectors of words from a file."""

from __future__ import annotations

import json

import pytest

from longspan.cli import main
from longspan.comparison import compare
from longspan.errors import InputError

OPTIONS = {"hidden_size": 8, "max_epochs": 1, "batch_size": 8, "validation_share": 0.2}
HOW = {"cells": "lstm,gru", "seeds": 1, "trials": 1, "match": "none"}
WORDS = ("fly", "to", "rome", "oslo", "bonn")


def written(path, first=0.5):
    path.write_text("".join(f"{word} {first} {k / 4} 0.25\n" for k, word in enumerate(WORDS)))
    return path


@pytest.fixture
def texts():
    return [f"fly to {city}" for city in ("rome", "oslo") * 15], ["south", "north"] * 15


@pytest.fixture
def tags():
    return [["fly", "to", city] for city in ("rome", "oslo") * 15], [["O", "O", "B-city"]] * 30


def test_numbers_are_written_with_the_name_of_the_file(tags, texts, tmp_path):
    file = written(tmp_path / "v.txt")
    for task, data in (("tag", tags), ("classify", texts)):
        made = compare(task, data, options={**OPTIONS, "vectors": file}, **HOW)
        found = json.loads(json.dumps(made.to_dict(), allow_nan=False))
        assert found["entries"]["gru"]["options"]["vectors"] == str(file)
        assert made.entries["gru"].options["vectors"] == file
        made.html()


def test_the_command_ends_well(tmp_path):
    data = tmp_path / "tags.conll"
    data.write_text("fly O\nto O\nrome B-city\n\n" * 20)
    with pytest.raises(SystemExit) as ended:
        main(["compare", "tag", str(data), "--vectors", str(written(tmp_path / "v.txt")),
              "--hidden-size", "8", "--max-epochs", "1", "--seeds", "1", "--trials", "1",
              "--output", str(tmp_path / "out")])  # fmt: skip
    assert ended.value.code == 0
    assert json.loads((tmp_path / "out/compare.json").read_text())["settings"]["vectors"]


@pytest.mark.parametrize("task", ["tag", "classify"])
def test_other_vectors_are_other_trainings(task, tags, texts, tmp_path):
    """The name of the file is not what trainings depend on, but what it holds."""
    data = {"tag": tags, "classify": texts}[task]
    file, place = written(tmp_path / "v.txt"), tmp_path / "here"
    done = []
    for first in (0.5, 0.5, -0.5):
        written(file, first)
        lines = []
        compare(task, data, options={**OPTIONS, "vectors": file}, output=place, say=lines.append,
                **HOW)  # fmt: skip
        done.append(sum("done before" in line for line in lines))
    assert done == [0, 2, 0]
    with pytest.raises(InputError, match="cannot be read: No such file"):
        compare(task, data, options={**OPTIONS, "vectors": tmp_path / "none.txt"}, **HOW)
