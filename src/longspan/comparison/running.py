"""`compare`: cells trained, tuned and judged alike."""

from __future__ import annotations

import math
import os
import platform
import tempfile
import time as clock
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longspan.comparison import sentences, tuning, watching
from longspan.comparison.config import CompareConfig
from longspan.comparison.contenders import Contender, contenders
from longspan.comparison.memory import ROWS, STEPS, memory_of
from longspan.comparison.records import Records
from longspan.comparison.results import Comparison, Entry, Memory, Training, Trial, plain
from longspan.comparison.sizing import Sizing
from longspan.comparison.statistics import differences
from longspan.comparison.subjects import Metric, Subject, subject_of
from longspan.data.files import LONGEST_NAME, is_file
from longspan.errors import InputError, TrainingDivergedError, unknown_name
from longspan.tasks import load
from longspan.tasks.estimator import checked
from longspan.tasks.running import versions
from longspan.training import listening

#: Names this process in the records, so that times of others are not taken for its own.
PROCESS = f"{platform.node()} {os.getpid()} {clock.strftime('%Y-%m-%dT%H:%M:%S', clock.gmtime())}"

Say = Callable[[str], None]


def compare(
    task: Any,
    data: Any,
    *,
    options: Mapping[str, Any] | None = None,
    output: str | Path | None = None,
    say: Say | None = None,
    how: CompareConfig | None = None,
    cells: Any = None,
    seeds: int = 5,
    trials: int = 6,
    tune: Any = ("learning_rate",),
    learning_rates: tuple[float, float] | None = None,
    match: str = "parameters",
    metric: str | None = None,
    **reading: Any,
) -> Comparison:
    """Train cells on the same data with the same budget, and say which differences are real.

    Parts of the data are drawn once, from the first seed. Hidden sizes are chosen so that all have
    as many parameters (or take as long) as the first. Each cell is then trained `trials` times with
    different options, of which the validation part chooses, and `seeds` times with these, in turn
    with the others. The test part is scored by these last trainings alone.

    Args:
        task: ``"forecast"``, ``"language"``, ``"tag"``, ``"classify"`` or ``"translate"``; or an
            estimator or its class.
        data: What the estimator's `fit` takes; a tuple is several of its arguments.
        options: Of the task, for all cells; those of an estimator are taken over.
        output: A directory for records of finished trainings, with which a comparison that was
            killed goes on, and for the models; None keeps nothing.
        say: Called with a line for each thing done.
        how: All of the following together.
        cells: See `CompareConfig` for this and the next.
        seeds: Trainings of each cell that are scored.
        trials: Trainings of each cell to choose options by.
        tune: Options to choose.
        learning_rates: Lowest and highest to try.
        match: What is the same for all cells.
        metric: The test score that decides.
        reading: More of what `fit` takes: ``test_share``, ``target``, ``label``, ….

    Raises:
        InputError: If there is no such task or cell, options or data cannot be used, or `output`
            holds something else.
        TrainingDivergedError: If every trial of a cell diverges.
    """
    given = {"cells": cells, "seeds": seeds, "trials": trials, "tune": tune, "metric": metric,
             "learning_rates": learning_rates, "match": match}  # fmt: skip
    # What was not asked for cannot be in vain.
    given = {n: v for n, v in given.items() if v != CompareConfig.model_fields[n].default}
    asked: CompareConfig = checked(CompareConfig, given) if how is None else how
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "A comparison runs in one process, so that times can be compared; start it without "
            "torchrun."
        )
    kind, own = subject_of(task)
    own.pop("cell", None)  # an estimator has one, which is not what is asked for here
    if asked.metric is not None and asked.metric not in kind.scores:
        raise InputError(unknown_name("metric", asked.metric, kind.scores))
    those = contenders(
        kind.kind().Config, asked.cells, {**own, **(options or {})}, task=kind.task,
        always_both=kind.always_both, shared=kind.shared,
    )  # fmt: skip
    with ExitStack() as stack:
        place = output or stack.enter_context(tempfile.TemporaryDirectory())
        records = Records(Path(place))
        subject = kind(those[0].config, data, **reading)
        return _Comparing(subject, asked, those, records, say or _silent).all(_title(data))


