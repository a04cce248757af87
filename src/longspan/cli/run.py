"""What all ``longspan fit`` commands share: where things go, checkpoints, logs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class RunFlags(BaseModel):
    """Flags of a training that do not change what is learnt."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    output: Path | None = None
    """Directory for the model and the report; runs/NAME-OF-THE-FILE by default."""

    report: bool = True
    """Write report.html beside the model."""

    log_dir: Path | None = None
    """Directory for log.jsonl and TensorBoard events."""

    tensorboard: bool = False
    """Write TensorBoard events."""

    checkpoint_dir: Path | None = None
    """Directory for checkpoints."""

    checkpoint_every: int | None = None
    """Optimiser steps between checkpoints, besides those after each epoch."""

    resume: bool = False
    """Go on from the checkpoint."""

    def directory(self, data: Path) -> Path:
        """Return where the model goes; before the training, not after it, that must be possible.

        Raises:
            ModelDirectoryError: If no model can be saved there.
        """
        from longspan.tasks.storage import check_replaceable

        directory = self.output or Path("runs") / data.stem
        check_replaceable(directory)
        return directory

    def for_fit(self) -> dict[str, Any]:
        """Return the arguments of an estimator's `fit`."""
        names = ("log_dir", "tensorboard", "checkpoint_dir", "checkpoint_every", "resume")
        return {name: getattr(self, name) for name in names} | {"progress": sys.stderr.isatty()}


def finish(
    model: Any, directory: Path, page: Callable[[Any], str] | None, show: Callable[[Any], None]
) -> None:
    """Save a fitted model with its report, and print its scores; in the main process alone.

    Args:
        model: The estimator.
        directory: Where it goes.
        page: Makes the report of its run, or None.
        show: Prints an evaluation.
    """
    from longspan.training import is_main_process

    if not is_main_process():
        return
    model.save(directory, report=None if page is None else page(model.run_))
    for note in model.run_.notes:
        print(f"Note: {note}")
    if model.evaluation_ is not None:
        show(model.evaluation_)
    print(f"Model:  {directory}")
    if page is not None:
        print(f"Report: {directory / 'report.html'}")


def print_table(
    title: str, first: str, columns: dict[str, str], scores: dict[str, Any],
    best: Callable[[Iterable[float]], float] = min,
) -> Any:  # fmt: skip
    """Print scores, the best of each column in bold.

    Args:
        title: Of the table.
        first: Title of the column of names.
        columns: Titles by metric.
        scores: Values by name and metric; text is printed as it is.
        best: Which value of a column is the best: ``min`` or ``max``.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    table.add_column(first)
    for heading in columns.values():
        table.add_column(heading, justify="right")
    for name, found in scores.items():
        cells = []
        for metric in columns:
            value = found[metric]
            if isinstance(value, str):
                cells.append(value)
                continue
            first_of_all = value == best(each[metric] for each in scores.values())
            cells.append(f"[bold]{value:.4g}[/]" if first_of_all else f"{value:.4g}")
        table.add_row(name, *cells)
    Console().print(table)
