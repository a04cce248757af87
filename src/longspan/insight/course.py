"""Figures of any training's course, and the style of all figures."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Colours that colour-blind readers tell apart (Okabe & Ito 2008).
ACTUAL, MODEL, BASELINE, VALIDATION, MUTED = "#333333", "#0072B2", "#E69F00", "#009E73", "#999999"
#: Points of a line that are drawn at most; beyond that, the extremes of equal stretches.
POINTS = 2000


class Course(Protocol):
    """What a training leaves behind, as `longspan.training.History` has it."""

    steps: list[dict[str, float]]
    epochs: list[dict[str, float]]
    best_epoch: int | None


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


def axis(x: Any) -> list[Any]:
    """Return numbers or times as plotly takes them."""
    x = np.asarray(x)
    return np.datetime_as_string(x, "s").tolist() if x.dtype.kind == "M" else x.tolist()


def _list(y: Any) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in np.asarray(y, float)]


def losses(run: Course) -> go.Figure:
    """Return the loss of every step, smoothed, and the validation loss of every epoch."""
    made = figure(xaxis_title="optimiser step", yaxis_title="loss")
    steps = np.array([r["step"] for r in run.steps])
    values = np.array([r["loss"] for r in run.steps])
    made.add_trace(line(*thin(steps, values), "training, each step", "#c9dcea", width=1))
    made.add_trace(line(*thin(steps, _smooth(values)), "training, smoothed", MODEL))
    judged = [r for r in run.epochs if "validation_loss" in r]
    if judged:
        x, y = ([r[k] for r in judged] for k in ("step", "validation_loss"))
        made.add_trace(line(x, y, "validation", VALIDATION))
    best = next((r for r in judged if r["epoch"] == run.best_epoch), None)
    if best is not None:
        made.add_vline(x=best["step"], line_dash="dot", line_color=VALIDATION,
                       annotation_text=f"best: epoch {run.best_epoch}")  # fmt: skip
    return made


def gradients(run: Course) -> go.Figure:
    """Return the gradient's norm before clipping, and the share that clipping removed."""
    made = figure(
        xaxis_title="optimiser step", yaxis_title="gradient norm", yaxis_type="log",
        yaxis2={"overlaying": "y", "side": "right", "range": [0, 100], "title": "% clipped",
                "showgrid": False, "automargin": True, "type": "linear",
                "tickmode": "linear", "dtick": 25},
    )  # fmt: skip
    steps = np.array([r["step"] for r in run.steps])
    for key, factor, name, color, side in (
        ("clipped", 100.0, "share clipped, %", BASELINE, "y2"),
        ("grad_norm", 1.0, "norm before clipping", MODEL, "y"),
    ):
        values = factor * np.array([r[key] for r in run.steps])
        made.add_trace(line(*thin(steps, values), name, color, width=1.2, yaxis=side))
    return made


def rates(run: Course) -> go.Figure:
    """Return the learning rate of every step."""
    made = figure(220, xaxis_title="optimiser step", yaxis_title="learning rate")
    x, y = (np.array([r[k] for r in run.steps]) for k in ("step", "learning_rate"))
    made.add_trace(line(*thin(x, y), "learning rate", MODEL, showlegend=False))
    return made


def _smooth(values: np.ndarray) -> np.ndarray:
    """Return the mean of a window that covers a fiftieth of the steps, without a delay."""
    width = max(len(values) // 50, 1)
    kernel = np.ones(2 * width + 1)
    weight = np.convolve(np.ones(len(values)), kernel, "same")
    return np.convolve(values, kernel, "same")[: len(values)] / weight[: len(values)]
