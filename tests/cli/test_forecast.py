"""The command line and the forecaster's commands."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from tests.cli.command import (
    check_killed_and_resumed,
    check_mistakes,
    run,
    run_in_two_processes,
)

from longspan.cli import with_file
from longspan.errors import InputError

FAST = ["--horizon", "6", "--max-steps", "4", "--hidden-size", "4"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "sales.csv"
    table = pl.DataFrame({"step": range(120), "sales": [float(k % 7 + k / 50) for k in range(120)]})
    table.write_csv(path)
    return path


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "sales"
    done = run(
        "fit", "forecast", data, "--target", "sales", "--time", "step", *FAST, "--output", path
    )
    assert done.returncode == 0, done.stderr
    assert "Scores on data the model did not see" in done.stdout
    assert str(path / "report.html") in done.stdout
    return path


def test_help_is_quick_because_nothing_heavy_is_imported():
    script = (
        "import sys; from longspan.cli import app\n"
        "try: app(sys.argv[1:])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'polars', 'pandas', 'sklearn', 'plotly', 'numpy', 'scipy', 'jinja2'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    for words in (
        ["--help"], ["fit", "forecast", "--help"], ["fit", "language", "--help"], ["--version"],
    ):  # fmt: skip
        command = [sys.executable, "-c", script, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "HEAVY []" in done.stdout
    assert "--hidden-size" in run("fit", "forecast", "--help").stdout


def test_importing_longspan_imports_nothing_heavy():
    script = (
        "import sys, longspan; heavy = {'torch', 'polars', 'pandas', 'sklearn', 'plotly',"
        " 'matplotlib', 'fastapi'}; sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_predict_and_evaluate(model, data, tmp_path):
    printed = run("predict", model)
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.splitlines()[0] == "step,mean,q0.1,q0.5,q0.9"
    assert printed.stdout.splitlines()[1].startswith("120,")
    for name in ("f.csv", "f.parquet"):
        done = run("predict", model, data, "--output", tmp_path / "out" / name)
        assert done.returncode == 0, done.stderr
    assert pl.read_csv(tmp_path / "out" / "f.csv").height == 6
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["f.csv", "f.parquet"]
    done = run("evaluate", model, data, "--windows", "2")
    assert done.returncode == 0, done.stderr
    assert "last value" in done.stdout
    assert "did not see" in done.stdout
    done = run("evaluate", model, data, "--windows", "9", "--allow-seen")
    assert done.returncode == 0, done.stderr
    assert "may have been trained on" in done.stdout
    assert "did not see" not in done.stdout


def test_times_with_a_zone_are_written_with_one(tmp_path):
    first = dt.datetime(2024, 1, 1)
    lines = [
        f"{(first + dt.timedelta(hours=k)).isoformat()}+02:00,{k % 7}\n" for k in range(60)
    ]  # fmt: skip
    (tmp_path / "t.csv").write_text("time,y\n" + "".join(lines))
    done = run("fit", "forecast", tmp_path / "t.csv", *FAST, "--test-windows", "0",
               "--no-report", "--output", tmp_path / "m")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Note: Times are used as UTC." in done.stdout
    printed = run("predict", tmp_path / "m").stdout
    assert printed.splitlines()[1].startswith("2024-01-03 10:00:00+00:00,")


def test_users_mistakes_end_with_one_message_and_code_2(model, data, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("step,sales\n0,1\n1,many\n")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "config.json").write_text("{")
    fit = ["fit", "forecast"]
    cases = {
        "There is no file": [*fit, tmp_path / "none.csv"],
        "Did you mean 'sales'": [*fit, data, "--target", "sale"],
        "must be numeric, got 'many'": [*fit, bad, "--target", "sales"],
        "`horizon` = '0' cannot be used": [*fit, data, "--horizon", "0"],
        "--hidden-sice": [*fit, data, "--hidden-sice", "3"],
        "needs at least": [*fit, data, "--target", "sales", "--horizon", "1000"],
        "quantiles": [*fit, data, "--quantiles", "0.9", "0.1"],
        "There is no model directory": ["predict", tmp_path / "none"],
        "cannot be used": ["predict", tmp_path / "torn"],
        ".csv or .parquet": ["predict", model, "--output", "x.txt"],
        "A file is where": ["predict", model, "--output", bad / "x.csv"],
        "needs a directory": [*fit, data, "--log-dir", bad / "x"],
        "is a file. Name a directory": [*fit, data, "--checkpoint-dir", bad],
        "`checkpoint_every` need `checkpoint_dir`": [*fit, data, "--horizon", "5", "--resume"],
        "trained on": ["evaluate", model, data, "--windows", "9"],
        "not a model": [*fit, data, "--output", tmp_path],
        "cannot be read as YAML": [*fit, data, "--config", tmp_path / "none.yaml"],
        "Unknown command": ["forecats"],
    }
    check_mistakes(cases)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.csv", "torn"]


def test_options_from_a_file_and_flags_that_win(data, tmp_path):
    (tmp_path / "options.yaml").write_text(
        "horizon: 6\nhidden_size: 4\nmax-steps: 3\nquantiles: [0.2, 0.5, 0.8]\ncalendar: false\n"
        "patience: null\ntarget: sales\n"
    )
    words = with_file(["fit", "--config", str(tmp_path / "options.yaml"), "--horizon=3"])
    assert words[:2] == ["fit", "--horizon=3"]
    assert "--no-calendar" in words
    done = run(
        "fit", "forecast", data, "--config", tmp_path / "options.yaml", "--horizon", "3",
        "--output", tmp_path / "m", "--no-report",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = run("predict", tmp_path / "m").stdout.splitlines()
    assert printed[0].endswith("mean,q0.2,q0.5,q0.8")
    assert len(printed) == 1 + 3
    (tmp_path / "options.yaml").write_text("horizn: 6\n")
    done = run("fit", "forecast", data, "--config", tmp_path / "options.yaml")
    assert done.returncode == 2
    assert "horizn" in done.stderr
    with pytest.raises(InputError, match="needs the name"):
        with_file(["--config"])


def test_killed_and_resumed_it_ends_with_the_same_model(data, tmp_path):
    words = [
        "fit", "forecast", data, "--target", "sales", "--time", "step", "--horizon", "6",
        "--max-epochs", "30", "--hidden-size", "6", "--dropout", "0.2", "--batch-size", "8",
    ]  # fmt: skip
    check_killed_and_resumed(words, tmp_path)


def test_torchrun_trains_one_model_with_two_processes(data, tmp_path):
    words = ["fit", "forecast", data, "--target", "sales", "--time", "step", *FAST, "--no-report"]
    words += ["--refit"]  # two trainings in each process
    done = run_in_two_processes(*words, "--output", tmp_path / "two", "--log-dir", tmp_path / "log")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Model:") == 1
    assert run(*words, "--output", tmp_path / "one").returncode == 0
    tables = [pl.read_csv(run("predict", tmp_path / n).stdout.encode()) for n in ("one", "two")]
    np.testing.assert_allclose(tables[0].to_numpy(), tables[1].to_numpy(), rtol=1e-4)


def test_what_was_found_in_the_data_of_a_prediction_is_told_beside_the_table(model, data, tmp_path):
    rows = pl.read_csv(data)
    holes = rows.with_columns(pl.when(pl.col("step") != 100).then(pl.col("sales")).alias("sales"))
    pl.concat([holes, rows.tail(1)]).write_csv(tmp_path / "holes.csv")
    done = run("predict", model, tmp_path / "holes.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("step,mean")
    assert "Note: 1 rows repeat the time of another" in done.stderr
    assert "Note: 1 of 120 values are missing." in done.stderr
    assert run("predict", model).stderr == ""
    scored = run("evaluate", model, tmp_path / "holes.csv", "--allow-seen")
    assert "Note: 1 of 120 values are missing." in scored.stderr
