"""``longspan inspect``, in processes of its own."""

from __future__ import annotations

import json

import polars as pl
import pytest
from tests.cli.command import run
from tests.insight import inspected

from longspan.cli import main
from longspan.cli.inspect import _places
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


@pytest.fixture
def call(capsys):
    """Run the command line in this process; return the exit code, and what it printed."""

    def called(*words):
        with pytest.raises(SystemExit) as ended:
            main(["inspect", *map(str, words)])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return called


def test_numbers_are_those_of_python(models, tmp_path):
    words = ["--rows", "4", "--steps", "15", "--seed", "3", "--sequence", "2"]
    done = run("inspect", models / "book", models / "book.txt", *words, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    found = inspect(inspected.language(), inspected.TEXT, rows=4, steps=15, seed=3, sequence=2)
    written = json.loads((tmp_path / "inspect.json").read_text("utf-8"))
    assert written == json.loads(json.dumps(found.to_dict()))
    assert (tmp_path / "inspect.html").read_text("utf-8") == found.html()
    assert f"within a lag of {found.horizon.horizon}" in done.stdout
    assert f"{tmp_path / 'inspect.html'}" in done.stdout
    for each in found.advice:
        assert each.text in done.stdout


def test_a_forecaster_needs_no_data(models, tmp_path, call):
    page, numbers = tmp_path / "new" / "hours.html", tmp_path / "hours.json"
    code, said, _ = call(models / "hours", "--output", page, "--json", numbers)
    assert code == 0
    assert page.stat().st_size > 0
    assert json.loads(numbers.read_text())["model"] == "Forecaster"
    assert "keeps only the end of its data" in said
    assert [entry.name for entry in page.parent.iterdir()] == ["hours.html"]


def test_files_are_read_as_evaluate_reads_them(models, tmp_path, call):
    both = [models / "source", models / "target"]
    assert call(models / "numbers", *both, "--output", tmp_path)[0] == 0
    columns = ["--text", "review", "--label", "stars"]
    made = tmp_path / "reviews"
    assert call(models / "reviews", models / "reviews.csv", *columns, "--output", made)[0] == 0
    assert sorted(entry.name for entry in made.iterdir()) == ["inspect.html", "inspect.json"]


def test_the_default_place_is_beside_the_runs(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page, numbers = _places(models / "book", None, None)
    assert str(page) == "runs/book-inspect/inspect.html"
    assert str(numbers) == "runs/book-inspect/inspect.json"


def test_users_mistakes_end_with_one_message_and_code_2(models, tmp_path, call):
    (tmp_path / "file").write_text("")
    (tmp_path / "page.html").mkdir()
    book, text, place = models / "book", models / "book.txt", ["--output", tmp_path / "a"]
    for message, words in {
        "There is no model directory": [models / "none", *place],
        "Give a text to look at": [book, *place],
        "`rows` must be a whole number from 1 on": [book, text, "--rows", "0", *place],
        "are for taggers": [book, text, "--label-column", "1", *place],
        "is a model directory": [book, text, "--output", book],
        "A file is where": [book, text, "--output", tmp_path / "file" / "x"],
        "Name two files": [
            book,
            text,
            "--output",
            tmp_path / "a.html",
            "--json",
            tmp_path / "a.html",
        ],
        "is a directory. Name a file": [book, text, "--output", tmp_path / "page.html"],
        "cannot be read": [book, tmp_path / "none.txt", *place],
    }.items():
        code, _, said = call(*words)
        assert code == 2, words
        assert message in said, said
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "page.html"]
