"""What ``longspan evaluate``, ``predict`` and ``inspect`` do with a model of each kind.

Each task's file puts a `Saved` into `SAVED`; the commands in ``models.py`` know no task.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longspan import files
from longspan.errors import InputError


@dataclass(frozen=True)
class Saved:
    """A kind of model.

    Attributes:
        plural: What such models are called.
        evaluate: Called with the model, the file, and the flags that were given.
        predict: Called with the model, the file or None, and the flags that were given.
        flags: Those that each of the two takes, and ``longspan inspect``, by its name.
    """

    plural: str
    evaluate: Callable[..., None]
    predict: Callable[..., None]
    flags: dict[str, tuple[str, ...]]


#: By the name of the estimator's class.
SAVED: dict[str, Saved] = {}


def run(command: str, path: Path, data: Path | None, given: dict[str, Any]) -> None:
    """Load a model and do what was asked with it.

    Args:
        command: ``evaluate`` or ``predict``.
        path: The model directory.
        data: The file.
        given: Flags by name; those that are None were not given.

    Raises:
        InputError: If a flag is not for such a model, or there is nothing to do with it.
    """
    model, flags = opened(command, path, given)
    getattr(SAVED[type(model).__name__], command)(model, data, **flags)


def opened(command: str, path: Path, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Load a model for a command, and return it with the flags that were given.

    Args:
        command: Its name.
        path: The model directory.
        given: Flags by name; those that are None were not given.

    Raises:
        InputError: If a flag is not for such a model, or there is nothing to do with it.
    """
    from longspan.tasks import load

    model = load(path)
    kind = SAVED.get(type(model).__name__)
    if kind is None:
        raise InputError(
            f"The model in {path} is a {type(model).__name__}, which `longspan {command}` has no "
            "use for. Load it in Python: longspan.load(path)."
        )
    flags = {name: value for name, value in given.items() if value is not None}
    wrong = [name for name in flags if name not in kind.flags[command]]
    if wrong:
        others = [k.plural for k in SAVED.values() if wrong[0] in k.flags[command]]
        names = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
        raise InputError(
            f"There are flags that are for {' and '.join(others)}: {names}. The model in {path} is "
            f"a {type(model).__name__}; leave them out."
        )
    return model, flags


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all; its directory is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_whole(path, write)


def as_json(found: Any) -> str:
    """Return the numbers of what an analysis found as JSON."""
    return json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
