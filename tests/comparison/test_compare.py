"""Comparisons from data to results, on each task."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import polars as pl
import pytest

from longspan import Classifier, Forecaster, load
from longspan.comparison import Memory, Training, compare, running, watching
from longspan.comparison.matching import CLOSE
from longspan.comparison.report import rows
from longspan.comparison.running import _title
from longspan.comparison.subjects import SUBJECTS
from longspan.errors import InputError, TrainingDivergedError
from longspan.insight import inspect

FAST = {"hidden_size": 16, "max_epochs": 2, "batch_size": 16}
HELD = {**FAST, "validation_share": 0.2}
LITTLE = {"seeds": 2, "trials": 2}


def words(n):
    cities = ("Rome", "Oslo", "Bonn", "Kyiv")
    return ([["fly", "to", cities[k % 4]] for k in range(n)], [["O", "O", "B-city"]] * n)


TASKS = {
    "forecast": (
        10 + np.sin(2 * np.pi * np.arange(150) / 12) + np.random.default_rng(0).normal(0, 0.1, 150),
        {"horizon": 6, "season_length": 12, "max_steps": 4},
        {"test_windows": 2},
        ["lstm", "gru", "rnn"],
    ),
    "language": (
        "the cat sat on the mat\nthe dog sat on the log\n" * 30,
        {"num_layers": 1, "bptt_length": 20, "validation_share": 0.1},
        {"test_share": 0.1},
        ["lstm", "rnn"],
    ),
    "tag": (words(40), {"word_size": 6, "character_size": 6}, {"test_share": 0.2},
            ["bilstm", "gru"]),
    "translate": (
        [(f"{a} {b}", f"{b} {a}") for a in range(8) for b in range(8)],
        {"embedding_size": 8, "beam_size": 1},
        {"test_share": 0.1},
        ["bigru", "lstm:bidirectional=false"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_every_task_can_be_compared(task):
    data, options, reading, cells = TASKS[task]
    made = compare(
        task, data, cells=cells, options={**FAST, **options}, **LITTLE, **reading
    )  # fmt: skip
    assert made.task == task
    assert list(made.entries) == cells
    assert made.metric == next(iter(made.metrics))
    assert made.baselines
    first = made.entries[cells[0]].parameters
    for entry in made.entries.values():
        assert len(entry.trials) == len(entry.runs) == 2
        known = entry.memory
        assert known.why is None
        assert known.low <= known.horizon <= known.high
        assert 0 <= known.horizon <= known.lags[-1]
        assert len(known.influence) == len(known.lags)
        # So small a network cannot come within two per cent; then a note says so.
        near = abs(entry.parameters / first - 1.0) <= CLOSE
        assert near or any(note.startswith(f"{entry.name} has") for note in made.notes)
        for run in entry.runs:
            assert set(run.scores) >= set(made.metrics)
            assert run.epochs
            assert run.step > 0.0
        assert len(entry.latency) >= 3
        assert entry.size > 4 * entry.parameters
    assert json.loads(json.dumps(made.to_dict(), allow_nan=False))["best"] == made.best
    table = made.table()
    assert table["cell"].to_list() == cells
    assert table[made.metric].to_list() == [e.interval(made.metric).mean
                                            for e in made.entries.values()]  # fmt: skip


@pytest.fixture(scope="module")
def made(waves, tmp_path_factory):
    """A comparison, where it is, and how many trainings it took."""
    place = tmp_path_factory.mktemp("compared") / "here"
    return compare(Classifier(**HELD), waves, cells="lstm,gru,birnn", seeds=3, trials=3,
                   output=place), place  # fmt: skip


def test_the_budget_is_equal_and_the_parts_are_the_same(made):
    found, _ = made
    for entry in found.entries.values():
        assert [trial.tried for trial in entry.trials] == [
            trial.tried for trial in found.entries["lstm"].trials
        ]
        assert [run.seed for run in entry.runs] == [0, 1, 2]
        own = [trial.validation for trial in entry.trials]
        assert own[entry.chosen] == min(own)
        tried = entry.trials[entry.chosen].tried
        assert entry.options["learning_rate"] == tried.get("learning_rate", 2e-3)
    assert found.facts["trainings"] == 18
    assert found.facts["sequences, test"] == 12
    assert found.facts["sequences, validation"] == 10
    # The same seed and options give the same training, as a trial or for the test.
    for entry in found.entries.values():
        assert entry.runs[0].validation == entry.trials[entry.chosen].validation


def test_scores_are_those_of_the_estimator_alone(made, waves):
    found, place = made
    entry = found.entries["birnn"]
    subject = SUBJECTS["classify"](Classifier(**HELD)._checked_config(), waves)
    held, test = subject.validation, subject.test
    model = Classifier(**{**entry.options, "seed": 1})
    model.fit(subject.training.data, subject.training.labels,
              validation=(held.data, held.labels), test=(test.data, test.labels))  # fmt: skip
    assert model.evaluation_.scores["model"] == entry.runs[1].scores
    kept = next(place.glob("models/birnn-*"))
    assert load(kept).evaluate(test.data, test.labels).scores["model"] == (entry.runs[0].scores)
    parts = [*subject.training.data, *subject.validation.data, *test.data]
    assert sorted(float(p.sum()) for p in parts) == pytest.approx(sorted(waves[0].sum(1).tolist()))
    assert Counter(test.labels.tolist()) == {"slow": 6, "fast": 6}


def test_memory_is_that_of_inspect(made, waves):
    found, place = made
    test = SUBJECTS["classify"](Classifier(**HELD)._checked_config(), waves).test
    model = load(next(place.glob("models/gru-*")))
    seen = inspect(model, test.data, labels=test.labels, rows=16, steps=200, seed=0)
    assert found.entries["gru"].memory == Memory(
        seen.horizon.horizon, seen.horizon.horizon_low, seen.horizon.horizon_high, False,
        seen.horizon.lags.tolist(), seen.horizon.influence.tolist(),
    )  # fmt: skip


def test_a_memory_that_cannot_be_measured_is_told(waves):
    options = {**HELD, "front": "lstm_fcn", "filters": (4,), "kernel_sizes": (3,)}
    found = compare(Classifier(**options), waves, cells="lstm,gru", seeds=1, trials=1)
    assert "reads channels as steps" in found.entries["gru"].memory.why
    assert math.isnan(found.entries["gru"].memory.horizon)
    assert any("horizon of lstm and gru is not known: The recur" in note for note in found.notes)


def test_a_network_that_looks_at_all_steps_has_no_memory_to_measure(made, waves):
    """Of two directions, the state that is read backwards ends at the first step."""
    found, place = made
    assert found.entries["birnn"].memory.why == (
        "it reads in both directions, so a step far from the end reaches the output without being "
        "remembered"
    )
    assert not found.entries["birnn"].memory.influence
    assert found.to_dict()["entries"]["birnn"]["memory"]["why"]
    assert any("horizon of birnn is not known: it reads" in note for note in found.notes)
    assert [row[6] for row in rows(found)][2] == "–"
    assert rows(found)[0][6] != "–"
    assert not list(place.glob("runs/birnn-memory-*"))
    pooled = compare(Classifier(**HELD, pooling="mean"), waves, cells="lstm,gru", seeds=1, trials=1)
    assert any(note.startswith("The memory horizon of lstm and gru is not known: its mean pooling")
               for note in pooled.notes)  # fmt: skip
    assert math.isnan(pooled.entries["gru"].memory.horizon)


def test_attention_needs_no_memory():
    data, options, reading, _ = TASKS["translate"]
    options = {**FAST, **options, "max_epochs": 1, "input_feeding": True}
    found = compare("translate", data, cells="lstm,gru", options=options, seeds=1, trials=1,
                    match="none", **reading)  # fmt: skip
    assert "attention looks at all tokens" in found.entries["gru"].memory.why


def test_few_sequences_are_all_learnt_from_in_the_end(waves):
    """Where `fit` would hold out nothing, trials do, and the last trainings do not."""
    found = compare("classify", waves, cells="lstm,gru", options={**FAST, "max_epochs": 9},
                    seeds=1, trials=2)  # fmt: skip
    subject = SUBJECTS["classify"](Classifier(**FAST)._checked_config(), waves)
    assert (len(subject.training), len(subject.validation), len(subject.test)) == (38, 10, 12)
    entry = found.entries["gru"]
    held = [part.labels for part in (subject.training, subject.validation)]
    data = np.array([*subject.training.data, *subject.validation.data])
    model = Classifier(**entry.options).fit(data, np.concatenate(held))
    scores = model.evaluate(subject.test.data, subject.test.labels).scores["model"]
    assert scores == entry.runs[0].scores
    assert "validation_loss" not in entry.runs[0].epochs[0]
    trial = Classifier(**entry.options)
    trial.set_params(**{"learning_rate": 2e-3} | entry.trials[1].tried)
    trial.fit(subject.training.data, held[0])
    judged = trial.evaluate(subject.validation.data, held[1]).scores["model"]["brier"]
    assert judged == entry.trials[1].validation
    assert math.isnan(entry.runs[0].validation)
    found.html()
    given = compare("classify", waves, cells="lstm,gru", options=FAST, seeds=1, trials=1,
                    validation=(subject.validation.data, held[1]))  # fmt: skip
    assert "validation_loss" in given.entries["gru"].runs[0].epochs[0]


def test_the_test_part_has_no_say_in_the_choice():
    """With other values in the test part nothing changes before it is scored."""
    series = TASKS["forecast"][0]
    other = series.copy()
    other[-12:] = 1e3 * np.random.default_rng(1).normal(size=12)
    found = [
        compare("forecast", data, cells="gru,rnn", options={**FAST, **TASKS["forecast"][1]},
                test_windows=2, seeds=1, trials=3)
        for data in (series, other)
    ]  # fmt: skip
    for name in ("gru", "rnn"):
        one, two = (each.entries[name] for each in found)
        assert [t.validation for t in one.trials] == [t.validation for t in two.trials]
        assert one.options == two.options
        assert one.runs[0].epochs == two.runs[0].epochs
        assert one.runs[0].scores != two.runs[0].scores


def test_what_is_done_is_not_done_again(made, waves, monkeypatch):
    found, place = made
    trained = []
    monkeypatch.setattr(
        running.watching.StepClock, "step", lambda self, record: trained.append(record)
    )
    again = compare(Classifier(**HELD), waves, cells="lstm,gru,birnn", seeds=3, trials=3,
                    output=place)  # fmt: skip
    assert not trained
    assert again.entries["gru"].runs == found.entries["gru"].runs
    assert again.differences == found.differences


def test_more_seeds_and_cells_use_what_is_there(made, waves):
    _, place = made
    lines = []
    found = compare(Classifier(**HELD), waves, cells="lstm,rnn,gru", seeds=4, trials=3,
                    output=place, say=lines.append)  # fmt: skip
    done = [line for line in lines if "done before" in line]
    assert len(done) == 2 * (3 + 3)
    assert len(found.entries["gru"].runs) == 4
    # The other process is this one, and the records of birnn were not asked for.
    assert any("records in the directory are of other" in note for note in found.notes)


def test_a_killed_comparison_goes_on(made, waves, tmp_path, monkeypatch):
    whole, _ = made

    def until(line):
        if line.startswith("gru: seed 2"):
            raise KeyboardInterrupt

    options = {"cells": "lstm,gru,birnn", "seeds": 3, "trials": 3, "output": tmp_path / "here"}
    with pytest.raises(KeyboardInterrupt):
        compare(Classifier(**HELD), waves, say=until, **options)
    assert not list(tmp_path.glob("here/runs/.*"))
    monkeypatch.setattr(running, "PROCESS", "another")
    found = compare(Classifier(**HELD), waves, **options)
    assert found.to_dict()["differences"] == whole.to_dict()["differences"]
    assert any("by 2 processes" in note for note in found.notes)


def test_a_damaged_record_is_done_again_with_words(made, waves, tmp_path):
    options = {"cells": "lstm,gru", "seeds": 1, "trials": 1, "output": tmp_path / "here"}
    whole = compare(Classifier(**HELD), waves, **options)
    first, second = sorted((tmp_path / "here/runs").glob("*-seed-*"))
    first.write_text(first.read_text()[:50])
    second.write_text(second.read_text().replace('"hidden_size": 16', '"hidden_size": 17'))
    found = compare(Classifier(**HELD), waves, **options)
    assert sum("was damaged, or not of what" in note for note in found.notes) == 2
    assert found.entries["lstm"].runs[0].scores == whole.entries["lstm"].runs[0].scores
    json.loads(first.read_text())
    # A model that is gone is trained again too: its answers are timed.
    model = next((tmp_path / "here/models").iterdir())
    for file in model.iterdir():
        file.unlink()
    model.rmdir()
    assert len(compare(Classifier(**HELD), waves, **options).entries["gru"].latency) > 2


def test_other_data_are_another_comparison(waves, tmp_path):
    x, y = waves
    options = {"cells": "lstm,gru", "seeds": 1, "trials": 1, "output": tmp_path / "here"}
    compare(Classifier(**HELD), (x, y), **options)
    for data, more in (((x + 1e-9, y), {}), ((x, y), {"test_share": 0.3})):
        lines = []
        compare(Classifier(**HELD), data, say=lines.append, **options, **more)
        assert not any("done before" in line for line in lines)


def test_sizes_that_take_as_long(waves, tmp_path, monkeypatch):
    """The time of a step is taken for the size of the network, so that it can be known."""

    def times(subject, options, steps):
        del subject, steps
        scale = {"lstm": 4.0, "gru": 3.0, "rnn": 1.0}[options["cell"]]
        return np.full(5, scale * options["hidden_size"])

    monkeypatch.setattr(watching, "step_times", times)
    options = {"cells": "lstm,gru,rnn", "seeds": 1, "trials": 1, "match": "time",
               "output": tmp_path / "here"}  # fmt: skip
    found = compare(Classifier(**HELD), waves, **options)
    assert [e.hidden_size for e in found.entries.values()] == [16, 21, 64]
    monkeypatch.setattr(watching, "step_times", None)
    again = compare(Classifier(**HELD), waves, **options)
    assert [e.hidden_size for e in again.entries.values()] == [16, 21, 64]


def test_steps_are_timed_for_real(waves):
    subject = SUBJECTS["classify"](Classifier(**HELD)._checked_config(), waves)
    options = subject.config.model_dump()
    found = watching.step_times(subject, options, 3)
    assert found.shape == (3,)
    assert (found > 0.0).all()
    assert len(watching.step_times(subject, options, 1000)) == 2 * 3
    model = Classifier(**options)
    subject.train(model, False)
    assert watching.parameters(subject, options) == sum(
        p.numel() for p in model.network_.parameters()
    )


def test_nothing_is_matched_or_tuned_on_request(waves):
    found = compare(Classifier(**HELD), waves, cells="lstm,lstm:hidden_size=4,rnn", seeds=1,
                    trials=1, match="none")  # fmt: skip
    assert [e.hidden_size for e in found.entries.values()] == [16, 4, 16]
    assert all(e.chosen is None for e in found.entries.values())
    assert "from a single seed" in found.sentences[0]
    assert found.facts["trainings"] == 3
    assert not any("lowest or highest" in note for note in found.notes)


def test_sizes_left_open_are_those_of_the_task(waves):
    left = {name: value for name, value in HELD.items() if name != "hidden_size"}
    model = Classifier(front="lstm_fcn", filters=(4,), kernel_sizes=(3,), **left)
    found = compare(model, waves, cells="lstm,rnn", seeds=1, trials=1)
    first, second = found.entries.values()
    assert first.hidden_size == 8
    assert second.hidden_size > 8
    assert abs(second.parameters / first.parameters - 1.0) <= CLOSE


def test_diverged_trainings_are_told(waves, monkeypatch):
    kind = SUBJECTS["classify"]
    whole = kind.train

    def train(self, model, tested):
        found = whole(self, model, tested)
        if model.cell == "gru" and model.seed == 1:
            raise TrainingDivergedError("it diverged")
        return found

    monkeypatch.setattr(kind, "train", train)
    found = compare(Classifier(**HELD), waves, cells="lstm,gru", seeds=3, trials=1)
    assert found.entries["gru"].runs[1].diverged == "it diverged"
    assert math.isnan(found.entries["gru"].values("accuracy")[1])
    assert found.differences[0].count == 2
    assert any("gru diverged from 1 of 3 seeds (1)" in said for said in found.sentences)
    assert "over 2 of 3 seeds" in found.sentences[0]
    found.html()
    with pytest.raises(TrainingDivergedError, match="All 2 trials of gru diverged"):
        compare(Classifier(**HELD, seed=1), waves, cells="lstm,gru", **LITTLE)


@pytest.mark.parametrize(
    ("message", "more"),
    [
        ("Unknown metric 'f1'", {"metric": "f1"}),
        ("have hidden sizes of their own", {"cells": "lstm,gru:hidden_size=9"}),
        ("needs a test part", {"test_share": 0.0}),
        ("must be at least 0 and below 1", {"test_share": 1.5}),
        ("`seeds` = 0", {"seeds": 0}),
        ("would not be tried", {"trials": 1, "learning_rates": (1e-4, 1e-2)}),
        ("would not be tuned", {"trials": 1, "tune": ("dropout",)}),
        ("Unknown option 'layers'", {"options": {"layers": 2}}),
        ("is not a directory", {"output": __file__}),
    ],
)
def test_mistakes_end_before_any_training(message, more, waves, monkeypatch):
    monkeypatch.setattr(SUBJECTS["classify"], "train", None)
    with pytest.raises(InputError, match=message):
        compare("classify", waves, **more)


def test_mistakes_of_the_other_tasks(tmp_path):
    (tmp_path / "strange.txt").touch()
    text = TASKS["language"][0]
    for message, call in {
        "`test_windows` must be at least 1": lambda: compare(Forecaster, np.arange(9.0),
                                                             test_windows=0),
        "validation_windows above 0": lambda: compare(Forecaster(validation_windows=0),
                                                      np.arange(9.0)),
        "too short for a validation part": lambda: compare(
            "forecast", np.sin(np.arange(16.0)), options={"horizon": 6, "max_steps": 1},
            test_windows=1, match="none", cells="gru,rnn"),
        "layer_sizes says the size": lambda: compare(
            "language", text, options={"layer_sizes": (4, 4)}),
        "does not depend on hidden_size": lambda: compare(
            "language", text, options={"num_layers": 1, "embedding_size": 8, "max_epochs": 1,
                                       "validation_share": 0.1}),
        "a validation_share above 0": lambda: compare(
            "language", text, options={"validation_share": 0.0}),
        "holds 'strange.txt'": lambda: compare("language", text, output=tmp_path),
        "takes no|unexpected": lambda: compare("language", text, test_windows=3),
    }.items():  # fmt: skip
        with pytest.raises((InputError, TypeError), match=message):
            call()


def test_several_processes_are_refused(monkeypatch, waves):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="without torchrun"):
        compare("classify", waves)


def test_records_keep_numbers_that_are_none():
    run = Training(0, {"a": math.nan}, {"b": {"a": 1.0}}, math.nan, 1.0, math.nan, 0, [], 5, 1, "p")
    from dataclasses import asdict

    from longspan.comparison.results import plain

    text = json.dumps(plain(asdict(run)), allow_nan=False)
    again = Training.of(json.loads(text))
    assert math.isnan(again.scores["a"])
    assert math.isnan(again.validation)
    assert again.baselines == run.baselines


def test_titles(tmp_path):
    (tmp_path / "a.csv").touch()
    assert _title(tmp_path / "a.csv") == _title(str(tmp_path / "a.csv")) == "a.csv"
    assert _title([tmp_path / "a.csv"]) == "a.csv"
    assert _title(str(tmp_path)) == tmp_path.name
    for other in ("a text\nof lines", np.zeros(3), ([["a"]], [["b"]]), [], pl.DataFrame()):
        assert _title(other) == "data"
