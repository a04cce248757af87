"""The papers' own networks, learner and settings, by name of the experiment.

Hochreiter & Schmidhuber 1997, tables 10 and 11; the later papers are in `continual`. Weights change
after every step with a target, as the paper's appendix has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from longspan.errors import InputError, unknown_name
from longspan.experiments.experiment import EXPERIMENTS
from longspan.experiments.problem import Criterion, Problem, Recent, Sequences
from longspan.experiments.record import Record
from longspan.kernels.online import OnlineLearner, OnlineNetwork

#: Test sequences after training, as in the paper.
TESTED = 2560
#: Training sequences that are drawn at a time.
CHUNK = 100

Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Original:
    """How a paper trained its network.

    Attributes:
        network: Its form.
        learning_rate: Of every step.
        spread: Weights start uniform in [-spread, spread].
        limit: Training sequences after which a run has failed; ours, where the paper has none.
        biases: Where gates start instead, block by block.
        later: Whether the memory blocks are added once the error has stopped decreasing.
        deviation: What we chose because the paper does not say, or differently.
    """

    network: OnlineNetwork
    learning_rate: float
    spread: float
    limit: int
    biases: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    later: bool = False
    deviation: str = ""

    def learner(self, seed: int) -> OnlineLearner:
        """Return the network as it is before training."""
        made = OnlineLearner(self.network, np.random.default_rng((seed, 0)), self.spread)
        for gate, values in self.biases.items():
            made.set_bias(gate, values)
        return made


def _originals() -> dict[str, Original]:
    every = "Tested after every 100 training sequences."
    found = {
        "reber": Original(
            OnlineNetwork(7, 7, blocks=3, cells=2, biased=("gates",)), 0.5, 0.2, 150_000,
            {"output": (-1.0, -2.0, -3.0)},
            deviation="Ten pairs of training and test set, one a seed, in place of three. " + every,
        ),
        "2a": _lag(), "2b": _lag(),
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
                OnlineNetwork(2, 1, blocks=2, cells=2), 0.5, 0.1, 5_000_000, {"input": (-3.0, -6.0)}
            )
        if name.startswith("multiplication"):
            found[name] = Original(OnlineNetwork(2, 1, blocks=2, cells=2), 0.1, 0.1, 10_000_000)
    found["6a"] = Original(
        OnlineNetwork(8, 4, blocks=2, cells=2), 0.5, 0.1, 2_000_000, {"input": (-2.0, -4.0)}
    )
    found["6b"] = Original(
        OnlineNetwork(8, 8, blocks=3, cells=2), 0.1, 0.1, 5_000_000, {"input": (-2.0, -4.0, -6.0)}
    )
    return found


def _lag() -> Original:
    """Return the network of 2a and 2b: a cell and an input gate beside direct connections."""
    network = OnlineNetwork(
        101, 101, blocks=1, gates=("input",), recurrent=False, gate_recurrence=False,
        direct=True, biased=(), g="logistic", h="identity",
    )  # fmt: skip
    return Original(
        network, 1.0, 0.2, 500_000, later=True,
        deviation="The block is added when the mean squared error of 100 sequences is no more than "
        "1 % below that of the 100 before.",
    )  # fmt: skip


#: Those of 1997 by the experiment's name.
ORIGINALS = _originals()


def run_original(
    name: str, seed: int, *, max_sequences: int | None = None, progress: Progress | None = None
) -> Record:
    """Train a paper's network as the paper did, and test it.

    Args:
        name: A key of `ORIGINALS`.
        seed: Of weights, training and test sequences.
        max_sequences: Training sequences after which it has failed; by default as `Original` says.
        progress: Called now and then with the number of sequences and the share that was right.

    Raises:
        InputError: If there is no such experiment.
        MissingDependencyError: If Longspan was installed without a C++ compiler.
    """
    if name not in ORIGINALS:
        raise InputError(unknown_name("experiment by its paper's recipe", name, ORIGINALS))
    original, experiment = ORIGINALS[name], EXPERIMENTS[name]
    if max_sequences is not None:
        original = replace(original, limit=max_sequences)
    training = _Training(original, experiment.problem, experiment.criterion, seed)
    start = time.perf_counter()
    needed = training.run(progress)
    seconds = time.perf_counter() - start
    wrong, error = _test(training.learner, experiment.problem, np.random.default_rng((seed, 2)))
    return Record(
        experiment=name, recipe="original", cell="lstm", seed=seed, success=needed is not None,
        sequences=training.seen if needed is None else needed, limit=original.limit, wrong=wrong,
        tested=TESTED, error=error, score=None, seconds=seconds,
        parameters=original.network.parameters, settings=_settings(original),
    )  # fmt: skip


def _settings(original: Original) -> dict[str, Any]:
    network = original.network
    return {
        "blocks": network.blocks, "cells": network.cells, "gates": list(network.gates),
        "learning_rate": original.learning_rate, "spread": original.spread,
        "biases": {gate: list(values) for gate, values in original.biases.items()},
    }  # fmt: skip


class _Training:
    """One run: sequences are drawn, answered, learnt from, until the criterion is met."""

    def __init__(
        self, original: Original, problem: Problem, criterion: Criterion, seed: int
    ) -> None:
        self.original, self.problem, self.criterion = original, problem, criterion
        self.learner = original.learner(seed)
        self.generator = np.random.default_rng((seed, 1))
        self.recent = Recent(criterion)
        self.seen = 0
        self.cells = not original.later
        self.last_loss = np.inf
        self.pool: Sequences | None = None
        self.held_out: list[Sequences] = []
        others = np.random.default_rng((seed, 3))
        if criterion.on == "both":
            self.pool = problem.draw(self.generator, criterion.window)
            self.held_out = [self.pool, _unseen(problem, others, self.pool)]
        if criterion.on == "test":
            self.held_out = [problem.draw(others, criterion.window)]

    def run(self, progress: Progress | None) -> int | None:
        """Return after how many sequences the criterion was met, or None."""
        while self.seen < self.original.limit:
            count = min(CHUNK, self.original.limit - self.seen)
            needed, right = self.chunk(count)
            if needed is not None:
                return needed
            if progress and self.seen % (100 * CHUNK) == 0:
                progress(self.seen, right)
        return None

    def chunk(self, count: int) -> tuple[int | None, float]:
        """Learn from that many sequences; return what `run` does, and the share that was right."""
        given = self.draw(count)
        before = [weights.copy() for weights in self.weights]
        outputs = self.learn(given)
        correct = self.problem.correct(outputs, given)
        self.seen += count
        self.add_blocks(float(np.square(outputs - given.targets).mean()))
        if self.held_out:
            met = all(self.passes(sequences) for sequences in self.held_out)
            return self.seen if met else None, float(correct.mean())
        needed = self.recent.add(correct, given.errors(outputs))
        if needed is not None:  # as if training had stopped right there
            end = needed + self.criterion.window * self.criterion.before
            for weights, old in zip(self.weights, before, strict=True):
                weights[:] = old
            self.learn(select(given, np.arange(count - (self.seen - end))))
        return needed, float(correct.mean())

    @property
    def weights(self) -> tuple[np.ndarray, ...]:
        return self.learner.hidden, self.learner.output, self.learner.peepholes

    def draw(self, count: int) -> Sequences:
        if self.pool is None:
            return self.problem.draw(self.generator, count)
        return select(self.pool, self.generator.integers(0, len(self.pool), count))

    def learn(self, given: Sequences) -> np.ndarray:
        return self.learner.run(*flat(given), self.original.learning_rate, cells=self.cells).outputs

    def add_blocks(self, loss: float) -> None:
        if not self.cells and loss > 0.99 * self.last_loss:
            self.cells = True
        self.last_loss = loss

    def passes(self, sequences: Sequences) -> bool:
        outputs = self.learner.run(*flat(sequences)).outputs
        correct = self.problem.correct(outputs, sequences)
        return self.criterion.met(correct, sequences.errors(outputs))


def flat(given: Sequences) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return sequences joined, as `OnlineLearner.run` wants them."""
    steps = given.steps
    return given.inputs[steps], given.lengths, given.mask[steps], given.targets


def select(given: Sequences, which: np.ndarray) -> Sequences:
    """Return some of the sequences, by their numbers, in that order."""
    counts = given.mask.sum(1)
    ends = np.cumsum(counts)
    rows = [np.arange(ends[k] - counts[k], ends[k]) for k in which]
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
