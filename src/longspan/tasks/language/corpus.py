"""From what a user passes to the parts of a text: training, validation, test."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longspan.errors import InputError
from longspan.tasks.language.text import NEWLINE, normalise

#: A text is cut at an end of line if there is one so many characters on.
NEAR = 1000
#: A string longer than this is no file's name.
LONGEST_NAME = 1024


@dataclass(frozen=True)
class Parts:
    """A text in parts, normalised; a part that there is not is None."""

    train: str
    validation: str | None = None
    test: str | None = None

    def named(self) -> dict[str, str]:
        """Return the parts that there are, by name, in their order."""
        every = {"training": self.train, "validation": self.validation, "test": self.test}
        return {name: text for name, text in every.items() if text is not None}


def read_text(data: Any, encoding: str = "utf-8") -> str:
    """Return a text, given as such or by the names of files.

    Args:
        data: The text; the path of a file (also as a string, if there is such a file), which may
            be compressed (``.gz``); or a sequence of these, which follow one another, each
            beginning on a new line.
        encoding: Of the files.

    Raises:
        InputError: If it is none of these, or a file cannot be read in that encoding.
    """
    if isinstance(data, Path) or is_file(data):
        return _read_file(Path(data), encoding)
    if isinstance(data, str):
        return data
    if isinstance(data, Sequence) and not isinstance(data, bytes):
        texts = [read_text(each, encoding) for each in data]
        whole = [t if t.endswith(NEWLINE) else t + NEWLINE for t in texts[:-1]]
        return "".join([*whole, *texts[-1:]])
    raise InputError(
        f"A text must be a string, the path of a file, or several of these, got "
        f"{type(data).__name__}."
    )


def divide(
    data: Any,
    validation: Any,
    test: Any,
    *,
    validation_share: float,
    test_share: float,
    lowercase: bool,
    encoding: str = "utf-8",
) -> Parts:
    """Return the parts of a text, strictly in this order: training, validation, test.

    Args:
        data: As for `read_text`.
        validation: A text of its own for validation; None takes a share of `data`.
        test: A text of its own for the test; None takes a share of `data`.
        validation_share: Share of the characters, before the test's.
        test_share: Share of the characters, at the end.
        lowercase: See `normalise`.
        encoding: Of the files.

    Raises:
        InputError: If a text that is needed is empty, or cannot be read.
    """
    if not 0.0 <= test_share < 1.0 or validation_share + test_share >= 1.0:
        raise InputError(
            f"`test_share` must be at least 0 and, with validation_share = {validation_share}, "
            f"leave something to learn from; got {test_share}."
        )
    text = _part(data, "data", encoding, lowercase)
    end = len(text)
    if test is None and test_share:
        begin = _cut(text, end - round(len(text) * test_share), end)
        last, end = text[begin:end], begin
    else:
        last = None if test is None else _part(test, "test", encoding, lowercase)
    if validation is None and validation_share:
        begin = _cut(text, end - round(len(text) * validation_share), end)
        held_out, end = text[begin:end], begin
    else:
        held_out = None if validation is None else _part(validation, "validation", encoding,
                                                         lowercase)  # fmt: skip
    if not end:
        raise InputError(
            f"A text of {len(text)} characters is too short to be divided. Give a longer one, or "
            "validation_share=0."
        )
    return Parts(text[:end], held_out or None, last or None)


def _part(data: Any, name: str, encoding: str, lowercase: bool) -> str:
    text = normalise(read_text(data, encoding), lowercase)
    if not text.strip():
        raise InputError(f"The text `{name}` is empty. Give one with at least one word.")
    return text


def _cut(text: str, at: int, end: int) -> int:
    """Return where to cut: at the next end of line, if it is near and something follows it."""
    line = text.find(NEWLINE, at, min(at + NEAR, end - 1))
    return at if line < 0 else line + 1


def is_file(data: Any) -> bool:
    """Return whether this is the path of a file, or a string that is the name of one."""
    if isinstance(data, str) and (len(data) > LONGEST_NAME or NEWLINE in data or "\0" in data):
        return False
    try:
        return isinstance(data, str | Path) and Path(data).is_file()
    except OSError:
        return False


def _read_file(path: Path, encoding: str) -> str:
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"The file {path} cannot be read: {reason}.") from None
    try:
        return data.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except UnicodeError as error:
        line = data[: getattr(error, "start", 0)].count(b"\n") + 1
        raise InputError(
            f"The file {path} is not in {encoding}: line {line} has bytes that mean nothing in it. "
            "Name its encoding (encoding='latin-1', --encoding latin-1), or save it as UTF-8."
        ) from None
    except LookupError:
        raise InputError(f"There is no encoding {encoding!r}. Use utf-8 or latin-1, say.") from None
