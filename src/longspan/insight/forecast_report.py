"""The report of a forecast: one HTML file that opens without a network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.insight import figures
from longspan.insight.page import named, page, write_page
from longspan.tasks.forecast.results import Evaluation, ForecastRun

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Forecast windows and rows of the split table that are shown at most.
WINDOWS, ROWS = 12, 20
#: Metrics of the table: title, direction, explanation.
METRICS = {
    "mae": ("MAE", "mean absolute error of the median"),
    "rmse": ("RMSE", "root of the mean squared error of the mean"),
    "mase": ("MASE", "error relative to the seasonal naive one inside the history; 1 is par"),
    "smape": ("sMAPE %", "symmetric mean absolute percentage error"),
    "crps": ("CRPS", "error of the whole distribution, from its quantiles"),
    "mean_wql": ("mean wQL", "quantile loss relative to the size of the values"),
}  # fmt: skip


def write_report(run: ForecastRun, path: str | Path) -> None:
    """Write the report of a run to an HTML file, whole or not at all."""
    write_page(forecast_html(run), path)


def forecast_html(run: ForecastRun) -> str:
    """Return the report of a run as one HTML page, with everything it needs inside."""
    charts: dict[str, go.Figure] = {}
    evaluation = run.evaluation
    context: dict[str, Any] = {"metrics": METRICS}
    if evaluation is not None:
        context |= _evaluation(evaluation, charts)
    context["series"] = named(
        charts, "series", {n: figures.series(run, n) for n in run.sample_series}
    )
    context["splits"], context["more_splits"] = run.splits[:ROWS], len(run.splits[ROWS:])
    return page("forecast.html", run, verdict(evaluation), charts, **context)


def verdict(evaluation: Evaluation | None) -> str:
    """Return in one sentence whether the network was worth its while."""
    if evaluation is None:
        return "No data were held out, so nothing is known about its accuracy."
    metric = "mase" if math.isfinite(evaluation.scores["model"]["mase"]) else "mae"
    name, best = best_baseline(evaluation, metric)
    own = evaluation.scores["model"][metric]
    if name is None or not (math.isfinite(own) and best > 0):
        return "The held-out values do not allow a comparison with the baselines."
    gain = 100.0 * (1.0 - own / best)
    title = METRICS[metric][0]
    if gain > 0:
        return f"The network beats the best baseline ({name}) by {gain:.1f} % in {title}."
    return (
        f"The network does not beat the best baseline ({name}): it is {-gain:.1f} % worse in "
        f"{title}. Use the baseline, or give the network more data or time."
    )


def best_baseline(evaluation: Evaluation, metric: str) -> tuple[str | None, float]:
    """Return name and score of the best baseline by a metric."""
    found = {
        name: evaluation.scores[name][metric]
        for name in evaluation.baselines
        if math.isfinite(evaluation.scores[name][metric])
    }
    name = min(found, key=lambda n: found[n], default=None)
    return name, found[name] if name else math.nan


def _evaluation(evaluation: Evaluation, charts: dict[str, go.Figure]) -> dict[str, Any]:
    baseline, _ = best_baseline(evaluation, "mae")
    forecasts = evaluation.model
    count = len(forecasts.series)
    picked = sorted({round(k * (count - 1) / max(WINDOWS - 1, 1)) for k in range(WINDOWS)})
    windows = {
        f"{forecasts.series[k]}, from {_moment(forecasts.time[k][0])}": figures.window(
            evaluation, k, baseline
        )
        for k in picked[:count]
    }
    steps = {
        METRICS[m][0]: figures.by_step(evaluation, m) for m in ("mae", "rmse", "mase", "smape")
    }
    interval = evaluation.interval
    if interval is not None:
        charts["calibration"] = figures.calibration(forecasts)
    return {
        "evaluation": evaluation,
        "windows": named(charts, "window", windows),
        "more_windows": max(count - len(windows), 0),
        "steps": named(charts, "step", steps),
        "best": {m: min((s[m] for s in evaluation.scores.values() if math.isfinite(s[m])),
                        default=math.nan) for m in METRICS},
        "nominal": None if interval is None else 100.0 * (interval[1] - interval[0]),
    }  # fmt: skip


def _moment(time: Any) -> str:
    return str(time).removesuffix(".000000").replace("T", " ").removesuffix(" 00:00:00")
