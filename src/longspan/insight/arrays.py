"""Helpers for drawing: thinning long lines, smoothing, time axes, numbers in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

MAX_POINTS = 2000
"""Points drawn of one line at most; a screen shows no more."""


def extremes(y: np.ndarray, limit: int = MAX_POINTS) -> np.ndarray:
    """Return the positions to draw of a long line: first, last, and every bucket's extremes.

    The line looks as it would with all its points, since each bucket of neighbours keeps its
    lowest and its highest value. A bucket without any value keeps one, so that a gap stays a gap.

    Args:
        y: The line, shape (T,), NaN where missing.
        limit: Most positions to return, at least 4.

    Returns:
        Positions in rising order; all T of them where T ≤ `limit`.

    >>> extremes(np.array([0.0, 9, 1, 1, -5, 1, 1, 2]), limit=6).tolist()
    [0, 1, 4, 7]
    """
    if len(y) <= limit:
        return np.arange(len(y))
    keep = {0, len(y) - 1}
    edges = np.linspace(0, len(y), (limit - 2) // 2 + 1).astype(int)
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        bucket = y[start:stop]
        if np.isnan(bucket).all():
            keep.add(int(start))
        else:
            keep.update((start + int(np.nanargmin(bucket)), start + int(np.nanargmax(bucket))))
    return np.array(sorted(keep))


def spread(count: int, limit: int) -> np.ndarray:
    """Return at most `limit` different positions, evenly spread over ``range(count)``.

    >>> spread(10, 4).tolist()
    [0, 3, 6, 9]
    """
    return np.unique(np.linspace(0, max(count - 1, 0), min(limit, count)).round().astype(int))


def smoothed(y: np.ndarray, window: int) -> np.ndarray:
    """Return the centred moving mean of (T,) values, over fewer at the ends; NaN is left out.

    >>> smoothed(np.array([1.0, 3.0, 5.0]), 3).tolist()
    [2.0, 3.0, 4.0]
    """
    if window <= 1 or len(y) == 0:
        return y
    known = np.isfinite(y)
    before = np.concatenate([[0.0], np.cumsum(np.where(known, y, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    start = np.maximum(np.arange(len(y)) - window // 2, 0)
    stop = np.minimum(start + window, np.minimum(np.arange(len(y)) + window // 2 + 1, len(y)))
    count = counts[stop] - counts[start]
    return np.where(count > 0, (before[stop] - before[start]) / np.maximum(count, 1), np.nan)


def axis_values(time: np.ndarray) -> np.ndarray:
    """Return times as plotly reads them: ISO strings for dates, numbers as they are.

    >>> axis_values(np.array(["2024-03-01T05"], dtype="datetime64[h]")).tolist()
    ['2024-03-01T05:00']
    """
    time = np.asarray(time)
    if time.dtype.kind != "M":
        return time
    milliseconds = time.astype("datetime64[ms]")
    whole_minutes = bool(np.all(milliseconds == milliseconds.astype("datetime64[m]")))
    return np.datetime_as_string(milliseconds, unit="m" if whole_minutes else "ms")


def times_before(time: np.ndarray, count: int, step: Any = None) -> np.ndarray:
    """Return the `count` times before ``time[0]``, at the same spacing.

    Days 28 to 31 apart are taken for months (in multiples too), so that monthly, quarterly and
    yearly data keep their calendar.

    Args:
        time: Times in rising order, shape (H,), datetime64 or numbers.
        count: How many to return.
        step: The spacing, needed where H = 1 and there is none to see.

    >>> times_before(np.array(["2024-03-01", "2024-04-01"], dtype="datetime64[D]"), 2).astype(str)
    array(['2024-01-01', '2024-02-01'], dtype='<U10')
    """
    back = np.arange(-count, 0)
    if len(time) > 1:
        step = np.median(np.diff(time).astype(np.int64)).astype(np.int64)
        step = step.astype(f"m8[{np.datetime_data(time.dtype)[0]}]") if _is_date(time) else step
        months = _months(time)
        if months:
            start = time[0].astype("datetime64[M]")
            offset = time[0] - start.astype(time.dtype)
            return (start + back * months).astype(time.dtype) + offset
    if step is None:
        raise ValueError("step must be given for a single time")
    return time[0] + back * step


def _is_date(time: np.ndarray) -> bool:
    return time.dtype.kind == "M"


def _months(time: np.ndarray) -> int:
    """Return how many calendar months lie between neighbours, 0 where it is not months."""
    if not _is_date(time):
        return 0
    months = np.diff(time.astype("datetime64[M]").astype(np.int64))
    in_month = time - time.astype("datetime64[M]").astype(time.dtype)
    same_place = bool(np.all(in_month == in_month[0]))
    return int(months[0]) if same_place and months[0] > 0 and np.ptp(months) == 0 else 0


def number(value: Any, digits: int = 4) -> str:
    """Return a number for readers: four significant digits, thousands separated.

    >>> number(1234567.8), number(0.000123456), number(float("nan")), number(7)
    ('1,234,568', '0.0001235', '–', '7')
    """
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    value = float(value)
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -5 or magnitude > 11:
        return f"{value:.{digits - 1}g}"
    return f"{value:,.{max(digits - 1 - magnitude, 0)}f}"


def percent(share: float, digits: int = 0) -> str:
    """Return a share (0 to 1) as percent, with a narrow no-break space.

    >>> percent(0.8)
    '80\u202f%'
    """
    return f"{100 * share:.{digits}f}\u202f%" if math.isfinite(share) else "–"


def duration(seconds: float) -> str:
    """Return a duration for readers.

    >>> duration(0.5), duration(75), duration(7384)
    ('0.50 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.{2 if seconds < 10 else 0}f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
