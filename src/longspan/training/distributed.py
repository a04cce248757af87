"""Several processes, through torch.distributed: started by ``torchrun``, found by themselves."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.rendezvous import rendezvous


@dataclass(frozen=True)
class World:
    """Which process this is.

    Attributes:
        rank: Its number; 0 writes files and prints.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return a model whose gradients are averaged over the processes."""
        if self.size == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(model)

    def sum(self, *values: float) -> list[float]:
        """Return the values summed over the processes."""
        if self.size == 1:
            return list(values)
        together = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(together)
        return together.tolist()

    def gather(self, value: Any) -> list[Any]:
        """Return every process's value, in order of rank."""
        if self.size == 1:
            return [value]
        everyone: list[Any] = [None] * self.size
        dist.all_gather_object(everyone, value)
        return everyone

    def barrier(self) -> None:
        """Wait for the other processes."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def world() -> Iterator[World]:
    """Join the processes that ``torchrun`` started, if it did, and leave them at the end."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    joined_here = not dist.is_initialized()
    if joined_here:
        # A store keeps what earlier groups wrote to it, so each training has a part of its own.
        store, rank = _store()
        part = dist.PrefixStore(f"longspan/{next(_TRAININGS)}", store)
        dist.init_process_group("gloo", store=part, rank=rank, world_size=size)
    try:
        yield World(dist.get_rank(), dist.get_world_size())
    finally:
        if joined_here:
            # The model's wrapper sits in reference cycles; left to the end of the program, its
            # threads would outlive the connection, and the program would end in an abort.
            gc.collect()
            dist.destroy_process_group()


#: Numbers of the trainings of this process; the same in all, for all take part in each.
_TRAININGS = itertools.count()


@cache
def _store() -> tuple[dist.Store, int]:
    """Return where the processes that ``torchrun`` started meet, and this one's number."""
    store, rank, _ = next(iter(rendezvous("env://")))
    return store, rank


def is_main_process() -> bool:
    """Return whether this process should write and print; true unless started by ``torchrun``."""
    return int(os.environ.get("RANK", "0")) == 0
