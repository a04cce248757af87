"""``longspan fit language``, ``evaluate`` and ``generate``, in processes of their own."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from tests.cli.command import check_killed_and_resumed, check_mistakes, run, run_in_two_processes

FAST = ["--hidden-size", "8", "--num-layers", "1", "--bptt-length", "10", "--batch-size", "4"]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "book.txt"
    path.write_text("the cat sat on the mat.\nthe dog ate the cat food!\n" * 20, "utf-8")
    return path


@pytest.fixture(scope="module")
def model(book, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "book"
    done = run("fit", "language", book, *FAST, "--max-epochs", "2", "--output", path)
    assert done.returncode == 0, done.stderr
    assert "Kneser-Ney 5-gram" in done.stdout
    assert str(path / "report.html") in done.stdout
    return path


def test_it_scores_and_writes(model, book):
    done = run("evaluate", model, book)
    assert done.returncode == 0, done.stderr
    assert "unigram" in done.stdout
    words = ["generate", model, "the c", "--max-tokens", "20", "--temperature", "0.7"]
    first, again, other = (run(*words, "--seed", seed) for seed in (1, 1, 2))
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("the c")
    assert len(first.stdout) == len("the c") + 20 + 1
    assert first.stdout == again.stdout != other.stdout


def test_users_mistakes_end_with_one_message_and_code_2(model, book, tmp_path):
    latin, empty = tmp_path / "latin.txt", tmp_path / "empty.txt"
    latin.write_bytes("café\n".encode("latin-1") * 20)
    empty.write_text("\n")
    fit = ["fit", "language"]
    check_mistakes(
        {
            "cannot be read": [*fit, tmp_path / "none.txt"],
            "is not in utf-8: line 1": [*fit, latin],
            "is empty": [*fit, empty],
            "`dropout` = '1.5' cannot be used": [*fit, book, "--dropout", "1.5"],
            "`top_p` must be": ["generate", model, "--top-p", "2"],
            "`seed` must be": ["generate", model, "--seed", "-1"],
            "which writes text": ["predict", model],
            "are for forecasters": ["evaluate", model, book, "--windows", "3"],
            "There is no model directory": ["generate", tmp_path / "none"],
        }
    )


def test_killed_and_resumed_it_ends_with_the_same_model(book, tmp_path):
    words = ["fit", "language", book, *FAST, "--max-epochs", "6", "--varied-bptt"]
    check_killed_and_resumed(words, tmp_path)


def test_two_processes_train_the_model_of_one(book, tmp_path):
    words = ["fit", "language", book, *FAST, "--max-epochs", "2", "--dropout", "0", "--no-report"]
    done = run_in_two_processes(*words, "--output", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Model:") == 1
    assert run(*words, "--output", tmp_path / "one").returncode == 0
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-3, atol=1e-4)
