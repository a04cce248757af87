"""What an inspection consists of: plain values, and the page that shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from longspan.insight.ablation import Ablation
from longspan.insight.advice import Advice
from longspan.insight.flow import GradientFlow
from longspan.insight.gates import GateStatistics, UnitStatistics
from longspan.insight.horizon import Horizon
from longspan.insight.results import Result


@dataclass(frozen=True)
class Attributed(Result):
    """What made a number what it is, by integrated gradients.

    Attributes:
        what: What the number is.
        offsets: Distances from the focus in steps, below 0 before it, (K,).
        by_offset: Mean over rows of Σ |values| over channels, (K,).
        channels: Names of the channels; none where inputs are embeddings.
        by_channel: Mean over rows of Σ |values| over steps, (C,), as `channels`.
        table: Mean over rows of |values|, by channel and offset, (C, K).
        names: Of the shown row's steps.
        shown: Σ values over the channels at each step of the shown row, signed.
        output: Of the shown row.
        baseline_output: Of its baseline.
        gap: Largest error of a row's integral, as a share of what it explains.
    """

    what: str
    offsets: np.ndarray
    by_offset: np.ndarray
    channels: tuple[str, ...]
    by_channel: np.ndarray
    table: np.ndarray
    names: tuple[str, ...]
    shown: np.ndarray
    output: float
    baseline_output: float
    gap: float


@dataclass(frozen=True)
class Trajectory(Result):
    """States and gates of one layer over the shown row.

    Attributes:
        layer: The layer's name.
        names: Of the steps; numbers where the layer runs over something else.
        units: Numbers of the units that are kept: those that vary most, the longest time scale
            first where there is one.
        values: By state or gate, (T, units).
    """

    layer: str
    names: tuple[str, ...]
    units: np.ndarray
    values: dict[str, np.ndarray]


@dataclass(frozen=True)
class Inspection(Result):
    """What there is to know of a model and some data.

    Attributes:
        title: What was looked into.
        model: Name of the estimator or module.
        data_lag: Longest lag that matters in the data; None where that is not looked for.
        kind: ``"text"`` or ``"series"``.
        step: Word for a step.
        unit: Of losses.
        outputs_are: What the outputs are whose Jacobian was taken.
        loss: Mean over the rows, each with all of its context.
        horizon: How far back the outputs depend on the inputs.
        ahead: How far ahead, for networks that read from the end too; else None.
        probes: 0 where the Jacobian is exact, else random combinations of the outputs it was
            estimated by.
        ablation: What the loss becomes with less context, over more rows; its intervals are those
            of the difference from the loss with all of it. None where there is a single step.
        flow: Where the gradient goes.
        gates: What gates do.
        units: What units remember.
        attributions: What made some outputs what they are.
        trajectories: States and gates over the shown row, a layer each.
        advice: What to do, where a threshold is crossed.
        whole: Whether rows are whole sequences, so that there is nothing before them.
        answer: What the model says of the shown row.
        settings: Rows, steps, seed and sequence as they were asked for.
        facts: What was looked at.
        notes: What does not apply, and why.
        versions: Package versions.
    """

    title: str
    model: str
    data_lag: int | None
    kind: str
    step: str
    unit: str
    outputs_are: str
    loss: float
    horizon: Horizon
    ahead: Horizon | None
    probes: int
    ablation: Ablation | None
    flow: GradientFlow
    gates: tuple[GateStatistics, ...]
    units: tuple[UnitStatistics, ...]
    attributions: tuple[Attributed, ...]
    trajectories: tuple[Trajectory, ...]
    advice: tuple[Advice, ...]
    whole: bool
    answer: str
    settings: dict[str, Any]
    facts: dict[str, Any]
    notes: tuple[str, ...]
    versions: dict[str, str]

    def html(self) -> str:
        """Return a report as one HTML page that opens offline."""
        from longspan.insight.inspect_report import inspect_html

        return inspect_html(self)
