"""What gates do: how open, how often saturated, and the time scales that they imply."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from longspan.cells import GRU, LSTM, RNN, Cell
from longspan.insight.results import Result
from longspan.insight.watch import Seen, Watched

#: A sigmoid outside these, or a tanh outside ± the second, is saturated: its slope there is less
#: than a fifth of (sigmoid) or about a tenth of (tanh) the largest.
SATURATED = (0.05, 0.95)
#: A unit whose forget gate is always above this never forgets.
NEVER_FORGETS = 0.99
#: A unit that varies less than this share of its layer's most variable one is dead.
DEAD = 0.01
#: Bars of a histogram.
BARS = 40
#: Quantiles of the units' time scales.
QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
#: ln of what a gate that is 0 keeps: of the smallest normal float32.
_LEAST = -87.3


@dataclass(frozen=True)
class GateStatistics(Result):
    """One gate of a layer in one direction, over all units and valid steps.

    Attributes:
        layer: The layer's name, as `watching` gives it.
        gate: ``"i"``, ``"f"``, ``"g"``, ``"o"``, ``"r"``, ``"z"``, ``"n"``, or ``"h"`` of the RNN.
        kind: ``"sigmoid"``, ``"tanh"``, ``"relu"`` or ``"linear"``: what squashes it.
        mean: Over units and steps.
        edges: Of the histogram's bars, (41,).
        histogram: Share of the values in each bar, (40,).
        low: Share saturated below: < 0.05 (sigmoid), < -0.95 (tanh), at 0 (relu); else 0.
        high: Share saturated above: > 0.95 (sigmoid, tanh); else 0.
        unit_mean: (H,).
        unit_saturated: Share of each unit's values that are saturated, (H,).
    """

    layer: str
    gate: str
    kind: str
    mean: float
    edges: np.ndarray
    histogram: np.ndarray
    low: float
    high: float
    unit_mean: np.ndarray
    unit_saturated: np.ndarray

    @property
    def saturated(self) -> float:
        """Share of values that are saturated."""
        return self.low + self.high


@dataclass(frozen=True)
class UnitStatistics(Result):
    """The units of a layer in one direction.

    Attributes:
        layer: The layer's name, as `watching` gives it.
        time_scales: Steps in which a unit forgets all but 1/e, -1 / mean ln f, (H,): of the LSTM's
            forget gate or the GRU's update gate z, zoneout included; ∞ if it keeps everything.
            None for the RNN, which has no gate to tell.
        quantiles: Of the time scales: minimum, 10, 25, 50, 75, 90 %, maximum; None for the RNN.
        never_forget: Units whose gate is above 0.99 at every step.
        deviation: Standard deviation of each unit's output h, over rows and steps, (P,).
        dead: Units of h whose deviation is at most a hundredth of the layer's largest.
    """

    layer: str
    time_scales: np.ndarray | None
    quantiles: dict[str, float] | None
    never_forget: tuple[int, ...]
    deviation: np.ndarray
    dead: tuple[int, ...]


def gate_statistics(seen: Seen) -> list[GateStatistics]:
    """Return what each gate did, by layer, direction and gate; gates left out have no entry.

    Args:
        seen: What `watching` saw.
    """
    return [
        _gate(layer, name, kind)
        for layer in seen.layers
        if bool(layer.valid.any())
        for name, kind in kinds_of(layer.cell).items()
    ]


def unit_statistics(seen: Seen) -> list[UnitStatistics]:
    """Return what each layer's units remember, and which of them are dead, by layer and direction.

    Args:
        seen: What `watching` saw.
    """
    return [_units(layer) for layer in seen.layers if bool(layer.valid.any())]


def kinds_of(cell: Cell) -> dict[str, str]:
    """Return what squashes each recorded gate of a cell, by gate."""
    if isinstance(cell, LSTM):
        kinds = dict.fromkeys("ifo", "sigmoid") | {"g": "tanh"}
        there = {"i": cell.input_gate, "f": cell.forget_gate, "o": cell.output_gate}
        kinds["g"] = "tanh" if cell.input_activation else "linear"
        return {name: kinds[name] for name in "ifgo" if there.get(name, True)}
    if isinstance(cell, GRU):
        return {"r": "sigmoid", "z": "sigmoid", "n": "tanh"}
    if isinstance(cell, RNN):
        return {"h": cell.nonlinearity}
    return dict.fromkeys(cell.gates, "linear")


def retention(layer: Watched) -> Tensor | None:
    """Return the share of its state that each unit keeps at each valid step, (N, H), or None.

    The forget gate f of an LSTM, the update gate z of a GRU; with zoneout d + (1 - d) f.
    """
    if isinstance(layer.cell, LSTM):
        kept, zoneout = layer.gates["f"], layer.noise.zoneout_c
    elif isinstance(layer.cell, GRU):
        kept, zoneout = layer.gates["z"], layer.noise.zoneout_h
    else:
        return None
    kept = kept.detach().double()
    if zoneout is not None:
        kept = zoneout + (1.0 - zoneout) * kept
    return kept.cpu()[layer.valid]


def _gate(layer: Watched, name: str, kind: str) -> GateStatistics:
    values = layer.gates[name].detach().double().cpu()[layer.valid].numpy()  # (N, H)
    low, high = _saturation(values, kind)
    limits = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}.get(kind)
    counts, edges = np.histogram(values, BARS, limits)
    return GateStatistics(
        layer.name, name, kind, float(values.mean()), edges, counts / values.size,
        float(low.mean()), float(high.mean()), values.mean(0), (low | high).mean(0),
    )  # fmt: skip


def _saturation(values: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return which values are saturated below and above."""
    if kind == "sigmoid":
        return values < SATURATED[0], values > SATURATED[1]
    if kind == "tanh":
        return values < -SATURATED[1], values > SATURATED[1]
    none = np.zeros(values.shape, bool)
    return (values <= 0 if kind == "relu" else none), none


def _units(layer: Watched) -> UnitStatistics:
    kept = retention(layer)
    scales, quantiles, never = None, None, ()
    if kept is not None:
        scales = time_scales(kept)
        found = np.quantile(scales, QUANTILES, method="nearest")  # ∞ cannot be interpolated
        quantiles = {f"{q:.0%}": float(v) for q, v in zip(QUANTILES, found, strict=True)}
        never = tuple(torch.nonzero((kept > NEVER_FORGETS).all(0))[:, 0].tolist())
    h = layer.values("h").double().cpu()[layer.valid]
    deviation = h.std(0, correction=0).numpy()
    # Of a single value nothing can be said.
    dead = np.flatnonzero(deviation <= DEAD * deviation.max()) if len(h) > 1 else ()
    return UnitStatistics(
        layer.name, scales, quantiles, never, deviation, tuple(int(u) for u in dead)
    )


def time_scales(kept: Tensor) -> np.ndarray:
    """Return -1 / mean ln f of each unit over (N, H) shares that it keeps at each step."""
    mean_log = kept.double().log().clamp(min=_LEAST).mean(0).numpy()
    with np.errstate(divide="ignore"):
        return np.where(mean_log < 0, -1.0 / np.where(mean_log < 0, mean_log, -1.0), np.inf)
