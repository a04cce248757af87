"""The figures of a forecast's report, as plotly figures."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.tasks.forecast.results import Evaluation, ForecastRun, Forecasts, SplitSummary

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Colours that colour-blind readers tell apart (Okabe & Ito 2008).
ACTUAL, MODEL, BASELINE, VALIDATION, MUTED = "#333333", "#0072B2", "#E69F00", "#009E73", "#999999"
BAND = "rgba(0, 114, 178, {})"
#: Points of a line that are drawn at most; beyond that, the extremes of equal stretches.
POINTS = 2000
#: A baseline whose error is so many times that of the best is drawn only on demand.
FAR_OFF = 4.0
#: Share of the width that a part of the data must have to bear its name.
NAMED = 0.08


def thin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return at most about `POINTS` points of a line, keeping each stretch's extremes."""
    if len(y) <= POINTS:
        return x, y
    edges = np.linspace(0, len(y), POINTS // 2 + 1).astype(int)
    keep: set[int] = {0, len(y) - 1}
    for begin, end in pairwise(edges):
        part = y[begin:end]
        if not np.isnan(part).all():
            keep |= {begin + int(np.nanargmin(part)), begin + int(np.nanargmax(part))}
    order = np.array(sorted(keep))
    return x[order], y[order]


def figure(height: int = 340, **layout: Any) -> go.Figure:
    """Return an empty figure in the report's style."""
    import plotly.graph_objects as go

    style: dict[str, Any] = {
        "height": height, "margin": {"l": 8, "r": 8, "t": 8, "b": 8}, "template": "plotly_white",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#333"},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hovermode": "x unified", "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "#fff",
        "xaxis": {"automargin": True, "gridcolor": "#eee"},
        "yaxis": {"automargin": True, "gridcolor": "#eee"},
    }  # fmt: skip
    made = go.Figure(layout=style)
    made.update_layout(**layout)
    return made


def _line(x: Any, y: Any, name: str, color: str, **more: Any) -> Any:
    import plotly.graph_objects as go

    line = {"color": color, "width": more.pop("width", 2), "dash": more.pop("dash", "solid")}
    return go.Scatter(x=_axis(x), y=_list(y), name=name, mode="lines", line=line, **more)


def _axis(x: Any) -> list[Any]:
    x = np.asarray(x)
    return np.datetime_as_string(x, "s").tolist() if x.dtype.kind == "M" else x.tolist()


def _list(y: Any) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in np.asarray(y, float)]


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
            _line(
                x,
                y,
                share,
                "rgba(0,0,0,0)",
                fill="toself",
                fillcolor=BAND.format(shade),
                hoverinfo="skip",
            )
        )
    made.add_trace(_line(*thin(before, f.history[k][-shown:]), "history", MUTED))
    if baseline:
        values = evaluation.baselines[baseline].mean[k]
        made.add_trace(_line(f.time[k], values, baseline, BASELINE, width=1.5, dash="dot"))
    made.add_trace(_line(f.time[k], f.mean[k], "forecast (mean)", MODEL, width=2.5))
    if not np.isnan(f.actual[k]).all():
        made.add_trace(_line(f.time[k], f.actual[k], "what happened", ACTUAL))
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
        line = _line(steps, values[metric], name, color, dash=dash)
        # A hopeless baseline would press all other lines onto the axis.
        line.visible = "legendonly" if errors[name] > FAR_OFF * best else True
        made.add_trace(line)
    return made


def calibration(f: Forecasts) -> go.Figure:
    """Return how often what happened lay below each forecast quantile."""
    seen = ~np.isnan(f.actual)
    below = [(f.actual <= f.quantiles[..., q])[seen].mean() for q in range(len(f.levels))]
    made = figure(
        xaxis_title="forecast level", yaxis_title="share of values below",
        xaxis_range=[0, 1], yaxis_range=[0, 1],
    )  # fmt: skip
    made.add_trace(_line([0, 1], [0, 1], "perfect", MUTED, dash="dot"))
    made.add_trace(_line(f.levels, below, "model", MODEL))
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
    made.add_trace(_line(*drawn, name, ACTUAL, width=1.2, showlegend=False))
    for title, (first, stop), color in _parts(split):
        if stop > first:
            edges = _axis(times[[max(first, begin), min(stop, len(times) - 1)]])
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


def losses(run: ForecastRun) -> go.Figure:
    """Return the loss of every step, smoothed, and the validation loss of every epoch."""
    made = figure(xaxis_title="optimiser step", yaxis_title="loss")
    steps = np.array([r["step"] for r in run.steps])
    values = np.array([r["loss"] for r in run.steps])
    made.add_trace(_line(*thin(steps, values), "training, each step", "#c9dcea", width=1))
    made.add_trace(_line(*thin(steps, _smooth(values)), "training, smoothed", MODEL))
    judged = [r for r in run.epochs if "validation_loss" in r]
    if judged:
        x, y = ([r[k] for r in judged] for k in ("step", "validation_loss"))
        made.add_trace(_line(x, y, "validation", VALIDATION))
    best = next((r for r in judged if r["epoch"] == run.best_epoch), None)
    if best is not None:
        made.add_vline(x=best["step"], line_dash="dot", line_color=VALIDATION,
                       annotation_text=f"best: epoch {run.best_epoch}")  # fmt: skip
    return made


def gradients(run: ForecastRun) -> go.Figure:
    """Return the gradient's norm before clipping, and the share that clipping removed."""
    made = figure(
        xaxis_title="optimiser step", yaxis_title="gradient norm", yaxis_type="log",
        yaxis2={"overlaying": "y", "side": "right", "range": [0, 100], "title": "% clipped",
                "showgrid": False, "automargin": True, "type": "linear",
                "tickmode": "linear", "dtick": 25},
    )  # fmt: skip
    steps = np.array([r["step"] for r in run.steps])
    for key, factor, name, color, axis in (
        ("clipped", 100.0, "share clipped, %", BASELINE, "y2"),
        ("grad_norm", 1.0, "norm before clipping", MODEL, "y"),
    ):
        values = factor * np.array([r[key] for r in run.steps])
        made.add_trace(_line(*thin(steps, values), name, color, width=1.2, yaxis=axis))
    return made


def rates(run: ForecastRun) -> go.Figure:
    """Return the learning rate of every step."""
    made = figure(220, xaxis_title="optimiser step", yaxis_title="learning rate")
    x, y = (np.array([r[k] for r in run.steps]) for k in ("step", "learning_rate"))
    made.add_trace(_line(*thin(x, y), "learning rate", MODEL, showlegend=False))
    return made


def _smooth(values: np.ndarray) -> np.ndarray:
    """Return the mean of a window that covers a fiftieth of the steps, without a delay."""
    width = max(len(values) // 50, 1)
    kernel = np.ones(2 * width + 1)
    weight = np.convolve(np.ones(len(values)), kernel, "same")
    return np.convolve(values, kernel, "same")[: len(values)] / weight[: len(values)]
