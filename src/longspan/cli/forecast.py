"""``longspan fit forecast``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.cli.application import fit
from longspan.cli.data import Flat, ForecastData, ForecastEnd, Table, names
from longspan.cli.run import RunFlags, print_table, train
from longspan.cli.saved import SAVED, Saved, check_table, put_table
from longspan.tasks.forecast.config import ForecastConfig

if TYPE_CHECKING:
    from longspan.tasks.forecast.results import Evaluation

#: How times are written to CSV.
TIMES = "%Y-%m-%d %H:%M:%S"


@fit.command(name="forecast")
def fit_forecast(
    data: Table,
    /,
    *,
    options: Flat[ForecastConfig] = ForecastConfig(),
    run: Flat[RunFlags] = RunFlags(),
    reading: Flat[ForecastData] = ForecastData(),
    refit: bool = False,
) -> None:
    """Train a forecaster on a CSV or Parquet file, score it on the end of it, and save it.

    Parameters
    ----------
    refit
        After scoring, train once more on all of the data.
    """
    train("forecast", data, options, run, reading.given() | {"refit": refit}, print_scores)


def print_scores(evaluation: Evaluation, *, seen: bool = False) -> None:
    """Print the scores of a model and its baselines, the best of each column in bold.

    Args:
        evaluation: The scores.
        seen: Whether the model may have been trained on these data.
    """
    columns = {
        "mae": "MAE", "rmse": "RMSE", "mase": "MASE", "smape": "sMAPE %", "crps": "CRPS",
        "mean_wql": "mean wQL",
    }  # fmt: skip
    scores: dict[str, Any] = evaluation.scores
    if evaluation.interval:
        low, high = evaluation.interval
        columns["coverage"] = f"coverage % (should be {100 * (high - low):.0f})"
        scores = {
            name: {**found, "coverage": f"{100 * found['coverage']:.0f}"}
            for name, found in scores.items()
        }
    which = "the model may have been trained on" if seen else "the model did not see"
    title = f"Scores on data {which} (lower is better)"
    print_table(title, "forecast", columns, scores)


def _evaluate(model: Any, data: Path, **end: Any) -> None:
    scores = model.evaluate(data, **end)
    _print_notes(model)
    print_scores(scores, seen=end.get("allow_seen", False))


def _predict(
    model: Any, data: Path | None, output: Path | None, *, future: Path | None = None
) -> None:
    check_table(output)
    found = model.predict(data, future)
    _print_notes(model)
    zoned = any(getattr(kind, "time_zone", None) for kind in found.dtypes)
    form = TIMES + "%:z" if zoned else TIMES
    put_table(found, output, "Forecasts", datetime_format=form)


def _print_notes(model: Any) -> None:
    """Tell what was found in the data; apart from the output, which is a table."""
    for note in model.notes_:
        print(f"Note: {note}", file=sys.stderr)


SAVED["Forecaster"] = Saved(
    "forecasters", _evaluate, _predict,
    {"evaluate": names(ForecastEnd), "predict": ("future",), "inspect": ()},
)  # fmt: skip
