"""``longspan inspect``, in processes of its own."""

from __future__ import annotations

import json

import polars as pl
import pytest
from tests.cli.command import check_mistakes, run
from tests.insight import inspected

from longspan.insight import inspect


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    inspected.language().save(path / "book")
    inspected.translator().save(path / "numbers")
    inspected.forecaster().save(path / "hours")
    inspected.reviewer().save(path / "reviews")
    (path / "book.txt").write_text(inspected.TEXT, "utf-8")
    (path / "source").write_text("".join(f"{s}\n" for s, _ in inspected.PAIRS), "utf-8")
    (path / "target").write_text("".join(f"{t}\n" for _, t in inspected.PAIRS), "utf-8")
    rows = pl.DataFrame({"review": inspected.REVIEWS, "stars": inspected.STARS})
    rows.write_csv(path / "reviews.csv")
    return path


def test_numbers_are_those_of_python(models, tmp_path):
    words = ["--rows", "4", "--steps", "15", "--seed", "3", "--sequence", "2"]
    done = run("inspect", models / "book", models / "book.txt", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = tmp_path / "runs" / "book-inspect"
    found = inspect(inspected.language(), inspected.TEXT, rows=4, steps=15, seed=3, sequence=2)
    written = json.loads((made / "inspect.json").read_text("utf-8"))
    assert written == json.loads(json.dumps(found.to_dict()))
    assert (made / "inspect.html").read_text("utf-8") == found.html()
    assert f"within a lag of {found.horizon.horizon}" in done.stdout
    assert "runs/book-inspect/inspect.html" in done.stdout
    for each in found.advice:
        assert each.text in done.stdout


def test_a_forecaster_needs_no_data(models, tmp_path):
    page, numbers = tmp_path / "new" / "hours.html", tmp_path / "hours.json"
    done = run("inspect", models / "hours", "--output", page, "--json", numbers)
    assert done.returncode == 0, done.stderr
    assert page.stat().st_size > 0
    assert json.loads(numbers.read_text())["model"] == "Forecaster"
    assert "keeps only the end of its data" in done.stdout
    assert [entry.name for entry in page.parent.iterdir()] == ["hours.html"]


def test_files_are_read_as_evaluate_reads_them(models, tmp_path):
    both = [models / "source", models / "target"]
    done = run("inspect", models / "numbers", *both, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    columns = ["--text", "review", "--label", "stars"]
    done = run("inspect", models / "reviews", models / "reviews.csv", *columns,
               "--output", tmp_path / "r")  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_users_mistakes_end_with_one_message_and_code_2(models, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "page.html").mkdir()
    book, text = models / "book", models / "book.txt"
    check_mistakes(
        {
            "There is no model directory": ["inspect", models / "none"],
            "Give a text to look at": ["inspect", book, "--output", tmp_path / "a"],
            "`rows` must be a whole number from 1 on": ["inspect", book, text, "--rows", "0",
                                                        "--output", tmp_path / "a"],
            "are for taggers": ["inspect", book, text, "--label-column", "1",
                                "--output", tmp_path / "a"],
            "is a model directory": ["inspect", book, text, "--output", book],
            "Nothing can be written in": ["inspect", book, text, "--output",
                                          tmp_path / "file" / "x"],
            "is a directory. Name a file": ["inspect", book, text, "--output",
                                            tmp_path / "page.html"],
        }
    )  # fmt: skip