class _Comparing:
    """A comparison under way."""

    def __init__(
        self, subject: Subject, how: CompareConfig, those: list[Contender], records: Records,
        say: Say,
    ) -> None:  # fmt: skip
        self.subject, self.how = subject, how
        self.those = [each.having(hidden_size=subject.hidden_size(each.config)) for each in those]
        self.records, self.say = records, say
        self.seed: int = those[0].options["seed"]
        self.versions = versions()
        self.common = {
            "task": subject.task, "data": subject.digest(),
            "versions": {name: self.versions[name] for name in ("longspan", "torch")},
        }  # fmt: skip
        self.notes: list[str] = []

    def all(self, title: str) -> Comparison:
        """Do everything and return what came of it."""
        sizing = Sizing(self.subject, self.records, self.common, self.say)
        sized = sizing.matched(self.those, self.how.match)
        self.notes += sizing.notes
        trials = self._trials(sized)
        tuned, chosen = self._choose(sized, trials)
        runs = self._runs(tuned)
        metrics, metric = self._metrics(runs)
        entries = self._entries(tuned, trials, chosen, runs)
        values = {name: entry.scored(metric) for name, entry in entries.items()}
        seconds = {name: entry.log_seconds() for name, entry in entries.items()}
        baselines: dict[str, dict[str, float]] = {}
        for own in runs.values():
            for run in own:
                baselines = run.baselines | baselines
        made = Comparison(
            title=title, task=self.subject.task, metric=metric, metrics=metrics, entries=entries,
            baselines=baselines, differences=differences(values), speed=differences(seconds),
            sentences=[], answer=self.subject.answer, settings=self._settings(),
            facts=self._facts(entries), versions=self.versions, notes=self._notes(entries),
        )  # fmt: skip
        return replace(made, sentences=sentences.of(made))

    def _trials(self, sized: list[Contender]) -> dict[str, list[Trial]]:
        """Train every cell with each candidate, in turn; without tuning there is one, not done."""
        found: dict[str, list[Trial]] = {each.name: [] for each in sized}
        for k in range(self.how.trials):
            for each in sized:
                rate = self.subject.learning_rate(each.config)
                tried = tuning.candidates(
                    self.how.trials, self.how.tune, rate, self.how.learning_rates, self.seed
                )[k]
                if self.how.trials == 1:
                    found[each.name].append(Trial(tried, rate, math.nan, 0.0))
                    continue
                own = each.having(**tried)
                run = self._train(own, "trial", f"trial {k + 1} of {self.how.trials}")
                rate = self.subject.learning_rate(own.config)
                found[each.name].append(Trial(tried, rate, run.validation, run.seconds))
        return found

    def _choose(
        self, sized: list[Contender], trials: dict[str, list[Trial]]
    ) -> tuple[list[Contender], dict[str, int | None]]:
        if self.how.trials == 1:
            return sized, dict.fromkeys(trials)
        tuned, chosen, edges = [], {}, []
        for each in sized:
            own = trials[each.name]
            if all(math.isnan(trial.validation) for trial in own):
                raise TrainingDivergedError(
                    f"All {len(own)} trials of {each.name} diverged. Try lower learning rates "
                    "(--learning-rates), and look for extreme values in the data."
                )
            k = chosen[each.name] = tuning.best([trial.validation for trial in own])
            tuned.append(each.having(**own[k].tried))
            rates = [trial.learning_rate for trial in own]
            if "learning_rate" in self.how.tune and tuning.at_the_edge(rates, rates[k]):
                edges.append(f"{rates[k]:.3g} for {each.name}")
        if edges:
            self.notes.append(
                f"The best learning rate is the lowest or highest of those tried: "
                f"{sentences.listed(edges)}. A better one may lie beyond: give more trials "
                "(--trials), or others to try (--learning-rates)."
            )
        return tuned, chosen

    def _runs(self, tuned: list[Contender]) -> dict[str, list[Training]]:
        """Train every cell from each seed, in turn, beginning with another one each time."""
        found: dict[str, list[Training]] = {each.name: [] for each in tuned}
        for k in range(self.how.seeds):
            at = k % len(tuned)
            for each in tuned[at:] + tuned[:at]:
                own = each.having(seed=self.seed + k)
                what = f"seed {k + 1} of {self.how.seeds}"
                found[each.name].append(self._train(own, "seed", what, keep=k == 0))
        return found

    def _train(self, each: Contender, kind: str, what: str, keep: bool = False) -> Training:
        """Return what came of a training, which is done unless there is a record of it."""
        settings = {**self.common, "kind": kind, "options": each.plain}
        record = self.records.get(each.name, kind, settings)
        path = self.records.model(each.name, settings)
        if record is not None and not (keep and not record["diverged"] and not path.exists()):
            self.say(f"{each.name}: {what}: done before")
            return Training.of(record)
        model = self.subject.estimator(each.options)
        run = self._fit(model, each, kind == "seed")
        if keep and run.diverged is None:
            model.save(path)
        self.records.put(each.name, kind, settings, plain(asdict(run)))
        word = "" if math.isnan(run.validation) else f" validation {run.validation:.4g},"
        word = " diverged," if run.diverged else word
        self.say(f"{each.name}: {what}:{word} {run.seconds:.1f} s")
        return run

    def _fit(self, model: Any, each: Contender, tested: bool) -> Training:
        timed, diverged, scores, judged = watching.StepClock(), None, {}, math.nan
        try:
            with listening(timed):
                scores = self.subject.train(model, tested)
            judged = self.subject.judged(model, tested)
        except TrainingDivergedError as error:
            diverged = str(error)
        epochs = [] if diverged else model.history_.epochs
        network = watching.network_of(model)
        return Training(
            seed=each.options["seed"],
            scores=scores.pop("model", {}),
            baselines=scores,
            validation=judged,
            seconds=timed.seconds,
            step=float(np.median(timed.steps)) if timed.steps else math.nan,
            steps=len(timed.steps),
            epochs=epochs,
            parameters=sum(p.numel() for p in network.parameters()),
            threads=torch.get_num_threads(),
            process=PROCESS,
            diverged=diverged,
        )

    def _metrics(self, runs: dict[str, list[Training]]) -> tuple[dict[str, Metric], str]:
        scores = next((r.scores for own in runs.values() for r in own if r.scores), None)
        if scores is None:
            raise TrainingDivergedError("Every training diverged. Try lower learning rates.")
        metrics = self.subject.metrics(scores)
        metric = self.how.metric or next(iter(metrics))
        if metric not in metrics:
            raise InputError(
                f"These data have no {metric}. Take one of: {', '.join(metrics)} (--metric)."
            )
        return metrics, metric

    def _entries(
        self, tuned: list[Contender], trials: dict[str, list[Trial]],
        chosen: dict[str, int | None], runs: dict[str, list[Training]],
    ) -> dict[str, Entry]:  # fmt: skip
        paths = {
            each.name: self.records.model(
                each.name, {**self.common, "kind": "seed", "options": each.plain}
            )
            for each in tuned
        }
        models = {name: load(path) for name, path in paths.items() if path.exists()}
        self.say("timing answers, all cells in turn")
        calls = {name: list(self.subject.answers(model)) for name, model in models.items()}
        times = watching.interleaved(calls)
        each_call = self.subject.answers_in_a_call
        return {
            each.name: Entry(
                name=each.name,
                options=each.options,
                parameters=runs[each.name][0].parameters,
                trials=trials[each.name],
                chosen=chosen[each.name],
                runs=runs[each.name],
                latency=[seconds / each_call for seconds in times.get(each.name, [])],
                size=sum(f.stat().st_size for f in paths[each.name].glob("*")),
                memory=self._memory(each, models.get(each.name)),
            )
            for each in tuned
        }

    def _memory(self, each: Contender, model: Any) -> Memory:
        """Return how far back a cell remembers, which is measured unless there is a record."""
        if model is None:
            return Memory(why="its training diverged")
        why = self.subject.no_memory(model)
        if why is not None:
            return Memory(why=why)
        settings = {**self.common, "options": each.plain, "rows": ROWS, "steps": STEPS}
        record = self.records.get(each.name, "memory", settings)
        if record is not None:
            return Memory.of(record)
        self.say(f"{each.name}: how far back it remembers")
        found = memory_of(model, *self.subject.looked_into, self.seed)
        self.records.put(each.name, "memory", settings, plain(asdict(found)))
        return found

    def _settings(self) -> dict[str, Any]:
        first, *others = (each.plain for each in self.those)
        same = {n: v for n, v in first.items() if all(each[n] == v for each in others)}
        return {
            **self.how.model_dump(),
            "cells": ", ".join(each.name for each in self.those),
            **same,
        }

    def _facts(self, entries: dict[str, Entry]) -> dict[str, Any]:
        runs = [run for entry in entries.values() for run in entry.runs]
        return {
            **self.subject.sizes,
            "trainings": len(runs) + sum(
                len(e.trials) for e in entries.values() if e.chosen is not None
            ),
            "seconds of training": round(
                sum(run.seconds for run in runs)
                + sum(t.seconds for e in entries.values() for t in e.trials), 1
            ),
            "threads": ", ".join(sorted({str(run.threads) for run in runs})),
            "processor": platform.machine(),
        }  # fmt: skip

    def _notes(self, entries: dict[str, Entry]) -> list[str]:
        found = [*self.notes, *self.records.notes]
        for why in dict.fromkeys(entry.memory.why for entry in entries.values()):
            if why is not None:
                names = [entry.name for entry in entries.values() if entry.memory.why == why]
                found.append(
                    f"The memory horizon of {sentences.listed(names)} is not known: "
                    f"{why.rstrip('.')}."
                )
        processes = {run.process for entry in entries.values() for run in entry.runs}
        if len(processes) > 1:
            found.append(
                f"Trainings were done by {len(processes)} processes, one after the other; their "
                "times are comparable only as far as the machine was the same and as busy."
            )
        if self.records.unused():
            found.append(
                f"{self.records.unused()} records in the directory are of other data, options or "
                "versions; they were left alone."
            )
        return found


def _silent(line: str) -> None:
    """Say nothing."""


def _title(data: Any) -> str:
    """Return what a report calls the data: the name of the (first) file."""
    first: Any = data[0] if isinstance(data, list | tuple) and data else data
    named = isinstance(first, Path) or is_file(first)
    if not named and isinstance(first, str) and len(first) <= LONGEST_NAME:
        named = "\0" not in first and Path(first).is_dir()
    return Path(first).name if named else "data"
