"""Spikes in time, after Gers, Schraudolph & Schmidhuber 2002, "Learning precise timing".

Spike n comes F + I(n) steps after spike n - 1, where I(n) is drawn anew for each. A problem is read
at its beginning, so the first spike comes at step 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from longspan.experiments.problem import Kind, Sequences, at_least, within


@dataclass(frozen=True)
class _Spikes:
    """Spikes that come F + I(n) steps after one another.

    Args:
        F: Least number of steps between two spikes.
        offsets: I(n) is one of 0 … offsets - 1.
        spikes: In a sequence, after the first.

    Raises:
        InputError: If one is too small.
    """

    F: int = 10
    offsets: int = 2
    spikes: int = 10
    input_size: int = 1
    output_size: int = 1

    def __post_init__(self) -> None:
        at_least("F", self.F, 1)
        at_least("offsets", self.offsets, 1)
        at_least("spikes", self.spikes, 1)

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return in which sequences every output is less than 0.5 from its target, (B,)."""
        return within(0.5, outputs, sequences)

    def _drawn(
        self, generator: np.random.Generator, count: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return delays I(n) and times of later spikes, (B, spikes), and where they are, (B, T)."""
        delays = generator.integers(0, self.offsets, (count, self.spikes))
        times = np.cumsum(self.F + delays, 1)
        where = np.zeros((count, int(times.max(initial=0)) + 1), bool)
        np.put_along_axis(where, times, True, 1)
        return delays, times, where


@dataclass(frozen=True)
class MeasureSpikes(_Spikes):
    """Measuring spike delays (MSD): the input has spikes; at each the target is I(n).

    There is no target elsewhere. Right if every output is less than 0.5 away from its target.

    Args:
        F: Least number of steps between two spikes.
        offsets: I(n) is one of 0 … offsets - 1.
        spikes: Delays in a sequence.

    Raises:
        InputError: If one is too small.
    """

    kind: Kind = "numbers"

    @property
    def chance(self) -> float:
        """All delays of a sequence guessed."""
        return float(self.offsets) ** -self.spikes

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` sequences that end with their last spike."""
        delays, times, mask = self._drawn(generator, count)
        inputs = mask.astype(np.float32)
        inputs[:, 0:1] = 1.0
        targets = delays.reshape(-1, 1).astype(np.float32)
        return Sequences(inputs[..., None], times[:, -1] + 1, mask, targets)


@dataclass(frozen=True)
class GenerateSpikes(_Spikes):
    """Generating timed spikes (GTS): the input is I(n) until spike n is due; the target is 1 there.

    Everywhere else the target is 0. Right if every output is less than 0.5 away from its target.

    Args:
        F: Least number of steps between two spikes.
        offsets: I(n) is one of 0 … offsets - 1.
        spikes: Spikes in a sequence.

    Raises:
        InputError: If one is too small.
    """

    kind: Kind = "switches"
    chance: float = 0.0

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` sequences that end with their last spike."""
        delays, times, spikes = self._drawn(generator, count)
        steps = np.arange(spikes.shape[1])
        number = (times[:, None, :] < steps[:, None]).sum(2)  # of the spike that is due
        inside = steps < times[:, -1:] + 1
        due = np.minimum(number, self.spikes - 1)
        inputs = np.where(inside, np.take_along_axis(delays, due, 1), 0)
        return Sequences(
            inputs[..., None].astype(np.float32), times[:, -1] + 1, inside,
            spikes[inside][:, None].astype(np.float32),
        )  # fmt: skip


@dataclass(frozen=True)
class Periodic:
    """Generating a periodic function (PFG) without any input but a constant one.

    ``"cosine"`` is (1 - cos(2πt/period)) / 2, ``"triangle"`` rises from 0 to 1 and falls back in
    straight lines, ``"rectangle"`` is 1 in the second half of each period. Right if every output is
    less than 0.15 away from its target.

    Args:
        shape: Which function.
        period: Steps.
        periods: Of a sequence.

    Raises:
        InputError: If the period is less than 2, or there is none.
    """

    shape: Literal["cosine", "triangle", "rectangle"] = "cosine"
    period: int = 10
    periods: int = 10
    input_size: int = 1
    output_size: int = 1
    kind: Kind = "numbers"
    chance: float = 0.0

    def __post_init__(self) -> None:
        at_least("period", self.period, 2)
        at_least("periods", self.periods, 1)

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` sequences, which are all alike."""
        del generator
        steps = self.period * self.periods
        phase = np.arange(steps) % self.period / self.period
        values = {
            "cosine": (1.0 - np.cos(2.0 * np.pi * phase)) / 2.0,
            "triangle": 1.0 - np.abs(1.0 - 2.0 * phase),
            "rectangle": phase >= 0.5,
        }[self.shape]
        return Sequences(
            np.ones((count, steps, 1), np.float32), np.full(count, steps),
            np.ones((count, steps), bool), np.tile(values, count)[:, None].astype(np.float32),
        )  # fmt: skip

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return which sequences were followed closely, (B,)."""
        return within(0.15, outputs, sequences)
