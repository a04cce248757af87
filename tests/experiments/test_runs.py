"""Series of runs: which, what they leave, and that they go on after a stop."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from longspan.errors import InputError
from longspan.experiments import EXPERIMENTS, Record, read_record, read_records, write_record
from longspan.experiments.continual import CONTINUAL
from longspan.experiments.original import ORIGINALS
from longspan.experiments.record import this_machine
from longspan.experiments.runs import Run, check, chosen, differences, known, make, planned

RECORD = Record(
    "6a", "modern", "lstm", 3, True, 1200, 5000, 1, 2560, 0.01, None, 2.5, 93, {"batch_size": 50}
)


def test_names():
    assert chosen(["2c-50", "6a", "2c-50-50"]) == ["2c-50-50", "6a"]
    assert chosen(["3a", "multiplication"])[-1] == "multiplication-13"
    assert chosen(["all"]) == known()
    assert chosen([]) == []
    with pytest.raises(InputError, match="Did you mean 'chorales'"):
        chosen(["chorale"])


def test_plan():
    found = planned(["6a", "6b"], "modern", ["lstm", "rnn"], 2)
    assert len(found) == 8
    assert found[:3] == [Run("6a", "modern", "lstm", 0), Run("6a", "modern", "lstm", 1),
                         Run("6a", "modern", "rnn", 0)]  # fmt: skip
    assert planned([], "both", ["lstm"], 1) == []
    for words, message in (
        ((["6a"], "new", ["lstm"], 1), "Unknown recipe 'new'"),
        ((["6a"], "modern", ["lstn"], 1), "Unknown cell 'lstn'"),
        ((["6a"], "modern", ["lstm"], 0), "at least one seed, got 0"),
        ((["chorales"], "original", ["lstm"], 1), "no paper's own recipe for chorales"),
        ((["6a"], "original", ["gru"], 1), "papers' own recipe is one for lstm, got gru"),
    ):
        with pytest.raises(InputError, match=message):
            planned(*words)


def test_records_come_back(tmp_path):
    path = write_record(tmp_path, RECORD)
    assert path == tmp_path / "6a" / "modern-lstm-3.json"
    assert read_record(path) == RECORD
    write_record(tmp_path, replace(RECORD, seed=0))
    write_record(tmp_path, replace(RECORD, experiment="other"))
    (tmp_path / "6a" / ".modern-lstm-4.json.123").write_text("{")  # of a run that was killed
    assert [r.seed for r in read_records(tmp_path, ["6a", "6b"])] == [0, 3]
    assert read_records(tmp_path / "none", ["6a"]) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "7", '{"experiment": "6a"}'])
def test_what_is_no_record_is_named(tmp_path, text):
    path = tmp_path / "6a" / "modern-lstm-0.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(InputError, match=r"is no record of a run.*Delete it"):
        read_records(tmp_path, ["6a"])


def test_a_record_with_a_missing_field_is_named(tmp_path):
    path = write_record(tmp_path, RECORD)
    values = json.loads(path.read_text())
    del values["sequences"]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="'sequences'"):
        read_record(path)


def test_a_record_that_does_not_say_its_machine_is_read(tmp_path):
    path = write_record(tmp_path, replace(RECORD, machine="a machine"))
    assert read_record(path).machine == "a machine"
    values = json.loads(path.read_text())
    del values["machine"]
    path.write_text(json.dumps(values))
    assert read_record(path).machine == "an unknown machine"


def test_runs_go_on_where_they_were(tmp_path, monkeypatch):
    made = []

    def run(name, experiment, cell, seed, *, max_sequences, watch):
        made.append((name, cell, seed))
        if len(made) == 2:
            raise KeyboardInterrupt
        return replace(RECORD, experiment=name, cell=cell, seed=seed)

    monkeypatch.setattr("longspan.experiments.modern.run_modern", run)
    wanted = planned(["6a"], "modern", ["lstm"], 3)
    with pytest.raises(KeyboardInterrupt):
        [make(one, tmp_path) for one in wanted]
    there = [make(one, tmp_path)[1] for one in wanted]
    assert there == [True, False, False]
    assert [seed for *_, seed in made] == [0, 1, 1, 2]
    found = read_records(tmp_path, ["6a"])
    assert len(found) == 3
    assert {record.machine for record in found} == {this_machine()}


def test_a_run_under_another_limit_is_not_taken_for_this_one(tmp_path):
    failed, solved = (Run("6a", "modern", "lstm", seed) for seed in (0, 1))
    write_record(tmp_path, replace(RECORD, success=False, seed=0, limit=5000))
    write_record(tmp_path, replace(RECORD, seed=1, limit=5000))
    with pytest.raises(InputError, match="limit of 5,000 sequences, not of 9,000"):
        make(failed, tmp_path, max_sequences=9000)
    with pytest.raises(InputError, match="limit of 5,000 sequences, not of 100,000"):
        make(failed, tmp_path)
    assert make(failed, tmp_path, max_sequences=5000)[1]
    with pytest.raises(InputError, match="limit of 5,000 sequences, not of 1,000"):
        make(solved, tmp_path, max_sequences=1000)  # it took 1,200
    assert make(solved, tmp_path)[1]  # the limit did not matter


def test_a_limit_that_the_learning_rate_follows_matters(monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "6a", _with_modern(EXPERIMENTS["6a"], schedule="cosine"))
    assert set(differences(RECORD)) == {"limit"}
    assert differences(RECORD, 5000) == {}


def test_a_run_with_other_settings_is_not_taken_for_this_one(tmp_path):
    write_record(tmp_path, replace(RECORD, seed=0, settings={"batch_size": 5, "older": 1}))
    with pytest.raises(InputError, match="run with batch_size = 5, not 50"):
        make(Run("6a", "modern", "lstm", 0), tmp_path)
    for name, recipe in (*ORIGINALS.items(), *CONTINUAL.items()):
        own = json.loads(json.dumps(recipe.settings()))
        found = replace(RECORD, experiment=name, recipe="original", settings=own)
        assert differences(replace(found, limit=recipe.limit, success=False)) == {}
        assert set(differences(replace(found, settings=own | {"spread": 9.0}))) == {"spread"}


def test_all_runs_are_looked_at_before_the_first(tmp_path):
    first, last = Run("6a", "modern", "lstm", 0), Run("chorales", "modern", "lstm", 0)
    with pytest.raises(InputError, match="chorales needs data: say where they are with --data"):
        check([first, last], tmp_path)
    with pytest.raises(InputError, match="chorales is trained for epochs"):
        check([first, last], tmp_path, data=tmp_path, max_sequences=5)
    for few in (0, -5):
        with pytest.raises(InputError, match=f"at least one training sequence, got {few}"):
            make(first, tmp_path, max_sequences=few)
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="file"):
            check([first], place)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def _with_modern(experiment, **changed):
    return replace(experiment, modern=replace(experiment.modern, **changed))
