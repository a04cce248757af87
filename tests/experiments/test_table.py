"""The table is made from records, never by hand."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from longspan.experiments import EXPERIMENTS, Record
from longspan.experiments.measured import MEASURED
from longspan.experiments.table import as_json, markdown, paper, rows, spread, title

SOLVED = Record("6a", "modern", "lstm", 0, True, 1000, 5000, 1, 2560, 0.01, None, 2.0, 93, {})
RECORDS = [
    replace(SOLVED, seed=1, sequences=3000, seconds=4.0, wrong=2),
    SOLVED,
    replace(SOLVED, seed=2, success=False, sequences=5000, wrong=2000, seconds=9.0),
    replace(SOLVED, cell="rnn", success=False, sequences=5000),
    replace(SOLVED, recipe="original", sequences=31_000),
    replace(SOLVED, experiment="adding-1000"),
    replace(SOLVED, experiment="chorales", cell="vanilla", success=None, wrong=None, score=8.5),
    replace(SOLVED, experiment="chorales", cell="vanilla", success=None, wrong=None, score=8.7,
            seed=1),
    replace(SOLVED, experiment="of an older version"),
]  # fmt: skip


def test_rows_are_in_order():
    found = [(row.experiment, row.recipe, row.cell, len(row.runs)) for row in rows(RECORDS)]
    assert found == [
        ("adding-1000", "modern", "lstm", 1), ("6a", "original", "lstm", 1),
        ("6a", "modern", "lstm", 3), ("6a", "modern", "rnn", 1),
        ("chorales", "modern", "vanilla", 2), ("of an older version", "modern", "lstm", 1),
    ]  # fmt: skip
    assert rows([]) == []


def test_words():
    by_name = {(row.experiment, row.recipe, row.cell): row for row in rows(RECORDS)}
    words = by_name["6a", "modern", "lstm"].words()
    assert words["solved"] == "2 of 3"
    assert words["needed"] == "2,000 (1,000 to 3,000)"  # of those that succeeded
    assert words["wrong"] == "3 of 5,120"
    assert words["seconds"] == "5 (2 to 9)"  # of all
    failed = by_name["6a", "modern", "rnn"].words()
    assert (failed["solved"], failed["needed"]) == ("0 of 1", "none in 5,000")
    assert failed["wrong"] == "–"
    scored = by_name["chorales", "modern", "vanilla"].words()
    assert scored["needed"] == "score 8.6 (8.5 to 8.7)"
    assert scored["solved"] == scored["wrong"] == "–"
    assert by_name["6a", "modern", "lstm"].command == (
        "longspan reproduce 6a --recipe modern --cells lstm --seeds 3 --max-sequences 5000"
    )
    assert by_name["adding-1000", "modern", "lstm"].command.endswith("--cells lstm --seeds 1")
    assert by_name["6a", "original", "lstm"].command.endswith("6a --recipe original --seeds 1")
    assert by_name["chorales", "modern", "vanilla"].command.endswith("--seeds 2 --data DIRECTORY")


@pytest.mark.parametrize("name", [*EXPERIMENTS, *MEASURED])
def test_the_papers_figures_are_told(name):
    published = getattr(EXPERIMENTS.get(name), "published", None)
    words = paper(name)
    assert title(name) != name
    if published is not None and published.sequences is not None:
        assert f"{published.sequences:,} sequences" in words
    if name in MEASURED:
        assert words == MEASURED[name].published


def test_markdown():
    made = markdown(RECORDS)
    assert made.count("\n## ") == 4
    assert "the processor's, which was an unknown machine." in made
    assert "## 6a: temporal order of 2 symbols" in made
    assert "31,390 sequences, 100 % solved, 1 of 2,560 wrong in test" in made
    assert (
        "| lstm, modern | 2 of 3 | 2,000 (1,000 to 3,000) | 3 of 5,120 | 93 | 5 (2 to 9) |" in made
    )
    assert "The score is: negative log-likelihood" in made
    for part in made.split("\n## ")[1:]:
        lines = [line for line in part.splitlines() if line.startswith("|")]
        assert len(lines) >= 3
        assert len({line.count("|") for line in lines}) == 1


def test_all_machines_are_told():
    runs = [replace(SOLVED, seed=seed, machine="A" if seed else "B") for seed in range(3)]
    assert "in 2 runs A; in 1 runs B." in markdown(runs)


def test_other_settings_than_now_are_told():
    before = replace(SOLVED, settings={"batch_size": 5, "hidden_size": 7, "threads": 2})
    (row,) = rows([before])
    assert row.note == "hidden_size = 7, batch_size = 5"
    assert f"`{row.command}`, then with {row.note} |" in markdown([before])
    assert "then with" not in markdown([SOLVED])


def test_json_has_every_record():
    found = json.loads(as_json(RECORDS))
    assert len(found["runs"]) == len(RECORDS)
    assert asdict(RECORDS[2]) in found["runs"]
    assert json.loads(as_json([])) == {"runs": []}


def test_spread():
    assert spread([2.0, 2.0]) == "2"
    assert spread([1.23456, 2.0], ".3g") == "1.62 (1.23 to 2)"
