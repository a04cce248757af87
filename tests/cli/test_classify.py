"""``longspan fit classify``, ``evaluate`` and ``predict``, in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from tests.cli.command import check_killed_and_resumed, check_mistakes, run

from longspan import load

FAST = ["--hidden-size", "4", "--max-epochs", "2", "--batch-size", "8"]


@pytest.fixture(scope="module")
def model(walks, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "walks"
    done = run("fit", "classify", walks, "--id", "walk", "--label", "kind", *FAST, "--output", path)
    assert done.returncode == 0, done.stderr
    for word in ("most frequent class", "accuracy", "log loss", "By class", "Note:"):
        assert word in done.stdout
    assert str(path / "report.html") in done.stdout
    return path


def test_it_scores_and_classifies(model, walks, tmp_path):
    done = run("evaluate", model, walks)
    assert done.returncode == 0, done.stderr
    assert "ROC AUC" in done.stdout
    unlabelled = tmp_path / "new.csv"
    pl.read_csv(walks).drop("kind").write_csv(unlabelled)
    printed = run("predict", model, unlabelled)
    assert printed.returncode == 0, printed.stderr
    table = pl.read_csv(printed.stdout.encode())
    assert table.columns == ["id", "predicted", "p(fast)", "p(slow)"]
    assert table["id"].to_list() == [f"w{k}" for k in range(40)]
    assert set(table["predicted"]) <= {"slow", "fast"}
    for name in ("out/c.csv", "out/c.parquet"):
        assert run("predict", model, walks, "--output", tmp_path / name).returncode == 0
    assert pl.read_csv(tmp_path / "out/c.csv").equals(table)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["c.csv", "c.parquet"]


def test_it_writes_the_vectors_that_classes_are_told_from(model, walks, tmp_path):
    done = run("predict", model, walks, "--features", "--output", tmp_path / "f.csv")
    assert done.returncode == 0, done.stderr
    found = pl.read_csv(tmp_path / "f.csv")
    assert found.columns == ["id", "f0", "f1", "f2", "f3"]
    own = load(model).features(walks)
    np.testing.assert_allclose(found.drop("id").to_numpy(), own, rtol=1e-5, atol=1e-6)


def test_weights_of_classes_from_a_file_and_as_a_flag(walks, tmp_path):
    (tmp_path / "options.yaml").write_text("class_weight: {slow: 3, fast: 0.5}\nlabel: kind\n")
    words = ["fit", "classify", walks, "--id", "walk", *FAST, "--no-report", "--output"]
    done = run(*words, tmp_path / "a", "--config", tmp_path / "options.yaml")
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "a").class_weight == {"slow": 3, "fast": 0.5}
    done = run(*words, tmp_path / "b", "--label", "kind", "--class-weight", '{"quick": 2}')
    assert done.returncode == 2
    assert "class_weight has 2 for 'quick'" in done.stderr


def test_texts(tmp_path):
    path = tmp_path / "moods.tsv"
    rows = [f"{['bad', 'good'][k % 2]} day {k}\t{['neg', 'pos'][k % 2]}" for k in range(40)]
    path.write_text("text\tlabel\n" + "\n".join(rows))
    words = ["fit", "classify", path, *FAST, "--embedding-size", "4", "--class-weight", "balanced"]
    done = run(*words, "--no-report", "--output", tmp_path / "m")
    assert done.returncode == 0, done.stderr
    done = run("evaluate", tmp_path / "m", path)
    assert done.returncode == 0, done.stderr
    named = tmp_path / "named.jsonl"
    named.write_text('{"id": "r17", "text": "good day"}\n{"id": "r3", "text": ""}\n')
    done = run("predict", tmp_path / "m", named)
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(done.stdout.encode())["id"].to_list() == ["r17", "r3"]


def test_users_mistakes_end_with_one_message_and_code_2(model, walks, tmp_path):
    bad, one, latin = tmp_path / "bad.ts", tmp_path / "one.ts", tmp_path / "latin.ts"
    bad.write_text("@data\n1,2:a\n1,x:b\n")
    one.write_text("@data\n1,2:a\n1,3:a\n")
    latin.write_bytes(b"@data\n1,2:caf\xe9\n")
    hole = tmp_path / "hole.ts"
    hole.write_text("@data\n1,2:a\n1,?:b\n")
    fit = ["fit", "classify"]
    check_mistakes(
        {
            "cannot be read": [*fit, tmp_path / "none.ts"],
            "bad.ts, line 3: value 1": [*fit, bad],
            "but one class": [*fit, one, "--test-share", "0"],
            "line 2 has bytes": [*fit, latin],
            "sequence 1, step 1": [*fit, hole],
            "Which column has the labels": [*fit, walks],
            "Did you mean 'kind'": [*fit, walks, "--label", "kinds", "--id", "walk"],
            "`pooling` = 'sum' cannot be used": [*fit, walks, "--pooling", "sum"],
            "that are for forecasters: --windows": ["evaluate", model, walks, "--windows", "3"],
            "name a file": ["predict", model],
            ".csv or .parquet": ["predict", model, walks, "--output", "x.txt"],
            "must have the 1 channels": ["predict", model, walks, "--values", "x", "time"],
        }
    )


def test_killed_and_resumed_it_ends_with_the_same_model(walks, tmp_path):
    words = ["fit", "classify", walks, "--id", "walk", "--label", "kind", "--hidden-size", "4",
             "--batch-size", "8", "--max-epochs", "20"]  # fmt: skip
    check_killed_and_resumed(words, tmp_path)


def test_help_is_quick_because_nothing_heavy_is_imported():
    script = (
        "import sys; from longspan.cli import app\n"
        "try: app(['fit', 'classify', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'polars', 'pandas', 'sklearn', 'plotly', 'numpy', 'scipy', 'jinja2'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "--pooling" in done.stdout
    assert "HEAVY []" in done.stdout
