"""The last rows of the training data, kept with a model so that it can forecast without any.

A table becomes tensors and plain values, never a file format that could carry more than data.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from longspan.data import Panel, Schema
from longspan.data.columns import numeric, parse_time
from longspan.data.prepare import series_codes
from longspan.errors import InputError

if TYPE_CHECKING:
    import polars as pl


def recent_rows(
    table: pl.DataFrame, schema: Schema, before: int, after: int
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return the last rows of each series in order of time, with the schema's columns.

    Args:
        table: The table.
        schema: Roles of its columns.
        before: Steps to keep up to the last observed value: the end of a table may hold nothing but
            covariates known in advance, and wide series may end at different times.
        after: Steps to keep after it.

    Returns:
        The rows; and without a time column, the number of steps of each series before them.
    """
    names = [schema.time, schema.id, *schema.target, *schema.covariates]
    table = table.select([name for name in names if name])
    ids, codes = series_codes(table, schema)
    time = parse_time(table[schema.time])[0] if schema.time else np.arange(table.height)
    order = np.lexsort((time, codes))
    codes, time = codes[order], time[order]
    # Rows that repeat a time are one step.
    new = (codes[1:] != codes[:-1]) | (time[1:] != time[:-1])
    step = np.cumsum(np.concatenate([[True], new]))
    ends = _last_observed(table, schema, order, codes, step)
    earliest, latest = ends.min(0), ends.max(0)
    kept = (step > earliest[codes] - before) & (step <= latest[codes] + after)
    skipped: dict[str, int] = {}
    if schema.time is None:
        _, first = np.unique(codes, return_index=True)
        begin = np.maximum(earliest - before + 1, step[first]) - step[first]
        skipped = dict(zip(ids, begin.tolist(), strict=True))
        if schema.is_wide:
            skipped = dict.fromkeys(schema.target, skipped[ids[0]])
    return table[order[kept]], skipped


def _last_observed(
    table: pl.DataFrame, schema: Schema, order: np.ndarray, codes: np.ndarray, step: np.ndarray
) -> np.ndarray:
    """Return the step of the last value of each target and series, (targets, N).

    That of a target without any is the last of all, so that it takes nothing from the others.
    """
    found = []
    for name in schema.target:
        ends = np.zeros(codes[-1] + 1, np.int64)
        observed = ~np.isnan(numeric(table[name], "target"))[order]
        np.maximum.at(ends, codes[observed], step[observed])
        found.append(ends)
    ends = np.stack(found)
    return np.where(ends > 0, ends, ends.max(0))


def moved(panel: Panel, skipped: dict[str, int]) -> Panel:
    """Return a panel of recent rows whose steps are counted from the beginning of each series."""
    return replace(panel, start=panel.start + [skipped.get(name, 0) for name in panel.ids])


def table_to_tensors(table: pl.DataFrame) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return each column as a tensor, and what is needed to read them again."""
    import polars as pl

    tensors, kinds = {}, {}
    for k, name in enumerate(table.columns):
        column = table[name]
        if column.dtype.is_numeric():
            kind, values = "number", column.cast(pl.Float64).fill_null(float("nan"))
            if column.dtype.is_integer() and not column.null_count():
                kind, values = "integer", column.cast(pl.Int64)
        elif column.dtype.is_temporal():
            zone = getattr(column.dtype, "time_zone", None)
            column = (
                column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else column
            )
            kind, values = "time", column.cast(pl.Datetime("us")).cast(pl.Int64)
            kinds[name] = {"kind": kind, "zone": zone}
        else:
            words = column.cast(pl.String)
            known = sorted(words.drop_nulls().unique().to_list())
            codes = words.replace_strict(
                known, list(range(len(known))), default=-1, return_dtype=pl.Int64
            )
            kind, values = "text", codes.fill_null(-1)
            kinds[name] = {"kind": kind, "words": known}
        kinds.setdefault(name, {"kind": kind})
        tensors[f"history.{k}"] = torch.from_numpy(values.to_numpy().copy())
    return tensors, kinds


def tensors_to_table(tensors: dict[str, Tensor], kinds: dict[str, Any]) -> pl.DataFrame:
    """Return the table that `table_to_tensors` took apart.

    Raises:
        InputError: If they do not fit together.
    """
    import polars as pl

    columns = {}
    try:
        for k, (name, how) in enumerate(kinds.items()):
            values = pl.Series(tensors[f"history.{k}"].numpy())
            if how["kind"] == "text":
                words = [str(word) for word in how["words"]]
                values = pl.Series(
                    [words[c] if 0 <= c < len(words) else None for c in values], dtype=pl.String
                )
            elif how["kind"] == "time":
                values = values.cast(pl.Int64).cast(pl.Datetime("us"))
                if how.get("zone") is not None:
                    utc = values.dt.replace_time_zone("UTC")
                    values = utc.dt.convert_time_zone(str(how["zone"]))
            columns[str(name)] = values
        return pl.DataFrame(columns)
    except (KeyError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
        raise InputError(f"The stored history is damaged: {error!r}.") from None
