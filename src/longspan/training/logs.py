"""Where a training says how it goes: JSON lines, TensorBoard, and a progress bar.

A logger is told of every step and every epoch, as a dictionary of numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from longspan.errors import MissingDependencyError
from longspan.files import make_directory

Record = dict[str, float]


class Logger(Protocol):
    """What the loop calls; rank 0 alone."""

    def start(self, position: int, step: int, total_steps: int) -> None:
        """Begin, or go on from a checkpoint: `position` is what `flush` returned for it."""
        ...

    def step(self, record: Record) -> None:
        """Take note of an optimiser step."""
        ...

    def epoch(self, record: Record) -> None:
        """Take note of an epoch."""
        ...

    def flush(self) -> int:
        """Write what is held back; return a position to go on from."""
        ...

    def close(self) -> None:
        """Write everything and release the file."""
        ...


_LISTENERS: ContextVar[tuple[Logger, ...]] = ContextVar("listeners", default=())


@contextmanager
def listening(*loggers: Logger) -> Iterator[None]:
    """Let loggers hear of every training inside the block, besides those it was given.

    A training is often deep inside an estimator's `fit`; this reaches it without an argument on the
    way. What a logger raises ends the training.
    """
    token = _LISTENERS.set((*_LISTENERS.get(), *loggers))
    try:
        yield
    finally:
        _LISTENERS.reset(token)


def listeners() -> tuple[Logger, ...]:
    """Return the loggers of all `listening` blocks around the caller."""
    return _LISTENERS.get()


class JsonLinesLogger:
    """One JSON object a line. No clock is in it, so equal runs write equal files.

    Resuming cuts the file where the checkpoint was written.

    Args:
        path: The file, ``log.jsonl`` say.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def start(self, position: int, step: int, total_steps: int) -> None:
        """Open the file and cut it at `position`, in bytes, if it is so long."""
        del step, total_steps
        make_directory(self.path.parent)
        self._file = self.path.open("ab")
        # A file that was moved away is begun anew: filled up with zeros it could not be read.
        self._file.truncate(min(position, self._file.seek(0, 2)))
        self._file.seek(0, 2)

    def step(self, record: Record) -> None:
        """Append the record."""
        self._file.write(json.dumps(record).encode() + b"\n")

    def epoch(self, record: Record) -> None:
        """Append the record."""
        self.step(record)

    def flush(self) -> int:
        """Hand the lines to the system; return the file's length in bytes."""
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoardLogger:
    """TensorBoard events; needs ``pip install longspan[tensorboard]``.

    Args:
        directory: Where the event files go.

    Raises:
        MissingDependencyError: If TensorBoard is not installed.
    """

    def __init__(self, directory: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingDependencyError(
                "TensorBoard logs need the package tensorboard: pip install 'longspan[tensorboard]'"
            ) from error
        self._directory, self._writer_type = Path(directory), SummaryWriter

    def start(self, position: int, step: int, total_steps: int) -> None:
        """Open a new event file; TensorBoard drops what an earlier one has from `step` on."""
        del position, total_steps
        self._writer = self._writer_type(str(self._directory), purge_step=step)

    def step(self, record: Record) -> None:
        """Write all numbers of a step."""
        self._write("train", record)

    def epoch(self, record: Record) -> None:
        """Write all numbers of an epoch."""
        self._write("epoch", record)

    def flush(self) -> int:
        """Write what is held back."""
        self._writer.flush()
        return 0

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()

    def _write(self, group: str, record: Record) -> None:
        for name, value in record.items():
            if name not in ("step", "epoch"):
                self._writer.add_scalar(f"{group}/{name}", value, int(record["step"]))


class RichProgress:
    """A progress bar in the terminal with loss and speed."""

    def start(self, position: int, step: int, total_steps: int) -> None:
        """Show the bar."""
        del position
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns: list[Any] = [
            TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.description}"),
        ]  # fmt: skip
        self._bar = Progress(*columns, transient=True)
        self._task = self._bar.add_task("", total=total_steps, completed=step)
        self._bar.start()

    def step(self, record: Record) -> None:
        """Move the bar."""
        self._bar.advance(self._task)

    def epoch(self, record: Record) -> None:
        """Show the epoch's losses."""
        words = [f"epoch {record['epoch']:.0f}", f"loss {record['train_loss']:.4g}"]
        if "validation_loss" in record:
            words.append(f"validation {record['validation_loss']:.4g}")
        if "validation_error" in record:
            words.append(f"error {record['validation_error']:.4g}")
        self._bar.update(self._task, description=" · ".join(words))

    def flush(self) -> int:
        """Return 0: a bar has no position."""
        return 0

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()
