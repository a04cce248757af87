"""What users hand in: sequences with their labels, and parts of them held out by class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from longspan.data.files import is_file
from longspan.data.labelled import TEXTS, read_labelled
from longspan.errors import InputError
from longspan.tasks.classify.inputs import checked, kind_of

#: Suffixes of files that are read; a string that ends so is no text.
SUFFIXES = (".ts", ".tsv", ".csv", ".txt", ".parquet", ".jsonl", ".jsonl.gz", ".ndjson")


class Given(NamedTuple):
    """Sequences and labels in one form.

    Attributes:
        data: Texts, arrays (T, C), or an array of images.
        kind: ``"text"``, ``"series"`` or ``"image"``.
        labels: One for each, or None.
        names: What each is called, or None.
        channels: The columns of a table that the channels come from, or None.
        from_file: Whether the labels come from a file or frame, whose other labels decide what type
            they have.
    """

    data: Any
    kind: str
    labels: np.ndarray | None = None
    names: list[Any] | None = None
    channels: list[str] | None = None
    from_file: bool = False

    def __len__(self) -> int:  # of sequences, not of fields
        """Return the number of sequences."""
        return len(self.data)

    @property
    def ids(self) -> list[Any]:
        """What each is called: its name, or its number from 0."""
        return self.names or list(range(len(self)))

    def part(self, numbers: np.ndarray) -> Given:
        """Return some of the sequences."""
        data = self.data
        own = data[numbers] if isinstance(data, np.ndarray) else [data[k] for k in numbers]
        labels = None if self.labels is None else self.labels[numbers]
        names = None if self.names is None else [self.names[k] for k in numbers]
        return Given(own, self.kind, labels, names, self.channels, self.from_file)


def given(
    data: Any, y: Any = None, *, kind: str = "auto", need_labels: bool = True, **columns: Any
) -> Given:
    """Return what a user handed in, checked.

    Args:
        data: Sequences; or a file or frame; or a pair (sequences, labels) if `y` is None.
        y: Labels, where `data` holds none.
        kind: Of the sequences, or ``"auto"``.
        need_labels: Whether labels must be there; if not, unusable ones are left out.
        columns: Of `longspan.data.labelled.read_labelled`.

    Raises:
        InputError: If it cannot be used.
    """
    if y is None and isinstance(data, tuple) and len(data) == 2:
        data, y = data
    names = channels = None
    from_file = y is None and is_source(data, **columns)
    if from_file:
        found = read_labelled(data, need_labels=need_labels, **columns)
        data, labels, names, channels = found
        labels = None if labels is None else _of_file(labels, need_labels)
    else:
        if y is None and need_labels:
            raise InputError(
                "The classifier requires y to be passed, but the target y is None. Give the labels "
                "of the sequences, or a file or table that has them."
            )
        labels = None if y is None else labels_of(y)
        # A frame whose rows are sequences, or a column of texts.
        data = getattr(data, "to_numpy", lambda own=data: own)()
    kind = kind_of(data) if kind == "auto" else kind
    data = checked(data, kind)
    if labels is not None and len(labels) != len(data):
        raise InputError(
            f"There are {len(data)} sequences and {len(labels)} labels: inconsistent numbers of "
            "samples. Give one label for each sequence."
        )
    return Given(data, kind, labels, names, channels, from_file)


def _of_file(labels: np.ndarray, needed: bool) -> np.ndarray | None:
    try:
        return labels_of(labels)
    except InputError:
        if needed:
            raise
        return None


def named(**columns: Any) -> dict[str, Any]:
    """Return the columns that were named."""
    return {name: value for name, value in columns.items() if value is not None}


def remembered(columns: dict[str, Any], learnt: Given) -> dict[str, Any]:
    """Return columns with those of the channels: a later table may have them in another order."""
    return columns if learnt.channels is None else columns | {"values": learnt.channels}


def is_source(data: Any, **columns: Any) -> bool:
    """Return whether this is a file's name, or a frame with a row for each text or step.

    Rows of other frames are sequences, as those of an array are.
    """
    if isinstance(data, Path) or is_file(data):
        return True
    if isinstance(data, str):
        return "\n" not in data and data.lower().endswith(SUFFIXES)
    if type(data).__name__ not in ("DataFrame", "LazyFrame", "Table"):
        return False
    if type(data).__name__ != "DataFrame" or columns.get("text") or columns.get("id"):
        return True
    return any(str(name).lower() in (*TEXTS, "id") for name in data.columns)


def labels_of(y: Any) -> np.ndarray:
    """Return labels as an array (N,).

    Raises:
        InputError: If they cannot be those of classes.
    """
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import column_or_1d

    try:
        found = column_or_1d(y, warn=True)
        if found.dtype.kind in "OUT":
            missing = [k for k, label in enumerate(found) if label is None or label != label]
            if missing:
                raise InputError(f"Label {missing[0]} (counted from 0) is missing.")
            if len({isinstance(label, str) for label in found}) > 1:
                raise InputError("Labels are of several types. Use texts, or whole numbers.")
        elif found.dtype.kind == "f" and not np.isfinite(found).all():
            where = np.flatnonzero(~np.isfinite(found))[0]
            raise InputError(f"Input y contains NaN or infinity, at {where} (counted from 0).")
        check_classification_targets(found)
        return np.asarray(found)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"Labels must be texts or whole numbers, one each: {error}.") from None


def classes_of(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes, sorted, and the number of each label's class.

    Raises:
        InputError: If there is but one.
    """
    classes, numbers = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise InputError(
            f"There is but one class, {classes.tolist()}, in {len(labels)} sequences; at least two "
            "classes are needed."
        )
    return classes, numbers


