"""The last rows of the training data, kept with a model so that it can forecast without any.

A table becomes tensors and plain values, never a file format that could carry more than data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from longspan.data import Schema
from longspan.data.columns import parse_time
from longspan.data.prepare import series_codes
from longspan.errors import InputError

if TYPE_CHECKING:
    import polars as pl


def recent_rows(table: pl.DataFrame, schema: Schema, count: int) -> pl.DataFrame:
    """Return the last `count` rows of each series in order of time, with the schema's columns."""
    names = [schema.time, schema.id, *schema.target, *schema.covariates]
    table = table.select([name for name in names if name])
    _, codes = series_codes(table, schema)
    time = parse_time(table[schema.time])[0] if schema.time else np.arange(table.height)
    order = np.lexsort((time, codes))
    ends = np.searchsorted(codes[order], codes[order], side="right")
    return table[order[ends - np.arange(len(order)) <= count]]


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
            columns[str(name)] = values
        return pl.DataFrame(columns)
    except (KeyError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
        raise InputError(f"The stored history is damaged: {error!r}.") from None
