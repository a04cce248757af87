"""Model directories: data, never code.

    config.json          format, task, options and all that is not a tensor
    model.safetensors    weights and other tensors
    README.md            the model card
    report.html          optional

A directory is written whole under a temporary name and then put in place. Reading trusts nothing:
sizes, types, names and a checksum are verified, and every failure is a `ModelDirectoryError`.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from longspan import __version__
from longspan.errors import InputError, MissingDependencyError, ModelDirectoryError

T = TypeVar("T")

FORMAT = 1
CONFIG, WEIGHTS, CARD, REPORT = "config.json", "model.safetensors", "README.md", "report.html"
#: No real config comes near this size in bytes.
LARGEST_CONFIG = 256 * 1024 * 1024
#: How many wrong tensors a message lists.
LISTED = 8


@dataclass(frozen=True)
class SavedModel:
    """What a model directory holds.

    Attributes:
        task: Name in `longspan.tasks.TASKS`.
        config: Plain values.
        tensors: Tensors by name.
    """

    task: str
    config: dict[str, Any]
    tensors: dict[str, Any]


def save_directory(
    path: Path, task: str, config: dict[str, Any], tensors: Mapping[str, Any], card: str,
    report: str | None = None,
) -> None:  # fmt: skip
    """Write a model directory; a model that was there is replaced when all is written.

    If the machine stops between the two renames of a replacement, the old model is whole in
    ``.NAME.old.*/model`` beside the directory.

    Raises:
        ModelDirectoryError: If the path holds something other than a model.
    """
    from safetensors.torch import save

    path = path.absolute()
    check_replaceable(path)
    weights = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
    head = {
        "format": FORMAT, "longspan": __version__, "task": task,
        "weights_sha256": hashlib.sha256(weights).hexdigest(), "config": config,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        (new / CONFIG).write_text(json.dumps(head, indent=1, allow_nan=False), "utf-8")
        (new / WEIGHTS).write_bytes(weights)
        (new / CARD).write_text(card, "utf-8")
        if report is not None:
            (new / REPORT).write_text(report, "utf-8")
        new.chmod(0o755)
        _put_in_place(new, path)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def load_directory(path: Path) -> SavedModel:
    """Read a model directory.

    Raises:
        ModelDirectoryError: If anything about it is not as `save_directory` writes it.
    """
    head = _read_config(path)
    if head.get("format") != FORMAT:
        raise ModelDirectoryError(
            f"The model in {path} has format {head.get('format')!r} (longspan "
            f"{head.get('longspan')!r}); this is longspan {__version__}, which reads format "
            f"{FORMAT}. Use the version that wrote it, or train it again."
        )
    task, config = head.get("task"), head.get("config")
    if not isinstance(task, str) or not isinstance(config, dict):
        raise _damaged(path / CONFIG, "`task` must be text and `config` an object")
    return SavedModel(task, config, _read_weights(path, head.get("weights_sha256")))


def check_tensors(expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Compare tensors by name, shape and dtype.

    Raises:
        ModelDirectoryError: If one is missing, too many, or of another shape or dtype; all are
            listed, up to `LISTED`.
    """
    wrong = []
    for name in sorted({*expected, *found}):
        if name not in found or name not in expected:
            word = "missing" if name not in found else "not expected"
            wrong.append(f"the tensor {name!r} is {word}")
            continue
        e, f = expected[name], found[name]
        if e.shape != f.shape or e.dtype != f.dtype:
            wrong.append(
                f"the tensor {name!r} must be {e.dtype} {tuple(e.shape)}, got {f.dtype} "
                f"{tuple(f.shape)}"
            )
    if wrong:
        more = f"; and {len(wrong) - LISTED} more" if len(wrong) > LISTED else ""
        raise ModelDirectoryError(f"The model is damaged: {'; '.join(wrong[:LISTED])}{more}.")


