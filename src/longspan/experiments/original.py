"""The papers' own networks, learner and settings, by name of the experiment.

Hochreiter & Schmidhuber 1997, tables 10 and 11; the later papers are in `continual`. Weights change
after every step with a target, as the paper's appendix has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from longspan.errors import InputError, unknown_name
from longspan.experiments.experiment import EXPERIMENTS, Experiment
from longspan.experiments.problem import Criterion, Problem, Recent, Sequences
from longspan.experiments.problems import NoisyLag
from longspan.experiments.record import Record
from longspan.kernels.online import OnlineLearner, OnlineNetwork

#: Test sequences after training, as in the paper.
TESTED = 2560
#: Training sequences that are drawn at a time; criteria on test sequences are looked at after each.
CHUNK = 100
#: Test sequences that are run at a time.
AT_ONCE = 64


@dataclass(frozen=True)
class Recipe:
    """A paper's network, how it starts, and how fast it learns.

    Attributes:
        network: Its form.
        learning_rate: Of every step.
        spread: Weights start uniform in [-spread, spread].
        limit: Training sequences, or streams, after which a run has failed; ours, where the paper
            has none.
        biases: Where gates start instead, block by block.
        deviation: What we chose because the paper does not say, or differently.
    """

    network: OnlineNetwork
    learning_rate: float
    spread: float
    limit: int
    biases: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    deviation: str = field(default="", kw_only=True)

    def learner(self, seed: int) -> OnlineLearner:
        """Return the network as it is before training."""
        made = OnlineLearner(self.network, np.random.default_rng((seed, 0)), self.spread)
        for gate, values in self.biases.items():
            made.set_bias(gate, values)
        return made

    def settings(self) -> dict[str, Any]:
        """Return what a run's record says of it."""
        return {
            "blocks": self.network.blocks, "cells": self.network.cells,
            "gates": list(self.network.gates), "learning_rate": self.learning_rate,
            "spread": self.spread,
            "biases": {gate: list(values) for gate, values in self.biases.items()},
        }  # fmt: skip


@dataclass(frozen=True)
class Original(Recipe):
    """How a paper trained its network on sequences.

    Attributes:
        later: Whether the memory blocks are added once the error has stopped decreasing.
        problem: In place of the experiment's.
        criterion: In place of the experiment's.
    """

    later: bool = False
    problem: Problem | None = None
    criterion: Criterion | None = None


def _originals() -> dict[str, Original]:
    every = "Tested after every 100 training sequences."
    found = {
        "reber": Original(
            OnlineNetwork(7, 7, blocks=3, cells=2, biased=("gates",)), 0.5, 0.2, 150_000,
            {"output": (-1.0, -2.0, -3.0)},
            deviation="Ten pairs of training and test set, one a seed, in place of three. " + every,
        ),
        "2a": _lag(None), "2b": _lag(NoisyLag(100, every_step=True)),
    }  # fmt: skip
    for name, experiment in EXPERIMENTS.items():
        published = experiment.published.sequences or 0
        if name.startswith("2c"):
            inputs = experiment.problem.input_size
            network = OnlineNetwork(inputs, 2, blocks=2, biased=())
            found[name] = Original(network, 0.01, 0.2, 10 * published)
        if name.startswith("3"):
            found[name] = Original(
                OnlineNetwork(1, 1, blocks=3, biased=("cells", "gates")),
                0.1 if name.startswith("3c") else 1.0, 0.1, 10 * published,
                {"input": (-1.0, -3.0, -5.0), "output": (-2.0, -4.0, -6.0)}, deviation=every,
            )  # fmt: skip
        if name.startswith("adding"):
            found[name] = Original(
                OnlineNetwork(2, 1, blocks=2, cells=2),
                0.5,
                0.1,
                2_020_000 if name == "adding-1000" else 5_000_000,
                {"input": (-3.0, -6.0)},
            )
        if name.startswith("multiplication"):
            found[name] = Original(OnlineNetwork(2, 1, blocks=2, cells=2), 0.1, 0.1, 10_000_000)
    found["6a"] = Original(
        OnlineNetwork(8, 4, blocks=2, cells=2), 0.5, 0.1, 2_000_000, {"input": (-2.0, -4.0)}
    )
    found["6b"] = Original(
        OnlineNetwork(8, 8, blocks=3, cells=2), 0.1, 0.1, 2_000_000, {"input": (-2.0, -4.0, -6.0)}
    )
    return found


AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)

#: The paper's for 2a to 2c: after training, 10,000 successive sequences are right.
_LAG = Criterion(10_000, on="test")


