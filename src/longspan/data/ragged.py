"""Sequences of different lengths held as one flat tensor, and put side by side for a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from longspan.errors import InputError


@dataclass(frozen=True)
class Ragged:
    """S sequences, one after the other.

    >>> words = Ragged.of([[5, 6, 7], [], [8]])
    >>> words.lengths.tolist()
    [3, 0, 1]
    >>> words.padded(torch.tensor([2, 0])).tolist()
    [[8, 5], [0, 6], [0, 7]]

    Attributes:
        values: All steps, (N, …).
        offsets: Where each sequence begins, and N, int64 (S + 1,).
    """

    values: Tensor
    offsets: Tensor

    @classmethod
    def of(cls, sequences: Iterable[Sequence[int]]) -> Ragged:
        """Return lists of whole numbers as one, int64."""
        lists = list(sequences)
        ends = np.cumsum([0, *map(len, lists)])
        flat = np.fromiter((v for s in lists for v in s), np.int64, int(ends[-1]))
        return cls(torch.from_numpy(flat), torch.from_numpy(ends))

    @classmethod
    def of_arrays(cls, arrays: Sequence[np.ndarray], dtype: type = np.float32) -> Ragged:
        """Return arrays (Tₛ, …) that are alike but for their lengths as one.

        Raises:
            InputError: If there are none, or their other axes differ.
        """
        if not arrays:
            raise InputError("There must be at least one sequence, got none.")
        shapes = {a.shape[1:] for a in arrays}
        if len(shapes) > 1:
            raise InputError(f"Sequences must have the same channels, got shapes {sorted(shapes)}.")
        ends = np.cumsum([0, *map(len, arrays)])
        flat = np.concatenate([np.asarray(a, dtype) for a in arrays])
        return cls(torch.from_numpy(flat), torch.from_numpy(ends))

    def __len__(self) -> int:
        """Return the number of sequences, S."""
        return len(self.offsets) - 1

    def __getitem__(self, number: int) -> Tensor:
        """Return one sequence, (T, …)."""
        return self.values[self.offsets[number] : self.offsets[number + 1]]

    @property
    def lengths(self) -> Tensor:
        """Length of each sequence, (S,)."""
        return self.offsets.diff()

    def padded(self, numbers: Tensor) -> Tensor:
        """Return some of the sequences side by side, (T, B, …), with 0 at padding.

        Args:
            numbers: Which, int64 (B,); T is the length of the longest of them.
        """
        begin = self.offsets[numbers]
        lengths = self.offsets[numbers + 1] - begin
        steps = torch.arange(int(lengths.max()) if len(lengths) else 0)[:, None]
        inside = steps < lengths
        if not len(self.values):
            return self.values.new_zeros((*inside.shape, *self.values.shape[1:]))
        found = self.values[torch.where(inside, begin + steps, 0)]
        return found.masked_fill_(~inside.view(*inside.shape, *[1] * (found.ndim - 2)), 0)


def by_length(
    lengths: Tensor, *, rows: int | None = None, steps: int | None = None
) -> Iterator[Tensor]:
    """Yield numbers of sequences of like length, the longest first, in batches.

    >>> [own.tolist() for own in by_length(torch.tensor([1, 4, 2, 2]), steps=4)]
    [[1], [2, 3], [0]]

    Args:
        lengths: Of the sequences, (S,).
        rows: Sequences of a batch, at most.
        steps: Of a batch with its padding, at most, unless one sequence alone has more.
    """
    order, begin = lengths.argsort(descending=True, stable=True), 0
    while begin < len(order):
        count = len(order) if rows is None else rows
        if steps is not None:  # all are padded to the first, which is the longest of those left
            count = min(count, max(steps // max(int(lengths[order[begin]]), 1), 1))
        yield order[begin : begin + count]
        begin += count
