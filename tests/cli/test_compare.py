"""``longspan compare``, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
from tests.cli.command import ENVIRONMENT, LONGSPAN, check_mistakes, run

from longspan.cli import main

FAST = ["--hidden-size", "8", "--max-epochs", "2", "--batch-size", "8", "--seeds", "2",
        "--trials", "2", "--id", "walk", "--label", "kind"]  # fmt: skip


def here(*words):
    """Run the command line in this process, which starts sooner; return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def test_it_compares_and_goes_on(walks, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    words = ["compare", "classify", walks, *FAST, "--output", tmp_path / "here"]
    assert here(*words, "--cells", "lstm,gru") == 0
    done = capsys.readouterr()
    for word in ("accuracy ↑", "than ", "training, s", "most frequent class", " is best by "):
        assert word in done.out
    assert "gru: seed 2 of 2" in done.err
    found = json.loads((tmp_path / "here/compare.json").read_text())
    assert list(found["entries"]) == ["lstm", "gru"]
    assert "compare.html" in done.out
    assert "What is real" in (tmp_path / "here/compare.html").read_text()
    assert here(*words, "--cells", "lstm", "gru", "bilstm", "--no-report") == 0
    again = capsys.readouterr()
    assert again.err.count("done before") == 8
    assert "compare.html" not in again.out


def test_killed_it_goes_on(walks, tmp_path):
    words = ["compare", "classify", walks, *FAST, "--cells", "gru,rnn", "--output",
             tmp_path / "here", "--no-report"]  # fmt: skip
    command = [*LONGSPAN, *map(str, words)]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=ENVIRONMENT, **silent)
    while len(list(tmp_path.glob("here/runs/*.json"))) < 3:
        assert process.poll() is None
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "here/compare.json").exists()
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("done before") >= 3
    for kind in ("trial", "seed"):
        assert len(list(tmp_path.glob(f"here/runs/*-{kind}-*.json"))) == 4


def test_other_tasks(tmp_path, capsys):
    series = tmp_path / "s.csv"
    t = np.arange(120)
    pl.DataFrame({"y": 5 + np.sin(t / 2)}).write_csv(series)
    text = tmp_path / "book.txt"
    text.write_text("the cat sat on the mat\n" * 60)
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"{a} {b}\t{b} {a}\n" for a in "abcd" for b in "abcd"))
    tags = tmp_path / "tags.conll"
    tags.write_text("fly O\nto O\nRome B-city\n\n" * 20)
    short = ["--seeds", "1", "--trials", "1", "--hidden-size", "8", "--max-steps", "3",
             "--no-report"]  # fmt: skip
    for words in (
        ["forecast", series, "--horizon", "4", "--test-windows", "2"],
        ["language", text, "--cells", "gru,rnn", "--test-share", "0.1"],
        ["translate", pairs, "--test-share", "0.1", "--validation-share", "0.1"],
        ["tag", tags, "--cells", "bilstm,gru", "--match", "none", "--metric", "accuracy"],
    ):
        assert here("compare", *words, *short, "--output", tmp_path / words[0]) == 0
        assert "single seed" in capsys.readouterr().out


def test_users_mistakes_end_with_one_message_and_code_2(walks, tmp_path, capsys):
    words = ["compare", "classify", walks, *FAST]
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    for message, given in {
        "Did you mean 'bilstm'": [*words, "--cells", "bilstn,gru"],
        "at least two": [*words, "--cells", "gru"],
        "does not allow the cell 'rnn'. Its cells: lstm, gru": [
            "compare", "translate", "x.tsv", "--cells", "lstm,rnn"],
        "name the cells to compare": [*words, "--cell", "gru"],
        "`match` = 'size' cannot be used": [*words, "--match", "size"],
        "Unknown metric 'f1'": [*words, "--metric", "f1"],
        "not of a comparison": [*words, "--output", tmp_path / "model"],
        "Unknown option 'depth'": [*words, "--cells", "lstm:depth=2,gru"],
        "`tune` = 'depth'": [*words, "--tune", "depth"],
        "learning_rates would not be tried": [
            *words, "--tune", "dropout", "--learning-rates", "1e-4", "1e-2"],
        "dropout would not be tuned": ["compare", "classify", walks, "--trials", "1", "--tune",
                                       "dropout"],
        "trials=1 tunes nothing": ["compare", "classify", walks, "--trials", "1", "--tune",
                                   "learning_rate"],
        "learning_rates would not be tried: trials=1": [
            "compare", "tag", walks, "--trials", "1", "--learning-rates", "1e-4", "1e-2"],
    }.items():  # fmt: skip
        assert here(*given) == 2
        assert message in capsys.readouterr().err
    missing = ["compare", "classify", tmp_path / "none.ts", "--output", tmp_path / "out"]
    check_mistakes({"cannot be read": missing})


def test_help_is_quick_because_nothing_heavy_is_imported():
    script = (
        "import sys; from longspan.cli import app\n"
        "try: app(['compare', 'forecast', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'polars', 'pandas', 'sklearn', 'plotly', 'numpy', 'scipy', 'jinja2'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    for flag in ("--cells", "--trials", "--match", "--horizon", "--test-windows"):
        assert flag in done.stdout
    assert "HEAVY []" in done.stdout
