"""Courses of the learning rate, as factors of its peak."""

from __future__ import annotations

import math
from collections.abc import Callable

from longspan.errors import InputError, unknown_name

#: Share of a one-cycle run in which the rate rises, and what it starts and ends at.
RISE, START, END = 0.3, 1.0 / 25.0, 1.0 / 25.0 / 1e4

Schedule = Callable[[int, int], float]


def constant(step: int, total: int) -> float:
    """Return 1."""
    del step, total
    return 1.0


def cosine(step: int, total: int) -> float:
    """Return ½·(1 + cos(π·step / total)) (Loshchilov & Hutter 2017)."""
    return 0.5 * (1.0 + math.cos(math.pi * min(step / max(total, 1), 1.0)))


def one_cycle(step: int, total: int) -> float:
    """Return the one-cycle policy of Smith & Topin (2018), with cosine slopes."""
    peak = RISE * total - 1.0
    if step <= peak:
        return _slope(START, 1.0, step / max(peak, 1e-9))
    return _slope(1.0, END, min((step - peak) / max(total - 1.0 - peak, 1e-9), 1.0))


def _slope(start: float, end: float, share: float) -> float:
    return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * share))


class Plateau:
    """Halve the rate after `patience` epochs without a better validation loss."""

    def __init__(self, patience: int = 3) -> None:
        self.patience = patience
        self.best, self.waited, self.factor = math.inf, 0, 1.0

    def update(self, loss: float) -> None:
        """Take note of an epoch's validation loss."""
        if loss < self.best:
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.factor, self.waited = 0.5 * self.factor, 0

    def state_dict(self) -> dict[str, float]:
        """Return what a checkpoint needs."""
        return {"best": self.best, "waited": self.waited, "factor": self.factor}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take over a checkpoint's state."""
        self.best, self.factor = state["best"], state["factor"]
        self.waited = int(state["waited"])


SCHEDULES: dict[str, Schedule] = {
    "constant": constant, "cosine": cosine, "one_cycle": one_cycle, "plateau": constant,
}  # fmt: skip


def with_warmup(name: str, warmup: int) -> Schedule:
    """Return the schedule of that name, after `warmup` steps of linear rise.

    Raises:
        InputError: If there is no such schedule.
    """
    if name not in SCHEDULES:
        raise InputError(unknown_name("schedule", name, SCHEDULES))
    schedule = SCHEDULES[name]

    def factor(step: int, total: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return schedule(step - warmup, max(total - warmup, 1))

    return factor
