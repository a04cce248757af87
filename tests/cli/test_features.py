"""``longspan fit features`` and ``predict`` with its models, in processes of their own."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests.cli.command import check_killed_and_resumed, check_mistakes, run

import longspan

FAST = ["--hidden-size", "4", "--max-epochs", "2", "--batch-size", "8"]


@pytest.fixture(scope="module")
def model(walks, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "walks"
    words = ["fit", "features", walks, "--id", "walk", "--label", "kind", *FAST]
    done = run(*words, "--output", path)
    assert done.returncode == 0, done.stderr
    for word in ("8 sequences written again", "with the vector", "without"):
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
            "`longspan evaluate` has no use for": ["evaluate", model, walks],
            "below 1, got 1.5": [*fit, walks, "--id", "walk", "--test-share", "1.5"],
            "below 1, got nan": [*fit, walks, "--id", "walk", "--test-share", "nan"],
            "cannot be inspected": ["inspect", model, walks],
        }
    )


def test_classes_that_are_numbers_or_missing_are_no_channels(walks, tmp_path):
    table = pl.read_csv(walks).with_columns(kind=(pl.col("kind") == "fast").cast(int))
    test = tmp_path / "test.csv"
    table.drop("kind").write_csv(test)
    for name, own in (
        ("whole", table),
        ("holes", table.with_columns(kind=pl.when(pl.col("time") > 3).then("kind"))),
        ("steps", table.with_columns(kind=pl.col("x") * 2)),
    ):
        path = tmp_path / f"{name}.csv"
        own.write_csv(path)
        words = ["fit", "features", path, "--id", "walk", "--label", "kind", "--test", test, *FAST]
        done = run(*words, "--output", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert "40 sequences written again" in done.stdout
        html = (tmp_path / name / "report.html").read_text()
        assert ("Colours are the labels" in html) == (name == "whole")
        for data in (path, test):
            done = run("predict", tmp_path / name, data)
            assert done.returncode == 0, done.stderr


def test_the_features_of_a_classifier_come_back_from_its_directory(walks, tmp_path):
    classifier = longspan.Classifier(hidden_size=4, max_epochs=2)
    classifier.fit(walks, id="walk", label="kind")
    model = longspan.SequenceFeatures(classifier=classifier).fit(walks)
    model.save(tmp_path / "m")
    done = run("predict", tmp_path / "m", walks, "--output", tmp_path / "f.parquet")
    assert done.returncode == 0, done.stderr
    found = pl.read_parquet(tmp_path / "f.parquet").drop("id").to_numpy()
    np.testing.assert_array_equal(found, classifier.features(walks))


def test_killed_and_resumed_it_ends_with_the_same_model(walks, tmp_path):
    words = ["fit", "features", walks, "--id", "walk", "--hidden-size", "4", "--batch-size", "8",
             "--max-epochs", "20"]  # fmt: skip
    check_killed_and_resumed(words, tmp_path)
