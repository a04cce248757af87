"""Numeric sequences from arrays, lists of arrays, long tables and the files of the UEA/UCR archive.

A sequence is an array (T, C): T steps of C channels. A mistake in it is told with the number of the
sequence and of the step, both counted from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from longspan.data.columns import numeric, parse_time, require
from longspan.data.files import lines_of, read_file
from longspan.errors import InputError

if TYPE_CHECKING:
    import polars as pl

#: Beyond this, float32 has no number.
LARGEST = float(np.finfo(np.float32).max)


class Labelled(NamedTuple):
    """Sequences and what they are.

    Attributes:
        sequences: Arrays (T, C), or texts.
        labels: One for each, or None.
        names: What each is called, or None.
        channels: The columns that the channels come from, in their order, or None.
    """

    sequences: list[Any]
    labels: np.ndarray | None = None
    names: list[Any] | None = None
    channels: list[str] | None = None


def as_series(data: Any) -> list[np.ndarray]:
    """Return numeric sequences as a list of arrays (T, C), float64.

    They may be views of the data. None is cut to float32 here, for that would take the signal from
    a channel far from 0.

    >>> [each.shape for each in as_series([[1.0, 2.0, 3.0], [4.0]])]
    [(3, 1), (1, 1)]

    Args:
        data: An array (N, T) of univariate sequences or (N, T, C); or a list of arrays, (T,) or
            (T, C), of different lengths.

    Raises:
        InputError: If there is no sequence, one has no step, channels differ, or a value is not a
            finite number; the message names the sequence and the step.
    """
    whole = _as_array(data)
    if whole is not None:
        arrays = [each[:, None] if each.ndim == 1 else each for each in whole]
    else:
        arrays = [_one(each, k) for k, each in enumerate(data)]
    if not arrays:
        raise InputError("There must be at least one sequence, got none.")
    channels = arrays[0].shape[1]
    for k, each in enumerate(arrays):
        if each.shape[1] != channels:
            raise InputError(
                f"Sequence {k} has {each.shape[1]} channels and sequence 0 has {channels}. All "
                "must have the same ones, as an array (T, C) each."
            )
        _check_values(each, k)
    return arrays


def _as_array(data: Any) -> np.ndarray | None:
    """Return data of one length as an array (N, T) or (N, T, C), or None for a list of others."""
    if hasattr(data, "toarray"):
        raise InputError(
            "Sparse data cannot be read as sequences: a dense array (N, T) or (N, T, C) is needed. "
            "Use X.toarray()."
        )
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        lengths = {np.shape(each) if np.ndim(each) else () for each in data} if data else {()}
        if len(lengths) > 1 or () in lengths:
            return None if data and () not in lengths else _refuse(np.asarray(data, dtype=object))
    found = _numeric(np.asarray(data), "The data")
    if found.ndim not in (2, 3) or 0 in found.shape[1:]:
        _refuse(found)
    return found


def _refuse(found: np.ndarray) -> Any:
    if found.ndim in (2, 3) and 0 in found.shape[1:]:
        raise InputError(
            f"Found array with 0 feature(s) (shape={found.shape}) while a minimum of 1 is "
            "required: sequences need at least one step and one channel."
        )
    raise InputError(
        f"Sequences must be an array (N, T) or (N, T, C), or a list of arrays (T,) or (T, C), got "
        f"{found.ndim} dimensions, shape {found.shape}. Reshape your data: a single sequence is "
        "X.reshape(1, -1)."
    )


def _one(values: Any, number: int) -> np.ndarray:
    found = _numeric(np.asarray(values), f"Sequence {number}")
    if found.ndim not in (1, 2) or 0 in found.shape:
        raise InputError(
            f"Sequence {number} must have at least one step, as an array (T,) or (T, C), got shape "
            f"{found.shape}. Leave it out, or correct it."
        )
    return found[:, None] if found.ndim == 1 else found


def _numeric(found: np.ndarray, what: str) -> np.ndarray:
    if np.iscomplexobj(found):
        raise InputError(f"Complex data not supported: {what} must hold real numbers.")
    try:
        return found.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what} must hold numbers, got dtype {found.dtype}: {error}. The argument must be "
            "numbers, or a list of texts."
        ) from None


def _check_values(values: np.ndarray, number: int) -> None:
    bad = ~(np.abs(values) <= LARGEST)
    if not bad.any():
        return
    step, channel = np.argwhere(bad)[0]
    found = values[step, channel]
    kind = "NaN" if np.isnan(found) else "infinity or a value beyond float32"
    raise InputError(
        f"Input contains {kind}: sequence {number}, step {step}, channel {channel} (counted from "
        "0). Fill in or leave out what is missing before training."
    )


def read_long_table(
    table: pl.DataFrame, *, id: str, label: str | None, time: str | None,
    values: Sequence[str] | None, need_labels: bool = True,
) -> Labelled:  # fmt: skip
    """Return the sequences of a table with a row for each step.

    Args:
        table: The table.
        id: Column that names the sequence; sequences come in the order of their first rows.
        label: Column of the label, the same in all rows of a sequence; None for none.
        time: Column by which the steps are put in order; None keeps the order of the rows.
        values: Columns of the channels; by default all numeric ones that are none of the others.
        need_labels: Whether several labels of a sequence are a mistake; otherwise there are none.

    Raises:
        InputError: If a column is missing or cannot be used, or a sequence has several labels.
    """
    ids = require(table, id, "id")
    if ids.null_count():
        row = ids.is_null().arg_true()[0]
        raise InputError(f"Column {id!r} has no name in row {row} (counted from 0). Complete it.")
    taken = {id, label, time}
    names = list(values or [c for c in table.columns if c not in taken
                            and table[c].dtype.is_numeric()])  # fmt: skip
    if not names:
        raise InputError("The table has no numeric column besides id, time and label: name them.")
    columns = np.stack(
        [numeric(require(table, c, "values"), "values", np.float64) for c in names], -1
    )
    number = np.unique(ids.to_numpy(), return_inverse=True)[1]
    first = np.full(number.max() + 1, len(number))
    np.minimum.at(first, number, np.arange(len(number)))
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    keys = [rank[number]]
    if time is not None:
        keys.insert(0, parse_time(require(table, time, "time"))[0])
    order = np.lexsort(keys)
    ends = np.cumsum(np.bincount(rank[number]))[:-1]
    labels = None
    if label is not None:
        column = require(table, label, "label")
        labels = _one_label(column, np.split(order, ends), ids, need_labels)
    found = np.split(columns[order], ends)
    return Labelled(list(found), labels, ids.gather(np.sort(first)).to_list(), names)


def first_empty(labels: pl.Series) -> int | None:
    """Return the first row without a label, or None if all have one."""
    import polars as pl

    empty = labels.is_null()
    if labels.dtype == pl.String:
        empty |= labels == ""
    elif labels.dtype.is_float():
        empty |= labels.is_nan()
    rows = empty.fill_null(True).arg_true()
    return int(rows[0]) if len(rows) else None


def _one_label(
    column: pl.Series, rows: list[np.ndarray], ids: pl.Series, needed: bool
) -> np.ndarray | None:
    """Return the label of each sequence; None if one has none or several and none are needed."""
    empty = first_empty(column)
    if empty is not None:
        if not needed:
            return None
        raise InputError(
            f"Column {column.name!r} has no label in row {empty} (counted from 0), of the sequence "
            f"{ids[empty]!r}. Complete it."
        )
    labels = column.to_numpy()
    for own in rows:
        different = own[labels[own] != labels[own[0]]]
        if len(different):
            if not needed:
                return None
            raise InputError(
                f"Sequence {ids[int(own[0])]!r} has the labels {column[int(own[0])]!r} and "
                f"{column[int(different[0])]!r} (row {different[0]}, counted from 0). Each has one."
            )
    return labels[[own[0] for own in rows]]


def read_ts(path: Path, encoding: str = "utf-8") -> Labelled:
    """Return the sequences of a ``.ts`` file of the UEA/UCR archive.

    A line holds the channels of a sequence, apart by colons, with commas between their values, and
    at its end the label, which stays a text. Lines before ``@data`` describe the file; without
    them, every line has a label at its end. ``?`` is a missing value, NaN.

    Raises:
        InputError: If a line cannot be read; the message has its number.
    """
    sequences, labels = [], []
    has_label, begun = True, False
    for number, line in enumerate(lines_of(read_file(path, encoding)), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith("@"):
            word, *rest = text.lower().split()
            if word == "@targetlabel" or (word == "@timestamps" and rest[:1] == ["true"]):
                raise InputError(
                    f"{path}, line {number}: {text!r} is not supported; values without time "
                    "stamps and a class label are needed."
                )
            has_label = rest[:1] != ["false"] if word == "@classlabel" else has_label
            begun = begun or word == "@data"
            continue
        series, label = _ts_line(text, has_label, f"{path}, line {number}")
        if sequences and series.shape[1] != sequences[0].shape[1]:
            raise InputError(
                f"{path}, line {number}: {series.shape[1]} channels, and {sequences[0].shape[1]} "
                "in the lines before. All sequences must have the same."
            )
        sequences.append(series)
        labels.append(label)
    if not sequences:
        raise InputError(f"The file {path} holds no sequence after {'@data' if begun else 'all'}.")
    return Labelled(sequences, np.array(labels) if has_label else None)


def _ts_line(text: str, has_label: bool, where: str) -> tuple[np.ndarray, str]:
    parts = text.split(":")
    label = parts.pop().strip() if has_label else ""
    if has_label and (not parts or not label):
        raise InputError(
            f"{where}: no label. A line must be channels and then the label, apart by colons, such "
            "as 1.5,2.5,3.5:walking."
        )
    channels = [_numbers(part.split(","), where) for part in parts]
    lengths = sorted({len(c) for c in channels})
    if len(lengths) > 1:
        raise InputError(f"{where}: channels of {lengths} values. All must have the same length.")
    return np.stack(channels, -1), label


def _numbers(words: list[str], where: str) -> np.ndarray:
    try:
        return np.array(words, np.float64)
    except ValueError:
        pass
    values = np.empty(len(words))
    for k, word in enumerate(words):
        try:
            values[k] = np.nan if word.strip() == "?" else float(word)
        except ValueError:
            raise InputError(f"{where}: value {k} (counted from 0) is {word!r}, no number.") from (
                None
            )
    return values


def read_ucr(path: Path, encoding: str = "utf-8") -> Labelled:
    """Return the sequences of a table of the UCR archive: a label and then values in each line.

    Values are apart by tabs, commas or spaces. NaN at the end of a line fills it up to the longest
    one and is left out. Labels are whole numbers where all are.

    Raises:
        InputError: If a line cannot be read; the message has its number.
    """
    sequences, labels = [], []
    for number, line in enumerate(lines_of(read_file(path, encoding)), 1):
        words = line.replace(",", " ").split()
        if not words:
            continue
        values = _numbers(words, f"{path}, line {number}")
        known = np.flatnonzero(~np.isnan(values[1:]))
        if not len(known):
            raise InputError(f"{path}, line {number}: a label without values.")
        sequences.append(values[1 : known[-1] + 2, None])
        labels.append(values[0])
    if not sequences:
        raise InputError(f"The file {path} holds no sequence.")
    found = np.array(labels)
    whole = (found == found.round()).all()
    return Labelled(sequences, found.astype(np.int64) if whole else found)
