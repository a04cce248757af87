"""The copying memory problem, as in Arjovsky, Shah & Bengio 2016 (after experiment 2 of 1997)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longspan.experiments.problem import Kind, Sequences, at_least, one_hot

LETTERS, COPIED = 8, 10
BLANK, DELIMITER = 8, 9


@dataclass(frozen=True)
class Copying:
    """Ten letters of eight, T - 1 blanks, a delimiter, ten blanks; repeat the letters at the end.

    Targets are blanks for T + 10 steps, then the ten letters. Right if the most likely symbol is
    the target at every step. Without a memory the best mean cross-entropy is 10·ln 8 / (T + 20).

    Args:
        T: The delay.

    Raises:
        InputError: If T is less than 1.
    """

    T: int = 500
    input_size: int = LETTERS + 2
    output_size: int = LETTERS + 1
    kind: Kind = "classes"
    chance: float = float(LETTERS) ** -COPIED

    def __post_init__(self) -> None:
        at_least("T", self.T, 1)

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` sequences of T + 20 steps."""
        steps = self.T + 2 * COPIED
        letters = generator.integers(0, LETTERS, (count, COPIED))
        symbols = np.full((count, steps), BLANK)
        symbols[:, :COPIED] = letters
        symbols[:, COPIED + self.T - 1] = DELIMITER
        wanted = np.full((count, steps), BLANK)
        wanted[:, -COPIED:] = letters
        return Sequences(
            symbols, np.full(count, steps), np.ones((count, steps), bool),
            one_hot(wanted.reshape(-1), self.output_size),
        )  # fmt: skip

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return which sequences were repeated without a mistake, (B,)."""
        return ~sequences.largest(outputs.argmax(1) != sequences.truth.argmax(1))
