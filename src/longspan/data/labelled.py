"""Labelled sequences and texts from files and frames, whatever their form."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.data.columns import require
from longspan.data.files import lines_of, read_file, suffix_of
from longspan.data.series import Labelled, first_empty, read_long_table, read_ts, read_ucr
from longspan.data.tables import MISSING, read_csv, read_table
from longspan.errors import InputError

if TYPE_CHECKING:
    import polars as pl

#: Names by which the columns of texts and labels are found.
TEXTS = ("text", "sentence", "question", "review", "utterance")
LABELS = ("label", "class", "target", "category", "intent")


def read_labelled(
    source: Any, *, text: str | None = None, label: str | None = None, id: str | None = None,
    time: str | None = None, values: Sequence[str] | None = None, encoding: str = "utf-8",
    need_labels: bool = True,
) -> Labelled:  # fmt: skip
    """Return the sequences or texts of a file or frame, with their labels.

    Args:
        source: A file of the UEA/UCR archive (``.ts``; ``.tsv`` or ``.txt`` without a header); a
            table (``.csv``, ``.tsv``, ``.parquet``) or frame with a row for each text, or for
            each step of a sequence, told from one another by whether there is a column of texts;
            JSON lines (``.jsonl``, ``.jsonl.gz``), an object with a text each.
        text: Column of the texts; found by its name, `TEXTS`.
        label: Column of the labels; found by its name, `LABELS`.
        id: Column that names the sequence or text, ``id`` by default.
        time: Column by which steps are put in order; ``time`` where there is one.
        values: Columns of the channels; by default all numeric ones that are none of the others.
        encoding: Of files of text.
        need_labels: Whether labels must be there. If not, those of a column that is missing,
            incomplete or not the same in a whole sequence are left out; the column is no channel.

    Raises:
        InputError: If it cannot be read; the message names the line or row.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None:
        if path.suffix == ".ts":
            return _checked(read_ts(path, encoding), need_labels)
        if ".jsonl" in path.suffixes or path.suffix == ".ndjson":
            return _json_lines(path, text, label, id, encoding, need_labels)
        if path.suffix in (".tsv", ".txt") and _is_ucr(path, encoding):
            return read_ucr(path, encoding)

    def text_of(columns: Sequence[str]) -> str | None:
        # Whoever names channels or the time has no texts, though a column be called so.
        return text or (None if values or time else _find(columns, None, TEXTS))

    table = None if path is None else _text_file(path, encoding, text_of)
    table = read_table(source if table is None else table)
    label = _find(table.columns, label, LABELS)
    if not need_labels and label not in table.columns:
        label = None
    if need_labels and label is None:
        raise InputError(
            f"Which column has the labels? Name it with `label` (--label). Columns: "
            f"{', '.join(table.columns)}."
        )
    column = text_of(table.columns)
    if column is not None:
        return _texts(table, column, label, id, need_labels)
    id = _find(table.columns, id, ("id",))
    if id is None:
        raise InputError(
            "A table needs a column of texts (`text`, --text) or one that names the sequence of "
            f"each row (`id`, --id). Columns: {', '.join(table.columns)}."
        )
    time = _find(table.columns, time, ("time",))
    return read_long_table(
        table, id=id, label=label, time=time, values=values, need_labels=need_labels
    )


def _checked(found: Labelled, need_labels: bool) -> Labelled:
    if need_labels and found.labels is None:
        raise InputError("The file has sequences without labels, and labels are needed.")
    return found


def _find(columns: Sequence[str], given: str | None, usual: Sequence[str]) -> str | None:
    if given is not None:
        return given
    return next((name for name in columns if name.lower() in usual), None)


def _is_ucr(path: Path, encoding: str) -> bool:
    """Return whether the first line is numbers alone: then it is no header."""
    first = next(iter(lines_of(read_file(path, encoding))), "")
    words = first.replace(",", " ").split()
    try:
        return len([float(word) for word in words]) > 1
    except ValueError:
        return False


