"""What a comparison says: sentences, table, figures, page."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from tests.insight.pages import HOSTILE, browser, check_in_browser, parsed, without_plotly

from longspan.comparison import Comparison, Entry, Memory, Training, Trial, differences, pictures
from longspan.comparison.report import compare_html, headings, memory_text, rows, score_rows
from longspan.comparison.sentences import of, verdict
from longspan.comparison.subjects import Metric
from longspan.insight.page import write_page

RNG = np.random.default_rng(0)
METRICS = {"accuracy": Metric("accuracy", "share", True), "loss": Metric("log loss", "mean")}
EPOCHS = [{"epoch": 1, "step": 5, "train_loss": 1.0, "validation_loss": 0.9},
          {"epoch": 2, "step": 10, "train_loss": 0.8, "validation_loss": 0.7}]  # fmt: skip


def entry(name, accuracies, seconds=1.0, memory=None):
    runs = [
        Training(k, {} if a is None else {"accuracy": a, "loss": 1.0 - a},
                 {"usual": {"accuracy": 0.5, "loss": 0.7}}, 0.7, seconds * (1 + 0.01 * k), 1e-3,
                 10, [] if a is None else EPOCHS, 1000, 1, "p", "it did" if a is None else None)
        for k, a in enumerate(accuracies)
    ]  # fmt: skip
    trials = [Trial({}, 0.01, 0.8, 1.0), Trial({"learning_rate": 0.1}, 0.1, 0.7, 1.0)]
    return Entry(name, {"hidden_size": 8}, 1000, trials, 1, runs, [1e-3, 2e-3, 3e-3], 4096,
                 memory or Memory(why="nobody looked"))  # fmt: skip


def comparison(entries, metric="accuracy", baselines=None, **more):
    named = {each.name: each for each in entries}
    found = Comparison(
        "data.csv", "classify", metric, METRICS, named,
        {"usual": {"accuracy": 0.5, "loss": 0.7}} if baselines is None else baselines,
        differences({n: e.values(metric) for n, e in named.items()}),
        differences({n: e.log_seconds() for n, e in named.items()}),
        [], "a sequence", {"seeds": len(entries[0].runs), "seed": 0}, {"trainings": 3},
        {"longspan": "0"}, ["a note"], **more,
    )  # fmt: skip
    return replace(found, sentences=of(found))


BASE = np.array([0.80, 0.82, 0.81, 0.83, 0.79])


@pytest.fixture(scope="module")
def made():
    """The first leads clearly before the third, hardly before the second."""
    noise = np.array([0.02, -0.03, 0.02, -0.02, 0.03])
    known = Memory(12.0, 9.0, 15.0, True, [0, 1, 2], [1.0, 0.5, 0.0])
    return comparison([
        entry("lstm", BASE, 2.0, known), entry("gru", BASE - 0.005 + noise, 1.0),
        entry("rnn", BASE - 0.2 + 0.1 * noise, 4.0),
    ])  # fmt: skip


def test_the_verdict_says_what_is_real_and_what_is_not(made):
    assert made.best == "lstm"
    assert verdict(made) == (
        "lstm is best by accuracy, 0.81 (0.7904 to 0.8296 over 5 seeds); its lead over rnn is real,"
        " over gru none is shown."
    )
    two = comparison([made.entries["lstm"], made.entries["rnn"]])
    assert verdict(two).endswith("and its lead over rnn is real.")
    two = comparison([made.entries["gru"], made.entries["lstm"]])
    assert verdict(two).endswith("but no lead of it over gru is shown.")
    one = comparison([entry("lstm", [0.8]), entry("gru", [0.7])])
    assert verdict(one).endswith("from a single seed: whether that is more than chance cannot be "
                                 "said.")  # fmt: skip
    assert "from 1 seed: too few" in " ".join(one.sentences)


def test_each_difference_has_its_sentence(made):
    said = made.sentences
    gru, rnn = said[1:3]
    assert gru.startswith("gru is worse than lstm by 0.001 (corrected interval -0.0")
    assert "not shown to be real (p = " in gru
    assert gru.endswith("would have been seen 80 times in 100.")
    assert rnn.startswith("rnn is worse than lstm by 0.2 (corrected interval 0.1")
    assert rnn.endswith(": real.")
    assert "That gru is better than rnn, by 0.199, is real too." in said
    usual = "What needs no learning (usual) has accuracy 0.5; every cell beats that on average."
    assert usual in said
    assert said[-1].startswith("gru trains fastest, in 1.02 s (median); lstm takes 2.00 times as")
    assert "rnn takes 4.00 times as long" in said[-1]


def test_lower_may_be_better(made):
    found = comparison(list(made.entries.values()), "loss")
    assert found.best == "lstm"
    assert any(s.startswith("rnn is worse than lstm by 0.2") for s in found.sentences)
    assert "That gru is better than rnn, by 0.199, is real too." in found.sentences


@pytest.mark.parametrize(
    ("usual", "words"),
    [(0.9, "no cell beats that"), (0.7, "rnn does not beat that"),
     (0.8095, "gru and rnn do not beat that"), (math.nan, "No predictor without learning")],
)  # fmt: skip
def test_a_baseline_that_is_better_is_told(made, usual, words):
    found = comparison(list(made.entries.values()), baselines={"usual": {"accuracy": usual}})
    assert any(words in sentence for sentence in found.sentences)
    compare_html(found)


def test_the_same_scores_are_no_difference():
    found = comparison([entry("lstm", BASE), entry("gru", BASE)])
    assert (
        "gru and lstm have the same mean (corrected interval 0 to 0): not shown to be real"
        in (found.sentences[1])
    )
    steady = comparison([entry("lstm", BASE), entry("gru", BASE - 0.1)])
    assert steady.sentences[1] == (
        "gru is worse than lstm by 0.1: not shown to be real (p = 0.062, corrected)."
    )
    steady.html()


def test_the_table_has_what_was_found(made):
    table = made.table()
    assert table["cell"].to_list() == ["lstm", "gru", "rnn"]
    assert table["real"].to_list() == [None, False, True]
    assert table["difference"].to_list() == pytest.approx([0.0, -0.001, -0.1996])
    assert table["training_seconds"].to_list() == pytest.approx([2.04, 1.02, 4.08])
    assert table["latency_seconds"].to_list() == [2e-3] * 3
    assert table["memory_horizon"].to_list()[0] == 12.0
    shown = rows(made)
    assert all(len(row) == len(headings(made)) for row in shown)
    assert shown[0][:3] == ["lstm", "0.81 ± 0.02", "best"]
    assert shown[0][6] == "over 12 (9 to 15)"
    assert shown[1][6] == "–"
    assert shown[2][2] == "-0.2 ✓"
    assert shown[2][-1] == "0.1"
    assert score_rows(made)[-1] == ["usual", "0.5", "0.7"]
    assert memory_text(Memory(3.0)) == "3"


def test_numbers_are_plain(made):
    found = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    assert found["best"] == "lstm"
    assert found["entries"]["gru"]["memory"]["horizon"] is None
    assert found["metrics"]["accuracy"]["higher"] is True
    assert len(found["differences"]) == 3


def test_the_figures_hold_the_numbers(made):
    traces = pictures.scores(made).data
    assert list(traces[0].y) == pytest.approx([0.80, 0.815, 0.602])
    mean = traces[5]
    assert mean.y[0] == pytest.approx(0.81)
    assert mean.error_y.array[0] == pytest.approx(0.0196, abs=1e-4)
    real, unclear = pictures.to_best(made).data
    assert (real.name, list(real.y)) == ("real", ["rnn"])
    assert (unclear.name, list(unclear.y)) == ("not shown to be real", ["gru"])
    other = made.to_best()["rnn"]
    assert real.x[0] + real.error_x.array[0] == pytest.approx(other.high)
    assert real.x[0] - real.error_x.arrayminus[0] == pytest.approx(other.low)
    assert list(pictures.tuning(made).data[0].x) == [0.01, 0.1]
    assert list(pictures.tuning(made).data[0].marker.size) == [6, 15]
    assert list(pictures.latency(made).data[0].x) == [2.0]
    assert list(pictures.curves(made).data[0].y) == [0.9, 0.7]
    assert len(pictures.curves(made).data) == 15
    (drawn,) = pictures.memory(made).data
    assert list(drawn.y) == [1.0, 0.5, None]
    assert pictures.tradeoff(made).data[1].x[0] == pytest.approx(2.04)


def test_the_page_has_everything(made):
    html = compare_html(made)
    page = parsed(html)
    assert page.headings == [
        "What is real, and what may be chance", "Everything side by side", "What it costs",
        "How far back it remembers", "How it was tuned and trained", "Notes", "Settings",
    ]  # fmt: skip
    assert page.links == []
    for sentence in made.sentences:
        assert sentence in page.text
    assert "a note" in page.text
    assert html.count('data-chart="') == 7
    nothing = [replace(e, memory=Memory(why="x"), chosen=None) for e in made.entries.values()]
    assert compare_html(comparison(nothing)).count('data-chart="') == 5
    one = comparison([entry("lstm", [0.8]), entry("gru", [0.7])])
    assert 'data-chart="differences"' not in compare_html(one)


def test_names_are_shown_as_they_are(made):
    other = replace(made.entries["gru"], name=HOSTILE)
    found = comparison([made.entries["lstm"], other])
    html = without_plotly(compare_html(replace(found, title=HOSTILE, notes=[HOSTILE])))
    assert "<script>document.title" not in html
    assert parsed(html).text.count(HOSTILE) >= 5


@pytest.mark.browser
@browser
def test_it_opens_in_a_browser(made, tmp_path):
    write_page(compare_html(replace(made, title=HOSTILE)), tmp_path / "r.html")
    check_in_browser(tmp_path / "r.html")
