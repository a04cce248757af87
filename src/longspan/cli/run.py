"""What all ``longspan fit`` commands share: where things go, checkpoints, logs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from longspan.files import check_place


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

    def directory(self, data: Path | list[Path]) -> Path:
        """Return where the model goes; before the training, not after it, that must be possible.

        Raises:
            ModelDirectoryError: If no model can be saved there.
            InputError: If the directories for logs and checkpoints cannot be made.
        """
        from longspan.tasks.storage import check_replaceable

        directory = self.output or Path("runs") / stem(data)
        check_replaceable(directory)
        for place in (self.log_dir, self.checkpoint_dir):
            if place is not None:
                check_place(place, directory=True)
        return directory

    def for_fit(self) -> dict[str, Any]:
        """Return the arguments of an estimator's `fit`."""
        names = ("log_dir", "tensorboard", "checkpoint_dir", "checkpoint_every", "resume")
        return {name: getattr(self, name) for name in names} | {"progress": sys.stderr.isatty()}


def stem(data: Path | list[Path]) -> str:
    """Return the name of a file, or of the first of several, without its suffix."""
    return (data[0] if isinstance(data, list) else data).stem


def train(
    task: str, data: Path | list[Path], options: BaseModel, run: RunFlags,
    given: Mapping[str, Any], show: Callable[[Any], None],
) -> None:  # fmt: skip
    """Fit an estimator; in the main process, save it with its report and print its scores.

    Args:
        task: Its name in `longspan.tasks.TASKS`, and that of its report, ``TASK_html``.
        data: The file or files.
        options: Of the estimator.
        run: Where things go.
        given: More arguments of its `fit`.
        show: Prints an evaluation.
    """
    from longspan.tasks import estimator_of
    from longspan.training import is_main_process

    directory = run.directory(data)
    model = estimator_of(task)(**dict(options)).fit(data, **given, **run.for_fit())
    if not is_main_process():
        return
    model.save(directory, report=_page(task, model) if run.report else None)
    for note in model.run_.notes:
        print(f"Note: {note}")
    if model.evaluation_ is not None:
        show(model.evaluation_)
    print(f"Model:  {directory}")
    if run.report:
        print(f"Report: {directory / 'report.html'}")


def _page(task: str, model: Any) -> str:
    """Return the report of a fitted model's run."""
    from longspan import insight

    return getattr(insight, f"{task}_html")(model.run_)


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
    from rich.markup import escape
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
        table.add_row(escape(name), *cells)  # a class may be called [red]
    Console().print(table)


def per_cent(found: Any, names: Iterable[str], digits: int) -> dict[str, str]:
    """Return attributes of an object as text: counts as they are, shares in per cent."""
    values = {name: getattr(found, name) for name in names}
    return {
        name: str(value) if isinstance(value, int) else f"{100 * value:.{digits}f}"
        for name, value in values.items()
    }
