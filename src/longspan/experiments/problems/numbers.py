"""Experiments 3, 4 and 5 of Hochreiter & Schmidhuber 1997: real numbers, and one asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from longspan.experiments.problem import Kind, Sequences, at_end, at_least, within


@dataclass(frozen=True)
class TwoSequences:
    """Tasks 3a to 3c: class 1 begins with N ones, class 2 with N times -1; noise follows.

    The noise has mean 0 and variance 0.2. In ``"b"`` it is added to the first N elements
    too. The target is 1 or 0; in ``"c"`` it is 0.2 or 0.8 plus noise of variance 0.1, and the truth
    is the target without it. Right if the output is less than 0.2 away (``"c"``: 0.1).

    Args:
        T: Sequences have T to T + T/10 steps.
        N: How many elements tell the class.
        task: Which.

    Raises:
        InputError: If N is less than 1 or exceeds T.
    """

    T: int = 100
    N: int = 3
    task: Literal["a", "b", "c"] = "a"
    input_size: int = 1
    output_size: int = 1
    kind: Kind = "numbers"
    chance: float = 0.5

    def __post_init__(self) -> None:
        at_least("N", self.N, 1)
        at_least("T", self.T, self.N)

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` sequences."""
        first = generator.integers(0, 2, count) == 0
        lengths = _lengths(generator, self.T, count)
        mask = at_end(lengths, int(lengths.max(initial=0)))
        values = generator.normal(0.0, np.sqrt(0.2), mask.shape)
        told = np.where(first, 1.0, -1.0)[:, None]
        values[:, : self.N] = told + (values[:, : self.N] if self.task == "b" else 0.0)
        values[np.arange(mask.shape[1]) >= lengths[:, None]] = 0.0
        low, high = (0.0, 1.0) if self.task != "c" else (0.8, 0.2)
        truth = np.where(first, high, low)[:, None]
        noise = generator.normal(0.0, np.sqrt(0.1), truth.shape) if self.task == "c" else 0.0
        return Sequences(
            values[..., None].astype(np.float32), lengths, mask,
            (truth + noise).astype(np.float32), truth.astype(np.float32),
        )  # fmt: skip

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return which sequences were classified correctly, (B,)."""
        return within(0.1 if self.task == "c" else 0.2, outputs, sequences)


@dataclass(frozen=True)
class Adding:
    """Experiment 4: values from [-1, 1]; the target is 0.5 + (X₁ + X₂) / 4.

    For the pairs see `marked`; a value of the first pair counts as 0. Right if the output is less
    than 0.04 away from the target.

    Args:
        T: Sequences have T to T + T/10 steps.

    Raises:
        InputError: If T is less than 20.
    """

    T: int = 100
    input_size: int = 2
    output_size: int = 1
    kind: Kind = "numbers"
    chance: float = 1.0 - 0.92**2  # P(|X₁ + X₂| < 0.16), always saying 0.5

    def __post_init__(self) -> None:
        at_least("T", self.T, 20)

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` sequences."""
        inputs, lengths, first, second = marked(generator, self.T, count, -1.0, 0.0)
        return _asked(inputs, lengths, 0.5 + (first + second) / 4.0)

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return which sequences were processed correctly, (B,)."""
        return within(0.04, outputs, sequences)


@dataclass(frozen=True)
class Multiplication:
    """Experiment 5: values from [0, 1]; the target is X₁·X₂.

    For the pairs see `marked`; a value of the first pair counts as 1. Right if the output is less
    than 0.04 away from the target.

    Args:
        T: Sequences have T to T + T/10 steps.

    Raises:
        InputError: If T is less than 20.
    """

    T: int = 100
    input_size: int = 2
    output_size: int = 1
    kind: Kind = "numbers"
    chance: float = 0.08 * (1.0 - math.log(0.08))  # P(X₁·X₂ < 0.08), always saying 0.04

    def __post_init__(self) -> None:
        at_least("T", self.T, 20)

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` sequences."""
        inputs, lengths, first, second = marked(generator, self.T, count, 0.0, 1.0)
        return _asked(inputs, lengths, first * second)

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return which sequences were processed correctly, (B,)."""
        return within(0.04, outputs, sequences)


def marked(
    generator: np.random.Generator, T: int, count: int, low: float, neutral: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return sequences of pairs (value, marker), two of them marked by 1.

    First one of the first ten pairs is marked, then one of the first T/2 - 1 others. The markers of
    the first and the last pair are -1. In the rare case that the first pair of all gets marked, its
    marker stays -1 and its value counts as `neutral`.

    Args:
        generator: Of all draws.
        T: Sequences have T to T + T/10 pairs.
        count: How many, B.
        low: Values are from [low, 1].
        neutral: See above.

    Returns:
        Pairs (B, T, 2), lengths (B,), and the two marked values X₁ and X₂, (B,) each.
    """
    lengths = _lengths(generator, T, count)
    steps, rows = int(lengths.max(initial=0)), np.arange(count)
    values = generator.uniform(low, 1.0, (count, steps))
    first = generator.integers(0, 10, count)
    second = generator.integers(0, T // 2 - 1, count)
    second += second >= first
    markers = np.zeros((count, steps))
    markers[rows, first] = markers[rows, second] = 1.0
    markers[:, 0:1] = -1.0
    markers[rows, lengths - 1] = -1.0
    told = [np.where(place == 0, neutral, values[rows, place]) for place in (first, second)]
    pairs = np.stack([values, markers], -1).astype(np.float32)
    pairs[np.arange(steps) >= lengths[:, None]] = 0.0
    return pairs, lengths, told[0], told[1]


def _asked(inputs: np.ndarray, lengths: np.ndarray, targets: np.ndarray) -> Sequences:
    mask = at_end(lengths, inputs.shape[1])
    return Sequences(inputs, lengths, mask, targets[:, None].astype(np.float32))


def _lengths(generator: np.random.Generator, T: int, count: int) -> np.ndarray:
    return generator.integers(T, T + T // 10 + 1, count)
