"""Tasks: what a user wants done. One package or file a task; `TASKS` lists them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

#: Where each task's estimator is; loaded when it is used.
TASKS: dict[str, str] = {
    "forecast": "longspan.tasks.forecast:Forecaster",
    "language": "longspan.tasks.language:LanguageModel",
    "tag": "longspan.tasks.tag:Tagger",
    "classify": "longspan.tasks.classify:Classifier",
    "features": "longspan.tasks.classify:SequenceFeatures",
}


def estimator_of(task: str) -> Any:
    """Return the estimator class of a task.

    Raises:
        InputError: If there is no such task.
    """
    from longspan.errors import InputError, unknown_name

    if task not in TASKS:
        raise InputError(unknown_name("task", task, TASKS))
    module, name = TASKS[task].split(":")
    return getattr(importlib.import_module(module), name)


def load(path: str | Path) -> Any:
    """Return the fitted estimator that a model directory holds.

    Args:
        path: A directory that an estimator's `save` wrote.

    Raises:
        ModelDirectoryError: If it is incomplete, damaged, or of a version that cannot be read.
    """
    from longspan.errors import InputError, ModelDirectoryError
    from longspan.tasks.storage import load_directory

    saved = load_directory(Path(path))
    try:
        kind = estimator_of(saved.task)
    except InputError as error:
        raise ModelDirectoryError(f"The model in {path} cannot be used: {error}") from None
    return kind._from_saved(saved)


__all__ = ["TASKS", "estimator_of", "load"]
