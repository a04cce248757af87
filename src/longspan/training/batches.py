"""Where batches come from: sources that can start anywhere, so that a run can resume exactly.

A source depends on (seed, epoch, position) alone and keeps no state of its own. Every process
asks for its share of each global batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from longspan.errors import InputError


class Share(NamedTuple):
    """One process's part of a global batch.

    Attributes:
        batch: What the loss function gets.
        counts: False for a stand-in: the process has nothing to add, but must take part in the
            exchange of gradients; its loss is multiplied by zero.
        rate: Factor of the learning rate for this batch; the same in all processes.
    """

    batch: Any
    counts: bool = True
    rate: float = 1.0


class Batches(Protocol):
    """A source of batches."""

    def __len__(self) -> int:
        """Return the number of global batches in an epoch."""
        ...

    def epoch(self, epoch: int, start: int, rank: int, world_size: int) -> Iterator[Share]:
        """Yield this process's share of every global batch of an epoch, from number `start` on."""
        ...


class ShuffledBatches:
    """Examples in a new random order each epoch, gathered by their indices.

    Args:
        size: Number of examples.
        batch_size: Examples in a global batch, over all processes.
        gather: Turns indices, int64 (n,), into a batch.
        seed: Of the order.
        max_batches: Batches in an epoch at most; an epoch is then a random part of the examples.
        shuffle: False keeps the order, as for validation.

    Raises:
        InputError: If there are no examples.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        gather: Callable[[Tensor], Any],
        *,
        seed: int = 0,
        max_batches: int | None = None,
        shuffle: bool = True,
    ) -> None:
        if size < 1 or batch_size < 1:
            raise InputError(
                f"There must be at least one example and one a batch, got {size} examples and "
                f"batch_size {batch_size}."
            )
        self.size, self.batch_size, self.gather = size, batch_size, gather
        self.seed, self.shuffle = seed, shuffle
        batches = -(-size // batch_size)
        self.batches = min(batches, max_batches) if max_batches else batches

    def __len__(self) -> int:
        """Return the number of global batches in an epoch."""
        return self.batches

    def epoch(self, epoch: int, start: int, rank: int, world_size: int) -> Iterator[Share]:
        """Yield every world_size-th example of each global batch."""
        order = self._order(epoch)
        for number in range(start, self.batches):
            indices = order[number * self.batch_size : (number + 1) * self.batch_size]
            own = indices[rank::world_size]
            counts = len(own) > 0
            yield Share(self.gather(own if counts else indices[:1]), counts)

    def _order(self, epoch: int) -> Tensor:
        wanted = min(self.size, self.batches * self.batch_size)
        if not self.shuffle:
            return torch.arange(wanted)
        generator = np.random.default_rng((self.seed, epoch))
        if wanted == self.size:
            return torch.from_numpy(generator.permutation(self.size))
        # A part of many examples is drawn without an array of all of them.
        return torch.from_numpy(generator.choice(self.size, wanted, replace=False))


class BucketedBatches(ShuffledBatches):
    """Sequences in a new random order each epoch, in batches of similar lengths.

    Sequences are shuffled, those of `POOL` batches sorted by length and cut into batches, and the
    batches shuffled: little is padded, and every epoch has other batches.

    Args:
        lengths: Of the sequences, (S,).
        batch_size: Sequences in a global batch, over all processes.
        gather: Turns indices, int64 (n,), into a batch.
        seed: Of the order.
        shuffle: False sorts all by their lengths, the longest first, as for validation: too large
            a batch then fails at once.

    Raises:
        InputError: If there are no sequences.
    """

    POOL = 50

    def __init__(
        self,
        lengths: Tensor,
        batch_size: int,
        gather: Callable[[Tensor], Any],
        *,
        seed: int = 0,
        shuffle: bool = True,
    ) -> None:
        super().__init__(len(lengths), batch_size, gather, seed=seed, shuffle=shuffle)
        self.lengths = lengths

    def _order(self, epoch: int) -> Tensor:
        if not self.shuffle:
            return self.lengths.argsort(descending=True, stable=True)
        generator = np.random.default_rng((self.seed, epoch))
        order = torch.from_numpy(generator.permutation(self.size))
        pools = order.split(self.POOL * self.batch_size)
        order = torch.cat([p[self.lengths[p].argsort(stable=True)] for p in pools])
        whole = self.size // self.batch_size
        # The incomplete batch, if there is one, stays last: batches are found by their number.
        numbers = torch.from_numpy(generator.permutation(whole))
        begin = order[: whole * self.batch_size].view(whole, self.batch_size)[numbers].flatten()
        return torch.cat([begin, order[whole * self.batch_size :]])


class StreamBatches:
    """A long sequence cut into parallel streams and read in chunks, for truncated BPTT.

    The sequence is split into `batch_size` contiguous streams; each batch holds the next steps of
    all of them, so that the state after one batch is the state before the next. Use with
    ``carry_state=True``. Processes take different streams.

    With `varied`, chunks are cut elsewhere each epoch, so that gradients are not always truncated
    at the same places (Merity et al. 2018): lengths are drawn from N(bptt_length, 5²), or in one
    case of twenty from N(bptt_length / 2, 5²), at least 5, and then stretched so that every epoch
    has the same number of chunks; the learning rate is multiplied by length / bptt_length.

    Args:
        data: (N, …) in order; the remainder that fills no whole stream is left out.
        batch_size: Streams, over all processes.
        bptt_length: Steps in a chunk.
        varied: Whether lengths are drawn.
        seed: Of the lengths, with the epoch's number.

    Raises:
        InputError: If there are fewer than two steps a stream.
    """

    def __init__(
        self,
        data: Tensor,
        batch_size: int,
        bptt_length: int,
        *,
        varied: bool = False,
        seed: int = 0,
    ) -> None:
        steps = len(data) // batch_size if batch_size > 0 else 0
        if steps < 2 or bptt_length < 1:
            raise InputError(
                f"{len(data)} steps in {batch_size} streams of chunks of {bptt_length} leave "
                "less than two steps a stream. Use fewer streams or more data."
            )
        self.streams = data[: steps * batch_size].unflatten(0, (batch_size, steps)).transpose(0, 1)
        self.bptt_length, self.varied, self.seed = bptt_length, varied, seed

    def __len__(self) -> int:
        """Return the number of chunks in an epoch."""
        steps = len(self.streams) - 1
        if self.varied:
            expected = 0.95 * self.bptt_length + 0.05 * self.bptt_length / 2
            return min(max(round(steps / expected), 1), steps)
        return -(-steps // self.bptt_length)

    def epoch(self, epoch: int, start: int, rank: int, world_size: int) -> Iterator[Share]:
        """Yield (inputs, targets), each (T, B, …); a target is the step after its input."""
        own = self.streams[:, rank::world_size]
        counts = own.shape[1] > 0
        own = own if counts else self.streams[:, :1]
        for begin, end in pairwise(self._edges(epoch)[start:]):
            rate = (end - begin) / self.bptt_length if self.varied else 1.0
            yield Share((own[begin:end], own[begin + 1 : end + 1]), counts, rate)

    def _edges(self, epoch: int) -> list[int]:
        """Return where the chunks of an epoch begin, and where the last one ends."""
        steps, count = len(self.streams) - 1, len(self)
        if not self.varied:
            return [*range(0, steps, self.bptt_length), steps]
        generator = np.random.default_rng((self.seed, epoch))
        mean = np.where(generator.random(count) < 0.95, 1.0, 0.5) * self.bptt_length
        lengths = np.maximum(generator.normal(mean, 5.0), 5.0)
        # Each chunk gets one step, and its share of the others.
        shares = np.concatenate([[0.0], np.cumsum(lengths) / lengths.sum()])
        edges = np.arange(count + 1) + np.rint(shares * (steps - count)).astype(np.int64)
        return edges.tolist()
