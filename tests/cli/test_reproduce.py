"""``longspan reproduce``, in processes of its own."""

from __future__ import annotations

import json

import pytest
from tests.cli.command import check_mistakes, run, run_and_kill

FAST = ["reproduce", "periodic-cosine", "--cells", "lstm,rnn", "--max-sequences", "1000"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    words = [*FAST, "--seeds", "2", "--output", path, "--table", path / "table.md"]
    made = run(*words)
    assert made.returncode == 0, made.stderr
    return path, words, made.stdout


def test_runs_leave_records_a_table_and_a_report(done):
    path, _, printed = done
    records = sorted(each.name for each in (path / "periodic-cosine").iterdir())
    assert records == [f"modern-{cell}-{seed}.json" for cell in ("lstm", "rnn") for seed in (0, 1)]
    assert "modern lstm, seed 1:" in printed
    assert "0 of 2" in printed  # no 1,000 most recent can be right among 1,000
    assert "longspan reproduce periodic-cosine --recipe modern" in (path / "table.md").read_text()
    assert len(json.loads((path / "table.json").read_text())["runs"]) == 4
    assert "The founding experiments" in (path / "report.html").read_text()


def test_what_is_there_is_not_made_again(done):
    path, words, _ = done
    before = {each: each.stat().st_mtime_ns for each in path.rglob("*lstm*.json")}
    again = run(*words)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("(was there)") == 4
    assert before == {each: each.stat().st_mtime_ns for each in path.rglob("*lstm*.json")}
    only = run("reproduce", "--output", path, "--table", path / "other.md", "--no-report")
    assert only.returncode == 0, only.stderr
    assert (path / "other.md").read_text() == (path / "table.md").read_text()


def test_a_killed_series_goes_on(tmp_path):
    words = ["reproduce", "anbn", "--seeds", "3", "--max-sequences", "3000", "--no-report",
             "--output", tmp_path]  # fmt: skip
    first = tmp_path / "anbn" / "modern-lstm-0.json"
    run_and_kill(*words, checkpoint=first)
    kept = first.read_bytes()
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert "seed 0: " in done.stdout
    assert done.stdout.count("(was there)") >= 1
    assert first.read_bytes() == kept
    assert len(list((tmp_path / "anbn").glob("modern-*.json"))) == 3


def test_list():
    done = run("reproduce", "--list")
    assert done.returncode == 0, done.stderr
    for word in ("adding-1000", "853,000", "chorales", "Gers"):
        assert word in done.stdout


def test_users_mistakes_end_with_one_message_and_code_2(tmp_path):
    (tmp_path / "6a").mkdir()
    (tmp_path / "6a" / "modern-lstm-0.json").write_text("{}")
    check_mistakes(
        {
            "Name an experiment, or say --list": ["reproduce"],
            "Unknown experiment 'ading'. Did you mean 'adding": ["reproduce", "ading"],
            "chorales needs data": ["reproduce", "chorales", "--output", tmp_path / "o"],
            "is no record of a run": ["reproduce", "6a", "--seeds", "1", "--output", tmp_path],
            "There is no record in": ["reproduce", "--table", tmp_path / "t.md",
                                      "--output", tmp_path / "none"],
            "writes Markdown, and JSON beside it": ["reproduce", "--table", tmp_path / "t.json"],
            "at least one training sequence, got 0": [*FAST[:-1], "0"],
            "papers' own recipe is one for lstm, got gru": [
                "reproduce", "6b", "--recipe", "original", "--cells", "gru"],
            "modern-lstm-0.json is a file. Name a directory": [
                *FAST, "--output", tmp_path / "6a" / "modern-lstm-0.json"],
            "A file is where": [
                *FAST, "--output", tmp_path / "o",
                "--table", tmp_path / "6a" / "modern-lstm-0.json" / "t.md"],
        }
    )  # fmt: skip
