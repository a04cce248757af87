"""The table: what all runs of an experiment, a recipe and a cell came to, beside the paper."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from longspan.experiments.experiment import EXPERIMENTS, Experiment
from longspan.experiments.measured import MEASURED, Measured
from longspan.experiments.record import Record
from longspan.experiments.runs import differences

#: Titles of the columns by the fields of `Row.words`.
COLUMNS = {
    "cell": "cell", "solved": "solved", "needed": "sequences needed, or score",
    "wrong": "wrong in test", "parameters": "weights", "seconds": "seconds a run",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of the table: runs that differ by their seeds alone.

    Attributes:
        experiment: Name.
        recipe: ``"original"`` or ``"modern"``.
        cell: What was trained.
        runs: Their records, by seed.
    """

    experiment: str
    recipe: str
    cell: str
    runs: tuple[Record, ...]

    @property
    def solved(self) -> list[Record]:
        """The runs that met the criterion."""
        return [run for run in self.runs if run.success]

    @property
    def has_criterion(self) -> bool:
        """Whether there was one to meet."""
        return any(run.success is not None for run in self.runs)

    @property
    def command(self) -> str:
        """What makes these runs."""
        words = ["longspan reproduce", self.experiment, "--recipe", self.recipe]
        if self.recipe == "modern":
            words += ["--cells", self.cell]
        words += ["--seeds", str(max(run.seed for run in self.runs) + 1)]
        if self.experiment in MEASURED:
            words += ["--data", "DIRECTORY"]
        if "limit" in self.differences:
            words += ["--max-sequences", str(self.differences["limit"])]
        return " ".join(words)

    @property
    def differences(self) -> dict[str, Any]:
        """What runs did otherwise than `command` would without `--max-sequences`, by name."""
        return {k: then for run in self.runs for k, (then, _) in differences(run).items()}

    @property
    def note(self) -> str:
        """The same in words, but for the limit, which the command says."""
        return ", ".join(f"{k} = {v}" for k, v in self.differences.items() if k != "limit")

    def words(self) -> dict[str, str]:
        """Return what the table says, by the keys of `COLUMNS`."""
        solved, tested = self.solved, sum(run.tested for run in self.solved)
        wrong = sum(run.wrong or 0 for run in solved)
        scores = [run.score for run in self.runs if run.score is not None]
        seconds = [run.seconds for run in self.runs]
        needed = spread([run.sequences for run in solved])
        if not self.has_criterion:
            needed = f"score {spread(scores, '.4g')}"
        elif not solved:
            needed = f"none in {max(run.sequences for run in self.runs):,}"
        return {
            "cell": f"{self.cell}, {self.recipe}",
            "solved": f"{len(solved)} of {len(self.runs)}" if self.has_criterion else "–",
            "needed": needed,
            "wrong": f"{wrong:,} of {tested:,}" if tested else "–",
            "parameters": f"{self.runs[0].parameters:,}",
            "seconds": spread(seconds, ",.0f" if max(seconds) >= 1000.0 else ".3g"),
        }


def spread(values: Sequence[float], form: str = ",.0f") -> str:
    """Return the mean of numbers and their range in words.

    >>> spread([1000, 3000]), spread([5]), spread([])
    ('2,000 (1,000 to 3,000)', '5', '–')
    """
    if not values:
        return "–"
    mean, least, most = (
        format(float(v), form) for v in (statistics.fmean(values), min(values), max(values))
    )
    return mean if least == most else f"{mean} ({least} to {most})"


def rows(records: Iterable[Record]) -> list[Row]:
    """Return the lines of the table in the order of `EXPERIMENTS`, the original recipe first."""
    order = {name: k for k, name in enumerate([*EXPERIMENTS, *MEASURED])}
    cells = {name: k for k, name in enumerate(("lstm", "lstm-ln", "gru", "rnn"))}

    def place(r: Record) -> tuple[Any, ...]:
        return (
            order.get(r.experiment, len(order)), r.experiment, r.recipe != "original",
            cells.get(r.cell, len(cells)), r.cell,
        )  # fmt: skip

    found = sorted(records, key=lambda r: (*place(r), r.seed))
    groups = groupby(found, key=lambda r: (r.experiment, r.recipe, r.cell))
    return [Row(*key, tuple(runs)) for key, runs in groups]


def about(name: str) -> Experiment | Measured | None:
    """Return the experiment of that name, or None, as for records of an older version."""
    return EXPERIMENTS.get(name) or MEASURED.get(name)


def title(name: str) -> str:
    """Return what an experiment is called."""
    found = about(name)
    return name if found is None else found.title


def paper(name: str) -> str:
    """Return what the paper reports of an experiment, in words."""
    experiment = about(name)
    if not isinstance(experiment, Experiment):
        return "" if experiment is None else experiment.published
    published, found = experiment.published, []
    if published.sequences is not None:
        found.append(f"{published.sequences:,} sequences")
    if published.success is not None:
        found.append(f"{100 * published.success:.0f} % solved")
    if published.wrong is not None:
        found.append(f"{published.wrong:,} of {published.tested:,} wrong in test")
    return "; ".join([", ".join(found)] * bool(found) + [published.note] * bool(published.note))


def markdown(records: Sequence[Record]) -> str:
    """Return the table as Markdown, by experiment, with the command that makes each row."""
    parts = [
        "# Founding experiments: results", "",
        "Made by `longspan reproduce --table docs/benchmarks/reproduction.md`, never by hand. What "
        "the experiments are: [reproduction.md](../reproduction.md). Sequences needed are means "
        "and ranges of the runs that succeeded; so is what is wrong in test. Seconds are "
        f"the processor's, which was {_machines(records)}.", "",
    ]  # fmt: skip
    for name, group in groupby(rows(records), key=lambda row: row.experiment):
        experiment, own = about(name), list(group)
        words = [row.words() for row in own]
        shown = [key for key in COLUMNS if any(each[key] != "–" for each in words)]
        parts += [f"## {title(name)}", ""]
        if experiment is not None:
            parts += [f"{experiment.source}: {paper(name) or 'no figure to compare with'}."]
            parts += [experiment.deviation] if experiment.deviation else []
        if isinstance(experiment, Measured):
            parts += [f"The score is: {experiment.score}."]
        parts += ["", "| " + " | ".join([COLUMNS[key] for key in shown] + ["command"]) + " |"]
        parts += ["|" + "|".join(["---"] + ["--:"] * (len(shown) - 1) + ["---"]) + "|"]
        for row, each in zip(own, words, strict=True):
            command = f"`{row.command}`" + (f", then with {row.note}" if row.note else "")
            cells = [*(each[key] for key in shown), command]
            parts.append("| " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join(parts)


def _machines(records: Iterable[Record]) -> str:
    """Return what the runs were made on, in words: the most used first."""
    used = Counter(record.machine for record in records).most_common()
    if len(used) == 1:
        return used[0][0]
    return "; ".join(f"in {count:,} runs {machine}" for machine, count in used)


def as_json(records: Iterable[Record]) -> str:
    """Return all records as JSON, in the table's order."""
    found = [asdict(record) for row in rows(records) for record in row.runs]
    lines = ",\n ".join(json.dumps(each, ensure_ascii=False) for each in found)
    return f'{{"runs": [\n {lines}\n]}}\n'
