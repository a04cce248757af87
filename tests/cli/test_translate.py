"""``longspan fit translate``, ``evaluate``, ``predict`` and ``chat``, in their own processes."""

from __future__ import annotations

import io
import json
import sys

import pytest
import torch
from safetensors.torch import load_file
from tests.cli.command import check_killed_and_resumed, check_mistakes, run, run_in_two_processes

from longspan.cli import main

NAMES = ["zero", "one", "two", "three"]
FAST = ["--hidden-size", "8", "--embedding-size", "8", "--batch-size", "8", "--min-count", "1"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    pairs = [(f"{a} {b} {c}", f"{NAMES[a]} {NAMES[b]} {NAMES[c]}")
             for a in range(4) for b in range(4) for c in range(4)]  # fmt: skip
    for side, name in enumerate(("digits", "words")):
        (path / name).write_text("".join(pair[side] + "\n" for pair in pairs))
    (path / "pairs.tsv").write_text("".join("\t".join(pair) + "\n" for pair in pairs))
    (path / "talk.json").write_text(json.dumps([["hello", "hi", "bye", "see you"]] * 20))
    return path


@pytest.fixture(scope="module")
def model(files, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "digits"
    done = run(
        "fit", "translate", files / "digits", files / "words", *FAST, "--max-epochs", "12",
        "--learning-rate", "0.02", "--output", path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "nearest training pair" in done.stdout
    assert str(path / "report.html") in done.stdout
    return path


def test_it_scores_and_translates(model, files, tmp_path):
    for words in ((files / "pairs.tsv",), (files / "digits", files / "words")):
        done = run("evaluate", model, *words)
        assert done.returncode == 0, done.stderr
        assert "Scores on 64 pairs" in done.stdout
    piped = run("predict", model, input="1 2 3\n\n0 0 0\n")
    assert piped.returncode == 0, piped.stderr
    lines = piped.stdout.split("\n")
    assert len(lines) == 4
    assert lines[0]
    assert lines[1] == lines[3] == ""
    (tmp_path / "in.txt").write_text("1 2 3\n\n0 0 0")
    done = run("predict", model, tmp_path / "in.txt", "--output", tmp_path / "out.txt")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.txt").read_text() == piped.stdout


@pytest.fixture
def piped(capsys, monkeypatch):
    """Run ``longspan WORDS`` with these bytes, or none, as standard input; see `main`."""

    def called(data, *words, code=0):
        stdin = None if data is None else io.TextIOWrapper(io.BytesIO(data), "utf-8")
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        assert ended.value.code == code, printed.err
        return " ".join(printed.err.split()) if code else printed.out

    return called


def test_standard_input_is_read_as_a_file_is(model, tmp_path, piped):
    text = "1 2 ü\r\n\n0 0 0"
    (tmp_path / "in.txt").write_text(text, "utf-8")
    expected = run("predict", model, tmp_path / "in.txt").stdout
    assert expected.count("\n") == 3
    for encoding in ("utf-8", "utf-8-sig"):
        assert piped(text.encode(encoding), "predict", model) == expected
    for encoding in ("latin-1", "utf-16"):
        given = text.encode(encoding)
        assert piped(given, "predict", model, "--encoding", encoding) == expected
    said = piped(text.encode("latin-1"), "predict", model, code=2)
    assert "Standard input is not in utf-8: line 1" in said
    assert "no encoding 'utf-9'" in piped(b"1", "predict", model, "--encoding", "utf-9", code=2)


@pytest.mark.parametrize("command", ["predict", "chat"])
def test_a_closed_standard_input_is_named(command, model, piped):
    assert "Standard input is closed" in piped(None, command, model, code=2)


def test_a_chat_keeps_its_turns_and_ends_with_the_input(files, tmp_path):
    path = tmp_path / "talk"
    done = run(
        "fit", "translate", files / "talk.json", *FAST, "--context-turns", "1", "--max-epochs",
        "40", "--learning-rate", "0.02", "--dropout", "0", "--validation-share", "0",
        "--test-share", "0", "--no-report", "--output", path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    talk = run("chat", path, input="hello\n\nbye\n")
    assert talk.returncode == 0, talk.stderr
    # "bye" is answered so only after "hi", which it said itself.
    assert talk.stdout == "hi\nsee you\n"
    assert run("chat", path, input="").stdout == ""


def test_users_mistakes_end_with_one_message_and_code_2(model, files, tmp_path):
    latin, short, bad = tmp_path / "latin.tsv", tmp_path / "short", tmp_path / "bad.tsv"
    latin.write_bytes("a\tb\ncafé\tcoffee\n".encode("latin-1"))
    short.write_text("one\n")
    bad.write_text("a\tb\nc\n")
    fit = ["fit", "translate"]
    check_mistakes(
        {
            "cannot be read": [*fit, tmp_path / "none.tsv"],
            "is not in utf-8: line 2": [*fit, latin],
            "as many lines, got 64 and 1": [*fit, files / "digits", short],
            "line 2 has 1": [*fit, bad],
            "name that ends in": [*fit, files / "digits"],
            "`dropout` = '1.5' cannot be used": [*fit, files / "pairs.tsv", "--dropout", "1.5"],
            "--test takes one file": [*fit, files / "pairs.tsv", "--test", "a", "b", "c"],
            "`beam_size` must be": ["chat", model, "--beam-size", "0"],
            "are for forecasters": ["evaluate", model, files / "pairs.tsv", "--windows", "3"],
            "There is no model directory": ["chat", tmp_path / "none"],
        }
    )


def test_killed_and_resumed_it_ends_with_the_same_model(files, tmp_path):
    words = [
        "fit", "translate", files / "pairs.tsv", *FAST, "--max-epochs", "8", "--input-feeding",
        "--scheduled-sampling", "0.5",
    ]  # fmt: skip
    check_killed_and_resumed(words, tmp_path)


def test_two_processes_train_the_model_of_one(files, tmp_path):
    words = [
        "fit", "translate", files / "pairs.tsv", *FAST, "--max-epochs", "2", "--dropout", "0",
        "--no-report",
    ]  # fmt: skip
    done = run_in_two_processes(*words, "--output", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Model:") == 1
    assert run(*words, "--output", tmp_path / "one").returncode == 0
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-3, atol=1e-4)
