"""The memories of several models side by side, as a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.errors import InputError
from longspan.insight.ablation import Ablation
from longspan.insight.course import ACTUAL, BASELINE, MODEL, MUTED, VALIDATION, figure, line, thin
from longspan.insight.flow import LayerFlow
from longspan.insight.horizon import Horizon
from longspan.insight.page import page
from longspan.insight.results import Result
from longspan.tasks.running import Run, versions

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLORS = (MODEL, BASELINE, VALIDATION, "#CC79A7", "#56B4E9", "#D55E00", ACTUAL, MUTED)
#: What is smaller than this share of the largest is not drawn on a logarithmic axis.
FLOOR = 1e-12


@dataclass(frozen=True)
class Memory(Result):
    """What was measured of one model.

    Attributes:
        horizon: Of its output.
        flow: Of one of its layers' states.
        ablation: Its loss by context, or None.
        loss: Its loss, or NaN.
        dash: How its lines are drawn: ``"solid"``, ``"dot"``, ``"dash"``.
        color: Models of one kind have the same number.
    """

    horizon: Horizon
    flow: LayerFlow
    ablation: Ablation | None = None
    loss: float = float("nan")
    dash: str = "solid"
    color: int = 0


def memory_html(
    title: str, verdict: str, memories: Mapping[str, Memory], settings: Mapping[str, Any]
) -> str:
    """Return a page that compares memories: influence and gradient by lag, loss by context.

    Args:
        title: Of the page.
        verdict: In one sentence what was found.
        memories: By the name of the model.
        settings: What the run was made with, among them ``"seed"``.

    Raises:
        InputError: If there are no memories to compare.
    """
    if not memories:
        raise InputError("`memories` must hold at least one model's memory, got none.")
    charts = {"influence": influences(memories), "share": shares(memories), "flow": flows(memories)}
    if any(memory.ablation is not None for memory in memories.values()):
        charts["ablation"] = ablations(memories)
    facts = {"models": ", ".join(memories)}
    run = Run(title=title, settings=dict(settings), facts=facts, versions=versions())
    return page("memory.html", run, verdict, charts, memories=memories, factor=_factor)


def influences(memories: Mapping[str, Memory]) -> go.Figure:
    """Return the influence by lag, relative to the largest of each model."""
    made = figure(
        380, xaxis_title="lag k, steps", yaxis_title="influence of the input k steps before",
        yaxis_type="log",
    )  # fmt: skip
    for name, memory in memories.items():
        largest = memory.horizon.influence.max(initial=0.0)
        _curve(made, memory, memory.horizon.influence / (largest or 1.0), name)
    made.update_yaxes(exponentformat="power")
    return made


def shares(memories: Mapping[str, Memory]) -> go.Figure:
    """Return the share of the influence that lies within each lag; horizons are marked."""
    made = figure(
        xaxis_title="lag k, steps", yaxis_title="share of influence from the last k steps",
        yaxis_range=[0, 1.02], yaxis_tickformat=".0%",
    )  # fmt: skip
    for name, memory in memories.items():
        sums = np.cumsum(memory.horizon.influence)
        shared = sums / (sums[-1] or 1.0)
        _curve(made, memory, shared, name)
        k = memory.horizon.horizon
        mark = line([k], [shared[k]], f"horizon {k}", _color(memory), showlegend=False)
        mark.mode = "markers"
        made.add_trace(mark)
    return made


def flows(memories: Mapping[str, Memory]) -> go.Figure:
    """Return the gradient's norm by lag, relative to that at the last step."""
    made = figure(
        380, xaxis_title="steps before the end", yaxis_title="gradient relative to the last step's",
        yaxis_type="log",
    )  # fmt: skip
    for name, memory in memories.items():
        norms = memory.flow.norms
        first = norms[0] if len(norms) and norms[0] > 0 else 1.0
        _curve(made, memory, norms / first, f"{name}: d{memory.flow.state}")
    made.update_yaxes(exponentformat="power")
    return made


def ablations(memories: Mapping[str, Memory]) -> go.Figure:
    """Return the loss by context."""
    made = figure(xaxis_title="steps of context", yaxis_title="loss", yaxis_rangemode="tozero")
    for name, memory in memories.items():
        if memory.ablation is not None:
            x, y = memory.ablation.contexts, memory.ablation.losses
            made.add_trace(line(x, y, name, _color(memory), dash=memory.dash))
            made.data[-1].mode = "lines+markers"
    return made


def _curve(made: go.Figure, memory: Memory, values: np.ndarray, name: str) -> None:
    shown = np.where(values > FLOOR, values, np.nan)
    lags = np.arange(len(values))
    made.add_trace(line(*thin(lags, shown), name, _color(memory), dash=memory.dash))


def _color(memory: Memory) -> str:
    return COLORS[memory.color % len(COLORS)]


def _factor(memory: Memory) -> float:
    """Return by what a step multiplies the gradient on its way back."""
    return float(np.exp(memory.flow.decay))
