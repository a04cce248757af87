"""Experiment 6 of Hochreiter & Schmidhuber 1997: the order of two or three far-apart symbols."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longspan.errors import InputError
from longspan.experiments.problem import Kind, Sequences, at_end, one_hot, within

SYMBOLS = "abcdXYEB"
#: Where the symbols that matter stand, first and last place, counted from 1.
PLACES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}


@dataclass(frozen=True)
class TemporalOrder:
    """E, then letters a to d with an X or Y at each of two (6a) or three (6b) places, then B.

    Sequences have 100 to 110 steps. The class is the X's and Y's as a binary number, X being 0:
    for 6a Q, R, S, U are 0, 1, 2, 3. Right if no output is 0.3 or more away from its target.

    Args:
        relevant: How many X or Y: 2 or 3.

    Raises:
        InputError: If it is another number.
    """

    relevant: int = 2
    input_size: int = len(SYMBOLS)
    kind: Kind = "classes"

    def __post_init__(self) -> None:
        if self.relevant not in PLACES:
            raise InputError(f"`relevant` must be 2 (6a) or 3 (6b), got {self.relevant}.")

    @property
    def output_size(self) -> int:
        """Classes."""
        return 2**self.relevant

    @property
    def chance(self) -> float:
        """One class of all."""
        return 0.5**self.relevant

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` sequences."""
        lengths = generator.integers(100, 111, count)
        mask = at_end(lengths, int(lengths.max(initial=100)))
        symbols = generator.integers(0, 4, mask.shape)
        rows, label = np.arange(count), np.zeros(count, np.int64)
        for first, last in PLACES[self.relevant]:
            place = generator.integers(first, last + 1, count) - 1
            which = generator.integers(0, 2, count)
            symbols[rows, place] = SYMBOLS.index("X") + which
            label = 2 * label + which
        symbols[:, 0:1] = SYMBOLS.index("E")
        symbols[rows, lengths - 1] = SYMBOLS.index("B")
        symbols[np.arange(mask.shape[1]) >= lengths[:, None]] = 0
        return Sequences(symbols, lengths, mask, one_hot(label, self.output_size))

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return which sequences were classified correctly, (B,)."""
        return within(0.3, outputs, sequences)
