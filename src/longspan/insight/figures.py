"""The figures of a forecast's report, as plotly figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from longspan.insight.course import (
    ACTUAL,
    BASELINE,
    MODEL,
    MUTED,
    VALIDATION,
    axis,
    figure,
    line,
    thin,
)
from longspan.tasks.forecast.results import Evaluation, ForecastRun, Forecasts, SplitSummary

if TYPE_CHECKING:
    import plotly.graph_objects as go

BAND = "rgba(0, 114, 178, {})"
#: A baseline whose error is so many times that of the best is drawn only on demand.
FAR_OFF = 4.0
#: Share of the width that a part of the data must have to bear its name.
NAMED = 0.08


def window(evaluation: Evaluation, k: int, baseline: str | None) -> go.Figure:
    """Return one window: some history, what happened, the forecast with its intervals."""
    f = evaluation.model
    horizon = f.mean.shape[1]
    shown = min(len(f.history[k]), max(3 * horizon, min(f.season_length, 6 * horizon)))
    before = _times_before(f, k, shown)
    made = figure(380)
    for low, high, shade in _bands(f.levels):
        x = np.concatenate([f.time[k], f.time[k][::-1]])
        y = np.concatenate([f.quantiles[k, :, high], f.quantiles[k, ::-1, low]])
        share = f"{100 * (f.levels[high] - f.levels[low]):.0f} % interval"
        made.add_trace(
            line(
                x,
                y,
                share,
                "rgba(0,0,0,0)",
                fill="toself",
                fillcolor=BAND.format(shade),
                hoverinfo="skip",
            )
        )
    made.add_trace(line(*thin(before, f.history[k][-shown:]), "history", MUTED))
    if baseline:
        values = evaluation.baselines[baseline].mean[k]
        made.add_trace(line(f.time[k], values, baseline, BASELINE, width=1.5, dash="dot"))
    made.add_trace(line(f.time[k], f.mean[k], "forecast (mean)", MODEL, width=2.5))
    if not np.isnan(f.actual[k]).all():
        made.add_trace(line(f.time[k], f.actual[k], "what happened", ACTUAL))
    return made


def _bands(levels: tuple[float, ...]) -> list[tuple[int, int, float]]:
    """Return pairs of levels that make central intervals, the widest first, with their shade."""
    pairs = []
    for low in range(len(levels) // 2):
        high = len(levels) - 1 - low
        if abs(levels[low] + levels[high] - 1.0) < 1e-9:
            pairs.append((low, high))
    return [(low, high, 0.16 + 0.1 * n) for n, (low, high) in enumerate(pairs)]


def _times_before(f: Forecasts, k: int, count: int) -> np.ndarray:
    step = f.time[k][1] - f.time[k][0] if f.time.shape[1] > 1 else np.diff(f.time[:, 0]).min()
    return f.time[k][0] - step * np.arange(count, 0, -1)


def by_step(evaluation: Evaluation, metric: str) -> go.Figure:
    """Return a metric along the horizon, the model against its baselines."""
    made = figure(xaxis_title="step of the horizon", yaxis_title=metric.upper())
    dashes = ["dot", "dash", "longdash", "dashdot"]
    errors = {name: found["mae"] for name, found in evaluation.scores.items()}
    best = min((e for n, e in errors.items() if n != "model"), default=np.inf)
    for n, (name, values) in enumerate(evaluation.by_step.items()):
        color, dash = (MODEL, "solid") if name == "model" else (BASELINE, dashes[n % 4])
        steps = np.arange(1, len(values[metric]) + 1)
        curve = line(steps, values[metric], name, color, dash=dash)
        # A hopeless baseline would press all other lines onto the axis.
        curve.visible = "legendonly" if errors[name] > FAR_OFF * best else True
        made.add_trace(curve)
    return made


def calibration(f: Forecasts) -> go.Figure:
    """Return how often what happened lay below each forecast quantile."""
    seen = ~np.isnan(f.actual)
    below = [(f.actual <= f.quantiles[..., q])[seen].mean() for q in range(len(f.levels))]
    made = figure(
        xaxis_title="forecast level", yaxis_title="share of values below",
        xaxis_range=[0, 1], yaxis_range=[0, 1],
    )  # fmt: skip
    made.add_trace(line([0, 1], [0, 1], "perfect", MUTED, dash="dot"))
    made.add_trace(line(f.levels, below, "model", MODEL))
    made.data[-1].mode = "lines+markers"
    return made


def series(run: ForecastRun, name: str) -> go.Figure:
    """Return a series with its training, validation and test parts shaded.

    Of a long training part only the end is drawn, so that the other parts can be seen.
    """
    times, values = run.sample_series[name]
    made = figure(300)
    split = next((s for s in run.splits if s.series == name), None)
    begin = 0
    if split is not None and split.test[1] > split.train[1]:
        begin = max(0, split.train[1] - 9 * (split.test[1] - split.train[1]))
    drawn = thin(times[begin:], values[begin:])
    made.add_trace(line(*drawn, name, ACTUAL, width=1.2, showlegend=False))
    for title, (first, stop), color in _parts(split):
        if stop > first:
            edges = axis(times[[max(first, begin), min(stop, len(times) - 1)]])
            made.add_vrect(
                x0=edges[0], x1=edges[1], fillcolor=color, opacity=0.12, line_width=0,
                annotation_position="top left",
                annotation_text=title if stop - first > NAMED * (len(times) - begin) else " ",
            )  # fmt: skip
    return made


def _parts(split: SplitSummary | None) -> list[tuple[str, tuple[int, int], str]]:
    if split is None:
        return []
    return [
        ("train", split.train, MODEL),
        ("validation", split.validation, VALIDATION),
        ("test", split.test, BASELINE),
    ]
