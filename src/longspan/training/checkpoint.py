"""One file from which a killed training goes on, bit for bit."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from longspan.errors import CheckpointError
from longspan.files import write_whole

FILE_NAME = "checkpoint.pt"

_UNREADABLE = (
    OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.PickleError,
)  # fmt: skip


def write_checkpoint(directory: Path, state: dict[str, Any]) -> None:
    """Write the state under a temporary name, then put it in place of the old one."""
    directory.mkdir(parents=True, exist_ok=True)

    def write(path: Path) -> None:
        with path.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())

    write_whole(directory / FILE_NAME, write)


def read_checkpoint(directory: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Return the checkpoint's state, or None if there is none.

    Tensors and plain values alone are read (``weights_only=True``): a checkpoint runs no code.

    Args:
        directory: Where the checkpoint is.
        settings: What the run was started with now; it must be what wrote the checkpoint.

    Raises:
        CheckpointError: If the file cannot be read, or was written under other settings.
    """
    path = directory / FILE_NAME
    if not path.exists():
        return None
    try:
        state = torch.load(path, weights_only=True)
        written = state["settings"]
    except (
        OSError,
        RuntimeError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        pickle.PickleError,
    ) as error:
        raise CheckpointError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}). It is damaged or no "
            "checkpoint; remove it to train from the start."
        ) from error
    different = [
        f"{name}: {written.get(name)!r} then, {settings.get(name)!r} now"
        for name in sorted({*written, *settings})
        if written.get(name) != settings.get(name)
    ]
    if different:
        raise CheckpointError(
            f"The checkpoint {path} was written under other settings: {'; '.join(different)}. "
            "Resume with the settings of then, or remove it to train from the start."
        )
    return state
