"""What a fitted model of any task hands over to be looked into.

Each task has a small file ``inspection.py`` whose `subject` says what a row, its focus (the step
whose outputs matter), its loss and the names of its steps are. What is computed from that is in
`longspan.insight`, which knows no task. Shapes: T steps, B rows, I inputs, K outputs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from longspan.errors import InputError

#: Where each estimator's `subject` is; loaded when it is used.
SUBJECTS: dict[str, str] = {
    "Forecaster": "longspan.tasks.forecast.inspection",
    "LanguageModel": "longspan.tasks.language.inspection",
    "Tagger": "longspan.tasks.tag.inspection",
    "Classifier": "longspan.tasks.classify.inspection",
    "Translator": "longspan.tasks.translate.inspection",
}
#: What a token of each kind is called.
WORDS = {"characters": "character", "words": "word", "subwords": "subword"}
#: Operations that the losses with shortened contexts may cost, and rows they are taken over at
#: most.
BUDGET, MOST_ROWS = 2e11, 512
#: Operations that one pass over the rows whose derivatives are computed may cost; and so many rows
#: there are in any case.
PASS, FEWEST_ROWS = 3e10, 4


@dataclass(frozen=True)
class Look:
    """How much of the data is looked at.

    Attributes:
        rows: Rows whose derivatives are computed, at most.
        steps: Steps of a row at most; the last ones are kept.
        seed: Of the choice of rows.
        sequence: Number of the sequence that is shown, counted from 0; None takes one of the rows.
    """

    rows: int = 32
    steps: int = 256
    seed: int = 0
    sequence: int | None = None

    def among(self, kept: np.ndarray, count: int, what: str, without: str) -> Look:
        """Return the look at the sequences that are kept, where `sequence` counts all given ones.

        Args:
            kept: Numbers of the sequences that are kept, rising.
            count: How many were given.
            what: Word for a sequence, for messages.
            without: What a sequence has or lacks that is not kept, for messages.

        Raises:
            InputError: If the wanted sequence was not given, or is not kept.
        """
        if self.sequence is None:
            return self
        self._check_number(count, what)
        place = int(np.searchsorted(kept, self.sequence))
        if place == len(kept) or kept[place] != self.sequence:
            raise InputError(
                f"Sequence {self.sequence} (counted from 0) has {without}. Choose another."
            )
        return replace(self, sequence=place)

    def choose(self, count: int, network: nn.Module, steps: int, what: str) -> np.ndarray:
        """Return numbers of rows, the shown one first, the first `few` for derivatives.

        There are as many more, for the losses with shortened contexts, as `BUDGET` allows.

        Args:
            count: How many there are.
            network: Whose parameters say what a step costs.
            steps: Steps of a row.
            what: Word for a row, for messages.

        Raises:
            InputError: If there is none, or no sequence of the wanted number.
        """
        if count < 1:
            raise InputError(f"There is no {what} to look at. Give data with at least one.")
        self._check_number(count, what)
        more = int(np.clip(BUDGET / (2.0 * cost_of(network, steps)), self.rows, MOST_ROWS))
        drawn = np.random.default_rng(self.seed).permutation(count)
        if self.sequence is not None:
            drawn = np.concatenate([[self.sequence], drawn[drawn != self.sequence]])
        return drawn[:more]

    def few(self, count: int, network: nn.Module, steps: int) -> Tensor:
        """Return the numbers of the rows whose derivatives are computed, of `count` chosen ones.

        There are fewer than `rows` where these would cost more than `PASS`.
        """
        affordable = max(int(PASS / cost_of(network, steps)), FEWEST_ROWS)
        return torch.arange(min(self.rows, count, affordable))

    def _check_number(self, count: int, what: str) -> None:
        if self.sequence is not None and not 0 <= self.sequence < count:
            raise InputError(
                f"`sequence` must lie between 0 and {count - 1}, as there are {count} of them "
                f"({what}), got {self.sequence}."
            )


@dataclass(frozen=True)
class Explained:
    """A number for each row, as a function of inputs that have names.

    Attributes:
        run: From inputs (T, B, C) to numbers (B,).
        inputs: The rows' own, (T, B, C).
        what: What the number is, in words.
        at: The step that lags are counted from, of each row, (B,).
        lengths: Steps of each row, (B,).
        names: Names of the shown row's steps.
        baseline: Inputs that stand for nothing known, (T, B, C); None for zeros.
    """

    run: Callable[[Tensor], Tensor]
    inputs: Tensor
    what: str
    at: Tensor
    lengths: Tensor
    names: Sequence[str]
    baseline: Tensor | None = None


@dataclass(frozen=True)
class Subject:
    """A model with rows of data, ready to be looked into.

    Attributes:
        title: What is looked into.
        network: Its recurrent layers are watched; in evaluation mode.
        reader: The recurrent layer whose inputs are the rows' steps: memory is measured in them.
        batch: The rows whose derivatives are computed; the first is the one that is shown.
        more: Rows whose losses are computed with shortened contexts; the same and more.
        losses: From a batch to each row's loss at its focus, (B,), with a graph.
        outputs: From a batch to what matters at the focus, (B, K), with a graph.
        rows: From a batch and numbers of rows (B',) to these rows.
        cut: From a batch and k to the batch in which each row sees k steps of context at most.
        focus: Step of each row whose outputs matter, (B,).
        lengths: Steps of each row, (B,).
        names: Names of each row's steps.
        step: Word for a step.
        unit: Of the losses.
        outputs_are: What the outputs are, in words.
        explained: What attributions are computed of.
        channels: Names of the channels that are explained; none where inputs are embeddings.
        kind: ``"text"`` where steps are pieces of text, else ``"series"``.
        before: From a batch to the rows up to their focus, where steps after it matter too.
        after: From a batch to the rows from their focus on, likewise.
        longest: Steps of context that there are at most.
        whole: Whether rows are whole sequences, so that there is nothing before them.
        series: Numbers, one array a series, whose autocorrelation tells how far back something
            might be found.
        max_lag: Longest lag of them that the recurrent layer is there for; None for any.
        bptt_length: Steps of truncated backpropagation in training, if it was truncated.
        answers: What the model says at each row's focus, and what is right, in words.
        facts: What was looked at, in words.
        notes: What does not apply, and why.
    """

    title: str
    network: nn.Module
    reader: nn.Module
    batch: Any
    more: Any
    losses: Callable[[Any], Tensor]
    outputs: Callable[[Any], Tensor]
    rows: Callable[[Any, Tensor], Any]
    cut: Callable[[Any, int], Any]
    focus: Tensor
    lengths: Tensor
    names: Sequence[Sequence[str]]
    step: str
    unit: str
    outputs_are: str
    explained: Sequence[Explained]
    channels: Sequence[str] = ()
    kind: str = "series"
    before: Callable[[Any], Any] | None = None
    after: Callable[[Any], Any] | None = None
    longest: int = 1
    whole: bool = False
    series: Sequence[np.ndarray] = ()
    max_lag: int | None = None
    bptt_length: int | None = None
    answers: Sequence[str] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @torch.no_grad()
    def inputs(self) -> Tensor:
        """Return what the reader reads, (T, B, I)."""
        return seen_input(self.reader, lambda: self.outputs(self.batch))

    def run(self, x: Tensor) -> Tensor:
        """Return the outputs at the focus, (B, K), where the reader reads `x` in place of its own.

        Args:
            x: (T, B, I), or (T, n·B, I) for all rows n times, one after the other.
        """
        numbers = torch.arange(x.shape[1]) % len(self.focus)
        batch = self.batch if x.shape[1] == len(self.focus) else self.rows(self.batch, numbers)
        with reading(self.reader, x):
            return self.outputs(batch)


def cost_of(network: nn.Module, steps: int) -> float:
    """Return about how many operations a network takes for a row of so many steps."""
    return 2.0 * sum(p.numel() for p in network.parameters()) * max(steps, 1)


def subject_of(model: Any, data: Any, look: Look, **reading: Any) -> Subject:
    """Return what a fitted estimator hands over.

    Args:
        model: The estimator.
        data: As its `evaluate` takes it; None where it remembers enough of its own.
        look: How much of it.
        reading: How files are read, as for `evaluate`.

    Raises:
        InputError: If such a model cannot be looked into, or the data cannot be used.
    """
    names = [kind.__name__ for kind in type(model).__mro__]
    place = next((SUBJECTS[name] for name in names if name in SUBJECTS), None)
    if place is None:
        raise InputError(
            f"A {type(model).__name__} cannot be inspected; what can be: {', '.join(SUBJECTS)}. "
            "For any network of longspan.nn layers there is longspan.insight.inspect_module."
        )
    model._check_fitted()
    return importlib.import_module(place).subject(model, data, look, **reading)


def needs_data(data: Any, what: str) -> None:
    """Refuse to go on without data.

    Raises:
        InputError: If there are none.
    """
    if data is None:
        raise InputError(f"This model keeps no data. Give {what} to look at.")


def seen_input(layer: nn.Module, call: Callable[[], Any]) -> Tensor:
    """Return what a recurrent layer read in a call, (T, B, I).

    Raises:
        InputError: If it was not called.
    """
    found: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, args: found.append(args[0]))
    try:
        call()
    finally:
        handle.remove()
    if not found:
        raise InputError("The recurrent layer was not called. Give data with at least one step.")
    return _time_first(layer, found[0]).detach()


@contextmanager
def reading(layer: nn.Module, x: Tensor) -> Iterator[None]:
    """Let a recurrent layer read `x`, (T, B, I), in place of what it is called with first."""
    left = [_time_first(layer, x)]
    # Where it runs again, over its own outputs say, these come from `x` already.
    handle = layer.register_forward_pre_hook(
        lambda _, args: (left.pop(), *args[1:]) if left else None
    )
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def answering(module: nn.Module, x: Tensor) -> Iterator[None]:
    """Let a module return `x` in place of what it computes."""
    handle = module.register_forward_hook(lambda *_: x)
    try:
        yield
    finally:
        handle.remove()


def last_steps(x: Tensor, lengths: Tensor, keep: Tensor) -> Tensor:
    """Return the last steps of each row, from the first step on, with zeros at padding.

    >>> last_steps(torch.tensor([[1, 4], [2, 5], [3, 0]]), torch.tensor([3, 2]),
    ...            torch.tensor([2, 1])).tolist()
    [[2, 5], [3, 0]]

    Args:
        x: (T, B, …).
        lengths: Valid steps of each row, (B,).
        keep: How many of them, (B,).
    """
    return window(x, lengths - keep, keep)


def window(x: Tensor, begin: Tensor, keep: Tensor) -> Tensor:
    """Return `keep` steps of each row from `begin` on, (max keep, B, …), zeros at padding."""
    steps = torch.arange(int(keep.max()) if len(keep) else 0)[:, None]
    inside = steps < keep
    rows = torch.arange(x.shape[1]).expand_as(inside)
    found = x[torch.where(inside, begin + steps, 0), rows]
    return torch.where(
        inside.view(*inside.shape, *[1] * (x.ndim - 2)), found, torch.zeros_like(found)
    )


def centred(scores: Tensor) -> Tensor:
    """Return scores above their mean over the classes: softmax does not see a common constant."""
    return scores - scores.mean(-1, keepdim=True)


def _time_first(layer: nn.Module, x: Tensor) -> Tensor:
    """Return (B, T, I) as (T, B, I) and back, where the layer has its batch first."""
    return x.transpose(0, 1) if layer.batch_first else x
