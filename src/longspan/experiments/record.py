"""What one run leaves: a small JSON file, so that a stopped series of runs goes on where it was."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from longspan.errors import InputError
from longspan.files import make_directory, write_text


@dataclass(frozen=True)
class Record:
    """One run.

    Attributes:
        experiment: Its name in `longspan.experiments.EXPERIMENTS`.
        recipe: ``"original"`` or ``"modern"``.
        cell: What was trained: ``"lstm"``, ``"gru"``, ``"rnn"``, or a variant of the LSTM.
        seed: Of all draws.
        success: Whether the criterion was met; None where the experiment has only a score.
        sequences: Training sequences until then, or until the limit.
        limit: Training sequences after which it would have stopped.
        wrong: Sequences among `tested` that were not processed correctly afterwards.
        tested: Test sequences.
        error: Mean absolute error on them, or None.
        score: Where the experiment has one: see `Experiment.score`.
        seconds: The processor's, of the training.
        parameters: Weights of the network.
        settings: What else was chosen.
        machine: What it ran on: the processor, the system, and versions.
    """

    experiment: str
    recipe: str
    cell: str
    seed: int
    success: bool | None
    sequences: int
    limit: int
    wrong: int | None
    tested: int
    error: float | None
    score: float | None
    seconds: float
    parameters: int
    settings: dict[str, Any] = field(default_factory=dict)
    machine: str = "an unknown machine"


def this_machine() -> str:
    """Return what this machine is, in words."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = lines[0].split(":")[1].strip() if lines else processor
    return (
        f"{processor}, {platform.system()}, Python {platform.python_version()}, torch "
        f"{version('torch')}, numpy {version('numpy')}"
    )


def file_of(directory: Path, experiment: str, recipe: str, cell: str, seed: int) -> Path:
    """Return where the record of a run lies."""
    return directory / experiment / f"{recipe}-{cell}-{seed}.json"


def write_record(directory: Path, record: Record) -> Path:
    """Write a record, whole or not at all, and return its path."""
    path = file_of(directory, record.experiment, record.recipe, record.cell, record.seed)
    make_directory(path.parent)
    write_text(path, json.dumps(asdict(record), indent=1) + "\n")
    return path


def read_record(path: Path) -> Record:
    """Return the record in a file.

    Raises:
        InputError: If it cannot be read, or is none.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
        return record_of(values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"The file {path} is no record of a run: {error}. Delete it, and the run is made anew."
        ) from None


def record_of(values: dict[str, Any]) -> Record:
    """Return a record from its fields.

    Raises:
        KeyError: If one is missing.
    """
    return Record(**{
        each.name: values[each.name]
        for each in fields(Record)
        if each.default is MISSING or each.name in values
    })  # fmt: skip


def read_records(directory: Path, experiments: Iterable[str]) -> list[Record]:
    """Return all records of these experiments, by experiment, recipe, cell and seed.

    Raises:
        InputError: If a file cannot be read.
    """
    found = [
        read_record(path)
        for name in experiments
        for path in (directory / name).glob("*.json")
        if not path.name.startswith(".")
    ]
    return sorted(found, key=lambda r: (r.experiment, r.recipe, r.cell, r.seed))
