"""Single columns: time parsed, numbers checked, categories encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from longspan.errors import InputError, unknown_name

if TYPE_CHECKING:
    import polars as pl

_CLOCKS = (" %H:%M:%S", " %H:%M", "")
MONTH_FIRST = tuple(f"%m/%d/%Y{clock}" for clock in _CLOCKS)
DAY_FIRST = tuple(f"%d/%m/%Y{clock}" for clock in _CLOCKS)
#: Formats of dates that are tried in turn; the first that reads every row is taken.
FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M",
    "%Y/%m/%d", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", *MONTH_FIRST, *DAY_FIRST,
    "%Y%m%d",
)  # fmt: skip
#: The same with a zone at the end, such as +01:00 or Z.
ZONED = tuple(
    f"%Y-%m-%d{between}{clock}%#z"
    for between in "T " for clock in ("%H:%M:%S", "%H:%M:%S%.f", "%H:%M")
)  # fmt: skip
_ZONE = r"(?:Z|[+-]\d\d(?::?\d\d)?)$"
TIME_NAMES = {"ds", "date", "datetime", "time", "timestamp", "month", "day", "week", "year"}
#: Rows that a message names.
SHOWN = 3


def require(table: pl.DataFrame, name: str, role: str) -> pl.Series:
    """Return a column.

    Raises:
        InputError: If the table has none of that name.
    """
    if name not in table.columns:
        raise InputError(f"{unknown_name(f'column for {role}', name, table.columns)}")
    return table[name]


def find_time(table: pl.DataFrame, taken: set[str], by_series: bool) -> str | None:
    """Return the column that holds the time, or None if no column looks like it.

    Args:
        table: The table.
        taken: Columns that have another role.
        by_series: Whether an id column lets times repeat.
    """
    import polars as pl

    free = [name for name in table.columns if name not in taken]
    temporal = [name for name in free if table[name].dtype.is_temporal()]
    named = [
        name
        for name in free
        if name.lower() in TIME_NAMES
        # Whole numbers that repeat are a part of the date, the day of the month say.
        and (not table[name].dtype.is_numeric() or by_series or table[name].is_unique().all())
    ]
    if temporal or named:
        return (temporal + named)[0]
    texts = [name for name in free if table[name].dtype == pl.String]
    return next((name for name in texts if _parse_text(table[name].head(20)) is not None), None)


def parse_time(column: pl.Series) -> tuple[np.ndarray, str | None]:
    """Return times as datetime64[us], or int64 for whole numbers, and a note or None.

    Times with a zone become UTC, so that no hour is missing or double; but where all are midnight
    in their zone they are dates, which summer time does not move. Whole numbers like 20240131 are
    dates too. Of dates like 02/01/2024 the first number is the month or the day, whichever makes
    all of them dates, or else evenly spaced ones.

    Raises:
        InputError: If a time is missing or cannot be read; the message shows the first of them.
    """
    import polars as pl

    if column.null_count():
        rows = column.is_null().arg_true().head(SHOWN).to_list()
        raise InputError(
            f"Column {column.name!r} has {column.null_count()} missing times (first in rows "
            f"{rows}, counted from 0). Every row needs one; remove or complete these."
        )
    note = None
    if column.dtype.is_float() and (column.round() == column).all():
        column = column.cast(pl.Int64)
    if column.dtype.is_integer():
        dates = _dates_of(column)
        if dates is None:
            return column.to_numpy().astype(np.int64, copy=False), None
        column = dates
    if column.dtype == pl.String:
        parsed = _parse_text(column)
        if parsed is None:
            raise InputError(_unparsable(column))
        column = _in_order(column, parsed)
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone:
        column, note = _without_zone(column)
    if not (column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime)):
        raise InputError(
            f"Column {column.name!r} holds {column.dtype}; times must be dates, text that reads as "
            "dates, or whole numbers. Name the right column with `time`."
        )
    return column.cast(pl.Datetime("us")).to_numpy(), note


def _dates_of(numbers: pl.Series) -> pl.Series | None:
    """Return whole numbers like 20240131 as dates; None if they are no such numbers."""
    import polars as pl

    if not numbers.is_between(19_000_101, 21_991_231).all():
        return None
    text = numbers.cast(pl.Int64).cast(pl.String)
    dates = text.str.to_datetime("%Y%m%d", strict=False, time_unit="us")
    return None if dates.null_count() else dates


def are_dates(times: pl.Series) -> bool:
    """Return whether times with a zone, at least three, are all midnight there."""
    local = times.dt.replace_time_zone(None)
    return len(local) > 2 and bool((local == local.dt.truncate("1d")).all())


def _without_zone(times: pl.Series) -> tuple[pl.Series, str]:
    zone = getattr(times.dtype, "time_zone", None)
    if are_dates(times):
        note = f"Times in {zone} are all midnight there, and used as dates."
        return times.dt.replace_time_zone(None), note
    note = "Times are used as UTC." if zone == "UTC" else f"Times in {zone} are used as UTC."
    return times.dt.convert_time_zone("UTC").dt.replace_time_zone(None), note


def has_zone(column: pl.Series) -> bool:
    """Return whether the first text of a column of times ends with a zone, such as +01:00 or Z."""
    first = column.drop_nulls().head(1)
    return len(first) > 0 and bool(first.str.contains(rf":\S*{_ZONE}").all())


def _parse_text(column: pl.Series) -> pl.Series | None:
    """Return the dates that a text column holds, or None if no one format reads all rows."""
    if column.str.contains(r"^\d{4}-\d{1,2}$").all():
        column = column + "-01"
    if has_zone(column):
        local = _parse(column.str.replace(_ZONE, ""), FORMATS)
        if local is not None and are_dates(local):
            return local
        return _parse(column, ZONED)
    return _parse(column, FORMATS)


def _parse(column: pl.Series, layouts: tuple[str, ...]) -> pl.Series | None:
    first = column.drop_nulls().head(100)
    for layout in layouts:
        zone = "UTC" if "%#z" in layout else None
        options = {"format": layout, "strict": False, "time_unit": "us", "time_zone": zone}
        if first.str.to_datetime(**options).null_count():
            continue
        parsed = column.str.to_datetime(**options)
        if parsed.null_count() == column.null_count():
            return parsed
    return None


def _in_order(column: pl.Series, parsed: pl.Series) -> pl.Series:
    """Return the dates of a text column, of which `parsed` is one reading, by the right one."""
    month_first, day_first = _parse(column, MONTH_FIRST), _parse(column, DAY_FIRST)
    if month_first is None or day_first is None or month_first.equals(day_first):
        return parsed
    even = [reading for reading in (month_first, day_first) if _is_even(reading)]
    if len(even) != 1:
        raise InputError(
            f"Column {column.name!r} has dates like {column[0]!r}, all of which can be read with "
            "the month or with the day first. Write them like 2024-01-31."
        )
    return even[0]


def _is_even(times: pl.Series) -> bool:
    """Return whether times follow each other evenly, by the clock or by the calendar's months."""
    import polars as pl

    ordered = times.unique().sort()
    months = (ordered.dt.year().cast(pl.Int64) * 12 + ordered.dt.month()).diff()
    return ordered.diff().drop_nulls().n_unique() <= 1 or (
        ordered.dt.day().n_unique() == 1 and months.drop_nulls().n_unique() <= 1
    )