def _lag(problem: Problem | None) -> Original:
    """Return the network of 2a and 2b: a cell and an input gate beside direct connections."""
    network = OnlineNetwork(
        101, 101, blocks=1, gates=("input",), recurrent=False, gate_recurrence=False,
        direct=True, biased=(), g="logistic", h="identity",
    )  # fmt: skip
    return Original(
        network, 1.0, 0.2, 500_000, later=True, problem=problem, criterion=_LAG,
        deviation="The block is added when the mean squared error of 100 sequences is no more than "
        "1 % below that of the 100 before. Tested after every 100 training sequences.",
    )  # fmt: skip


#: Those of 1997 by the experiment's name.
ORIGINALS = _originals()


def run_original(
    name: str,
    experiment: Experiment,
    cell: str,
    seed: int,
    *,
    max_sequences: int | None = None,
    watch: Callable[..., None] | None = None,
) -> Record:
    """Train a paper's network as the paper did, and test it.

    The same seed gives the same record on every machine, but for the seconds, which are the
    processor's.

    Args:
        name: A key of `ORIGINALS`.
        experiment: What to train on.
        cell: ``"lstm"``.
        seed: Of weights, training and test sequences.
        max_sequences: Training sequences after which it has failed; by default as `Original` says.
        watch: Told now and then how far it is.

    Raises:
        InputError: If there is no such recipe, or the cell is another.
        MissingDependencyError: If Longspan was installed without a C++ compiler.
    """
    what = "experiment by its paper's recipe"
    original = asked_for(ORIGINALS, what, name, cell, max_sequences)
    problem = original.problem or experiment.problem
    training = Training(original, problem, original.criterion or experiment.criterion, seed)
    start = time.process_time()
    needed = training.run(watch)
    seconds = time.process_time() - start
    wrong, error = _test(training.learner, problem, np.random.default_rng((seed, 2)))
    return Record(
        experiment=name, recipe="original", cell=cell, seed=seed, success=needed is not None,
        sequences=training.seen if needed is None else needed, limit=original.limit, wrong=wrong,
        tested=TESTED, error=error, score=None, seconds=seconds,
        parameters=original.network.parameters, settings=original.settings(),
    )  # fmt: skip


def asked_for(
    recipes: Mapping[str, AnyRecipe], what: str, name: str, cell: str, max_sequences: int | None
) -> AnyRecipe:
    """Return the recipe of a run.

    Args:
        recipes: By the experiment's name.
        what: Word for an experiment that is there, for messages.
        name: The experiment's.
        cell: ``"lstm"``.
        max_sequences: In place of the recipe's limit.

    Raises:
        InputError: If there is no such recipe, or the cell is another.
    """
    if name not in recipes:
        raise InputError(unknown_name(what, name, recipes))
    if cell != "lstm":
        raise InputError(f"The papers' recipe is one for 'lstm', got {cell!r}.")
    found = recipes[name]
    return found if max_sequences is None else replace(found, limit=max_sequences)


