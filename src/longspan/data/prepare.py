"""From a table to a panel: roles found, rows sorted, duplicates merged, gaps filled, all noted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from longspan.data.columns import (
    almost_numeric,
    categories_of,
    encode,
    find_time,
    numeric,
    parse_time,
    require,
)
from longspan.data.frequency import Frequency, infer_frequency
from longspan.data.panel import Panel
from longspan.data.schema import Schema
from longspan.errors import InputError

if TYPE_CHECKING:
    import polars as pl

#: How far from the grid a time may be, in steps: months are not all equally long.
OFF_GRID, OFF_GRID_MONTHS = 1e-4, 0.13

#: Missing rows, in all and for each row that is there, beyond which a time must be wrong: to insert
#: them could take all memory.
MOST_GAPS, MOST_GAPS_A_ROW = 20_000_000, 100

#: Share of repeated times that is no longer taken for a slip such as the end of summer time.
MANY_DUPLICATES = 0.1


def resolve_schema(
    table: pl.DataFrame,
    *,
    target: str | Sequence[str] | None = None,
    time: str | None = None,
    id: str | None = None,
    past_covariates: Sequence[str] = (),
    future_covariates: Sequence[str] = (),
    static_covariates: Sequence[str] = (),
    frequency: str | None = None,
) -> Schema:
    """Return which column is what; what is not named is found.

    Args:
        table: The table.
        target: Column to forecast, or several that are a series each; by default all numeric
            columns without another role.
        time: Time column; by default the one that holds dates or is called so.
        id: Column that names the series, for a long table.
        past_covariates: Columns known up to the present.
        future_covariates: Columns known in advance.
        static_covariates: Columns constant within a series; they need `id`.
        frequency: Distance of two steps, such as ``"1h"``; by default inferred, which leaves
            ``""`` here.

    Raises:
        InputError: If a column is missing, named twice, or nothing is left to forecast.
    """
    covariates = (*past_covariates, *future_covariates, *static_covariates)
    given = [target] if isinstance(target, str) else list(target or ())
    named = [*given, *covariates, *(name for name in (time, id) if name)]
    by_role = {
        "`target`": given, "`time`": [time] if time else [], "`id`": [id] if id else [],
        "`past_covariates`": past_covariates, "`future_covariates`": future_covariates,
        "`static_covariates`": static_covariates,
    }  # fmt: skip
    for role, names in by_role.items():
        for name in names:
            require(table, name, role)
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise InputError(f"Each column can have one role; named more than once: {twice}.")
    time = time or find_time(table, set(named), id is not None)
    if not given:
        free = [name for name in table.columns if name not in {*named, time}]
        given = [name for name in free if table[name].dtype.is_numeric()]
        if not given:
            almost = next(filter(None, (almost_numeric(table[name]) for name in free)), "")
            raise InputError(
                f"No numeric column is left to forecast among {table.columns}. {almost}Name it "
                "with `target`."
            )
    if id and len(given) > 1:
        raise InputError(
            f"With an id column there is one target, got {given}. Name it with `target`."
        )
    if static_covariates and not id:
        raise InputError("static_covariates need an `id` column that says which rows are a series.")
    return Schema(
        tuple(given), time, id, tuple(past_covariates), tuple(future_covariates),
        tuple(static_covariates), str(Frequency.parse(frequency)) if frequency else "",
        {n: c for n in covariates if (c := categories_of(table[n])) is not None},
    )  # fmt: skip


def build_panel(
    table: pl.DataFrame, schema: Schema, *, repeats: float = MANY_DUPLICATES
) -> tuple[Panel, Schema]:
    """Return the panel of a table, and the schema with its frequency.

    Rows are sorted; rows of the same series and time are replaced by their mean; missing rows are
    inserted, with a missing target. A series begins and ends with an observed value; rows after
    that serve as covariates known in advance. Every such finding is a note.

    Args:
        table: The table.
        schema: Roles of its columns.
        repeats: Largest share of repeated times that is not taken for a mistake.

    Raises:
        InputError: If a column is missing or holds what it must not, or time is not regular.
    """
    notes: list[str] = []
    rows = _Rows(table, schema, notes)
    rows.sort()
    rows.merge_duplicates(repeats)
    if not schema.frequency:
        schema = replace(schema, frequency=str(rows.infer_frequency()))
    frequency = Frequency.parse(schema.frequency)
    start = rows.fill_gaps(frequency)
    first, stop, row_stop = rows.trim()
    keep = stop > first
    if not keep.any():
        raise InputError(
            f"Every value of the target {', '.join(map(repr, schema.target))} is missing. Check "
            "the column's name and how missing values are written."
        )
    if not keep.all():
        notes.append(f"{(~keep).sum()} series have no observed value and are left out.")
    start = start + (first - rows.first)
    panel = Panel(
        tuple(name for name, kept in zip(rows.ids, keep, strict=True) if kept),
        torch.from_numpy(rows.target), torch.from_numpy(rows.past), torch.from_numpy(rows.future),
        torch.from_numpy(rows.static[keep]), first[keep], stop[keep], row_stop[keep], start[keep],
        frequency,
    )  # fmt: skip
    missing = sum(int(np.isnan(panel.values(k)).sum()) for k in range(len(panel)))
    if missing:
        notes.append(f"{missing} of {panel.lengths.sum()} values are missing.")
    return replace(panel, notes=tuple(notes)), schema


class _Rows:
    """The rows of a table on their way to a panel."""

    def __init__(self, table: pl.DataFrame, schema: Schema, notes: list[str]) -> None:
        self.notes = notes
        for name in schema.covariates:
            if name not in table.columns:
                raise InputError(
                    f"The covariate {name!r} is missing from the table, which has "
                    f"{table.columns}. It is an input of the model: add the column."
                )
        targets = [numeric(require(table, name, "target"), "target") for name in schema.target]
        time = self._times(table, schema)
        if schema.is_wide:
            self.ids: tuple[str, ...] = schema.target
            repeats = len(targets)
            self.codes = np.repeat(np.arange(repeats, dtype=np.int32), table.height)
            self.time = np.tile(time, repeats)
        else:
            repeats = 1
            self.ids, self.codes = series_codes(table, schema)
            self.time = time
        self.target = np.concatenate(targets) if repeats > 1 else targets[0]
        self.past = _matrix(table, schema.past_covariates, schema, repeats)
        self.future = _matrix(table, schema.future_covariates, schema, repeats)
        self.static = _statics(table, schema, self.codes, len(self.ids))

    def _times(self, table: pl.DataFrame, schema: Schema) -> np.ndarray:
        if schema.time is None:
            self.time_is_row = True
            return np.arange(table.height, dtype=np.int64)
        self.time_is_row = False
        times, note = parse_time(require(table, schema.time, "time"))
        if note:
            self.notes.append(note)
        return times

    def sort(self) -> None:
        codes, time = self.codes, self.time
        same = codes[1:] == codes[:-1]
        if not ((codes[1:] >= codes[:-1]).all() and (time[1:] >= time[:-1])[same].all()):
            order = np.lexsort((time, codes))
            if not self.time_is_row:
                self.notes.append("Rows were not in order of series and time; they were sorted.")
            self.codes, self.time, self.target = codes[order], time[order], self.target[order]
            self.past, self.future = self.past[order], self.future[order]
        if self.time_is_row:  # steps count within each series
            self.time = np.arange(len(self.codes)) - self._firsts()[self.codes]

    def merge_duplicates(self, most: float) -> None:
        same = (self.codes[1:] == self.codes[:-1]) & (self.time[1:] == self.time[:-1])
        if same.any():
            if same.mean() > most:
                raise InputError(
                    f"{same.sum()} of {len(self.codes)} rows repeat the time of another, so the "
                    "table seems to hold several series. Name the column that tells them apart "
                    "with `id`, or the right time column with `time`."
                )
            example = self.time[1:][same][0]
            self.notes.append(
                f"{same.sum()} rows repeat the time of another of the same series (first at "
                f"{example}); their mean is used."
            )
            heads = np.flatnonzero(np.concatenate([[True], ~same]))
            self.target = _group_mean(self.target[:, None], heads)[:, 0]
            self.past, self.future = _group_mean(self.past, heads), _group_mean(self.future, heads)
            self.codes, self.time = self.codes[heads], self.time[heads]
        self.first = self._firsts()
        self.stop = np.append(self.first[1:], len(self.codes))

    def infer_frequency(self) -> Frequency:
        found: dict[Frequency, list[str]] = {}
        for name, begin, end in zip(self.ids, self.first, self.stop, strict=True):
            if end - begin >= 2:
                found.setdefault(infer_frequency(self.time[begin:end]), []).append(name)
        if not found:
            raise InputError(
                "No series has two rows, so there is no frequency. More rows are needed, or an "
                "`id` column was named by mistake."
            )
        if len(found) > 1:
            shown = "; ".join(f"{f} in {names[0]!r}" for f, names in list(found.items())[:4])
            raise InputError(
                f"All series must have one frequency, got {shown}. Forecast them one by one, or "
                "state the frequency; rows that are missing are then inserted."
            )
        return next(iter(found))

    def fill_gaps(self, frequency: Frequency) -> np.ndarray:
        """Put the rows on the grid; return the index of each series' first row."""
        if frequency.is_calendar != np.issubdtype(self.time.dtype, np.datetime64):
            kind = "dates" if frequency.is_calendar else "whole numbers"
            raise InputError(
                f"The frequency {frequency} needs times that are {kind}, got {self.time.dtype}."
            )
        start = np.zeros(len(self.ids))
        steps: list[np.ndarray | None] = []
        counts = np.zeros(len(self.ids), np.int64)
        for k, (begin, end) in enumerate(zip(self.first, self.stop, strict=True)):
            start[k], own = self._steps(k, begin, end, frequency)
            counts[k] = own[-1] + 1
            steps.append(None if counts[k] == end - begin else own)
        gaps = int((counts - (self.stop - self.first)).sum())
        if gaps > max(MOST_GAPS, MOST_GAPS_A_ROW * len(self.codes)):
            k = int((counts - (self.stop - self.first)).argmax())
            begin, end = self.time[self.first[k]], self.time[self.stop[k] - 1]
            raise InputError(
                f"With a frequency of {frequency}, {gaps} rows are missing between the "
                f"{len(self.codes)} that there are; series {self.ids[k]!r} reaches from {begin} to "
                f"{end}. Correct a time that is wrong, or state the right `frequency`."
            )
        self.given = np.ones(len(self.codes), bool)
        if gaps:
            self._insert(steps, counts, gaps)
        return start

    def _steps(
        self, series: int, begin: int, end: int, frequency: Frequency
    ) -> tuple[float, np.ndarray]:
        index = frequency.index(self.time[begin:end])
        exact = index - index[0]
        steps = np.rint(exact).astype(np.int64)
        months = frequency.unit in ("mo", "q", "y")
        off = np.abs(exact - steps) > (OFF_GRID_MONTHS if months else OFF_GRID)
        if off.any() or (np.diff(steps) == 0).any():
            row = int(off.argmax()) if off.any() else int((np.diff(steps) == 0).argmax()) + 1
            raise InputError(
                f"Time is not regular: with a frequency of {frequency}, {self.time[begin + row]} "
                f"in series {self.ids[series]!r} is not a step after {self.time[begin]}. State the "
                "right `frequency`, or resample the data to a regular one."
            )
        return float(index[0]), steps

    def _insert(self, steps: list[np.ndarray | None], counts: np.ndarray, gaps: int) -> None:
        longest = max(int(np.diff(s).max()) - 1 for s in steps if s is not None)
        self.notes.append(
            f"{gaps} rows were missing (the longest gap has {longest}); they were inserted, their "
            "target counts as missing."
        )
        new_first = np.cumsum(counts) - counts
        place = np.empty(len(self.codes), np.int64)
        for k, (begin, end) in enumerate(zip(self.first, self.stop, strict=True)):
            own = steps[k]
            place[begin:end] = new_first[k] + (np.arange(end - begin) if own is None else own)
        total = int(counts.sum())
        for name in ("target", "past", "future"):
            old = getattr(self, name)
            new = np.full((total, *old.shape[1:]), np.nan, np.float32)
            new[place] = old
            setattr(self, name, new)
        self.given = np.zeros(total, bool)
        self.given[place] = True
        self.first, self.stop = new_first, new_first + counts

    def trim(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return first and last observed row of each series, and where its rows end.

        After the last observed one they end at a gap, for there nothing is known in advance.
        """
        first, stop, row_stop = self.first.copy(), self.stop.copy(), self.stop.copy()
        for k, (begin, end) in enumerate(zip(self.first, self.stop, strict=True)):
            observed = ~np.isnan(self.target[begin:end])
            first[k] = begin + observed.argmax()
            stop[k] = end - observed[::-1].argmax() if observed.any() else first[k]
            absent = ~self.given[stop[k] : end]
            row_stop[k] = stop[k] + absent.argmax() if absent.any() else end
        return first, stop, row_stop

    def _firsts(self) -> np.ndarray:
        return np.searchsorted(self.codes, np.arange(len(self.ids)))


def series_codes(table: pl.DataFrame, schema: Schema) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the series in order of appearance, and each row's number."""
    import polars as pl

    if schema.id is None:
        return (schema.target[0],), np.zeros(table.height, np.int32)
    column = require(table, schema.id, "id")
    if column.null_count():
        rows = column.is_null().arg_true().head(3).to_list()
        raise InputError(
            f"Column {schema.id!r} has {column.null_count()} missing ids (first in rows {rows}, "
            "counted from 0). Every row must say which series it belongs to."
        )
    names = column.unique(maintain_order=True)
    codes = column.replace_strict(names, pl.int_range(len(names), dtype=pl.Int32, eager=True))
    return tuple(map(str, names.to_list())), codes.cast(pl.Int32).to_numpy()


def _matrix(
    table: pl.DataFrame, names: tuple[str, ...], schema: Schema, repeats: int
) -> np.ndarray:
    parts = [encode(table[name], schema.categories.get(name)) for name in names]
    matrix = np.concatenate(parts, 1) if parts else np.zeros((table.height, 0), np.float32)
    return np.tile(matrix, (repeats, 1)) if repeats > 1 else matrix


def _statics(table: pl.DataFrame, schema: Schema, codes: np.ndarray, count: int) -> np.ndarray:
    """Return the covariates of each series, from its first row; they must not vary."""
    matrix = _matrix(table, schema.static_covariates, schema, 1)
    if not matrix.shape[1]:
        return np.zeros((count, 0), np.float32)
    _, first = np.unique(codes, return_index=True)
    static = matrix[first]
    differs = (matrix != static[codes]) & ~np.isnan(matrix)
    if differs.any():
        row = int(differs.any(1).argmax())
        raise InputError(
            f"static_covariates must be constant within a series; row {row} (counted from 0) "
            "differs from the first of its series. Use past_covariates or future_covariates."
        )
    return static


def _group_mean(values: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Return the mean of the observed values of each group of rows, (groups, columns)."""
    if not values.shape[1]:
        return values[heads]
    observed = ~np.isnan(values)
    total = np.add.reduceat(np.where(observed, values, 0.0), heads, axis=0, dtype=np.float64)
    count = np.add.reduceat(observed, heads, axis=0, dtype=np.int64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
