"""Pairs of texts, one the answer to the other: two files line by line, tables, dialogues.

All is read as dialogues first: a dialogue of turns, each answered by the next. A pair is one of two
turns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longspan.data.files import is_file, lines_of, read_file, suffix_of
from longspan.data.text import normalise
from longspan.errors import InputError

#: Stands between the turns of a dialogue that make one source.
SEPARATOR = "␞"
#: How a file is read, by the end of its name.
SUFFIXES = (".jsonl", ".json", ".yaml", ".yml", ".tsv")

Dialogue = tuple[str, ...]


@dataclass(frozen=True)
class Pairs:
    """N sources and their targets.

    Attributes:
        sources: Texts without ends of lines.
        targets: The same.
        groups: What must stay together when pairs are divided: pairs of dialogues with the same
            first turn have the same number. Later turns may be in dialogues of other numbers.
        empty: Pairs that were left out because one side was empty.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    groups: np.ndarray
    empty: int = 0

    def __len__(self) -> int:
        """Return the number of pairs, N."""
        return len(self.sources)

    def part(self, numbers: Sequence[int] | np.ndarray) -> Pairs:
        """Return some of the pairs."""
        return Pairs(
            tuple(self.sources[k] for k in numbers), tuple(self.targets[k] for k in numbers),
            self.groups[np.asarray(numbers, np.int64)],
        )  # fmt: skip


def read_pairs(
    source: Any,
    target: Any = None,
    *,
    context_turns: int = 0,
    lowercase: bool = False,
    encoding: str = "utf-8",
) -> Pairs:
    r"""Return pairs of texts from files or lists.

    >>> read_pairs([("one", "eins"), ("two", "zwei")]).targets
    ('eins', 'zwei')
    >>> read_pairs([["Hello", "Hi!", "How are you?"]], context_turns=1).sources
    ('Hello', 'Hello ␞ Hi!')

    Args:
        source: With `target`: a list of texts, or a file with one a line (``.gz`` too). Without:
            a list of pairs, or of dialogues (lists of turns); or the path of a file with them:
            ``.tsv`` (two columns), ``.jsonl`` (an object with ``source`` and ``target``, or a list
            of turns, on each line), ``.json`` or ``.yaml`` (a list of these, or an object whose
            ``conversations`` are one); or of a directory with such files; or several paths.
        target: The other side, as long.
        context_turns: Turns before the answered one that are part of a source.
        lowercase: See `longspan.data.text.normalise`.
        encoding: Of the files.

    Raises:
        InputError: If the sides differ in length, a file cannot be read, or something is not text;
            the message says where.
    """
    if target is not None:
        sides = [list(_lines(side, encoding)) for side in (source, target)]
        if len(sides[0]) != len(sides[1]):
            raise InputError(
                f"Source and target must have as many lines, got {len(sides[0])} and "
                f"{len(sides[1])}. Give each text its translation, in the same order."
            )
        dialogues: Iterable[Sequence[Any]] = zip(*sides, strict=True)
    else:
        dialogues = _dialogues(source, encoding)
    sources, targets, groups, numbers, empty = [], [], [], {}, 0
    for place, dialogue in enumerate(dialogues, 1):
        turns = [clean(turn, lowercase, f"pair {place}") for turn in dialogue]
        group = numbers.setdefault(turns[0], len(numbers))
        for k in range(1, len(turns)):
            if not turns[k - 1] or not turns[k]:
                empty += 1
                continue
            sources.append(join_turns(turns[max(k - 1 - context_turns, 0) : k]))
            targets.append(turns[k])
            groups.append(group)
    return Pairs(tuple(sources), tuple(targets), np.array(groups, np.int64), empty)


def clean(text: Any, lowercase: bool = False, where: str = "the text") -> str:
    r"""Return a text normalised, on one line, without space around it.

    >>> clean(" Cafe\u0301\nau lait ")
    'Café au lait'

    Raises:
        InputError: If it is no text.
    """
    if not isinstance(text, str):
        raise InputError(f"Expected text, got {text!r} ({type(text).__name__}) in {where}.")
    return normalise(text, lowercase).replace("\n", " ").replace(SEPARATOR, " ").strip()