def _unparsable(column: pl.Series) -> str:
    counts = []
    for layout in FORMATS:
        bad = column.str.to_datetime(format=layout, strict=False).is_null().arg_true()
        counts.append((len(bad), bad.head(SHOWN).to_list()))
    _, rows = min(counts)
    shown = ", ".join(f"{column[row]!r} in row {row}" for row in rows)
    return (
        f"Column {column.name!r} cannot be read as dates: {shown} (rows counted from 0). Write "
        "dates like 2024-01-31 or 2024-01-31 18:00:00, all in one form."
    )


def numeric(column: pl.Series, role: str, dtype: type = np.float32) -> np.ndarray:
    """Return a column as floats, NaN where it is missing.

    Args:
        column: The column.
        role: What it is, for messages.
        dtype: float32 or float64; the range is that of float32 all the same.

    Raises:
        InputError: If it is not numeric, or has infinite values.
    """
    import polars as pl

    if column.null_count() == len(column):  # of a file, an empty column comes as text
        return np.full(len(column), np.nan, dtype)
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        converted = column.cast(pl.Float64, strict=False) if column.dtype == pl.String else None
        if converted is None:
            raise InputError(
                f"The {role} column {column.name!r} holds {column.dtype}, numbers are needed."
            )
        bad = (converted.is_null() & column.is_not_null()).arg_true().head(SHOWN).to_list()
        if not bad:
            raise InputError(
                f"The {role} column {column.name!r} holds numbers as text, numbers are needed. "
                "Convert it."
            )
        shown = ", ".join(f"{column[row]!r} in row {row}" for row in bad)
        raise InputError(
            f"The {role} column {column.name!r} must be numeric, got {shown} (rows counted from "
            "0). Correct these values, or leave them empty if they are missing."
        )
    whole = pl.Float64 if dtype is np.float64 else pl.Float32
    values = column.cast(whole).fill_null(float("nan")).to_numpy(writable=True)
    infinite = np.flatnonzero(np.abs(values) > np.finfo(np.float32).max)[:SHOWN]
    if len(infinite):
        raise InputError(
            f"The {role} column {column.name!r} has infinite values (or larger than 3e38), first "
            f"in rows {infinite.tolist()}, counted from 0. Correct them, or leave them empty."
        )
    return values


def almost_numeric(column: pl.Series) -> str | None:
    """Return a sentence on what keeps a text column, most of it numbers, from being numeric."""
    import polars as pl

    if column.dtype != pl.String:
        return None
    numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    if numbers.count() <= len(column) / 2:
        return None
    bad = (column.cast(pl.Float64, strict=False).is_null() & column.is_not_null()).arg_true()
    row = bad[0] if len(bad) else 0
    return (
        f"Column {column.name!r} would be one but for {column[row]!r} in row {row} (counted from "
        "0); correct such values, or leave them empty if they are missing. "
    )


def categories_of(column: pl.Series) -> tuple[str, ...] | None:
    """Return the values of a covariate that is text or boolean, sorted; None if it is numeric."""
    import polars as pl

    if column.dtype.is_numeric() or column.dtype == pl.Null:
        return None
    return tuple(sorted(str(v) for v in column.cast(pl.String).drop_nulls().unique().to_list()))


def encode(column: pl.Series, categories: tuple[str, ...] | None) -> np.ndarray:
    """Return a covariate as inputs, (n, 1), or (n, categories) with a one.

    A category that is not known is all zeros, a missing one all NaN. Yes and no are the same as
    booleans, as True and False, which pandas writes, and as 1 and 0.
    """
    import polars as pl

    if categories is None:
        return numeric(column, "covariate")[:, None]
    lower = tuple(c.lower() for c in categories)
    if set(lower) <= {"true", "false"}:
        truth = column.cast(pl.Boolean) if column.dtype.is_numeric() else column
        column, categories = truth.cast(pl.String).str.to_lowercase(), lower
    text = column.cast(pl.String)
    inputs = [(text == c).cast(pl.Float32).fill_null(float("nan")).to_numpy() for c in categories]
    return np.stack(inputs, -1) if inputs else np.zeros((len(column), 0), np.float32)
