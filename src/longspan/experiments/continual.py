"""The later papers' networks, which learn from streams without marked ends.

Gers, Schmidhuber & Cummins 2000 (forget gates) and Gers, Schraudolph & Schmidhuber 2002
(peepholes). A training stream ends with the first step at which an output is too far from its
target, or when it is long enough; then the network is tested on streams of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from longspan.errors import InputError
from longspan.experiments.experiment import EXPERIMENTS, Experiment
from longspan.experiments.original import Recipe, asked_for, tell
from longspan.experiments.problem import Problem, one_hot
from longspan.experiments.problems import EmbeddedReber, GenerateSpikes, MeasureSpikes, Periodic
from longspan.experiments.problems.reber import SYMBOLS
from longspan.experiments.record import Record
from longspan.kernels.online import GATES, OnlineLearner, OnlineNetwork

#: Steps of a first piece of a stream; each further piece is ten times as long.
FIRST = 200
#: Strings of a tape of the embedded Reber grammar: about a million symbols.
STRINGS = 85_000
#: Spikes or periods of a tape.
EVENTS = 5000


@dataclass(frozen=True)
class Continual(Recipe):
    """How a paper trained its network on streams.

    Attributes:
        momentum: See `OnlineLearner.run`.
        tolerance: A stream ends where an output is that far from its target.
        longest: Steps of the longest training stream.
        tests: Test streams; all must be right to their ends.
        tested_steps: Steps of each.
    """

    momentum: float = 0.0
    tolerance: float = 0.49
    longest: int = field(kw_only=True)
    tests: int = field(kw_only=True)
    tested_steps: int = field(kw_only=True)

    def settings(self) -> dict[str, Any]:
        """Return what a run's record says of it."""
        return super().settings() | {"momentum": self.momentum}


class Tape(NamedTuple):
    """An endless stream, as a loop: streams are read from one of the starts on.

    Attributes:
        inputs: (N, I), or symbols (N,).
        mask: Steps with a target, (N,).
        targets: Of these, (N', P).
        starts: Steps at which a stream may begin.
    """

    inputs: np.ndarray
    mask: np.ndarray
    targets: np.ndarray
    starts: np.ndarray


def _continual() -> dict[str, Continual]:
    blockwise = (0.5, 1.0, 1.5, 2.0)
    closed = tuple(-value for value in blockwise)
    tape = "Streams begin at random places of a loop of {}; those of the tests have another."
    found = {
        "continual-reber": Continual(
            OnlineNetwork(
                7, 7, blocks=4, cells=2, gates=GATES, gate_recurrence=False, direct=True,
                biased=("gates", "outputs"),
            ),
            0.5, 0.2, 30_000, {"input": closed, "forget": blockwise, "output": closed},
            longest=1_000_000, tests=10, tested_steps=1_000_000,
            deviation="The targets are all symbols that may follow. "
            + tape.format(f"{STRINGS:,} strings"),
        )
    }  # fmt: skip
    for name, experiment in EXPERIMENTS.items():
        problem = experiment.problem
        if isinstance(problem, MeasureSpikes | GenerateSpikes | Periodic):
            found[name] = _timing(problem, tape.format(f"{EVENTS:,} spikes or periods"))
    return found


def _timing(problem: MeasureSpikes | GenerateSpikes | Periodic, deviation: str) -> Continual:
    """Return the network of 17 weights, with the momentum of the problem."""
    periodic = isinstance(problem, Periodic)
    network = OnlineNetwork(
        1, 1, blocks=1, gates=GATES, peephole=True, gate_recurrence=False, g="identity",
        h="identity", f="identity" if periodic else "logistic",
    )  # fmt: skip
    momentum = 0.99 if periodic else 0.999 if isinstance(problem, GenerateSpikes) else 0.9999
    apart = problem.period if periodic else problem.F + (problem.offsets - 1) / 2
    return Continual(
        network, 1e-5, 0.1, 2_000_000, {"input": (0.0,), "forget": (-2.0,), "output": (2.0,)},
        longest=round(100 * apart), tests=1, tested_steps=round(1000 * apart),
        momentum=momentum, tolerance=0.3 if periodic else 0.49,
        deviation=deviation + " A fifth of the paper's 10⁷ training streams, or less.",
    )  # fmt: skip


def tape_of(problem: Problem, generator: np.random.Generator) -> Tape:
    """Return a loop of a problem's events, one after the other.

    Raises:
        InputError: If there is none for such a problem.
    """
    if isinstance(problem, Periodic):
        given = replace(problem, periods=EVENTS).draw(generator, 1)
        starts = np.arange(0, given.mask.shape[1], problem.period)
        return Tape(_double(given.inputs[0]), given.mask[0], _double(given.targets), starts)
    if isinstance(problem, MeasureSpikes | GenerateSpikes):
        given = replace(problem, spikes=EVENTS).draw(generator, 1)
        # Step 0 has the spike that the loop's last step has, too; a stream begins behind a spike.
        targets = given.targets[1:] if given.mask[0, 0] else given.targets
        spikes = given.inputs[0, 1:, 0] if isinstance(problem, MeasureSpikes) else targets[:, 0]
        starts = np.append(0, np.flatnonzero(spikes)[:-1] + 1)
        return Tape(_double(given.inputs[0, 1:]), given.mask[0, 1:], _double(targets), starts)
    if isinstance(problem, EmbeddedReber):
        return _reber_tape(problem, generator)
    raise InputError(f"There are no streams of {type(problem).__name__}.")


