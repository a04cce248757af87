"""The command line: parse, call an estimator, print. Heavy modules are imported by the commands.

A mistake of the user's ends with one message on standard error and exit code 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from cyclopts import App, CycloptsError, Parameter

from longspan import __version__
from longspan.errors import InputError, LongspanError
from longspan.tasks.forecast.config import ForecastConfig

if TYPE_CHECKING:
    from longspan.tasks.forecast.results import Evaluation

#: How times are written to CSV.
TIMES = "%Y-%m-%d %H:%M:%S"

app = App(
    name="longspan",
    version=__version__,
    help="Train, explain and serve LSTM networks and their family.",
    default_parameter=Parameter(consume_multiple=True, negative_iterable=(), negative_none=()),
    help_format="plaintext",
)
fit = App(name="fit", help="Train a model on your data.")
app.command(fit)


@fit.command(name="forecast")
def fit_forecast(
    data: Path,
    /,
    *,
    options: Annotated[ForecastConfig, Parameter(name="*")] = ForecastConfig(),  # noqa: B008
    target: list[str] | None = None,
    time: str | None = None,
    id: str | None = None,
    past_covariates: list[str] | None = None,
    future_covariates: list[str] | None = None,
    static_covariates: list[str] | None = None,
    frequency: str | None = None,
    output: Path | None = None,
    test_windows: int = 4,
    refit: bool = False,
    report: bool = True,
    log_dir: Path | None = None,
    tensorboard: bool = False,
    checkpoint_dir: Path | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
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
    output
        Directory for the model and the report; runs/NAME-OF-THE-FILE by default.
    test_windows
        Horizons at the end of each series that are held out to score the model; 0 for none.
    refit
        After scoring, train once more on all of the data.
    report
        Write report.html beside the model.
    log_dir
        Directory for log.jsonl and TensorBoard events.
    tensorboard
        Write TensorBoard events.
    checkpoint_dir
        Directory for checkpoints.
    checkpoint_every
        Optimiser steps between checkpoints, besides those after each epoch.
    resume
        Go on from the checkpoint.
    """
    from longspan.tasks.forecast import Forecaster
    from longspan.tasks.storage import check_replaceable
    from longspan.training import is_main_process

    directory = output or Path("runs") / data.stem
    check_replaceable(directory)  # before the training, not after it
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
        log_dir=log_dir,
        tensorboard=tensorboard,
        checkpoint_dir=checkpoint_dir,
        checkpoint_every=checkpoint_every,
        resume=resume,
        progress=sys.stderr.isatty(),
    )
    if not is_main_process():
        return
    page = None
    if report:
        from longspan.insight import forecast_html

        page = forecast_html(model.run_)
    model.save(directory, report=page)
    for note in model.run_.notes:
        print(f"Note: {note}")
    if model.evaluation_ is not None:
        print_scores(model.evaluation_)
    print(f"Model:  {directory}")
    if report:
        print(f"Report: {directory / 'report.html'}")


@app.command
def evaluate(model: Path, data: Path, /, *, windows: int = 4, allow_seen: bool = False) -> None:
    """Score a saved model on the last horizons of a file.

    Parameters
    ----------
    model
        The model directory.
    data
        The file, with the columns that the model was trained on.
    windows
        Horizons at the end of each series to forecast.
    allow_seen
        Score also on steps that the model was trained on.
    """
    from longspan.tasks import load

    print_scores(load(model).evaluate(data, windows, allow_seen=allow_seen))


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

    if output is not None and output.suffix not in (".csv", ".parquet"):
        raise InputError(f"--output must end in .csv or .parquet, got {output}.")
    table = load(model).predict(data, future)
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


def print_scores(evaluation: Evaluation) -> None:
    """Print the scores of a model and its baselines, the best of each column in bold."""
    from rich.console import Console
    from rich.table import Table

    columns = {
        "mae": "MAE", "rmse": "RMSE", "mase": "MASE", "smape": "sMAPE %", "crps": "CRPS",
        "mean_wql": "mean wQL",
    }  # fmt: skip
    table = Table(title="Scores on data the model did not see (lower is better)")
    table.add_column("forecast")
    for title in columns.values():
        table.add_column(title, justify="right")
    nominal = ""
    if evaluation.interval:
        low, high = evaluation.interval
        nominal = f" (should be {100 * (high - low):.0f})"
        table.add_column(f"coverage %{nominal}", justify="right")
    for name, found in evaluation.scores.items():
        cells = []
        for metric in columns:
            best = found[metric] <= min(s[metric] for s in evaluation.scores.values())
            cells.append(f"[bold]{found[metric]:.4g}[/]" if best else f"{found[metric]:.4g}")
        if nominal:
            cells.append(f"{100 * found['coverage']:.0f}")
        table.add_row(name, *cells)
    Console().print(table)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0, 2 after a user's mistake, 130 after an interruption."""
    try:
        words = with_file(list(sys.argv[1:] if arguments is None else arguments))
        app(words, exit_on_error=False, print_error=False)
    except (LongspanError, CycloptsError) as error:
        print(f"longspan: {in_words(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("longspan: interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def in_words(error: Exception) -> str:
    """Return a user's mistake in words."""
    from pydantic import ValidationError

    cause = error.__cause__ or error.__context__
    if not isinstance(cause, ValidationError):
        return str(error)
    from longspan.tasks.estimator import problems

    return "\n".join(problems(cause))


def with_file(words: list[str]) -> list[str]:
    """Return the command line with the options of ``--config FILE.yaml`` in place of it.

    The file has the flags' names, with ``_`` or ``-``; a flag on the command line wins.

    Raises:
        InputError: If the file cannot be read.
    """
    if "--config" not in words:
        return words
    at = words.index("--config")
    if at + 1 == len(words):
        raise InputError("--config needs the name of a YAML file.")
    values = _read_yaml(Path(words[at + 1]))
    rest = words[:at] + words[at + 2 :]
    for name, value in values.items():
        flag = "--" + str(name).replace("_", "-")
        negative = flag.replace("--", "--no-", 1)
        if not any(word.split("=")[0] in (flag, negative) for word in rest):
            rest += _flag(flag, negative, value)
    return rest


def _flag(flag: str, negative: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag if value else negative]
    if isinstance(value, list):
        return [flag, *map(str, value)]
    return [flag, "none" if value is None else str(value)]


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"The file {path} cannot be read as YAML: {reason}.") from None
    if not isinstance(values, dict):
        raise InputError(f"The file {path} must hold lines like `horizon: 24`.")
    return values
