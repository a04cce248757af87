"""Rows of what is known in advance, put after the rows of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longspan.data import Schema
from longspan.data.columns import parse_time
from longspan.errors import InputError

if TYPE_CHECKING:
    import polars as pl


def with_future(table: pl.DataFrame, ahead: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Return a table with the rows ahead of it, which may repeat some of its rows.

    Of these only time, id and covariates are taken: a target that happens to be there would end the
    past later.

    Args:
        table: The past, with all columns of the schema.
        ahead: Rows with the covariates known in advance.
        schema: Roles of the columns.

    Raises:
        InputError: If a column is missing from `ahead`, or holds what it must not.
    """
    import polars as pl

    needed = [name for name in (schema.id, schema.time, *schema.future_covariates) if name]
    missing = [name for name in needed if name not in ahead.columns]
    if missing:
        raise InputError(
            f"The columns {missing} are missing from `future`, which has {ahead.columns}. It needs "
            f"{needed}: add the columns."
        )
    columns = []
    for name in (name for name in needed if name in table.columns):
        past, column = table[name], ahead[name]
        if name == schema.time and past.dtype != column.dtype:
            past, column = (pl.Series(name, parse_time(each)[0]) for each in (past, column))
            table = table.with_columns(past)
        columns.append(_as(column, past.dtype))
    return pl.concat([table, pl.DataFrame(columns)], how="diagonal_relaxed")


def _as(column: pl.Series, kind: pl.DataType) -> pl.Series:
    """Return a column in the type of the past; numbers keep theirs, which may be finer."""
    import polars as pl

    if column.dtype.is_temporal() != kind.is_temporal():
        raise _other(column, kind)
    if kind == pl.Null or (column.dtype.is_numeric() and kind.is_numeric()):
        return column
    try:
        return column.cast(kind)
    except pl.exceptions.PolarsError:
        raise _other(column, kind) from None


def _other(column: pl.Series, kind: pl.DataType) -> InputError:
    return InputError(
        f"Column {column.name!r} of `future` holds {column.dtype}, and in the data it holds "
        f"{kind}. Write it as there."
    )
