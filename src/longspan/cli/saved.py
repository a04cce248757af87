"""What ``longspan evaluate``, ``predict`` and ``inspect`` do with a model of each kind.

Each task's file puts a `Saved` into `SAVED`; the commands in ``models.py`` know no task.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from longspan import files
from longspan.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Saved:
    """A kind of model.

    Attributes:
        plural: What such models are called.
        evaluate: Called with the model, the file, and the flags that were given; None where a
            saved model cannot be scored.
        predict: Called with the model, the file or None, where the answer goes or None for
            standard output, and the flags that were given.
        flags: Those that each of the two takes, and ``longspan inspect``, by its name.
    """

    plural: str
    evaluate: Callable[..., None] | None
    predict: Callable[..., None]
    flags: dict[str, tuple[str, ...]]


#: By the name of the estimator's class.
SAVED: dict[str, Saved] = {}


def opened(command: str, path: Path, given: dict[str, Any]) -> tuple[Any, dict[str, Any], Saved]:
    """Load a model for a command, and return it with the flags that were given, and its kind.

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
    if kind is None or (command == "evaluate" and kind.evaluate is None):
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
    return model, flags, kind


def load_only(path: Path, kind: type[T], does: str) -> T:
    """Load a model of the one kind that a command is for.

    Args:
        path: The model directory.
        kind: Its estimator.
        does: What only such a model does.

    Raises:
        InputError: If it is another.
    """
    from longspan.tasks import load

    model = load(path)
    if not isinstance(model, kind):
        raise InputError(
            f"The model in {path} is a {type(model).__name__}, and only a {kind.__name__} {does}."
        )
    return model


def check_table(output: Path | None) -> None:
    """Refuse, before the work is done, a file that no table can be written to.

    Raises:
        InputError: If it has another suffix.
    """
    if output is not None and output.suffix not in (".csv", ".parquet"):
        raise InputError(f"--output must end in .csv or .parquet, got {output}.")


def put_table(table: Any, output: Path | None, title: str, **csv: Any) -> None:
    """Write a table to a file, or to standard output.

    Args:
        table: A Polars frame.
        output: The file, checked, or None.
        title: What it holds.
        csv: How CSV is written.
    """
    if output is None:
        sys.stdout.write(table.write_csv(**csv))
        return
    if output.suffix == ".csv":
        write_whole(output, lambda path: table.write_csv(path, **csv))
    else:
        write_whole(output, table.write_parquet)
    print(f"{title}: {output}")


def put_text(lines: Iterable[str], output: Path | None, title: str) -> None:
    """Write lines to a file, or to standard output; see `put_table`."""
    text = "".join(lines)
    if output is None:
        sys.stdout.write(text)
        return
    write_whole(output, lambda path: path.write_text(text, "utf-8"))
    print(f"{title}: {output}")


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all; its directory is made.

    Raises:
        InputError: If it cannot be written.
    """
    files.make_directory(path.parent)
    try:
        files.write_whole(path, write)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}. Name another place."
        ) from None


def as_json(found: Any) -> str:
    """Return the numbers of what an analysis found as JSON."""
    return json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
