"""Strings of the embedded Reber grammar, alone and one after the other.

Experiment 1 of Hochreiter & Schmidhuber 1997, and the continual problem of Gers, Schmidhuber &
Cummins 2000. An embedded string is B T r T E or B P r P E, with r a string of the Reber grammar.

The second symbol of an embedded string comes back as the last but one: that is what must be
remembered. Everything else follows from the symbols before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longspan.experiments.problem import Kind, Sequences, at_least, most_active, one_hot

SYMBOLS = "BTPSXVE"

#: From each node of the Reber grammar: symbols, and the nodes that they lead to.
REBER = {
    0: {"B": 1},
    1: {"T": 2, "P": 3},
    2: {"S": 2, "X": 4},
    3: {"T": 3, "V": 5},
    4: {"X": 3, "S": 6},
    5: {"P": 4, "V": 6},
    6: {"E": 7},
}
_INNER = len(REBER)


def _embedded() -> dict[int, dict[str, int]]:
    """Return the embedded grammar: 0 and 1, then the Reber grammar twice, with a branch's end."""
    graph: dict[int, dict[str, int]] = {0: {"B": 1}, 1: {}}
    last = 2 + 2 * (_INNER + 1)
    for branch, symbol in enumerate("TP"):
        first = 2 + branch * (_INNER + 1)
        graph[1][symbol] = first
        for node, arcs in REBER.items():
            graph[first + node] = {s: first + to for s, to in arcs.items()}
        graph[first + _INNER] = {symbol: last}
    graph[last] = {"E": 0}
    return graph


#: The embedded grammar; E leads back to its first node.
EMBEDDED = _embedded()
#: For each node, its two arcs (a single one stands twice): symbols and nodes; and what may come.
_ARCS = [(list(arcs.items()) * 2)[:2] for _, arcs in sorted(EMBEDDED.items())]
_SYMBOL = np.array([[SYMBOLS.index(s) for s, _ in arcs] for arcs in _ARCS])
_NEXT = np.array([[to for _, to in arcs] for arcs in _ARCS])
_POSSIBLE = np.array([one_hot(s, len(SYMBOLS)).max(0) for s in _SYMBOL])


def _walk(generator: np.random.Generator, node: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the next symbol from each node, and where it leads."""
    arc = generator.integers(0, 2, len(node))
    return _SYMBOL[node, arc], _NEXT[node, arc]


@dataclass(frozen=True)
class EmbeddedReber:
    """Predict the next symbol of a string, at every step; a string is all that is remembered.

    Strings have 9 symbols or more, about 12 in the mean. A string is right if the outputs of the
    one or two symbols that may come next are the most active ones at every step.
    """

    input_size: int = len(SYMBOLS)
    output_size: int = len(SYMBOLS)
    kind: Kind = "classes"
    chance: float = 0.5

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` strings without their last symbol; targets are the symbols that follow.

        The truth has ones for all symbols that may follow.
        """
        node, symbols, nodes = np.zeros(count, np.int64), [], []
        ended = np.zeros(count, bool)
        lengths = np.zeros(count, np.int64)
        while not ended.all():
            symbol, node = _walk(generator, node)
            symbols.append(symbol)
            nodes.append(node)
            lengths += ~ended & (node != 0)
            ended |= node == 0
        steps = int(lengths.max(initial=0))
        mask = np.arange(steps) < lengths[:, None]
        found = np.stack(symbols, 1) if symbols else np.zeros((count, 1), np.int64)
        at = np.stack(nodes, 1)[:, :steps] if nodes else np.zeros((count, 0), np.int64)
        return Sequences(
            np.where(mask, found[:, :steps], 0), lengths, mask,
            one_hot(found[:, 1 : steps + 1][mask], len(SYMBOLS)), _POSSIBLE[at[mask]],
        )  # fmt: skip

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return which strings were predicted correctly, (B,)."""
        return most_active(outputs, sequences)


@dataclass(frozen=True)
class ContinualReber:
    """Predict the next symbol of an endless stream of strings, whose ends nothing announces.

    Args:
        length: Symbols that are drawn of each stream.

    Raises:
        InputError: If there are none.
    """

    length: int = 1000
    input_size: int = len(SYMBOLS)
    output_size: int = len(SYMBOLS)
    kind: Kind = "classes"
    chance: float = 0.0

    def __post_init__(self) -> None:
        at_least("length", self.length, 1)

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` streams from a string's begin on; targets are the symbols that follow."""
        node = np.zeros(count, np.int64)
        symbols = np.zeros((count, self.length + 1), np.int64)
        possible = np.zeros((count, self.length, len(SYMBOLS)), np.float32)
        for step in range(self.length + 1):
            if step:
                possible[:, step - 1] = _POSSIBLE[node]
            symbols[:, step], node = _walk(generator, node)
        return Sequences(
            symbols[:, :-1], np.full(count, self.length), np.ones((count, self.length), bool),
            one_hot(symbols[:, 1:].reshape(-1), len(SYMBOLS)),
            possible.reshape(-1, len(SYMBOLS)),
        )  # fmt: skip

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return which streams were predicted correctly to their end, (B,)."""
        return most_active(outputs, sequences)