def numbers_of(
    labels: np.ndarray, classes: np.ndarray, *, by_text: bool = False
) -> tuple[np.ndarray, list[Any]]:
    """Return the number of each label, and labels by number: `classes`, then others.

    Args:
        labels: Of sequences.
        classes: Those that are known.
        by_text: Whether labels of another type count as the class that is written alike. In a file
            1 is a number, or a text if the file has the label x too.
    """
    names = classes.tolist()
    places = {name: k for k, name in enumerate(names)}
    alike = {_written(name): name for name in reversed(names)} if by_text else {}
    own = [
        label if label in places else alike.get(_written(label), label) for label in labels.tolist()
    ]
    numbers = [places.setdefault(label, len(places)) for label in own]
    return np.array(numbers, np.int64), list(places)


def _written(label: Any) -> str:
    """Return a label as text, the same for all ways to write a number or a truth value.

    >>> [_written(label) for label in (1, "01", 1.0, "1.5", "True", False, "one")]
    ['1', '1', '1', '1.5', 'true', 'false', 'one']
    """
    text = str(label).strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    try:
        number = float(text)
    except ValueError:
        return text
    # Large whole numbers, such as identifiers, are not the same to 16 digits.
    return f"{number:.0f}" if number.is_integer() and abs(number) < 2.0**53 else text


def held_out(numbers: Sequence[int] | np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return which sequences are held out, (N,) of bool: a share of each class, drawn.

    A class keeps at least one sequence, and at least one sequence is held out.

    Args:
        numbers: Of the classes, (N,).
        share: At least 0 and below 1; 0 holds out none.
        seed: Of the draw.

    Raises:
        InputError: If the share is out of range, or nothing can be held out.
    """
    if not 0.0 <= share < 1.0:  # the other share, for validation, is checked with the options
        raise InputError(f"`test_share` must be at least 0 and below 1, got {share}.")
    numbers = np.asarray(numbers)
    found = np.zeros(len(numbers), bool)
    if share == 0.0:
        return found
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(numbers))
    owns = [order[numbers[order] == k] for k in np.unique(numbers)]
    for own in owns:
        found[own[: min(round(share * len(own)), len(own) - 1)]] = True
    largest = max(owns, key=len)
    if not found.any():
        if len(largest) < 2:
            raise InputError(
                "Nothing can be held out: every class has a single sequence, or there is but one. "
                "Give more, or a share of 0 (--test-share 0)."
            )
        found[largest[0]] = True
    return found


def without(
    whole: Given, share: float, seed: int, *, by_class: bool = True
) -> tuple[Given, Given | None]:
    """Return what is left and what is held out, None for nothing.

    Args:
        whole: The sequences.
        share: To hold out.
        seed: Of the draw.
        by_class: Whether the share is one of each class.
    """
    if not share:
        return whole, None
    numbers = np.zeros(len(whole), int)
    if by_class:
        assert whole.labels is not None
        numbers = np.unique(whole.labels, return_inverse=True)[1]
    out = held_out(numbers, share, seed)
    return whole.part(np.flatnonzero(~out)), whole.part(np.flatnonzero(out))
