"""``longspan fit forecast``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from longspan.cli.application import fit
from longspan.cli.run import RunFlags, finish, print_table
from longspan.cli.saved import SAVED, Saved, write_whole
from longspan.errors import InputError
from longspan.tasks.forecast.config import ForecastConfig

if TYPE_CHECKING:
    from longspan.tasks.forecast.results import Evaluation

#: How times are written to CSV.
TIMES = "%Y-%m-%d %H:%M:%S"


@fit.command(name="forecast")
def fit_forecast(
    data: Path,
    /,
    *,
    options: Annotated[ForecastConfig, Parameter(name="*")] = ForecastConfig(),  # noqa: B008
    run: Annotated[RunFlags, Parameter(name="*")] = RunFlags(),  # noqa: B008
    target: list[str] | None = None,
    time: str | None = None,
    id: str | None = None,
    past_covariates: list[str] | None = None,
    future_covariates: list[str] | None = None,
    static_covariates: list[str] | None = None,
    frequency: str | None = None,
    test_windows: int = 4,
    refit: bool = False,
) -> None:
    """Train a forecaster on a CSV or Parquet file, score it on the end of it, and save it.

    Parameters
    ----------
    data
        The file: one column a series, or one row for each series and time.
    target
        Column to forecast; several, or none: each (numeric) column is a series.
    time
        Time column; found if there is one.
    id
        Column that names the series of a long table.
    past_covariates
        Columns known up to the present.
    future_covariates
        Columns known in advance.
    static_covariates
        Columns constant within a series.
    frequency
        Distance of two steps, such as 15m, 1h, 1d, 1b or 1mo; inferred by default.
    test_windows
        Horizons at the end of each series that are held out to score the model; 0 for none.
    refit
        After scoring, train once more on all of the data.
    """
    from longspan.tasks.forecast import Forecaster

    directory = run.directory(data)
    model = Forecaster(**dict(options)).fit(
        data,
        target=target,
        time=time,
        id=id,
        past_covariates=past_covariates or (),
        future_covariates=future_covariates or (),
        static_covariates=static_covariates or (),
        frequency=frequency,
        test_windows=test_windows,
        refit=refit,
        **run.for_fit(),
    )
    finish(model, directory, _page if run.report else None, print_scores)


def _page(made: Any) -> str:
    from longspan.insight import forecast_html

    return forecast_html(made)


def print_scores(evaluation: Evaluation) -> None:
    """Print the scores of a model and its baselines, the best of each column in bold."""
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
    title = "Scores on data the model did not see (lower is better)"
    print_table(title, "forecast", columns, scores)


def _evaluate(model: Any, data: Path, *, windows: int = 4, allow_seen: bool = False) -> None:
    print_scores(model.evaluate(data, windows, allow_seen=allow_seen))


def _predict(
    model: Any, data: Path | None, *, future: Path | None = None, output: Path | None = None
) -> None:
    if output is not None and output.suffix not in (".csv", ".parquet"):
        raise InputError(f"--output must end in .csv or .parquet, got {output}.")
    table = model.predict(data, future)
    if output is None:
        sys.stdout.write(table.write_csv(datetime_format=TIMES))
        return
    if output.suffix == ".csv":
        write_whole(output, lambda path: table.write_csv(path, datetime_format=TIMES))
    else:
        write_whole(output, table.write_parquet)
    print(f"Forecasts: {output}")


SAVED["Forecaster"] = Saved(
    "forecasters", _evaluate, _predict,
    {"evaluate": ("windows", "allow_seen"), "predict": ("future", "output"), "inspect": ()},
)  # fmt: skip
