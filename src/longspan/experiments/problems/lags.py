"""Experiments 2a to 2c of Hochreiter & Schmidhuber 1997: a symbol must be remembered for long.

Symbols are numbered: distractors first, from 0, then the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longspan.experiments.problem import Kind, Sequences, at_end, at_least, one_hot, within


@dataclass(frozen=True)
class RegularLag:
    """Task 2a: (x, a₁, …, aₚ₋₁, x) or (y, a₁, …, aₚ₋₁, y); predict the next symbol at every step.

    Right if no output is ever 0.25 or more away from its target.

    Args:
        p: The lag; there are p + 1 symbols: a₁ … aₚ₋₁, x, y.

    Raises:
        InputError: If p is less than 2.
    """

    p: int = 100
    kind: Kind = "classes"
    chance: float = 0.5

    def __post_init__(self) -> None:
        at_least("p", self.p, 2)

    @property
    def input_size(self) -> int:
        """Symbols."""
        return self.p + 1

    @property
    def output_size(self) -> int:
        """Symbols."""
        return self.p + 1

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` sequences without their last symbol, p steps."""
        first = generator.integers(self.p - 1, self.p + 1, count)
        middle = np.broadcast_to(np.arange(self.p - 1), (count, self.p - 1))
        symbols = np.column_stack([first, middle, first])
        return Sequences(
            symbols[:, :-1], np.full(count, self.p), np.ones((count, self.p), bool),
            one_hot(symbols[:, 1:].reshape(-1), self.output_size),
        )  # fmt: skip

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return which sequences were predicted correctly, (B,)."""
        return within(0.25, outputs, sequences)


@dataclass(frozen=True)
class NoisyLag:
    """Task 2b: as 2a, but what is between is random, and only the last symbol can be known.

    Right if no output for the last symbol is 0.25 or more away from its target.

    Args:
        p: The lag; there are p + 1 symbols.
        every_step: Whether every next symbol is asked for, as in the paper, or only the last.

    Raises:
        InputError: If p is less than 2.
    """

    p: int = 100
    every_step: bool = False
    kind: Kind = "classes"
    chance: float = 0.5

    def __post_init__(self) -> None:
        at_least("p", self.p, 2)

    @property
    def input_size(self) -> int:
        """Symbols."""
        return self.p + 1

    @property
    def output_size(self) -> int:
        """Symbols."""
        return self.p + 1

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` sequences without their last symbol, p steps."""
        first = generator.integers(self.p - 1, self.p + 1, count)
        middle = generator.integers(0, self.p - 1, (count, self.p - 1))
        lengths = np.full(count, self.p)
        symbols = np.column_stack([first, middle])
        if self.every_step:
            wanted = np.column_stack([middle, first]).reshape(-1)
            mask = np.ones(symbols.shape, bool)
            return Sequences(symbols, lengths, mask, one_hot(wanted, self.output_size))
        targets = one_hot(first, self.output_size)
        return Sequences(symbols, lengths, at_end(lengths, self.p), targets)

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return which sequences' last symbol was predicted correctly, (B,)."""
        last = np.cumsum(sequences.mask.sum(1)) - 1
        return np.abs(outputs[last] - sequences.truth[last]).max(1) < 0.25


@dataclass(frozen=True)
class LongLag:
    """Task 2c: (b, x, q + k distractors, e, x) or the same with y; predict the last symbol.

    After q distractors, each further one comes with probability 0.9 and e with 0.1, so that k is
    geometric with mean 9. Right if both outputs are less than 0.2 away from their targets.

    Args:
        q: The least lag is q + 1 steps.
        p: Number of distractors; there are p + 4 symbols: these, e, b, x, y.

    Raises:
        InputError: If q or p is less than 1.
    """

    q: int = 50
    p: int = 50
    kind: Kind = "classes"
    output_size: int = 2
    chance: float = 0.5

    def __post_init__(self) -> None:
        at_least("q", self.q, 1)
        at_least("p", self.p, 1)

    @property
    def input_size(self) -> int:
        """Symbols."""
        return self.p + 4

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` sequences without their last symbol, q + k + 3 steps."""
        e, b, x = self.p, self.p + 1, self.p + 2
        which = generator.integers(0, 2, count)
        lengths = self.q + 2 + generator.geometric(0.1, count)
        steps = int(lengths.max(initial=0))
        symbols = generator.integers(0, self.p, (count, steps))
        symbols[:, 0:1] = b
        symbols[:, 1:2] = x + which[:, None]
        rows = np.arange(count)
        symbols[rows, lengths - 1] = e
        symbols[np.arange(steps) >= lengths[:, None]] = 0
        return Sequences(symbols, lengths, at_end(lengths, steps), one_hot(which, 2))

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return which sequences' last symbol was predicted correctly, (B,)."""
        return within(0.2, outputs, sequences)