def guarded(make: Callable[[], T]) -> T:
    """Return what a function makes of a model's values, whose mistakes become one kind of error.

    Raises:
        ModelDirectoryError: If the values cannot be used.
        MissingDependencyError: If they need a package that is not there.
    """
    try:
        return make()
    except (ModelDirectoryError, MissingDependencyError):
        raise
    except Exception as error:  # the package tokenizers raises plain exceptions
        reason = str(error) if isinstance(error, InputError) else repr(error)
        raise ModelDirectoryError(
            f"The model's config.json cannot be used: {reason} Save the model again."
        ) from None


def check_replaceable(path: Path) -> None:
    """Refuse a path at which no model can be saved.

    Replacing a model removes its directory, so nothing may be in it that no model has.

    Raises:
        ModelDirectoryError: If it holds something other than a model, or cannot be written.
    """
    try:
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise ModelDirectoryError(f"{path} is not a directory. Name a new or empty one.")
        names = {entry.name for entry in path.iterdir()} if path.exists() else set()
        _try_to_write_beside(path.absolute())
    except OSError as error:
        raise ModelDirectoryError(
            f"No model can be saved in {path}: {error.strerror}. Name another directory."
        ) from None
    if names and not _is_model(path):
        raise ModelDirectoryError(
            f"The directory {path} holds something that is not a model. Name a new or empty one."
        )
    others = sorted(names - {CONFIG, WEIGHTS, CARD, REPORT})
    if others:
        raise ModelDirectoryError(
            f"The directory {path} holds a model and also {others[0]!r}, which would be lost with "
            "the old model. Move it away, or name another directory."
        )


def _try_to_write_beside(path: Path) -> None:
    """Fail as saving would, but leave nothing behind: `path.parent` may not exist yet."""
    there = next(parent for parent in path.parents if parent.exists())
    Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=there)).rmdir()


def _is_model(path: Path) -> bool:
    """Return whether the config is one of ours: many programs have a file of that name."""
    try:
        return {"format", "longspan", "task"} <= _read_config(path).keys()
    except ModelDirectoryError:
        return False


def _put_in_place(new: Path, path: Path) -> None:
    if not path.exists():
        new.rename(path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent)) / "model"
    try:
        path.rename(old)
        new.rename(path)
    except BaseException:  # an interruption too must not cost the old model
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    finally:
        if path.exists():
            shutil.rmtree(old.parent, ignore_errors=True)


def _read_config(path: Path) -> dict[str, Any]:
    text = _read_file(path, CONFIG, LARGEST_CONFIG)
    try:
        head = json.loads(text.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise _damaged(path / CONFIG, str(error).split("\n")[0]) from None
    if not isinstance(head, dict):
        raise _damaged(path / CONFIG, "it must hold an object")
    return head


def _read_weights(path: Path, checksum: Any) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    data = _read_file(path, WEIGHTS, None)
    if hashlib.sha256(data).hexdigest() != checksum:
        raise _damaged(path / WEIGHTS, "its checksum is not the one in config.json")
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, RuntimeError, OverflowError) as error:
        raise _damaged(path / WEIGHTS, str(error)) from None


def _read_file(path: Path, name: str, largest: int | None) -> bytes:
    file = path / name
    try:
        if not path.is_dir():
            raise ModelDirectoryError(f"There is no model directory {path}.")
        if file.is_symlink() or not file.is_file():
            raise ModelDirectoryError(
                f"The model directory {path} is incomplete: it needs {CONFIG} and {WEIGHTS} as "
                f"plain files, and {name} is not one."
            )
        if largest is not None and file.stat().st_size > largest:
            raise _damaged(file, f"it is larger than {largest} bytes")
        return file.read_bytes()
    except OSError as error:
        raise ModelDirectoryError(f"{file} cannot be read: {error.strerror}.") from None


def _damaged(file: Path, reason: str) -> ModelDirectoryError:
    return ModelDirectoryError(f"{file} cannot be used: {reason}. Save the model again.")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    """Parse a number; 1e999 would become infinite without a word."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is beyond what a number can hold")
    return value


def finite_or_none(value: float) -> float | None:
    """Return a number that JSON can hold."""
    return value if math.isfinite(value) else None
