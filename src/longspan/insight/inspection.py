"""`inspect`: everything `longspan.insight` knows of one model and some data, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from longspan.errors import InputError
from longspan.insight.ablation import Ablation, context_ablation
from longspan.insight.advice import Advice, advice
from longspan.insight.attribution import integrated_gradients
from longspan.insight.autocorrelation import LAGS, autocorrelation_lag
from longspan.insight.flow import GradientFlow, gradient_flow
from longspan.insight.gates import (
    GateStatistics,
    UnitStatistics,
    gate_statistics,
    unit_statistics,
)
from longspan.insight.horizon import Horizon, jacobian_influence, memory_horizon
from longspan.insight.results import Result
from longspan.insight.watch import Seen, watching
from longspan.tasks.inspection import Explained, Look, Subject, subject_of
from longspan.tasks.running import versions

#: Multiplications that a Jacobian may cost; beyond that it is estimated by so many probes.
BUDGET, PROBES = 4e11, 16
#: Numbers that a copy of the rows may hold, so that several outputs are differentiated at once.
AT_ONCE = 2**22
#: Nodes of the integrals of attributions, and what they may miss before there are more.
NODES, MISSED = 32, 0.01
#: Units of a layer that a trajectory keeps: those that vary most.
UNITS = 48


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


def inspect(
    model: Any, data: Any = None, *, rows: int = 32, steps: int = 256, seed: int = 0,
    sequence: int | None = None, **reading: Any,
) -> Inspection:  # fmt: skip
    r"""Look into a fitted estimator: its memory, gradients, gates, and what its outputs come from.

    >>> from longspan import LanguageModel
    >>> text = "the cat sat on the mat.\n" * 30
    >>> model = LanguageModel(hidden_size=8, num_layers=1, max_epochs=1).fit(text)
    >>> found = inspect(model, text, rows=4, steps=20)
    >>> 0 <= found.horizon.horizon < 20, len(found.to_dict()["gates"])
    (True, 4)

    Args:
        model: `Forecaster`, `Classifier`, `Tagger`, `LanguageModel` or `Translator`.
        data: As the model's `evaluate` takes it; a forecaster may do without, as it keeps the end
            of its data.
        rows: Rows whose derivatives are computed: windows, sequences, stretches of text.
        steps: Steps of a row at most; those at its end are kept.
        seed: Of the choice of rows, of focus words and of resamples.
        sequence: Number of the sequence that is shown, from 0; for a language model, the token at
            which the stretch begins. By default one of the drawn rows.
        reading: How files are read, as for the model's `evaluate`.

    Raises:
        InputError: If such a model cannot be inspected, or an argument or the data do not fit.
    """
    look = _look(rows, steps, seed, sequence)
    return examine(subject_of(model, data, look, **reading), look, type(model).__name__)


def examine(subject: Subject, look: Look, model: str) -> Inspection:
    """Return what there is to know of a subject.

    Args:
        subject: A network with rows of data.
        look: How it was chosen.
        model: Name of what it is.
    """
    gradients = [p for p in subject.network.parameters() if p.requires_grad]
    for parameter in gradients:  # only inputs are differentiated, which saves time and memory
        parameter.requires_grad_(False)
    try:
        horizon, ahead, probes = _memory(subject, look.seed)
        attributions = tuple(_attributed(subject, each) for each in subject.explained)
    finally:
        for parameter in gradients:
            parameter.requires_grad_(True)
    with torch.no_grad(), watching(subject.network) as seen:
        loss = float(subject.losses(subject.batch).mean())
    gates, units = tuple(gate_statistics(seen)), tuple(unit_statistics(seen))
    flow, ablation, lag = _flow(subject), _ablation(subject, look.seed), _data_lag(subject)
    # Where no lag of the data is known, training at least saw no further than it was cut.
    found = advice(flow=flow, data_lag=subject.bptt_length if lag is None else lag)
    found += advice(
        gates=gates, units=units, horizon=horizon, ablation=ablation, data_lag=lag,
        bptt_length=subject.bptt_length,
    )  # fmt: skip
    return Inspection(
        title=subject.title, model=model, data_lag=lag, kind=subject.kind, step=subject.step,
        unit=subject.unit, outputs_are=subject.outputs_are, loss=loss, horizon=horizon,
        ahead=ahead, probes=probes, ablation=ablation, flow=flow, gates=gates, units=units,
        attributions=attributions,
        trajectories=trajectories(seen, len(subject.focus), subject.names[0], units),
        advice=tuple(a for a in found if not (subject.whole and a.kind == "truncated")),
        whole=subject.whole, answer=subject.answers[0] if subject.answers else "",
        settings={"rows": look.rows, "steps": look.steps, "sequence": look.sequence,
                  "seed": look.seed},
        facts=_facts(subject), notes=tuple(subject.notes), versions=versions(),
    )  # fmt: skip


def contexts_up_to(longest: int) -> list[int]:
    """Return contexts to try: 1, 2, 3, 4, 6, 8, 12, … and the longest itself.

    >>> contexts_up_to(20)
    [1, 2, 3, 4, 6, 8, 12, 16, 20]
    """
    powers = [2**k for k in range(longest.bit_length())]
    tried = {c for p in powers for c in (p, 3 * p // 2) if c <= longest}
    return sorted(tried | {longest})


def trajectories(
    seen: Seen, rows: int, names: Sequence[str], units: Sequence[UnitStatistics]
) -> tuple[Trajectory, ...]:
    """Return states and gates of the first row in each layer, of the units that vary most.

    Args:
        seen: What was watched.
        rows: How many there are; layers that run over something else are left out.
        names: Of the first row's steps.
        units: What is known of the units.
    """
    found = []
    by_layer = {each.layer: each for each in units}
    for layer in seen.layers:
        length = int(layer.lengths[0]) if len(layer.lengths) == rows else 0
        if layer.name not in by_layer or not length:
            continue
        values = {name: layer.values(name)[:length, 0] for name in layer.states}
        values |= {name: gate.detach()[:length, 0] for name, gate in layer.gates.items()}
        kept = _kept_units(by_layer[layer.name], values["h"].shape[1])
        own = {n: v[:, kept] for n, v in values.items() if kept.max(initial=0) < v.shape[1]}
        called = names if len(names) == length else [str(k) for k in range(length)]
        arrays = {n: np.round(v.double().cpu().numpy(), 4) for n, v in own.items()}
        found.append(Trajectory(layer.name, tuple(called), kept, arrays))
    return tuple(found)


def _look(rows: int, steps: int, seed: int, sequence: int | None) -> Look:
    for name, value, least in (("rows", rows, 1), ("steps", steps, 1), ("seed", seed, 0)):
        if not isinstance(value, int) or value < least:
            raise InputError(f"`{name}` must be a whole number from {least} on, got {value!r}.")
    return Look(rows, steps, seed, sequence)


def _memory(subject: Subject, seed: int) -> tuple[Horizon, Horizon | None, int]:
    """Return how far back outputs depend on inputs, how far ahead, and the probes used."""
    x = subject.inputs()
    with torch.no_grad():
        count = subject.outputs(subject.batch).shape[1]
    probes = 0 if count * _pass_cost(subject.network, x) <= BUDGET else min(PROBES, count)
    copies = int(np.clip(AT_ONCE // max(x.numel(), 1), 1, min(8, probes or count)))

    def influence(ahead: bool) -> np.ndarray:
        found = jacobian_influence(
            subject.run, x, subject.focus, ahead=ahead, copies=copies, probes=probes, seed=seed
        )
        if ahead:  # what lies beyond a row's end is none of its steps
            lags = np.arange(found.shape[1])
            left = (subject.lengths - subject.focus).numpy()[:, None]
            found = np.where(lags < left, found, np.nan)[:, : left.max()]
        return found

    before = memory_horizon(influence(False), seed=seed)
    after = None if subject.after is None else memory_horizon(influence(True), seed=seed)
    return before, after, probes


def _pass_cost(network: nn.Module, x: Tensor) -> float:
    """Return about how many multiplications a backward pass takes."""
    return 2.0 * x.shape[0] * x.shape[1] * sum(p.numel() for p in network.parameters())


def _ablation(subject: Subject, seed: int) -> Ablation | None:
    if subject.longest < 2:
        return None

    with torch.no_grad():
        full = subject.losses(subject.more)

    def excess(context: int) -> Tensor:
        if context >= subject.longest:
            return full - full
        return subject.losses(subject.cut(subject.more, context)) - full

    # Rows differ more than contexts do, so that pairs tell what single losses cannot.
    found, mean = (
        context_ablation(excess, contexts_up_to(subject.longest), seed),
        float(full.mean()),
    )
    return replace(found, losses=found.losses + mean, low=found.low + mean, high=found.high + mean)


def _data_lag(subject: Subject) -> int | None:
    """Return the longest lag that matters in the data, as far as they are numbers."""
    lengths = [len(each) for each in subject.series]
    if not lengths or subject.max_lag == 0:
        return None
    values = np.full((max(lengths), len(lengths), 1), np.nan)
    for row, each in enumerate(subject.series):
        values[: len(each), row, 0] = each
    most = min(LAGS, subject.max_lag or LAGS, len(values) // 4)
    return autocorrelation_lag(values, lengths, most) if most else None


def _flow(subject: Subject) -> GradientFlow:
    """Return the flow of the rows' summed losses, so that each row's gradient is its own loss's.

    Where steps on both sides of the focus matter, lags count from it both ways: each direction is
    looked at with the rows that end, or begin, at the focus.
    """

    def of(batch: Any) -> GradientFlow:
        return gradient_flow(subject.network, lambda: subject.losses(batch).sum())

    whole = of(subject.batch)
    if subject.before is None or subject.after is None:
        return whole
    sides = {False: of(subject.before(subject.batch)), True: of(subject.after(subject.batch))}
    layers = [
        layer
        for reverse, side in sides.items()
        for layer in side.layers
        if layer.name.endswith("reverse") == reverse
    ]
    return GradientFlow(whole.loss, tuple(layers), whole.parameters)


def _attributed(subject: Subject, explained: Explained) -> Attributed:
    found = integrated_gradients(explained.run, explained.inputs, explained.baseline, NODES)
    if _missed(found) > MISSED:
        found = integrated_gradients(explained.run, explained.inputs, explained.baseline, 4 * NODES)
    steps, batch, _ = found.values.shape
    at, lengths = explained.at.numpy(), explained.lengths.numpy()
    offsets = np.arange(-int(at.max()), int((lengths - at).max()))
    where = at[:, None] + offsets  # (B, K)
    inside = (where >= 0) & (where < lengths[:, None])
    size = np.abs(found.values)[np.clip(where, 0, steps - 1), np.arange(batch)[:, None]]
    size = np.where(inside[..., None], size, 0.0).sum(0) / np.maximum(inside.sum(0), 1)[:, None]
    named = len(subject.channels) > 0
    return Attributed(
        explained.what, offsets, size.sum(1), tuple(subject.channels),
        found.by_channel() if named else np.zeros(0), size.T if named else np.zeros((0, 0)),
        tuple(explained.names), found.values[: lengths[0], 0].sum(1), float(found.output[0]),
        float(found.baseline_output[0]), _missed(found),
    )  # fmt: skip


def _missed(found: Any) -> float:
    """Return the largest error of a row's integral as a share of all rows' largest difference."""
    explained = np.abs(found.output - found.baseline_output).max()
    return float(np.abs(found.gap).max() / max(explained, 1e-12))


def _kept_units(known: UnitStatistics, width: int) -> np.ndarray:
    """Return numbers of the units to keep, the longest time scale first, else by number."""
    kept = np.sort(np.argsort(-known.deviation, kind="stable")[: min(UNITS, width)])
    scales = known.time_scales
    if scales is None or len(scales) != width:
        return kept
    return kept[np.argsort(-scales[kept], kind="stable")]


def _facts(subject: Subject) -> dict[str, Any]:
    return {
        **subject.facts, "rows": len(subject.focus),
        "longest row, in steps": int(subject.lengths.max()),
        "parameters": sum(p.numel() for p in subject.network.parameters()),
    }  # fmt: skip
