"""Trainings that diverge: which seeds count, and that nothing is said against the numbers."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from tests.comparison.test_report import comparison, entry

from longspan.comparison import differences, pictures
from longspan.comparison.report import compare_html, rows
from longspan.comparison.statistics import shared_seeds

#: A cell that is best only as long as its worst seeds are forgotten.
FLATTERED = {
    "lstm": [0.80, 0.81, 0.82, 0.80, None, None],
    "gru": [0.85, 0.861, 0.872, 0.85, 0.60, 0.60],
}


def compared(values, metric="accuracy"):
    return comparison([entry(name, own) for name, own in values.items()], metric)


def test_cells_are_compared_by_the_seeds_that_all_finished():
    values = {"a": [1.0, np.nan, 3.0], "b": [1.0, 2.0, np.inf], "c": [1.0, 2.0, 3.0]}
    names, shared = shared_seeds(values)
    assert names == ["a", "b", "c"]
    assert shared.tolist() == [True, False, False]
    assert [each.count for each in differences(values)] == [1, 1, 1]


def test_a_cell_that_diverged_from_most_seeds_does_not_narrow_the_others():
    values = {
        "a": [1.0, 2.0, 3.0, 4.0],
        "b": [2.0, 2.0, 2.0, np.nan],
        "c": [9.0, 9.0] + 2 * [np.nan],
    }
    names, shared = shared_seeds(values)
    assert names == ["a", "b"]
    assert shared.tolist() == [True, True, True, False]
    assert [(each.second, each.count) for each in differences(values)] == [
        ("b", 3), ("c", 0), ("c", 0)
    ]  # fmt: skip
    # Without a seed in common, the cell that diverged least stands alone.
    none = {"a": [1.0, np.nan, np.nan], "b": [np.nan, 1.0, np.nan], "c": [np.nan] * 3}
    assert shared_seeds(none)[0] == ["a"]
    assert shared_seeds({})[0] == []


def test_a_lead_is_that_of_the_seeds_that_count():
    made = compared(FLATTERED)
    assert made.best == "gru"
    assert made.sentences[:3] == [
        "gru is best by accuracy, 0.8582 (0.8415 to 0.875 over 4 of 6 seeds), and its lead over "
        "lstm is real.",
        "lstm diverged from 2 of 6 seeds (4, 5): these are left out for all cells, which flatters "
        "it.",
        "lstm is worse than gru by 0.0507 (corrected interval 0.0492 to 0.0523): real.",
    ]
    assert [row[1:3] for row in rows(made)] == [
        ["0.8075 ± 0.015 (2 diverged)", "-0.051 ✓"], ["0.8582 ± 0.017", "best"]
    ]  # fmt: skip
    table = made.table()
    assert table["accuracy"].to_list() == pytest.approx([0.8075, 0.85825])
    assert table["diverged"].to_list() == [2, 0]
    assert table["difference"].to_list() == pytest.approx([-0.05075, 0.0])
    assert made.entries["gru"].left_out == (4, 5)
    found = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert found["best"] == "gru"
    assert found["entries"]["gru"]["left_out"] == [4, 5]
    assert found["entries"]["gru"]["runs"][5]["scores"]["accuracy"] == 0.6


def test_pictures_show_the_same():
    made = compared(FLATTERED)
    traces = pictures.scores(made).data
    assert [each.name for each in traces] == [
        "seed 1", "seed 2", "seed 3", "seed 4", "seed 5, left out", "seed 6, left out",
        "lstm", "gru",
    ]  # fmt: skip
    assert traces[4].marker.symbol == "circle-open"
    assert list(traces[4].y) == [None, 0.6]
    assert traces[7].y[0] == pytest.approx(0.85825)
    (real,) = pictures.to_best(made).data
    assert (real.name, list(real.y)) == ("real", ["lstm"])
    assert real.x[0] == pytest.approx(-0.05075)
    assert list(pictures.tradeoff(made).data[2].y)[4:] == [None, None]


def test_a_cell_that_is_not_compared_is_said_to_be_none():
    made = compared({"lstm": [0.7, 0.71, 0.72], "gru": [0.9, None, None], "rnn": [0.6, 0.61, 0.6]})
    assert made.best == "lstm"
    assert "over 3 seeds" in made.sentences[0]
    assert made.sentences[0].endswith("and its lead over rnn is real.")
    assert made.sentences[1] == (
        "gru diverged from 2 of 3 seeds (1, 2): too few are left, so it is not compared."
    )
    assert not any("gru" in sentence for sentence in made.sentences[2:])
    assert not made.entries["gru"].compared
    assert [row[1:3] for row in rows(made)][1] == ["0.9 (2 diverged)", "–"]
    assert made.table()["real"].to_list() == [None, None, True]
    assert ">nan<" not in compare_html(made)


def test_where_most_diverge_nothing_is_claimed():
    for values in (
        {"lstm": [None, 0.7, None, None], "gru": [0.9, None, None, None]},
        {"lstm": [None] * 2, "gru": [0.9, 0.8]},
        {"lstm": [None, 0.5, 0.5], "gru": [0.9, None, 0.9], "rnn": [0.9, 0.9, None]},
    ):
        made = compared(values)
        assert not any(each.real for each in made.differences)
        assert "is real" not in " ".join(made.sentences)
        assert "nan" not in " ".join(made.sentences)
        compare_html(made)


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_words_never_contradict_the_numbers(metric):
    """Whatever diverges: the best has the best mean, and no cell is worse by less than nothing."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        level = rng.normal(0.7, 0.05, 6)
        values = {
            name: [None if rng.random() < 0.25 else float(x)
                   for x in level + rng.normal(0, 0.05) + rng.normal(0, 0.01, 6)]
            for name in ("lstm", "gru", "rnn")
        }  # fmt: skip
        made = compared(values, metric)
        sign = 1.0 if made.metrics[metric].higher else -1.0
        means = {n: sign * e.interval(metric).mean for n, e in made.entries.items() if e.compared}
        assert means[made.best] == max(means.values())
        for name, each in made.to_best().items():
            assert math.isnan(each.mean) or sign * each.mean <= 0.0
            if each.count:
                assert each.mean == pytest.approx(sign * (means[name] - means[made.best]))
        said = " ".join(made.sentences)
        assert not re.search(r"worse than \w+ by -|takes 0\.\d+ times", said)


def test_the_time_of_trainings_that_diverged_is_not_theirs():
    quick = entry("gru", [0.8, 0.8, None], 3.0)
    assert quick.seconds == pytest.approx(3.015)
