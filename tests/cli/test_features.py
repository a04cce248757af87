"""``longspan fit features`` and ``predict`` with its models, in processes of their own."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests.cli.command import check_killed_and_resumed, check_mistakes, run

import longspan

FAST = ["--hidden-size", "4", "--max-epochs", "2", "--batch-size", "8"]


@pytest.fixture(scope="module")
def walks(tmp_path_factory):
    """A table with a row for each step."""
    path = tmp_path_factory.mktemp("data") / "walks.csv"
    rng = np.random.default_rng(0)
    rows = [
        {"walk": f"w{k}", "time": t, "x": float(np.sin((1 + k % 2) * t) + rng.normal() / 9),
         "kind": ["slow", "fast"][k % 2]}
        for k in range(40) for t in range(5 + k % 4)
    ]  # fmt: skip
    pl.DataFrame(rows).write_csv(path)
    return path


@pytest.fixture(scope="module")
def model(walks, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "walks"
    words = ["fit", "features", walks, "--id", "walk", "--label", "kind", *FAST]
    done = run(*words, "--output", path)
    assert done.returncode == 0, done.stderr
    for word in ("8 sequences written again", "from the vector", "by the mean"):
        assert word in done.stdout
    html = (path / "report.html").read_text()
    assert "slow" in html  # labels colour the picture
    return path


def test_it_writes_vectors(model, walks, tmp_path):
    unlabelled = tmp_path / "new.csv"
    pl.read_csv(walks).drop("kind").write_csv(unlabelled)
    printed = run("predict", model, unlabelled)
    assert printed.returncode == 0, printed.stderr
    table = pl.read_csv(printed.stdout.encode())
    assert table.columns == ["id", "f0", "f1", "f2", "f3"]
    assert table["id"].to_list() == [f"w{k}" for k in range(40)]
    found = longspan.load(model).transform(walks)
    np.testing.assert_allclose(table.drop("id").to_numpy(), found, rtol=1e-5, atol=1e-6)
    done = run("predict", model, unlabelled, "--output", tmp_path / "out/f.parquet")
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(tmp_path / "out/f.parquet").columns == table.columns


def test_users_mistakes_end_with_one_message_and_code_2(model, walks, tmp_path):
    hole = tmp_path / "hole.ts"
    hole.write_text("@data\n1,2:a\n1,?:b\n")
    fit = ["fit", "features"]
    check_mistakes(
        {
            "cannot be read": [*fit, tmp_path / "none.ts"],
            "sequence 1, step 1": [*fit, hole],
            "Did you mean 'walk'": [*fit, walks, "--id", "walks"],
            "--classifier": [*fit, walks, "--id", "walk", "--classifier", "x"],
            "name a file": ["predict", model],
            ".csv or .parquet": ["predict", model, walks, "--output", "x.txt"],
            "that are for classifiers: --features": ["predict", model, walks, "--features"],
            "scored in training": ["evaluate", model, walks],
            "cannot be inspected": ["inspect", model, walks],
        }
    )


def test_killed_and_resumed_it_ends_with_the_same_model(walks, tmp_path):
    words = ["fit", "features", walks, "--id", "walk", "--hidden-size", "4", "--batch-size", "8",
             "--max-epochs", "20"]  # fmt: skip
    check_killed_and_resumed(words, tmp_path)