def _text_file(
    path: Path, encoding: str, text_of: Callable[[Sequence[str]], str | None]
) -> pl.DataFrame | None:
    """Return the table in a file of text, with commas or tabs; None for another file.

    Args:
        path: The file.
        encoding: Of it.
        text_of: Says which of its columns has the texts, or None.
    """
    import polars as pl

    suffix = suffix_of(path).lower()
    if suffix not in (".csv", ".tsv", ".txt") or not path.is_file():
        return None
    whole = read_file(path, encoding).encode()  # a wrong byte is told with its line
    tabs = suffix != ".csv"
    # Quotes are no more than signs in a text with tabs.
    form: dict[str, Any] = {
        "separator": "\t" if tabs else ",", "quote_char": None if tabs else '"'
    }  # fmt: skip
    columns = read_csv(whole, path, n_rows=0, **form).columns
    text = text_of(columns)
    if text not in columns:
        return read_csv(whole, path, null_values=MISSING, **form)
    # NA and None are words like others here, and nothing is an empty text.
    found = read_csv(whole, path, schema_overrides={text: pl.String}, **form)
    return found.with_columns(pl.col(text).fill_null(""))


def _texts(
    table: pl.DataFrame, text: str, label: str | None, id: str | None, need_labels: bool
) -> Labelled:
    import polars as pl

    column = require(table, text, "text")
    if column.dtype != pl.String:
        column = column.cast(pl.String)
    if column.null_count():
        raise InputError(_empty(text, column.is_null().arg_true()[0]))
    labels = None if label is None else require(table, label, "label")
    row = None if labels is None else first_empty(labels)
    if row is not None:
        if need_labels:
            raise InputError(_empty(label, row))
        labels = None
    found = None if labels is None else labels.to_numpy()
    return Labelled(column.to_list(), found, _names(table, id, {text, label}))


def _names(table: pl.DataFrame, id: str | None, taken: set[str | None]) -> list[Any] | None:
    """Return what each text is called, or None where no column, or an incomplete one, says so."""
    own = _find([name for name in table.columns if name not in taken], id, ("id",))
    if own is None:
        return None
    names = require(table, own, "id")
    row = first_empty(names)
    if row is not None and id is not None:
        raise InputError(_empty(own, row))
    return None if row is not None else names.to_list()


def _empty(name: str | None, row: int) -> str:
    return (
        f"Column {name!r} is empty in row {row} (counted from 0). Complete it, or leave the row "
        "out."
    )


def _json_lines(
    path: Path, text: str | None, label: str | None, id: str | None, encoding: str,
    need_labels: bool,
) -> Labelled:  # fmt: skip
    texts, labels, names = [], [], []
    for number, line in enumerate(lines_of(read_file(path, encoding)), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            raise InputError(f"{where} is not JSON: {error}.") from None
        if not isinstance(record, dict):
            raise InputError(f'{where}: an object such as {{"text": …, "label": …}} is needed.')
        text = _find(list(record), text, TEXTS)
        label = _find(list(record), label, LABELS)
        if text not in record or not isinstance(record[text], str):
            raise InputError(f"{where} has no text under {text or 'text'!r}. Name it with `text`.")
        if need_labels and not isinstance(record.get(label), str | int | float | bool):
            raise InputError(
                f"{where} has no label under {label or 'label'!r}. Name it with `label`."
            )
        texts.append(record[text])
        labels.append(record.get(label))
        name = record.get(_find(list(record), id, ("id",)))
        if id is not None and name is None:
            raise InputError(f"{where} has no name under {id!r}.")
        names.append(name)
    if not texts:
        raise InputError(f"The file {path} holds no text.")
    own = _of_one_type(labels)
    return Labelled(texts, None if own is None else np.array(own), _of_one_type(names))


def _of_one_type(values: list[Any]) -> list[Any] | None:
    """Return texts where some are, or the values as they are; None if one is missing."""
    if any(value is None for value in values):
        return None
    if len({type(value) is str for value in values}) > 1:
        return [str(value) for value in values]
    return values
