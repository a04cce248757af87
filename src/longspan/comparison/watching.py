"""Watching trainings from outside: how long they take, how large they are.

A listener hears of every training inside an estimator's `fit` (`longspan.training.listening`); one
that raises `Enough` ends it.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from typing import Any

import numpy as np

from longspan.comparison.subjects import Subject
from longspan.comparison.subjects.subject import network_of
from longspan.training import listening


class Enough(Exception):  # noqa: N818 - no error, but the end of what was wanted
    """Ends a training of which enough is known."""


class StepClock:
    """Takes the time of a training and of its steps; what happens between epochs is no step.

    Attributes:
        seconds: From the first batch to the end, validations included.
        steps: Seconds of each step.

    Args:
        limit: Steps after which to raise `Enough`; 0 raises before the first.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.seconds = 0.0
        self.steps: list[float] = []

    def start(self, position: int, step: int, total_steps: int) -> None:
        """Begin."""
        del position, step, total_steps
        if self.limit == 0:
            raise Enough
        self.began = self.last = clock.perf_counter()

    def step(self, record: dict[str, float]) -> None:
        """Take the time of a step."""
        del record
        now = clock.perf_counter()
        self.steps.append(now - self.last)
        self.last = now
        if self.limit is not None and len(self.steps) >= self.limit:
            raise Enough

    def epoch(self, record: dict[str, float]) -> None:
        """Leave the time of the validation out of the next step."""
        del record
        self.last = clock.perf_counter()

    def flush(self) -> int:
        """Return 0: a clock has no position in a file."""
        return 0

    def close(self) -> None:
        """Stop."""
        self.seconds = clock.perf_counter() - self.began


def parameters(subject: Subject, options: dict[str, Any]) -> int:
    """Return the number of a network's parameters, which is built on the data but not trained."""
    model = subject.estimator(options)
    _train_some(subject, model, StepClock(0))
    return sum(p.numel() for p in network_of(model).parameters())


def step_times(subject: Subject, options: dict[str, Any], steps: int) -> np.ndarray:
    """Return the seconds of the first steps of a training, or of all if it has fewer."""
    timed = StepClock(steps)
    _train_some(subject, subject.estimator(options), timed)
    return np.array(timed.steps)


def _train_some(subject: Subject, model: Any, timed: StepClock) -> None:
    try:
        with listening(timed):
            subject.train(model, False)
    except Enough:
        pass


def interleaved(
    calls: dict[str, list[Callable[[], object]]], *, rounds: int = 40, seconds: float = 20.0
) -> dict[str, list[float]]:
    """Return the seconds that each takes, again and again in turn, so that all meet the same noise.

    Args:
        calls: What is timed, by name; of several calls each round makes the next one.
        rounds: Times at most.
        seconds: No new round begins after so long, but there are at least three.
    """
    for own in calls.values():
        own[0]()
    found: dict[str, list[float]] = {name: [] for name in calls}
    names, began = list(calls), clock.perf_counter()
    for k in range(rounds):
        if k >= 3 and clock.perf_counter() - began > seconds:
            break
        for name in names[k % len(names) :] + names[: k % len(names)]:
            before = clock.perf_counter()
            calls[name][k % len(calls[name])]()
            found[name].append(clock.perf_counter() - before)
    return found