class Training:
    """One run: sequences are drawn, answered, learnt from, until the criterion is met."""

    def __init__(
        self, original: Original, problem: Problem, criterion: Criterion, seed: int
    ) -> None:
        self.original, self.problem, self.criterion = original, problem, criterion
        self.learner = original.learner(seed)
        self.generator, self.others = (np.random.default_rng((seed, k)) for k in (1, 3))
        self.recent, self.seen = Recent(criterion), 0
        self.cells, self.last_loss = not original.later, np.inf
        self.sets: list[Sequences] = []
        if criterion.on == "both":
            training = problem.draw(self.generator, criterion.window)
            self.sets = [training, _unseen(problem, self.others, training)]

    def run(self, watch: Callable[..., None] | None) -> int | None:
        """Return after how many sequences the criterion was met, or None."""
        while self.seen < self.original.limit:
            given = self.draw(min(CHUNK, self.original.limit - self.seen))
            needed, right, error = self.chunk(given)
            if needed is not None:
                return needed
            if watch and self.seen % (100 * CHUNK) == 0:
                tell(watch, self.seen, self.original.limit, right, error)
        return None

    def chunk(self, given: Sequences) -> tuple[int | None, float, float]:
        """Learn; return what `run` does, the share that was right, and the mean error."""
        before = [weights.copy() for weights in self.weights]
        outputs = self.learn(given)
        correct, errors = self.problem.correct(outputs, given), given.errors(outputs)
        self.seen += len(given)
        self.add_blocks(float(np.square(outputs - given.targets).mean()))
        if self.criterion.on != "training":
            needed = self.seen if self.passes() else None
        else:
            needed = self.recent.add(correct, errors)
            if needed is not None:  # as if training had stopped right there
                extra = self.seen - needed - self.criterion.window * self.criterion.before
                for weights, old in zip(self.weights, before, strict=True):
                    weights[:] = old
                self.learn(select(given, np.arange(len(given) - extra)))
        return needed, float(correct.mean()), float(errors.mean())

    @property
    def weights(self) -> tuple[np.ndarray, ...]:
        """All weights, to be read and written."""
        return self.learner.hidden, self.learner.output, self.learner.peepholes

    def draw(self, count: int) -> Sequences:
        """Return that many training sequences."""
        if not self.sets:
            return self.problem.draw(self.generator, count)
        return select(self.sets[0], self.generator.integers(0, len(self.sets[0]), count))

    def learn(self, given: Sequences) -> np.ndarray:
        """Learn from sequences, and return the outputs, each before it was learnt from."""
        rate = self.original.learning_rate
        return self.learner.run(*flat(given), rate, cells=self.cells).outputs

    def add_blocks(self, loss: float) -> None:
        """Add the memory blocks once the loss has stopped decreasing."""
        self.cells |= loss > 0.99 * self.last_loss
        self.last_loss = loss

    def passes(self) -> bool:
        """Return whether a new test set, or those that there are, is answered well enough."""
        if self.sets:
            return all(self.enough(_parts(sequences)) for sequences in self.sets)
        sizes = _sizes(self.criterion.window)
        return self.enough(self.problem.draw(self.others, size) for size in sizes)

    def enough(self, parts: Iterable[Sequences]) -> bool:
        """Return whether these sequences are answered well enough."""
        correct, errors = np.zeros(0, bool), np.zeros(0)
        for part in parts:
            outputs = self.learner.run(*flat(part), cells=self.cells).outputs
            correct = np.append(correct, self.problem.correct(outputs, part))
            errors = np.append(errors, part.errors(outputs))
            if np.count_nonzero(~correct) > self.criterion.wrong:
                return False  # the others need not be run
        return self.criterion.met(correct, errors)


def tell(watch: Callable[..., None], seen: int, limit: int, right: float, error: float) -> None:
    """Tell how far a run is."""
    from longspan.experiments.modern import Progress  # which needs torch; this file does not

    watch(Progress(seen, limit, right, error))


def _sizes(count: int) -> list[int]:
    """Return how many sequences to run at a time."""
    return [min(AT_ONCE, count - start) for start in range(0, count, AT_ONCE)]


def _parts(given: Sequences) -> Iterator[Sequences]:
    for start in range(0, len(given), AT_ONCE):
        yield select(given, np.arange(start, min(start + AT_ONCE, len(given))))


def flat(given: Sequences) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return sequences joined, as `OnlineLearner.run` wants them."""
    steps = given.steps
    return given.inputs[steps], given.lengths, given.mask[steps], given.targets


def select(given: Sequences, which: np.ndarray) -> Sequences:
    """Return some of the sequences, by their numbers, in that order."""
    counts = given.mask.sum(1)
    ends = np.cumsum(counts)
    rows = [np.arange(int(ends[k] - counts[k]), int(ends[k])) for k in which]
    places = np.concatenate([np.zeros(0, np.int64), *rows])
    return Sequences(
        given.inputs[which], given.lengths[which], given.mask[which], given.targets[places],
        given.truth[places],
    )  # fmt: skip


def _unseen(problem: Problem, generator: np.random.Generator, seen: Sequences) -> Sequences:
    """Return as many sequences that are not among those seen."""

    def keys(sequences: Sequences) -> list[bytes]:
        return [
            row[:length].tobytes()
            for row, length in zip(sequences.inputs, sequences.lengths, strict=True)
        ]

    known, drawn = set(keys(seen)), problem.draw(generator, 20 * len(seen))
    new = [place for place, key in enumerate(keys(drawn)) if key not in known]
    return select(drawn, np.array(new[: len(seen)]))


def _test(
    learner: OnlineLearner, problem: Problem, generator: np.random.Generator
) -> tuple[int, float]:
    """Return how many of `TESTED` new sequences are wrong, and the mean of their largest errors."""
    wrong, error = 0, 0.0
    for _ in range(TESTED // 256):
        sequences = problem.draw(generator, 256)
        outputs = learner.run(*flat(sequences)).outputs
        wrong += int(np.count_nonzero(~problem.correct(outputs, sequences)))
        error += float(sequences.errors(outputs).sum())
    return wrong, error / TESTED
