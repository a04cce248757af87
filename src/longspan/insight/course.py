"""Figures of any training's course, and the style of all figures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from longspan.training import History

#: Colours that colour-blind readers tell apart (Okabe & Ito 2008).
ACTUAL, MODEL, BASELINE, VALIDATION, MUTED = "#333333", "#0072B2", "#E69F00", "#009E73", "#999999"
#: Points of a line that are drawn at most; beyond that, the extremes of equal stretches.
POINTS = 2000
#: Lines in a figure of the gradient flow, at most, and their colours, from near to far (viridis).
FLOW_LINES = 6
FLOW_COLORS = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#d8c21d")


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


def line(x: Any, y: Any, name: str, color: str, **more: Any) -> Any:
    """Return a line through points; `width`, `dash` and plotly's own options may follow."""
    import plotly.graph_objects as go

    style = {"color": color, "width": more.pop("width", 2), "dash": more.pop("dash", "solid")}
    return go.Scatter(x=axis(x), y=_list(y), name=name, mode="lines", line=style, **more)


def plain(names: Sequence[str]) -> list[str]:
    """Return names as plotly shows them as they are: it reads some HTML in them."""
    return [t.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") or " " for t in names]


def axis(x: Any) -> list[Any]:
    """Return numbers or times as plotly takes them."""
    x = np.asarray(x)
    return np.datetime_as_string(x, "s").tolist() if x.dtype.kind == "M" else x.tolist()


def _list(y: Any) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in np.asarray(y, float)]


def losses(history: History) -> go.Figure:
    """Return the loss of every step, smoothed, and the validation loss of every epoch."""
    made = figure(xaxis_title="optimiser step", yaxis_title="loss")
    steps = np.array([r["step"] for r in history.steps])
    values = np.array([r["loss"] for r in history.steps])
    made.add_trace(line(*thin(steps, values), "training, each step", "#c9dcea", width=1))
    made.add_trace(line(*thin(steps, _smooth(values)), "training, smoothed", MODEL))
    judged = [r for r in history.epochs if "validation_loss" in r]
    if judged:
        x, y = ([r[k] for r in judged] for k in ("step", "validation_loss"))
        made.add_trace(line(x, y, "validation", VALIDATION))
    best = next((r for r in judged if r["epoch"] == history.best_epoch), None)
    if best is not None:
        made.add_vline(x=best["step"], line_dash="dot", line_color=VALIDATION,
                       annotation_text=f"best: epoch {history.best_epoch}")  # fmt: skip
    return made


def gradients(history: History) -> go.Figure:
    """Return the gradient's norm before clipping, and the share that clipping removed."""
    made = figure(
        xaxis_title="optimiser step", yaxis_title="gradient norm", yaxis_type="log",
        yaxis2={"overlaying": "y", "side": "right", "range": [0, 100], "title": "% clipped",
                "showgrid": False, "automargin": True, "type": "linear",
                "tickmode": "linear", "dtick": 25},
    )  # fmt: skip
    steps = np.array([r["step"] for r in history.steps])
    for key, factor, name, color, side in (
        ("clipped", 100.0, "share clipped, %", BASELINE, "y2"),
        ("grad_norm", 1.0, "norm before clipping", MODEL, "y"),
    ):
        values = factor * np.array([r[key] for r in history.steps])
        made.add_trace(line(*thin(steps, values), name, color, width=1.2, yaxis=side))
    return made


def rates(history: History) -> go.Figure:
    """Return the learning rate of every step."""
    made = figure(220, xaxis_title="optimiser step", yaxis_title="learning rate")
    x, y = (np.array([r[k] for r in history.steps]) for k in ("step", "learning_rate"))
    made.add_trace(line(*thin(x, y), "learning rate", MODEL, showlegend=False))
    return made


def flows(history: History) -> dict[str, go.Figure]:
    """Return how much gradient came to each layer's states and weights, by what is shown.

    A state's figure has a line for some of the distances to the last step.
    """
    groups: dict[str, dict[str, str]] = {}
    for key in dict.fromkeys(key for record in history.flow for key in record if key != "step"):
        _, layer, what, part = key.split("/")
        groups.setdefault(f"{layer}: {what.replace('_', ' ')}", {})[part] = key
    made = {}
    for title, parts in groups.items():
        by_lag = all(part.startswith("lag ") for part in parts)
        lags = sorted(parts, key=lambda part: int(part[4:])) if by_lag else list(parts)
        shown = [lags[k] for k in _spread(len(lags), FLOW_LINES)]
        made[title] = _lines_of(history, {p: parts[p] for p in shown}, by_lag)
    return made


def _spread(count: int, most: int) -> list[int]:
    """Return at most so many of `count` places, the first and the last among them."""
    return sorted({round(k) for k in np.linspace(0, count - 1, min(count, most))})


def _lines_of(history: History, parts: dict[str, str], by_lag: bool) -> go.Figure:
    made = figure(
        xaxis_title="optimiser step", yaxis_title="norm of the gradient", yaxis_type="log",
        yaxis_exponentformat="power",
    )  # fmt: skip
    for (name, key), color in zip(parts.items(), FLOW_COLORS, strict=False):
        records = [r for r in history.flow if r.get(key, 0.0) > 0.0]  # 0 has no logarithm
        x, y = (np.array([r[k] for r in records]) for k in ("step", key))
        title = f"{name[4:]} steps before the last" if by_lag else name
        made.add_trace(line(*thin(x, y), title, color, width=1.5))
    return made


def _smooth(values: np.ndarray) -> np.ndarray:
    """Return the mean of a window that covers a fiftieth of the steps, without a delay."""
    width = max(len(values) // 50, 1)
    kernel = np.ones(2 * width + 1)
    weight = np.convolve(np.ones(len(values)), kernel, "same")
    return np.convolve(values, kernel, "same")[: len(values)] / weight[: len(values)]