def join_turns(turns: Sequence[str]) -> str:
    """Return turns of a dialogue as one source."""
    return f" {SEPARATOR} ".join(turns)


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    r"""Return the lines of a file; only ``\n`` ends one, and ``\r\n`` and ``\r`` count as it."""
    return lines_of(normalise(read_file(path, encoding)))


def _lines(side: Any, encoding: str) -> Iterable[Any]:
    if isinstance(side, Path) or is_file(side):
        return read_lines(Path(side), encoding)
    if isinstance(side, str):
        raise InputError(
            f"Source and target must be lists of texts or files, and there is no file {side!r}."
        )
    if not isinstance(side, Iterable):
        raise InputError(f"Source and target must be lists or files, got {type(side).__name__}.")
    return side


def _dialogues(data: Any, encoding: str) -> Iterator[Sequence[Any]]:
    if isinstance(data, str | Path):
        path = Path(data)
        if path.is_dir():
            files = sorted(p for p in path.iterdir() if suffix_of(p) in SUFFIXES)
            if not files:
                raise InputError(
                    f"The directory {path} has no file that ends in {', '.join(SUFFIXES)}, with "
                    "or without .gz."
                )
            for file in files:
                yield from _read(file, encoding)
            return
        yield from _read(path, encoding)
        return
    if not isinstance(data, Iterable):
        raise InputError(
            f"Pairs must be a list of (source, target), a file, or two lists, got "
            f"{type(data).__name__}."
        )
    for place, each in enumerate(data, 1):
        if isinstance(each, Path) or is_file(each):
            yield from _read(Path(each), encoding)
        else:
            yield _turns(each, f"pair {place}")


def _read(path: Path, encoding: str) -> Iterator[Sequence[Any]]:
    """Yield the dialogues of one file."""
    kind = suffix_of(path)
    if kind not in SUFFIXES:
        raise InputError(
            f"Pairs in one file need a name that ends in {', '.join(SUFFIXES)}, got {path}. For "
            "two files, line by line, give both."
        )
    if kind == ".tsv":
        for number, line in enumerate(read_lines(path, encoding), 1):
            columns = line.split("\t")
            if len(columns) != 2:
                raise InputError(
                    f"The file {path} must have two columns with a tab between them; line "
                    f"{number} has {len(columns)}."
                )
            yield columns
    elif kind == ".jsonl":
        for number, line in enumerate(read_lines(path, encoding), 1):
            if line.strip():
                where = f"line {number} of {path}"
                yield _turns(_parsed(line, json.loads, where), where)
    else:
        yield from _document(path, read_file(path, encoding), kind)


def _document(path: Path, text: str, kind: str) -> Iterator[Sequence[Any]]:
    import yaml

    # The base loader keeps all scalars as they are written: "yes" is a word, not a truth value.
    read = json.loads if kind == ".json" else lambda t: yaml.load(t, yaml.BaseLoader)
    values = _parsed(text, read, str(path))
    if isinstance(values, dict):
        values = values.get("conversations")
    if not isinstance(values, list):
        raise InputError(
            f"The file {path} must hold a list of pairs or dialogues, or an object whose "
            f"`conversations` are one, got {type(values).__name__}."
        )
    for number, each in enumerate(values, 1):
        yield _turns(each, f"dialogue {number} of {path}")


def _parsed(text: str, read: Any, where: str) -> Any:
    import yaml

    try:
        return read(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"Cannot read {where}: {reason}.") from None


def _turns(value: Any, where: str) -> Sequence[Any]:
    if isinstance(value, dict) and {"source", "target"} <= value.keys():
        value = [value["source"], value["target"]]
    if not isinstance(value, list | tuple) or len(value) < 2:
        raise InputError(
            f"A pair is (source, target), and a dialogue a list of two turns or more; got "
            f"{value!r} in {where}."
        )
    for turn in value:
        if not isinstance(turn, str):
            raise InputError(f"Expected text, got {turn!r} ({type(turn).__name__}) in {where}.")
    return value
