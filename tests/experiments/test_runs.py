"""Series of runs: which, what they leave, and that they go on after a stop."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from longspan.errors import InputError
from longspan.experiments import Record, read_record, read_records, runs, write_record
from longspan.experiments.runs import Run, chosen, known, make, planned

RECORD = Record(
    "6a", "modern", "lstm", 3, True, 1200, 5000, 1, 2560, 0.01, None, 2.5, 93, {"batch_size": 5}
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
    assert len(read_records(tmp_path, ["6a"])) == 3


def test_a_failure_under_another_limit_is_not_taken_for_this_one(tmp_path):
    write_record(tmp_path, replace(RECORD, success=False, seed=0, limit=5000))
    write_record(tmp_path, replace(RECORD, seed=1, limit=5000))
    with pytest.raises(InputError, match="limit of 5,000 sequences, not of 9,000"):
        make(Run("6a", "modern", "lstm", 0), tmp_path, max_sequences=9000)
    assert make(Run("6a", "modern", "lstm", 0), tmp_path, max_sequences=5000)[1]
    assert make(Run("6a", "modern", "lstm", 1), tmp_path, max_sequences=9000)[1]


def test_data_are_asked_for(tmp_path):
    with pytest.raises(InputError, match="chorales needs data: say where they are with --data"):
        make(runs.Run("chorales", "modern", "lstm", 0), tmp_path)
