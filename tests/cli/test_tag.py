"""``longspan fit tag``, ``evaluate`` and ``predict``, in this process where it is all the same."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from tests.cli.command import check_killed_and_resumed, run, run_in_two_processes
from tests.tasks.tag.conftest import requests

from longspan.cli import main
from longspan.data import read_tagged

FAST = ["--hidden-size", "8", "--word-size", "8", "--character-size", "6", "--batch-size", "8"]


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "requests.jsonl"
    lines = [
        json.dumps({"tokens": words, "tags": labels, "intent": intent})
        for words, labels, intent in zip(*requests(60), strict=True)
    ]
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def columns(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "requests.conll"
    words, labels, _ = requests(60)
    rows = [
        "\n".join(f"{w} {x}" for w, x in zip(*each, strict=True))
        for each in zip(words, labels, strict=True)
    ]
    path.write_text("\n\n".join(rows) + "\n", "utf-8")
    return path


@pytest.fixture
def call(capsys, monkeypatch):
    """Run ``longspan WORDS`` and return what it printed: on standard error after a mistake."""
    monkeypatch.setenv("COLUMNS", "160")

    def called(*words, code=0):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        assert ended.value.code == code, printed.err
        return printed.err if code else printed.out

    return called


@pytest.fixture(scope="module")
def model(joint, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "requests"
    done = run("fit", "tag", joint, *FAST, "--max-epochs", "2", "--output", path)
    assert done.returncode == 0, done.stderr
    for word in ("most frequent label", "span F1", "conlleval", "intents", "all right"):
        assert word in done.stdout
    assert str(path / "report.html") in done.stdout
    return path


def test_it_scores_and_labels(model, joint, columns, tmp_path, call):
    assert "span F1" in call("evaluate", model, joint)
    items = [json.loads(line) for line in call("predict", model, columns).splitlines()]
    words = read_tagged(columns).words
    assert [item["tokens"] for item in items] == words
    assert {item["intent"] for item in items} <= {"book", "list"}
    assert all(0.0 < item["probability"] <= 1.0 for item in items)
    for name in ("out/l.jsonl", "out/l.conll"):
        assert name in call("predict", model, joint, "--output", tmp_path / name)
        found = read_tagged(tmp_path / name)
        assert found.words == words
        assert found.labels == [item["tags"] for item in items]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["l.conll", "l.jsonl"]


def test_columns_are_printed_without_intents(columns, tmp_path, call):
    words = ["fit", "tag", columns, *FAST, "--max-steps", "3", "--test-share", "0", "--no-crf"]
    call(*words, "--no-report", "--output", tmp_path / "m")
    printed = call("predict", tmp_path / "m", columns, "--word-column", "0")
    (tmp_path / "again.conll").write_text(printed)
    found = read_tagged(tmp_path / "again.conll")
    assert found.words == read_tagged(columns).words
    assert "span F1" in call("evaluate", tmp_path / "m", columns, "--label-column", "1")


def test_users_mistakes_end_with_one_message_and_code_2(model, joint, tmp_path, call):
    bad, latin = tmp_path / "bad.conll", tmp_path / "latin.conll"
    bad.write_text("He O\nran\n")
    latin.write_bytes("café O\n".encode("latin-1"))
    fit = ["fit", "tag"]
    cases = {
        "cannot be read": [*fit, tmp_path / "none.conll"],
        "bad.conll, line 2: 2 columns": [*fit, bad],
        "is not in utf-8: line 1": [*fit, latin],
        "`dropout` = '1.5' cannot be used": [*fit, joint, "--dropout", "1.5"],
        "nothing to learn from": [*fit, joint, "--test-share", "0.999"],
        "is a number (0 is the first": [*fit, bad, "--word-column", "form"],
        "that are for forecasters: --windows": ["evaluate", model, joint, "--windows", "3"],
        "that are for forecasters: --future": ["predict", model, joint, "--future", "x.csv"],
        "name a file": ["predict", model],
        "bad.conll, line 2:": ["predict", model, bad],
        "There is no model directory": ["predict", tmp_path / "none", joint],
    }
    for message, words in cases.items():
        assert message in call(*words, code=2)


def test_killed_and_resumed_it_ends_with_the_same_model(joint, tmp_path):
    words = ["fit", "tag", joint, *FAST, "--max-epochs", "20", "--recurrent-dropout", "0.2"]
    check_killed_and_resumed(words, tmp_path)


def test_two_processes_train_the_model_of_one(joint, tmp_path):
    words = ["fit", "tag", joint, *FAST, "--max-epochs", "3", "--dropout", "0", "--rare-rate", "0",
             "--no-report"]  # fmt: skip
    done = run_in_two_processes(*words, "--output", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Model:") == 1
    assert run(*words, "--output", tmp_path / "one").returncode == 0
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-3, atol=1e-4)


def test_help_is_quick_because_nothing_heavy_is_imported():
    script = (
        "import sys; from longspan.cli import app\n"
        "try: app(['fit', 'tag', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'polars', 'pandas', 'sklearn', 'plotly', 'numpy', 'scipy', 'jinja2'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "--character-encoder" in done.stdout
    assert "HEAVY []" in done.stdout
