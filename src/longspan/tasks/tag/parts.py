"""Training, validation and test part of labelled sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longspan.data.tagged import TaggedText, read_tagged, tagged_text
from longspan.errors import InputError


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        words: Column of the words, or None; see `longspan.data.read_tagged`.
        labels: Column of the labels, or None.
        encoding: Of the text.
    """

    words: str | int | None = None
    labels: str | int | None = None
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Parts:
    """The parts of the data.

    Attributes:
        train: What is learnt from.
        validation: Decides when to stop; None for none.
        test: To be scored; None for none.
    """

    train: TaggedText
    validation: TaggedText | None
    test: TaggedText | None


def as_text(
    data: Any, labels: Any = None, intents: Any = None, *, reading: Reading = Reading(),
    labelled: bool = True,
) -> TaggedText:  # fmt: skip
    """Return sequences from whatever they are given as.

    Args:
        data: The path of a file or directory (see `longspan.data.read_tagged`), a `TaggedText`,
            or lists of words.
        labels: Of lists of words: a list for each.
        intents: Of lists of words: one for each.
        reading: How files are read.
        labelled: Whether labels are needed.

    Raises:
        InputError: If it is none of these, or labels are needed and not there.
    """
    if isinstance(data, TaggedText | str | Path):
        if labels is not None or intents is not None:
            raise InputError(
                "Labels and intents are in the file already. Give them beside lists of words only."
            )
        text = data if isinstance(data, TaggedText) else _read(data, reading, labelled)
    elif isinstance(data, Sequence) or hasattr(data, "__array__"):
        text = tagged_text(list(data), labels, intents)
    else:
        raise InputError(
            f"Sequences must be the path of a file, or lists of words, got {type(data).__name__}."
        )
    if labelled and text.labels is None:
        raise InputError("There are no labels. Give a list of them for each sequence.")
    return text


def divide(
    text: TaggedText, validation: TaggedText | None, test: TaggedText | None, *,
    validation_share: float, test_share: float, seed: int,
) -> Parts:  # fmt: skip
    """Return the parts; those that are not given are drawn from the sequences.

    Args:
        text: All sequences, or the training part.
        validation: The validation part, or None.
        test: The test part, or None.
        validation_share: Share of what is left without the test part, if `validation` is None.
        test_share: Share of `text`, if `test` is None.
        seed: Of the draw.

    Raises:
        InputError: If a share is out of range, or nothing is left to learn from.
    """
    if not 0.0 <= test_share < 1.0:
        raise InputError(f"`test_share` must be at least 0 and below 1, got {test_share}.")
    order = np.random.default_rng(seed).permutation(len(text))
    held = round(test_share * len(text)) if test is None else 0
    kept = round(validation_share * (len(text) - held)) if validation is None else 0
    drawn = [np.sort(part).tolist() for part in np.split(order, [held, held + kept])]
    train = text.part(drawn[2])
    if not any(train.words):
        raise InputError(
            f"There is nothing to learn from: of {len(text)} sequences {held} are the test part, "
            f"{kept} the validation part, and {len(train)} remain, without a word in them. Give "
            "more data, or smaller shares."
        )
    return Parts(
        train,
        text.part(drawn[1]) if kept else validation,
        text.part(drawn[0]) if held else test,
    )


def given_part(data: Any, reading: Reading) -> TaggedText | None:
    """Return a part that is given by itself; a tuple holds words, labels and perhaps intents.

    Raises:
        InputError: If it cannot be used, or is empty.
    """
    if data is None:
        return None
    if isinstance(data, tuple) and not 2 <= len(data) <= 3:
        raise InputError(
            f"A part must be a file, or (words, labels) or (words, labels, intents), got a tuple "
            f"of {len(data)}."
        )
    text = as_text(*data if isinstance(data, tuple) else (data,), reading=reading)
    if not len(text):
        raise InputError("A validation or test part must have at least one sequence, got none.")
    return text


def title(data: Any) -> str:
    """Return what a report calls the data."""
    if not isinstance(data, str | Path):
        return "labelled sequences"
    path = Path(data).absolute()
    return f"{path.parent.name}/{path.name}" if path.is_dir() else path.name


def _read(path: str | Path, reading: Reading, labelled: bool) -> TaggedText:
    return read_tagged(
        path, words=reading.words, labels=reading.labels, encoding=reading.encoding,
        labelled=labelled,
    )  # fmt: skip
