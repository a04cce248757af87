"""What a problem is: sequences drawn from a generator, and when one was processed correctly.

Plain arrays, so that any learner can be put to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from longspan.errors import InputError

#: What the outputs of today's networks mean: numbers (squared error), one class of several
#: (cross-entropy of a softmax), or several that may be on at once (binary cross-entropy).
Kind = Literal["numbers", "classes", "switches"]


@dataclass(frozen=True)
class Sequences:
    """B sequences side by side, padded behind their ends, with N targets in all.

    Attributes:
        inputs: (B, T, I) float32; or, where an input is one of I symbols, their numbers, int64
            (B, T). What is behind a sequence's end is 0 and means nothing.
        lengths: Steps of each sequence, int64 (B,).
        mask: Steps that have a target, bool (B, T).
        targets: Of these steps, sequence by sequence and in order of time, float32 (N, P).
        truth: What the criterion compares the outputs with, float32 (N, P): the targets, unless
            these are noisy, or one of several that would have been right.
    """

    inputs: np.ndarray
    lengths: np.ndarray
    mask: np.ndarray
    targets: np.ndarray
    truth: np.ndarray = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.truth is None:
            object.__setattr__(self, "truth", self.targets)

    def __len__(self) -> int:
        """Return the number of sequences, B."""
        return len(self.lengths)

    @property
    def steps(self) -> np.ndarray:
        """Steps that are no padding, bool (B, T): ``inputs[steps]`` joins all sequences."""
        return np.arange(self.mask.shape[1]) < self.lengths[:, None]

    def take(self, numbers: np.ndarray) -> Sequences:
        """Return some of the sequences, by their numbers, int64 (n,)."""
        counts = self.mask.sum(1)
        first = np.cumsum(counts) - counts
        rows = [np.arange(first[k], first[k] + counts[k]) for k in numbers]
        found = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        return Sequences(
            self.inputs[numbers], self.lengths[numbers], self.mask[numbers],
            self.targets[found], self.truth[found],
        )  # fmt: skip

    def dense(self, input_size: int) -> np.ndarray:
        """Return the inputs as float32 (B, T, I), symbols as vectors with a single one."""
        if self.inputs.ndim == 3:
            return self.inputs
        found = np.zeros((*self.inputs.shape, input_size), np.float32)
        np.put_along_axis(found, self.inputs[..., None], 1.0, -1)
        return found * self.steps[..., None]

    def largest(self, values: np.ndarray) -> np.ndarray:
        """Return the largest of each sequence's values, (B,), given one a target, (N,).

        >>> one = np.ones((3, 1), np.float32)
        >>> mask = np.array([[True, True], [False, True]])
        >>> made = Sequences(np.zeros((2, 2, 1)), np.array([2, 2]), mask, one)
        >>> made.largest(np.array([0.1, 0.3, 0.2]))
        array([0.3, 0.2])
        """
        counts = self.mask.sum(1)
        if not len(counts):
            return np.zeros(0, values.dtype)
        return np.maximum.reduceat(values, np.cumsum(counts) - counts)

    def errors(self, outputs: np.ndarray) -> np.ndarray:
        """Return the largest |output - truth| of each sequence, (B,), given outputs (N, P)."""
        return self.largest(np.abs(outputs - self.truth).max(1))


class Sizes(Protocol):
    """What a network must know of a problem."""

    @property
    def input_size(self) -> int:
        """Inputs a step, I, or the number of symbols."""
        ...

    @property
    def output_size(self) -> int:
        """Outputs, P."""
        ...

    @property
    def kind(self) -> Kind:
        """What the outputs mean."""
        ...


class Problem(Sizes, Protocol):
    """A source of sequences, and the rule by which an answer to one is right."""

    @property
    def chance(self) -> float:
        """Share of sequences that the best answer without a memory gets right, at most."""
        ...

    def draw(self, generator: np.random.Generator, count: int) -> Sequences:
        """Return `count` new sequences; the same generator state gives the same ones."""
        ...

    def correct(self, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
        """Return which sequences were processed correctly by the paper's rule, bool (B,).

        Args:
            outputs: At the steps with a target, (N, P), on the targets' scale: probabilities
                where they are zeros and ones.
            sequences: What was asked.
        """
        ...


@dataclass(frozen=True)
class Criterion:
    """When training stops with success.

    Attributes:
        window: Sequences that are looked at.
        wrong: How many of them may be wrong.
        mean_error: What the mean of their largest absolute errors must be below, or None.
        on: ``"training"``: the most recent ones, before each was learnt from; ``"test"``: as many
            others, drawn anew for each look; ``"both"``: these, and a training set of the same
            size, which is all that is learnt from.
        before: The sequences needed are those before the window, in place of all to its end.
    """

    window: int
    wrong: int = 0
    mean_error: float | None = None
    on: Literal["training", "test", "both"] = "training"
    before: bool = False

    def met(self, correct: np.ndarray, errors: np.ndarray) -> bool:
        """Return whether these sequences, all that are looked at, are good enough."""
        if len(correct) < self.window or np.count_nonzero(~correct) > self.wrong:
            return False
        return self.mean_error is None or float(errors.mean()) < self.mean_error


class Recent:
    """The most recent sequences, and whether a criterion on them is met.

    >>> recent = Recent(Criterion(window=3))
    >>> recent.add(np.array([True, False, True]), np.zeros(3)) is None
    True
    >>> recent.add(np.array([True, True, True]), np.zeros(3))  # sequence 5 of all made it three
    5
    """

    def __init__(self, criterion: Criterion) -> None:
        self.criterion, self.seen = criterion, 0
        self.correct, self.errors = np.zeros(0, bool), np.zeros(0)

    def add(self, correct: np.ndarray, errors: np.ndarray) -> int | None:
        """Add sequences in their order.

        Returns:
            How many sequences were needed if the criterion was met among these, or None.
        """
        window = self.criterion.window
        all_correct = np.concatenate([self.correct, correct])
        all_errors = np.concatenate([self.errors, errors])
        wrong = np.concatenate([[0], np.cumsum(~all_correct)])
        sums = np.concatenate([[0.0], np.cumsum(all_errors)])
        ends = np.arange(max(window, len(self.correct) + 1), len(all_correct) + 1)
        good = wrong[ends] - wrong[ends - window] <= self.criterion.wrong
        if self.criterion.mean_error is not None:
            good &= (sums[ends] - sums[ends - window]) / window < self.criterion.mean_error
        before = self.seen - len(self.correct)
        self.seen += len(correct)
        self.correct, self.errors = all_correct[-window:], all_errors[-window:]
        if not good.any():
            return None
        return before + int(ends[good.argmax()]) - (window if self.criterion.before else 0)


def within(limit: float, outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
    """Return which sequences have all outputs less than `limit` away from the truth, (B,)."""
    return sequences.errors(outputs) < limit


def most_active(outputs: np.ndarray, sequences: Sequences) -> np.ndarray:
    """Return which sequences have the outputs that may be right always above all others, (B,).

    The truth has ones where the symbol is a possible one.
    """
    possible = sequences.truth > 0.5
    lowest = np.where(possible, outputs, np.inf).min(1)
    highest = np.where(possible, -np.inf, outputs).max(1)
    return ~sequences.largest(~(lowest > highest))


def at_end(lengths: np.ndarray, steps: int) -> np.ndarray:
    """Return the mask of a single target at each sequence's last step, bool (B, steps)."""
    return np.arange(steps) == lengths[:, None] - 1


def one_hot(numbers: np.ndarray, size: int) -> np.ndarray:
    """Return vectors with a single one, float32 (…, size)."""
    return np.eye(size, dtype=np.float32)[numbers]


def at_least(name: str, value: int, least: int) -> None:
    """Check a size.

    Raises:
        InputError: If it is too small.
    """
    if value < least:
        raise InputError(f"`{name}` must be at least {least}, got {value}.")
