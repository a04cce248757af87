"""Texts from strings and files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from longspan.errors import InputError

#: A string longer than this is no file's name.
LONGEST_NAME = 1024


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
        return read_file(Path(data), encoding)
    if isinstance(data, str):
        return data
    if isinstance(data, Sequence) and not isinstance(data, bytes):
        texts = [read_text(each, encoding) for each in data]
        whole = [t if t.endswith("\n") else t + "\n" for t in texts[:-1]]
        return "".join([*whole, *texts[-1:]])
    raise InputError(
        f"A text must be a string, the path of a file, or several of these, got "
        f"{type(data).__name__}."
    )


def lines_of(text: str) -> list[str]:
    r"""Return the lines of a text, without their ends: ``\n``, ``\r\n`` or ``\r``.

    ``str.splitlines`` also cuts at characters that may stand inside a line, U+0085 and U+2028 say.

    >>> lines_of("one\r\ntwo\u2028half\n")
    ['one', 'two\u2028half']
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def is_file(data: Any) -> bool:
    """Return whether this is the path of a file, or a string that is the name of one."""
    if isinstance(data, str) and (len(data) > LONGEST_NAME or "\n" in data or "\0" in data):
        return False
    try:
        return isinstance(data, str | Path) and Path(data).is_file()
    except OSError:
        return False


def suffix_of(path: Path) -> str:
    """Return the end of a file's name, that of the unpacked file for a compressed one.

    >>> suffix_of(Path("a.csv")), suffix_of(Path("a.csv.gz"))
    ('.csv', '.csv')
    """
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def read_file(path: Path, encoding: str = "utf-8") -> str:
    """Return the text of a file, which may be compressed (``.gz``); a byte order mark is left out.

    Raises:
        InputError: If it cannot be read, or not in that encoding; the message names the line.
    """
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"The file {path} cannot be read: {reason}.") from None
    return decode(data, f"The file {path}", encoding)


def decode(data: bytes, source: str, encoding: str = "utf-8") -> str:
    """Return bytes as text; a byte order mark is left out, or it would be part of the first word.

    Args:
        data: The bytes.
        source: What they are of, at the beginning of a sentence.
        encoding: Theirs.

    Raises:
        InputError: If they are not in that encoding; the message names the line.
    """
    try:
        return data.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except UnicodeError as error:
        line = data[: getattr(error, "start", 0)].count(b"\n") + 1
        raise InputError(
            f"{source} is not in {encoding}: line {line} has bytes that mean nothing in it. "
            "Name its encoding (encoding='latin-1', --encoding latin-1), or save it as UTF-8."
        ) from None
    except LookupError:
        raise InputError(f"There is no encoding {encoding!r}. Use utf-8 or latin-1, say.") from None
