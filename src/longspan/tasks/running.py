"""What the trainings of all tasks share around `longspan.training.train`."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from longspan.errors import InputError
from longspan.training import (
    History,
    JsonLinesLogger,
    Logger,
    RichProgress,
    TensorBoardLogger,
    is_main_process,
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything a report shows of one training and its evaluation; a task's own adds to it.

    Attributes:
        title: What was learnt from, the file's name for example.
        evaluation: The task's scores on data that the model did not see, or None.
        history: The course of the training.
        settings: The resolved options.
        facts: Sizes and counts by name: parameters, rows, seconds of training, threads.
        versions: Package versions by name.
        notes: What was found in the data and done about it.
    """

    title: str
    evaluation: Any = None
    history: History = field(default_factory=History)
    settings: dict[str, Any]
    facts: dict[str, Any]
    versions: dict[str, str]
    notes: list[str] = field(default_factory=list)


def loggers(log_dir: str | Path | None, tensorboard: bool, progress: bool) -> list[Logger]:
    """Return the loggers that an estimator's `fit` was asked for.

    Args:
        log_dir: Where ``log.jsonl`` and TensorBoard events go, or None.
        tensorboard: Whether to write the latter.
        progress: Whether to show a progress bar.

    Raises:
        InputError: If there is no directory for TensorBoard events.
        MissingDependencyError: If TensorBoard is not installed.
    """
    found: list[Logger] = []
    if tensorboard and not log_dir:
        raise InputError("TensorBoard events need a directory: give `log_dir` (--log-dir).")
    if log_dir:
        found.append(JsonLinesLogger(Path(log_dir) / "log.jsonl"))
        if tensorboard:
            found.append(TensorBoardLogger(log_dir))
    if progress and is_main_process():
        found.append(RichProgress())
    return found


def facts(network: nn.Module, history: History, seconds: float) -> dict[str, Any]:
    """Return what a report says of any training."""
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "optimiser steps": len(history.steps),
        "stopped by": history.stopped,
        "seconds of training": round(seconds, 1),
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
    }


def versions() -> dict[str, str]:
    """Return the versions that results depend on."""
    found = {name: version(name) for name in ("longspan", "torch", "numpy", "polars")}
    return {"python": platform.python_version(), **found}
