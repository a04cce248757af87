"""From a subject to an inspection: everything `longspan.insight` can measure of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from longspan.insight.ablation import Ablation, context_ablation
from longspan.insight.advice import advice
from longspan.insight.attribution import NODES, PARTS, refined_gradients
from longspan.insight.autocorrelation import LAGS, autocorrelation_lag
from longspan.insight.flow import GradientFlow, gradient_flow
from longspan.insight.gates import UnitStatistics, gate_statistics, unit_statistics
from longspan.insight.horizon import Horizon, jacobian_influence, memory_horizon
from longspan.insight.inspected import Attributed, Inspection, Trajectory
from longspan.insight.watch import Seen, watching
from longspan.tasks.inspection import Explained, Look, Subject, cost_of
from longspan.tasks.running import versions

#: Operations that a Jacobian may cost; beyond that it is estimated by so many probes, unless it has
#: no more outputs than that: a probe costs a backward pass, as an output does.
BUDGET, PROBES = 4e11, 16
#: Operations that may be spent to divide the way of integrated gradients, and its parts at most.
REFINING, MOST_PARTS = 1e12, 32
#: Numbers that a copy of the rows may hold, so that several outputs are differentiated at once.
AT_ONCE = 2**22
#: Units of a layer that a trajectory keeps: those that vary most.
UNITS = 48


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
    flow, lag = _flow(subject), _data_lag(subject)
    ablation, shortened = _ablation(subject, look.seed)
    # Where no lag of the data is known, training at least saw no further than it was cut.
    found = advice(flow=common_lags(flow), data_lag=subject.bptt_length if lag is None else lag)
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
        facts=_facts(subject, shortened), notes=tuple(subject.notes), versions=versions(),
    )  # fmt: skip


def common_lags(flow: GradientFlow) -> GradientFlow:
    """Return a flow without the lags that fewer than half of the rows have.

    Where rows differ in length, the gradient of a few long ones says little about how it decays.
    """
    layers = []
    for layer in flow.layers:
        count = int((layer.rows >= layer.rows.max(initial=0) / 2).sum())
        layers.append(replace(layer, norms=layer.norms[:count], rows=layer.rows[:count]))
    return replace(flow, layers=tuple(layers))


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


def _memory(subject: Subject, seed: int) -> tuple[Horizon, Horizon | None, int]:
    """Return how far back outputs depend on inputs, how far ahead, and the probes used."""
    x = subject.inputs()
    with torch.no_grad():
        count = subject.outputs(subject.batch).shape[1]
    cost = count * x.shape[1] * cost_of(subject.network, len(x))
    probes = 0 if cost <= BUDGET or count <= PROBES else PROBES
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


def _ablation(subject: Subject, seed: int) -> tuple[Ablation | None, int]:
    """Return what less context costs, and over how many rows that was taken."""
    if subject.longest < 2:
        return None, 0

    with torch.no_grad():
        full = subject.losses(subject.more).double()

    def excess(context: int) -> Tensor:
        if context >= subject.longest:
            return full - full
        return subject.losses(subject.cut(subject.more, context)) - full

    # Rows differ more than contexts do, so that pairs tell what single losses cannot.
    found = context_ablation(excess, contexts_up_to(subject.longest), seed)
    mean = full.mean().item()
    ends = {name: getattr(found, name) + mean for name in ("losses", "low", "high")}
    return replace(found, **ends), len(full)


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
    steps, batch, _ = explained.inputs.shape
    halving = 2 * NODES * 3 * batch * cost_of(subject.network, steps)
    most = int(np.clip(PARTS + REFINING / halving, PARTS, MOST_PARTS))
    found = refined_gradients(explained.run, explained.inputs, explained.baseline, most=most)
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


def _facts(subject: Subject, shortened: int) -> dict[str, Any]:
    return {
        **subject.facts, "rows": len(subject.focus),
        "rows with shortened contexts": shortened,
        "longest row, in steps": int(subject.lengths.max()),
        "parameters": sum(p.numel() for p in subject.network.parameters()),
    }  # fmt: skip
