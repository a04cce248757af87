"""Commands on saved models of any task: ``longspan evaluate`` and ``longspan predict``."""

from __future__ import annotations

import sys
from pathlib import Path

from longspan.cli.application import app
from longspan.cli.forecast import print_scores
from longspan.cli.language import print_language_scores
from longspan.errors import InputError

#: How times are written to CSV.
TIMES = "%Y-%m-%d %H:%M:%S"


@app.command
def evaluate(
    model: Path, data: Path, /, *, windows: int | None = None, allow_seen: bool = False
) -> None:
    """Score a saved model on a file: a forecaster on the last horizons of it.

    Parameters
    ----------
    model
        The model directory.
    data
        The file: a table with the columns that a forecaster was trained on, or a text.
    windows
        Horizons at the end of each series to forecast; 4 by default.
    allow_seen
        Score a forecaster also on steps that it was trained on.
    """
    from longspan.tasks import load
    from longspan.tasks.forecast import Forecaster

    loaded = load(model)
    if isinstance(loaded, Forecaster):
        given = 4 if windows is None else windows
        print_scores(loaded.evaluate(data, given, allow_seen=allow_seen))
        return
    if windows is not None or allow_seen:
        raise InputError("--windows and --allow-seen are for forecasters; leave them out.")
    print_language_scores(loaded.evaluate(data))


@app.command
def predict(
    model: Path,
    data: Path | None = None,
    /,
    *,
    future: Path | None = None,
    output: Path | None = None,
) -> None:
    """Forecast with a saved model.

    Parameters
    ----------
    model
        The model directory.
    data
        The series up to now; by default the data that the model was trained on.
    future
        A file with the covariates known in advance, for the horizon.
    output
        A .csv or .parquet file to write; otherwise CSV is printed.
    """
    from longspan.tasks import load
    from longspan.tasks.forecast import Forecaster

    if output is not None and output.suffix not in (".csv", ".parquet"):
        raise InputError(f"--output must end in .csv or .parquet, got {output}.")
    loaded = load(model)
    if not isinstance(loaded, Forecaster):
        raise InputError(
            f"The model in {model} is a {type(loaded).__name__}, which writes text: use longspan "
            "generate."
        )
    table = loaded.predict(data, future)
    if output is None:
        sys.stdout.write(table.write_csv(datetime_format=TIMES))
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.partial")
    try:
        if output.suffix == ".csv":
            table.write_csv(temporary, datetime_format=TIMES)
        else:
            table.write_parquet(temporary)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
    print(f"Forecasts: {output}")
