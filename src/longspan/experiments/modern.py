"""Today's recipe: `longspan.nn` layers, Adam, batches, backpropagation through all of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from longspan.errors import TrainingDivergedError
from longspan.experiments.experiment import Experiment
from longspan.experiments.network import Network
from longspan.experiments.problem import Problem, Recent, Sequences
from longspan.experiments.record import Record
from longspan.nn.modes import evaluating
from longspan.training import Clipping, Loss, Plan, Share, train

#: Sequences that are run at once where nothing is learnt.
AT_ONCE = 256


class Progress(NamedTuple):
    """How far a run is: sequences seen, the most there may be, and how the latest did."""

    sequences: int
    limit: int
    right: float
    error: float


Watch = Callable[[Progress], None]


def run_modern(
    name: str,
    experiment: Experiment,
    cell: str,
    seed: int,
    *,
    max_sequences: int | None = None,
    watch: Watch | None = None,
) -> Record:
    """Train a network on an experiment until its criterion is met, and test it.

    The same seed gives the same record on the same machine, but for the seconds.

    Args:
        name: Of the experiment, for the record.
        experiment: What to train on.
        cell: Key of `longspan.experiments.network.CELLS`.
        seed: Of the weights and all sequences.
        max_sequences: Training sequences after which it has failed; by default the settings'.
        watch: Told now and then how far it is.

    Raises:
        InputError: If there is no such cell.
    """
    settings = experiment.modern
    if max_sequences is not None:
        settings = replace(settings, max_sequences=max_sequences)
    experiment = replace(experiment, modern=settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(experiment.problem, cell, settings)
    course = _Course(experiment, network, seed, watch)
    plan = Plan(
        optimizer="adam", learning_rate=settings.learning_rate, schedule=settings.schedule,
        warmup_steps=settings.warmup, clipping=Clipping(norm=settings.clip), seed=seed,
    )  # fmt: skip
    diverged, began = False, time.process_time()
    try:
        train(network, course, course.loss, plan)
    except TrainingDivergedError:
        diverged = True
    seconds = time.process_time() - began
    wrong, error = test(experiment, network, seed)
    return Record(
        name, "modern", cell, seed, success=course.needed is not None,
        sequences=course.seen if course.needed is None else course.needed,
        limit=settings.max_sequences, wrong=wrong, tested=experiment.tested, error=error,
        score=None, seconds=round(seconds, 2),
        parameters=sum(p.numel() for p in network.parameters()),
        settings={**asdict(settings), "threads": torch.get_num_threads()}
        | ({"diverged": True} if diverged else {}),
    )  # fmt: skip


def test(experiment: Experiment, network: Network, seed: int) -> tuple[int, float]:
    """Return how many new sequences are processed wrongly, and the mean of their largest errors."""
    generator = np.random.default_rng((seed, 2))
    problem, wrong, errors = experiment.test or experiment.problem, 0, 0.0
    for begin in range(0, experiment.tested, AT_ONCE):
        sequences = problem.draw(generator, min(AT_ONCE, experiment.tested - begin))
        correct, found = judge(problem, network, sequences)
        wrong += int(np.count_nonzero(~correct))
        errors += float(found.sum())
    return wrong, errors / max(experiment.tested, 1)


@torch.no_grad()
def judge(
    problem: Problem, network: Network, sequences: Sequences
) -> tuple[np.ndarray, np.ndarray]:
    """Return which sequences are processed correctly, and their largest errors, (B,) each."""
    with evaluating(network):
        answers = network.answers(network(sequences))
    return problem.correct(answers, sequences), sequences.errors(answers)


class _Course:
    """Batches drawn as they are needed, until the criterion is met: a source for `train`."""

    def __init__(
        self, experiment: Experiment, network: Network, seed: int, watch: Watch | None
    ) -> None:
        self.experiment, self.network, self.watch = experiment, network, watch
        self.problem, self.criterion = experiment.problem, experiment.criterion
        self.settings = experiment.modern
        self.generator = np.random.default_rng((seed, 1))
        self.recent = Recent(self.criterion)
        self.seen, self.needed = 0, None
        self.told = self.judged = 0
        self.given: Sequences | None = None
        self.others = np.random.default_rng((seed, 3))
        if self.criterion.on == "both":
            self.given = self.problem.draw(self.generator, self.criterion.window)

    def __len__(self) -> int:
        return -(-self.settings.max_sequences // self.settings.batch_size)

    def epoch(self, epoch: int, start: int, rank: int, world_size: int) -> Iterator[Share]:
        """Yield new batches; a run is one epoch in one process, from its start."""
        del epoch, start, rank, world_size
        order, limit = np.zeros(0, np.int64), self.settings.max_sequences
        while self.needed is None and self.seen < limit:
            size = min(self.settings.batch_size, limit - self.seen)
            if self.given is None:
                yield Share(self.problem.draw(self.generator, size))
            else:
                if not len(order):
                    order = self.generator.permutation(len(self.given))
                now, order = np.split(order, [size])
                yield Share(self.given.take(now))
            self._judge()

    def loss(self, network: nn.Module, batch: Sequences, carried: Any) -> Loss:
        """Return the loss of a batch, and take note of how it was answered before it is learnt."""
        del carried
        assert isinstance(network, Network)
        outputs = network(batch)
        loss = network.loss(outputs, batch)
        answers = network.answers(outputs)
        needed = self.recent.add(self.problem.correct(answers, batch), batch.errors(answers))
        self.seen += len(batch)
        if self.criterion.on == "training":
            self.needed = needed
        return Loss(loss * len(batch), len(batch))

    def _judge(self) -> None:
        """Look at test sequences now and then, and tell who watches."""
        if self.watch is not None and self.seen - self.told >= self.settings.judge_every:
            self.told = self.seen
            right, error = self.recent.correct.mean(), self.recent.errors.mean()
            limit = self.settings.max_sequences
            self.watch(Progress(self.seen, limit, float(right), float(error)))
        on_training = self.criterion.on == "training"
        if on_training or self.seen - self.judged < self.settings.judge_every:
            return
        self.judged = self.seen
        problem = self.experiment.test or self.problem
        parts = [problem.draw(self.others, self.criterion.window)]
        if self.given is not None:
            parts.append(self.given)
        met = (self.criterion.met(*judge(self.problem, self.network, part)) for part in parts)
        self.needed = self.seen if all(met) else None