def _reber_tape(problem: EmbeddedReber, generator: np.random.Generator) -> Tape:
    """Return strings with their ends: after E comes B."""
    given = problem.draw(generator, STRINGS)
    lengths = given.lengths + 1
    symbols = np.pad(given.inputs, ((0, 0), (0, 1)))
    symbols[np.arange(STRINGS), given.lengths] = SYMBOLS.index("E")
    inside = np.arange(symbols.shape[1]) < lengths[:, None]
    ends = np.cumsum(lengths)
    targets = np.empty((ends[-1], len(SYMBOLS)))
    last = np.zeros(ends[-1], bool)
    last[ends - 1] = True
    targets[~last] = given.truth
    targets[last] = one_hot(np.array(SYMBOLS.index("B")), len(SYMBOLS))
    return Tape(symbols[inside], np.ones(ends[-1], bool), targets, ends - lengths)


def _double(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float64)


class Player:
    """Reads streams from a tape, in pieces, until an output is wrong or they are long enough."""

    def __init__(self, learner: OnlineLearner, tape: Tape, how: Continual) -> None:
        self.learner, self.tape, self.how = learner, tape, how
        self.rows = np.concatenate([[0], np.cumsum(tape.mask)])  # of the targets before each step

    def play(self, start: int, steps: int, *, learn: bool) -> int:
        """Return how many steps were right."""
        done, size, place, total = 0, FIRST, start, len(self.tape.mask)
        while done < steps:
            end = min(place + size, place + steps - done, total)
            right = self._piece(place, end, continued=done > 0, learn=learn)
            done += right
            if right < end - place:
                break
            place, size = end % total, 10 * size
        return done

    def _piece(self, place: int, end: int, *, continued: bool, learn: bool) -> int:
        tape, how, rows = self.tape, self.how, self.rows
        targets = tape.targets[rows[place] : rows[end]]
        found = self.learner.run(
            tape.inputs[place:end], np.array([end - place]), tape.mask[place:end], targets,
            how.learning_rate if learn else 0.0, momentum=how.momentum if learn else 0.0,
            stop=how.tolerance, continued=continued,
        )  # fmt: skip
        answered = len(found.outputs)
        if answered and np.abs(found.outputs[-1] - targets[answered - 1]).max() >= how.tolerance:
            return found.steps - 1
        return found.steps


def run_continual(
    name: str,
    experiment: Experiment,
    cell: str,
    seed: int,
    *,
    max_sequences: int | None = None,
    watch: Callable[..., None] | None = None,
) -> Record:
    """Train a paper's network on streams, and test it; sequences are training streams.

    The same seed gives the same record on every machine, but for the seconds. The record's score is
    the mean number of steps until a test stream's first mistake.

    Args:
        name: A key of `CONTINUAL`.
        experiment: What to train on.
        cell: ``"lstm"``.
        seed: Of weights, training and test streams.
        max_sequences: Training streams after which it has failed; by default as `Continual` says.
        watch: Told now and then how far it is.

    Raises:
        InputError: If there is no such recipe, or the cell is another.
        MissingDependencyError: If Longspan was installed without a C++ compiler.
    """
    how = asked_for(CONTINUAL, "experiment on streams", name, cell, max_sequences)
    begin = time.process_time()
    learner = how.learner(seed)
    generators = [np.random.default_rng((seed, k)) for k in (1, 2)]
    problem = EmbeddedReber() if name == "continual-reber" else experiment.problem
    training, tests = (Player(learner, tape_of(problem, g), how) for g in generators)
    needed = None
    for stream in range(1, how.limit + 1):
        length = training.play(
            int(generators[0].choice(training.tape.starts)), how.longest, learn=True
        )
        if all(n >= how.tested_steps for n in _tests(tests, generators[1])):
            needed = stream
            break
        if watch and stream % 1000 == 0:
            tell(watch, stream, how.limit, length / how.longest, float("nan"))
    seconds = time.process_time() - begin
    lengths = [n for _ in range(how.tests) for n in _tests(tests, generators[1], 1)]
    return Record(
        experiment=name, recipe="original", cell=cell, seed=seed, success=needed is not None,
        sequences=needed or how.limit, limit=how.limit,
        wrong=sum(n < how.tested_steps for n in lengths), tested=how.tests, error=None,
        score=float(np.mean(lengths)), seconds=seconds, parameters=how.network.parameters,
        settings=how.settings(),
    )  # fmt: skip


def _tests(
    player: Player, generator: np.random.Generator, count: int | None = None
) -> Iterator[int]:
    """Yield how many steps of each test stream are right."""
    for _ in range(player.how.tests if count is None else count):
        start = int(generator.choice(player.tape.starts))
        yield player.play(start, player.how.tested_steps, learn=False)


#: By the experiment's name.
CONTINUAL = _continual()
