"""What a comparison found: plain values, with few methods to look at them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.comparison.statistics import Difference, Interval, interval, shared_seeds
from longspan.comparison.subjects.subject import Metric

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Trial:
    """A training to choose options by.

    Attributes:
        tried: Options in place of the given ones.
        learning_rate: The learning rate that this means.
        validation: How it did on the validation part, the lower the better: see
            `longspan.comparison.subjects.Subject.judged`; NaN if training diverged.
        seconds: Of training.
    """

    tried: dict[str, Any]
    learning_rate: float
    validation: float
    seconds: float


@dataclass(frozen=True)
class Training:
    """A training with the chosen options, and its test scores.

    Attributes:
        seed: Of all draws.
        scores: Of the test part, by metric; empty if training diverged.
        baselines: The same of predictors that need no learning.
        validation: The same as of a trial; NaN where the validation part was learnt from.
        seconds: Of training, validations included.
        step: Median seconds of an optimiser step.
        steps: Optimiser steps.
        epochs: A record for each epoch, as `longspan.training.History` has it.
        parameters: Of the network.
        threads: That torch had.
        process: When the process began that did it: times are comparable within one.
        diverged: What was said of it if training diverged, or None.
    """

    seed: int
    scores: dict[str, float]
    baselines: dict[str, dict[str, float]]
    validation: float
    seconds: float
    step: float
    steps: int
    epochs: list[dict[str, float]]
    parameters: int
    threads: int
    process: str
    diverged: str | None = None

    @classmethod
    def of(cls, record: dict[str, Any]) -> Training:
        """Return the run that `plain` made a record of."""
        found = cls(**record)
        scores = {name: _number(value) for name, value in found.scores.items()}
        baselines = {
            who: {name: _number(value) for name, value in own.items()}
            for who, own in found.baselines.items()
        }
        return replace(
            found, scores=scores, baselines=baselines, validation=_number(found.validation),
            step=_number(found.step),
        )  # fmt: skip


@dataclass(frozen=True)
class Memory:
    """How far back a model remembers, or why that is not known.

    Attributes:
        horizon: Steps that hold 95 % of the influence on an output; NaN if not known.
        low: Lower end of its interval over rows of the data.
        high: Upper end.
        truncated: Whether the steps looked at were too few to tell.
        lags: Steps before the output, K.
        influence: Mean influence of the input so many steps before, (K,).
        why: Why it is not known, or None.
    """

    horizon: float = math.nan
    low: float = math.nan
    high: float = math.nan
    truncated: bool = False
    lags: list[int] = field(default_factory=list)
    influence: list[float] = field(default_factory=list)
    why: str | None = None

    @classmethod
    def of(cls, record: dict[str, Any]) -> Memory:
        """Return the memory that `plain` made a record of."""
        found = cls(**record)
        return replace(
            found, horizon=_number(found.horizon), low=_number(found.low),
            high=_number(found.high), influence=[_number(value) for value in found.influence],
        )  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One cell and what came of it.

    Attributes:
        name: As the user wrote it.
        options: All options of the task, with those that were chosen.
        parameters: Of the network.
        trials: Trainings to choose options by, in their order.
        chosen: Number of the trial whose options were taken; None if nothing was tuned.
        runs: Trainings with them, one a seed.
        latency: Seconds of one answer, again and again, in turn with the other cells.
        size: Bytes of the saved model.
        memory: How far back it remembers.
        compared: Whether it is; not if its training diverged from half of the seeds or more.
        left_out: Seeds that it finished but another cell did not, so that they do not count.
    """

    name: str
    options: dict[str, Any]
    parameters: int
    trials: list[Trial]
    chosen: int | None
    runs: list[Training]
    latency: list[float]
    size: int
    memory: Memory
    compared: bool = True
    left_out: tuple[int, ...] = ()

    def scored(self, metric: str) -> np.ndarray:
        """Return a test score for each seed; NaN where training diverged."""
        return np.array([run.scores.get(metric, math.nan) for run in self.runs])

    def values(self, metric: str) -> np.ndarray:
        """Return the same, NaN also for the seeds that are left out."""
        out = [run.seed in self.left_out for run in self.runs]
        return np.where(out, math.nan, self.scored(metric))

    def interval(self, metric: str) -> Interval:
        """Return the mean of a test score over the seeds that count, with its interval."""
        return interval(self.values(metric))

    def log_seconds(self) -> np.ndarray:
        """Return the logarithm of the seconds of training for each seed; NaN where it diverged."""
        return np.log([math.nan if run.diverged else run.seconds for run in self.runs])

    @property
    def diverged(self) -> list[int]:
        """Seeds from which training diverged."""
        return [run.seed for run in self.runs if run.diverged]

    @property
    def hidden_size(self) -> int:
        """Hidden units of a layer."""
        return self.options["hidden_size"]

    @property
    def seconds(self) -> float:
        """Median seconds of a training, of those that ended well if there are any."""
        done = [run.seconds for run in self.runs if not run.diverged]
        return float(np.median(done or [run.seconds for run in self.runs]))

    @property
    def step(self) -> float:
        """Median seconds of an optimiser step."""
        return float(np.median([run.step for run in self.runs]))


