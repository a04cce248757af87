"""aⁿbⁿ and aⁿbⁿcⁿ, after Gers & Schmidhuber 2001: strings that one can only predict by counting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longspan.errors import InputError
from longspan.experiments.problem import Kind, Sequences, at_least, one_hot, within


@dataclass(frozen=True)
class Counting:
    """S aⁿ bⁿ (cⁿ) T: say at every step which symbols may come next.

    After S comes a; after a may come a or b; what follows is certain. Right if every output is on
    the right side of a half.

    Args:
        letters: 2 for aⁿbⁿ, 3 for aⁿbⁿcⁿ.
        least: Of n.
        most: Of n.

    Raises:
        InputError: If these do not fit.
    """

    letters: int = 2
    least: int = 1
    most: int = 10
    kind: Kind = "switches"
    chance: float = 0.0

    def __post_init__(self) -> None:
        if self.letters not in (2, 3):
            raise InputError(f"`letters` must be 2 or 3, got {self.letters}.")
        at_least("least", self.least, 1)
        at_least("most", self.most, self.least)

    @property
    def input_size(self) -> int:
        """The letters from a, then S, then T."""
        return self.letters + 2

    @property
    def output_size(self) -> int:
        """As many."""
        return self.letters + 2

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` strings without their T, with n drawn uniformly."""
        return self.strings(generator.integers(self.least, self.most + 1, count))

    def strings(self, n: np.ndarray) -> Sequences:
        """Return the strings of these n, without their T."""
        lengths = self.letters * n + 1
        steps = np.arange(int(lengths.max(initial=0)) + 1)
        inside = steps[:-1] < lengths[:, None]
        # Step 0 is S; letter k stands at steps kn + 1 to (k + 1)n; one after the end is T.
        symbols = (steps - 1) // np.maximum(n, 1)[:, None]
        symbols = np.where(symbols >= self.letters, self.letters + 1, symbols)
        symbols[:, 0:1] = self.letters
        possible = one_hot(symbols[:, 1:][inside], self.output_size)
        after_a = symbols[:, :-1][inside] == 0
        possible[after_a, 0] = possible[after_a, 1] = 1.0
        return Sequences(np.where(inside, symbols[:, :-1], 0), lengths, inside, possible)

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return which strings were predicted correctly, (B,)."""
        return within(0.5, outputs, sequences)
