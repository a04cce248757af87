"""Advice in words, where a measured value crosses a threshold that has a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longspan.insight.ablation import Ablation
from longspan.insight.flow import GradientFlow, LayerFlow
from longspan.insight.gates import GateStatistics, UnitStatistics
from longspan.insight.horizon import NOTABLE, Horizon
from longspan.insight.results import Result

#: Share of the last step's gradient below which an earlier step's has vanished.
VANISHED = 1e-3
#: How many times the last step's gradient an earlier one may be.
EXPLODED = 100.0
#: Share of a gate's values that may be saturated.
SATURATED = 0.9
#: Share of a layer's units that may be dead.
DEAD = 0.1
#: How near, as a ratio, a horizon must come to the length of truncated backpropagation.
CUT = 0.9
#: Why each threshold is where it is.
REASONS = {
    "vanishing": "the weights' gradient is a sum over steps, and a part a thousand times smaller "
    "than the last step's is lost in the noise between batches",
    "exploding": "clipping then shrinks the whole gradient to what the earliest steps say, so the "
    "others hardly count, and without clipping the weights jump",
    "saturated": "where a gate is saturated its slope is less than a fifth of the largest, so a "
    "layer that nearly always is hardly learns through that gate",
    "dead": "a unit whose output does not vary carries nothing; a tenth of the layer is capacity "
    "that is paid for and not used",
    "short horizon": "the data's partial autocorrelation shows that inputs so far back add to a "
    "linear prediction even given all later ones",
    "cut horizon": "truncated backpropagation carries no gradient across its boundary, so a "
    "horizon that ends just there was set by it and not by the data",
    "truncated": "the influence at the last lag is more than a tenth of the mean one, so it goes "
    "on beyond what was measured",
    "memory unused": "the loss is as low with the smallest context as with the largest, within 5 % "
    "of their gap",
}
#: Gates whose upper end means to remember, which is what long memories need.
_KEEPERS = ("f", "z")


@dataclass(frozen=True)
class Advice(Result):
    """One piece of advice.

    Attributes:
        kind: ``"vanishing"``, ``"exploding"``, ``"saturated"``, ``"dead"``, ``"short horizon"``,
            ``"cut horizon"``, ``"truncated"`` or ``"memory unused"``.
        text: What was found, where, and what to try.
        value: What was measured.
        threshold: What it crossed.
        reason: Why the threshold is where it is.
    """

    kind: str
    text: str
    value: float
    threshold: float
    reason: str


def advice(
    *,
    flow: GradientFlow | None = None,
    gates: Sequence[GateStatistics] = (),
    units: Sequence[UnitStatistics] = (),
    horizon: Horizon | None = None,
    ablation: Ablation | None = None,
    data_lag: int | None = None,
    bptt_length: int | None = None,
) -> list[Advice]:
    """Return what to do about what was measured; an empty list where nothing crosses a threshold.

    >>> from longspan.insight.horizon import memory_horizon
    >>> horizon = memory_horizon(np.array([[1.0, 0.5, 0.0, 0.0], [1.0, 0.4, 0.0, 0.0]]))
    >>> [found.kind for found in advice(horizon=horizon, data_lag=3)]
    ['short horizon']

    Args:
        flow: Of a loss at the end of each row.
        gates: What `gate_statistics` found.
        units: What `unit_statistics` found.
        horizon: What `memory_horizon` found.
        ablation: What `context_ablation` found.
        data_lag: Longest lag that matters in the data, as `autocorrelation_lag` finds it. Gradients
            that vanish only beyond it are no reason for advice.
        bptt_length: Steps of truncated backpropagation in training, if it was truncated.
    """
    found = _of_flow(flow, data_lag) if flow else []
    found += [made for each in gates for made in _of_gate(each)]
    found += [made for each in units for made in _of_units(each)]
    if horizon:
        found += _of_horizon(horizon, data_lag, bptt_length)
    if ablation and ablation.horizon == ablation.contexts[0]:
        found.append(_memory_unused(ablation))
    return found


def _of_flow(flow: GradientFlow, data_lag: int | None) -> list[Advice]:
    """Judge each layer by its strongest path for vanishing, by its wildest for exploding."""
    by_name: dict[str, list[LayerFlow]] = {}
    for layer in flow.layers:
        if len(layer.norms) > 1 and layer.norms[0] > 0:
            by_name.setdefault(layer.name, []).append(layer)
    found = []
    for name, paths in by_name.items():
        relative = np.stack([path.norms / path.norms[0] for path in paths])
        # The gates of a full gate recurrence and h carry what the cell state carries, or less.
        best = relative.max(0)
        lost = np.flatnonzero(best >= VANISHED)[-1] + 1
        if lost < len(best) and (data_lag is None or lost <= data_lag):
            found.append(_vanishing(name, int(lost), float(best[-1]), len(best)))
        if relative.max() > EXPLODED:
            found.append(_exploding(name, float(relative.max()), int(relative.max(0).argmax())))
    return found


def _advice(kind: str, value: float, threshold: float, text: str) -> Advice:
    return Advice(kind, text, float(value), float(threshold), REASONS[kind])


def _vanishing(name: str, lost: int, ratio: float, steps: int) -> Advice:
    text = (
        f"In {name}, from {lost} steps before the end on, less than a thousandth of the last "
        f"step's gradient arrives; at the first of the {steps} steps it is {ratio:.1e} of it. What "
        "lies further back is hardly learnt. Try an LSTM or GRU instead of a simple RNN, "
        "forget_bias=1 or init='chrono' for an LSTM, shorter sequences, or a loss at more steps."
    )
    return _advice("vanishing", ratio, VANISHED, text)


def _exploding(name: str, ratio: float, lag: int) -> Advice:
    text = (
        f"In {name}, the gradient grows on its way back: {lag} steps before the end it is "
        f"{ratio:.3g} times as large as at the last step. Clip it (max_grad_norm), lower the "
        "learning rate, use init='orthogonal' or layer_norm, or an LSTM instead of a simple RNN."
    )
    return _advice("exploding", ratio, EXPLODED, text)


def _of_gate(gate: GateStatistics) -> list[Advice]:
    if gate.kind not in ("sigmoid", "tanh"):
        return []
    value = gate.low if gate.gate in _KEEPERS else gate.saturated
    if value <= SATURATED:
        return []
    text = (
        f"In {gate.layer}, {100 * value:.0f} % of the values of gate {gate.gate} are saturated: "
        f"{100 * gate.low:.0f} % of all at the lower end, {100 * gate.high:.0f} % at the upper. "
        "Scale the inputs to about unit variance, use layer_norm, more weight decay or a lower "
        "learning rate; or leave the gate out if it is always open."
    )
    return [_advice("saturated", value, SATURATED, text)]


def _of_units(units: UnitStatistics) -> list[Advice]:
    dead, count = len(units.dead), len(units.deviation)
    if dead <= DEAD * count:
        return []
    text = (
        f"In {units.layer}, {dead} of {count} units hardly vary. Make the layer smaller, lower the "
        "learning rate, or use tanh instead of relu."
    )
    return [_advice("dead", dead / count, DEAD, text)]


def _of_horizon(horizon: Horizon, data_lag: int | None, bptt_length: int | None) -> list[Advice]:
    found = []
    k = horizon.horizon
    # By the upper end, so that noise alone gives no advice.
    upper = k if np.isnan(horizon.horizon_high) else horizon.horizon_high
    # Where the influence goes on beyond what was measured, the horizon is not known to be short.
    if data_lag is not None and upper < data_lag and not horizon.truncated:
        text = (
            f"{100 * horizon.share:.0f} % of the influence comes from the last {k} steps (at most "
            f"{upper:.0f}), but in the data inputs {data_lag} steps back still matter. Give longer "
            "contexts, add the value of that lag as an input, or use an LSTM with forget_bias=1 or "
            "init='chrono'."
        )
        found.append(_advice("short horizon", k, data_lag, text))
    if bptt_length is not None and CUT * bptt_length <= k <= bptt_length / CUT:
        text = (
            f"The memory ends {k} steps back, where training cut the gradient "
            f"(bptt_length={bptt_length}). Train with a longer bptt_length."
        )
        found.append(_advice("cut horizon", k, CUT * bptt_length, text))
    if horizon.truncated:
        text = (
            f"The influence has not died out {len(horizon.lags) - 1} steps back, so the horizon of "
            f"{k} is a lower bound. Inspect longer sequences, and give the model longer contexts "
            "if it was trained on shorter ones than the data have."
        )
        share = horizon.influence[-1] / horizon.influence.mean()
        found.append(_advice("truncated", share, NOTABLE, text))
    return found


def _memory_unused(ablation: Ablation) -> Advice:
    text = (
        f"The loss is {ablation.losses[0]:.4g} when the model sees only {ablation.contexts[0]} "
        f"steps, and {ablation.losses[-1]:.4g} with {ablation.contexts[-1]}. On these data a model "
        "without memory may do as well; compare with one."
    )
    return _advice("memory unused", ablation.gap, 0.0, text)
