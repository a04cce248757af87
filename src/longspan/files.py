"""Writing files whole or not at all, and where that can be done; needs nothing but Python."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from longspan.errors import InputError


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name beside it, and then put it in place.

    Args:
        path: The file; its directory must be there.
        write: Called with the temporary path; if it raises, the file stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def make_directory(path: Path) -> None:
    """Make a directory and those above it, where they are not there.

    Raises:
        InputError: If that cannot be done.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The directory {path} cannot be made: {error.strerror}. Name another place."
        ) from None


def check_place(path: Path, *, directory: bool = False) -> None:
    """Refuse, before the work is done, a place that cannot be written to. Nothing is made.

    Args:
        path: Of a file, or of a directory.
        directory: Which of the two.

    Raises:
        InputError: If it is the other of the two, or nothing can be written there.
    """
    place = path.absolute()
    try:
        if place.exists() and place.is_dir() != directory:
            kinds = ("file", "directory") if directory else ("directory", "file")
            raise InputError(f"{path} is a {kinds[0]}. Name a {kinds[1]}.")
        above = next(each for each in (place, *place.parents) if each.is_dir())
        if any(each.exists() for each in place.parents if each not in (above, *above.parents)):
            raise InputError(f"A file is where {path} needs a directory. Name another place.")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from None
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be written: permission denied. Name another place.")


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    write_whole(path, lambda temporary: temporary.write_text(text, "utf-8"))
