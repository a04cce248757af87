"""What all commands say of their flags."""

from __future__ import annotations

import pytest

from longspan.cli import app
from longspan.cli.data import TagColumns, TagData, TranslateData, names
from longspan.cli.saved import SAVED
from longspan.errors import InputError


def commands(of=app, path=()):
    """Yield the words of each command, and what it takes."""
    for name in of:
        if not name.startswith("-"):
            yield from commands(of[name], (*path, name))
    if of.default_command is not None:
        taken = of.assemble_argument_collection(parse_docstring=True)
        yield path, {each.name: each for each in taken if each.show}


COMMANDS = dict(commands())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_everything_a_command_takes_is_explained(path):
    assert COMMANDS[path]
    for name, each in COMMANDS[path].items():
        assert each.parameter.help, name


@pytest.mark.parametrize("task", [path[1] for path in COMMANDS if path[0] == "compare"])
def test_data_are_described_alike_to_fit_and_compare(task):
    fit, compare = ({n: each.parameter.help for n, each in COMMANDS[c, task].items()}
                    for c in ("fit", "compare"))  # fmt: skip
    own = {"--output", "--report", "--cells", "--metric"}
    shared = (set(fit) & set(compare)) - own
    assert {"DATA"} < shared
    assert {n: fit[n] for n in shared} == {n: compare[n] for n in shared}


@pytest.mark.parametrize("command", ["evaluate", "predict", "inspect"])
def test_flags_for_a_kind_of_model_are_flags_of_the_command(command):
    taken = {name.strip("-").replace("-", "_").lower() for name in COMMANDS[command,]}
    for kind in SAVED.values():
        assert set(kind.flags[command]) <= taken, kind.plural


def test_what_was_not_given_is_left_to_the_estimator():
    assert TagData().given() == {"test_share": 0.1}
    assert TagColumns("0").given() == {"word_column": "0"}
    assert names(TagColumns) == ("word_column", "label_column")


def test_a_part_of_pairs_is_a_file_or_two():
    part = TranslateData(validation=["a", "b"], test=["c"], test_share=0.3).given()
    assert part == {"validation": ("a", "b"), "test": "c", "test_share": 0.0}
    assert TranslateData().given()["test"] is None
    with pytest.raises(InputError, match="--test takes one file, or source and target, got 3"):
        TranslateData(test=["a", "b", "c"]).given()
