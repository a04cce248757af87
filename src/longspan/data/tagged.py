"""Sequences of words with a label for each word, and one for the whole where there is one.

Read from CoNLL columns, CoNLL-U, JSON lines, or the parallel files ``seq.in``, ``seq.out`` and
``label`` in which slots and intents are published (Goo et al. 2018). A malformed line is refused
by file and line number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longspan.data.files import read_file
from longspan.errors import InputError, unknown_name

#: Columns of CoNLL-U, by the names of its definition.
CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
#: First word of a line that says that a document begins (CoNLL-2003).
DOCUMENT = "-DOCSTART-"
#: The parallel files of a directory: words, labels, and a label of the whole (optional).
WORDS_FILE, LABELS_FILE, INTENTS_FILE = "seq.in", "seq.out", "label"

_BLANK = re.compile("[ \t]+")
_ENTRY = re.compile(r"[0-9]+(?:([-.])[0-9]+)?")


@dataclass(frozen=True)
class TaggedText:
    """Sequences of words with what is known of them.

    Attributes:
        words: The words of each sequence.
        labels: A label for each word, or None.
        intents: A label for each sequence, or None.
    """

    words: list[list[str]]
    labels: list[list[str]] | None = None
    intents: list[str] | None = None

    def __len__(self) -> int:
        return len(self.words)

    def part(self, numbers: Sequence[int]) -> TaggedText:
        """Return some of the sequences, by their numbers."""
        return TaggedText(
            *(
                None if values is None else [values[k] for k in numbers]
                for values in (self.words, self.labels, self.intents)
            )  # type: ignore[arg-type]  # only the last two may be None
        )


def tagged_text(
    words: Sequence[Sequence[str]],
    labels: Sequence[Sequence[str]] | None = None,
    intents: Sequence[str] | None = None,
) -> TaggedText:
    """Return sequences given as lists, checked.

    >>> tagged_text([["show", "flights"]], [["O", "O"]]).words
    [['show', 'flights']]

    Raises:
        InputError: If a word or label is not text or is empty, or the numbers do not fit.
    """
    if isinstance(words, str) or any(isinstance(sequence, str) for sequence in words):
        raise InputError(
            "Sequences must be lists of words, one list for each, got text. Cut it into words "
            "first: ['show', 'flights']."
        )
    given = [list(sequence) for sequence in words]
    for k, sequence in enumerate(given):
        _check_words(sequence, f"Sequence {k}")
    if labels is not None:
        labels = [list(map(str, own)) for own in labels]
        _check_count("labels", len(labels), len(given))
        for k, (sequence, own) in enumerate(zip(given, labels, strict=True)):
            _check_pair(sequence, own, f"Sequence {k}")
    if intents is not None:
        intents = list(map(str, intents))
        _check_count("intents", len(intents), len(given))
    return TaggedText(given, labels, intents)


def read_tagged(
    path: str | Path, *, words: str | int | None = None, labels: str | int | None = None,
    encoding: str = "utf-8", labelled: bool = True,
) -> TaggedText:  # fmt: skip
    """Return the sequences of a file; its name says what it is.

    ``.conllu`` is CoNLL-U; ``.jsonl`` holds an object a line with ``tokens``, ``tags`` and, where
    there is one, ``intent``; a directory holds ``seq.in``, ``seq.out`` and perhaps ``label``;
    anything else has CoNLL's columns. A further ``.gz`` is unpacked.

    Args:
        path: The file, or the directory.
        words: Column of the words: a number from 0, negative from the end, or for CoNLL-U a name;
            by default the first, or ``form``.
        labels: Column of the labels; by default the last, or ``upos``.
        encoding: Of the text.
        labelled: Whether labels are wanted; False reads words alone.

    Raises:
        InputError: If there is no such file, a line is malformed, or the text is not in this
            encoding; the message names the line.
    """
    path = Path(path)
    if path.is_dir():
        return _read_parallel(path, encoding, labelled)
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".jsonl", ".ndjson")):
        return _read_json_lines(path, encoding, labelled)
    if name.endswith((".conllu", ".conllup")):
        columns = [_named_column(words, "form"), _named_column(labels, "upos")]
        rows = _conllu_rows(path, encoding)
        return _in_columns(rows, columns[: 1 + labelled], path)
    columns = [_column(words, 0), _column(labels, -1)]
    return _in_columns(_column_rows(path, encoding), columns[: 1 + labelled], path)


def _lines(path: Path, encoding: str) -> list[str]:
    """Return the lines of a text file, without their ends."""
    lines = [line.removesuffix("\r") for line in read_file(path, encoding).split("\n")]
    return lines[:-1] if lines[-1] == "" else lines


#: A line's number, and its columns; None between two sequences.
Row = tuple[int, list[str] | None]


def _column_rows(path: Path, encoding: str) -> Iterator[Row]:
    separator, count = None, None
    for number, line in enumerate(_lines(path, encoding), 1):
        if not line.strip():
            yield number, None
            continue
        if separator is None:
            separator = "\t" if "\t" in line else " "
        cells = line.split("\t") if separator == "\t" else _BLANK.split(line.strip(" \t"))
        if cells[0] == DOCUMENT:
            yield number, None
            continue
        count = count or len(cells)
        if len(cells) != count:
            kind = "tabs" if separator == "\t" else "spaces"
            raise _malformed(
                path, number, f"{count} columns between {kind} were expected, as in the lines "
                f"before, got {len(cells)}: {line[:80]!r}"
            )  # fmt: skip
        yield number, cells


def _conllu_rows(path: Path, encoding: str) -> Iterator[Row]:
    """Yield words; comments, tokens of several words (3-4) and empty nodes (8.1) are none."""
    for number, line in enumerate(_lines(path, encoding), 1):
        if not line.strip():
            yield number, None
            continue
        if line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != len(CONLLU):
            raise _malformed(
                path, number, f"CoNLL-U has {len(CONLLU)} columns between tabs, got {len(cells)}: "
                f"{line[:80]!r}"
            )  # fmt: skip
        entry = _ENTRY.fullmatch(cells[0])
        if entry is None:
            raise _malformed(path, number, f"{cells[0]!r} is no ID such as 3, 3-4 or 8.1")
        if entry[1] is None:
            yield number, cells


def _in_columns(rows: Iterator[Row], columns: list[int], path: Path) -> TaggedText:
    found: list[list[list[str]]] = [[] for _ in columns]
    fresh = True
    for number, cells in rows:
        if cells is None:
            fresh = True
            continue
        for own, column in zip(found, columns, strict=True):
            if not -len(cells) <= column < len(cells):
                raise _malformed(
                    path, number, f"there is no column {column}, only {len(cells)} columns: "
                    f"{' '.join(cells)[:80]!r}"
                )  # fmt: skip
            if not cells[column]:
                raise _malformed(path, number, f"column {column} is empty")
            if fresh:
                own.append([])
            own[-1].append(cells[column])
        fresh = False
    return TaggedText(found[0], found[1] if len(columns) > 1 else None)


def _read_json_lines(path: Path, encoding: str, labelled: bool) -> TaggedText:
    words: list[list[str]] = []
    labels: list[list[str]] = []
    intents: list[Any] = []
    numbers = []
    for number, line in enumerate(_lines(path, encoding), 1):
        if not line.strip():
            continue
        item = _parse_json(path, number, line)
        tokens, tags = item.get("tokens"), item.get("tags")
        _at_line(path, number, _check_words, tokens, "`tokens`")
        words.append(tokens)  # type: ignore[arg-type]  # checked
        if labelled:
            _at_line(path, number, _check_words, tags, "`tags`")
            _at_line(path, number, _check_pair, tokens, tags, "The object")
            labels.append(tags)  # type: ignore[arg-type]  # checked
        intents.append(item.get("intent"))
        numbers.append(number)
    if not labelled:
        return TaggedText(words)
    if all(intent is None for intent in intents):
        return TaggedText(words, labels)
    for number, intent in zip(numbers, intents, strict=True):
        if not isinstance(intent, str):
            raise _malformed(
                path, number, f"`intent` must be text in every line or in none, got {intent!r}"
            )
    return TaggedText(words, labels, intents)


def _parse_json(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _malformed(path, number, f"not JSON ({error})") from None
    if not isinstance(item, dict):
        raise _malformed(path, number, 'an object like {"tokens": [...], "tags": [...]} is needed')
    return item


def _read_parallel(path: Path, encoding: str, labelled: bool) -> TaggedText:
    words = [_BLANK.split(line) if line else [] for line in _stripped(path / WORDS_FILE, encoding)]
    if not labelled:
        return TaggedText(words)
    file = path / LABELS_FILE
    labels = [_BLANK.split(line) if line else [] for line in _stripped(file, encoding)]
    _same_count(file, len(labels), len(words))
    for number, (sequence, own) in enumerate(zip(words, labels, strict=True), 1):
        _at_line(file, number, _check_pair, sequence, own, f"The line of {WORDS_FILE}")
    file = path / INTENTS_FILE
    if not file.exists():
        return TaggedText(words, labels)
    intents = _stripped(file, encoding)
    _same_count(file, len(intents), len(words))
    if "" in intents:
        raise _malformed(file, intents.index("") + 1, "there is no intent")
    return TaggedText(words, labels, intents)


def _stripped(path: Path, encoding: str) -> list[str]:
    return [line.strip(" \t") for line in _lines(path, encoding)]


def _same_count(file: Path, found: int, expected: int) -> None:
    if found != expected:
        raise InputError(
            f"{file} has {found} lines and {WORDS_FILE} has {expected}. Each line of one belongs "
            "to one of the other."
        )


def _at_line(path: Path, number: int, check: Callable[..., None], *arguments: Any) -> None:
    """Run a check, and say where it failed."""
    try:
        check(*arguments)
    except InputError as error:
        raise InputError(f"{path}, line {number}: {error}") from None


def _malformed(path: Path, number: int, reason: str) -> InputError:
    return InputError(f"{path}, line {number}: {reason}. Correct the line.")


def _check_words(words: Any, what: str) -> None:
    if not isinstance(words, list) or not all(isinstance(w, str) and w for w in words):
        wrong = words
        if isinstance(words, list):
            wrong = next(w for w in words if not (isinstance(w, str) and w))
        raise InputError(f"{what} must be a list of texts, none of them empty, got {wrong!r}.")


def _check_pair(words: Sequence[str], labels: Sequence[str], what: str) -> None:
    if len(words) != len(labels):
        raise InputError(
            f"{what} has {len(words)} words and {len(labels)} labels. Give one label a word."
        )


def _check_count(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise InputError(f"There are {expected} sequences and {found} {what}. Give one for each.")


def _column(given: str | int | None, default: int) -> int:
    """Return the number of a column; a command line gives it as text."""
    if given is None:
        return default
    try:
        return int(given)
    except ValueError:
        raise InputError(
            f"A column of a CoNLL file is a number (0 is the first, -1 the last), got {given!r}."
        ) from None


def _named_column(given: str | int | None, default: str) -> int:
    name = default if given is None else str(given).lower()
    if name in CONLLU:
        return CONLLU.index(name)
    if name.isdigit() and int(name) < len(CONLLU):
        return int(name)
    raise InputError(unknown_name("column of CoNLL-U", name, CONLLU))
