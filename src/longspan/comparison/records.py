"""What is finished stays finished: one JSON file for each training, and the models to be timed.

    runs/CELL-KIND-KEY.json    what came of one training, with all that it depended on
    models/CELL-KEY/           the model of each cell's first seed

KEY is a checksum of all that a result depends on: task, data, options and what the files that they
name hold, seed, versions. A killed comparison finds what is there; results of other data or options
have other keys and are left alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longspan.errors import InputError
from longspan.files import write_text

RUNS, MODELS = "runs", "models"
#: Files that a comparison writes beside its records.
PAGE, NUMBERS = "compare.html", "compare.json"
#: Letters of a key in a file's name.
KEY = 16


class Records:
    """The records under a directory.

    Args:
        directory: A new or empty one, or that of an earlier comparison.

    Raises:
        InputError: If it holds something else, or cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.used: set[Path] = set()
        self.notes: list[str] = []
        try:
            if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
                raise InputError(f"{directory} is not a directory. Name a new or empty one.")
            names = {each.name for each in directory.iterdir()} if directory.exists() else set()
            strange = sorted(names - {RUNS, MODELS, PAGE, NUMBERS})
            if strange:
                raise InputError(
                    f"The directory {directory} holds {strange[0]!r}, which is not of a comparison."
                    " Name a new or empty one, or that of an earlier comparison, to go on with it."
                )
            (directory / RUNS).mkdir(parents=True, exist_ok=True)
            (directory / MODELS).mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(
                f"No comparison can be written to {directory}: {error.strerror}. Name another "
                "directory (--output)."
            ) from None

    def get(self, name: str, kind: str, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what came of a training, or None if it is still to be done.

        Args:
            name: Of the cell.
            kind: What was done: ``trial``, ``seed``, ….
            settings: All that it depends on, plain values.
        """
        path = self._path(name, kind, settings)
        self.used.add(path)
        if not path.exists():
            return None
        try:
            found = json.loads(path.read_text("utf-8"))
            same = found["settings"] == _plain(settings)
            record = found["record"]
        except (OSError, UnicodeError, ValueError, KeyError, TypeError):
            same, record = False, None
        if not same or not isinstance(record, dict):
            self.notes.append(
                f"The record {path.name} was damaged, or not of what its name says; its training "
                "was done again."
            )
            return None
        return record

    def put(
        self, name: str, kind: str, settings: Mapping[str, Any], record: Mapping[str, Any]
    ) -> None:
        """Keep what came of a training; the file is written whole or not at all."""
        text = json.dumps({"settings": _plain(settings), "record": record}, indent=1)
        write_text(self._path(name, kind, settings), text)

    def model(self, name: str, settings: Mapping[str, Any]) -> Path:
        """Return where the model of a cell's first seed is, or goes."""
        return self.directory / MODELS / f"{_slug(name)}-{key(settings)}"

    def unused(self) -> int:
        """Return how many records are there that were not asked for."""
        return len(set((self.directory / RUNS).glob("*.json")) - self.used)

    def _path(self, name: str, kind: str, settings: Mapping[str, Any]) -> Path:
        return self.directory / RUNS / f"{_slug(name)}-{kind}-{key(settings)}.json"


def key(settings: Mapping[str, Any]) -> str:
    """Return a checksum of settings."""
    text = json.dumps(_plain(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY]


def _plain(settings: Mapping[str, Any]) -> Any:
    """Return settings as they come back from JSON."""
    return json.loads(json.dumps(settings, default=repr))


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.=_]+", "-", name.lower())[:60]