@dataclass(frozen=True)
class Comparison:
    """Cells on one task and one set of data.

    Where training diverged, means and differences are those of the seeds that all cells finished;
    see `longspan.comparison.statistics.shared_seeds`.

    Attributes:
        title: What was learnt from.
        task: Its name.
        metric: The test score that decides.
        metrics: All of them, by name.
        entries: What came of each cell, by name, in the order given.
        baselines: Test scores of predictors that need no learning.
        differences: All pairs of cells by `metric`, with corrected intervals.
        speed: The same of the logarithm of the seconds of training.
        sentences: What can be said, the first in short.
        answer: What one answer is, whose time is the latency.
        settings: Of the comparison.
        facts: Sizes, counts, the machine.
        versions: Package versions by name.
        notes: What a reader should know.
    """

    title: str
    task: str
    metric: str
    metrics: dict[str, Metric]
    entries: dict[str, Entry]
    baselines: dict[str, dict[str, float]]
    differences: list[Difference]
    speed: list[Difference]
    sentences: list[str]
    answer: str
    settings: dict[str, Any]
    facts: dict[str, Any]
    versions: dict[str, str]
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Have every cell count the seeds by which the differences are taken."""
        scored = {name: entry.scored(self.metric) for name, entry in self.entries.items()}
        names, shared = shared_seeds(scored)
        entries = {}
        for name, entry in self.entries.items():
            out = np.isfinite(scored[name]) & ~shared & (name in names)
            seeds = tuple(run.seed for run, lost in zip(entry.runs, out, strict=True) if lost)
            entries[name] = replace(entry, compared=name in names, left_out=seeds)
        object.__setattr__(self, "entries", entries)

    @property
    def best(self) -> str:
        """The cell that is compared whose mean of the deciding score is best."""
        return best_of(self.entries, self.metric, self.metrics[self.metric].higher)

    def to_best(self, differences: list[Difference] | None = None) -> dict[str, Difference]:
        """Return the difference of each other cell from the best one: other - best.

        Args:
            differences: Of all pairs; by default those of the deciding score.
        """
        return against(self.best, self.differences if differences is None else differences)

    def table(self) -> pl.DataFrame:
        """Return a row for each cell, in the order given.

        Columns: ``cell``, ``hidden_size``, ``parameters``, ``learning_rate``; each test score as
        its mean over seeds with ``_low`` and ``_high``; ``diverged``, a number of seeds;
        ``difference``, ``difference_low``, ``difference_high`` and ``real`` against the best cell,
        None if it is not compared; ``training_seconds`` and
        ``step_seconds`` (medians over seeds), ``latency_seconds`` (median), ``bytes``,
        ``memory_horizon``.
        """
        import polars as pl

        return pl.DataFrame([self._row(entry) for entry in self.entries.values()])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values; numbers that are not there are None."""
        found = asdict(self)
        found["metrics"] = {name: metric._asdict() for name, metric in self.metrics.items()}
        found["best"] = self.best
        return plain(found)

    def html(self) -> str:
        """Return the report as one page that opens without a network."""
        from longspan.comparison.report import compare_html

        return compare_html(self)

    def _row(self, entry: Entry) -> dict[str, Any]:
        row: dict[str, Any] = {
            "cell": entry.name, "hidden_size": entry.hidden_size, "parameters": entry.parameters,
            "learning_rate": learning_rate_of(entry),
        }  # fmt: skip
        for name in self.metrics:
            mean, low, high, _ = entry.interval(name)
            row |= {name: mean, f"{name}_low": low, f"{name}_high": high}
        other = self.to_best().get(entry.name) if entry.compared else None
        row |= {
            "diverged": len(entry.diverged),
            "difference": other.mean if other else 0.0 if entry.compared else None,
            "difference_low": other.low if other else None,
            "difference_high": other.high if other else None,
            "real": other.real if other else None,
            "training_seconds": entry.seconds, "step_seconds": entry.step,
            "latency_seconds": float(np.median(entry.latency)), "bytes": entry.size,
            "memory_horizon": entry.memory.horizon,
        }  # fmt: skip
        return row


def learning_rate_of(entry: Entry) -> float:
    """Return the learning rate that a cell was trained with."""
    return entry.trials[entry.chosen or 0].learning_rate


def best_of(entries: dict[str, Entry], metric: str, higher: bool) -> str:
    """Return the name of the cell with the best mean; those that are not compared come last."""
    sign = 1.0 if higher else -1.0

    def rank(name: str) -> float:
        mean = entries[name].interval(metric).mean
        return sign * mean if entries[name].compared and not math.isnan(mean) else -math.inf

    return max(entries, key=rank)


def against(name: str, differences: list[Difference]) -> dict[str, Difference]:
    """Return the differences of all others from one cell: other - one."""
    found = {}
    for each in differences:
        if each.second == name:
            found[each.first] = each
        elif each.first == name:
            found[each.second] = each.turned()
    return found


def plain(value: Any) -> Any:
    """Return a value as JSON has it: NaN and infinity are None, a path is its text."""
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


def _number(value: float | None) -> float:
    return math.nan if value is None else value
