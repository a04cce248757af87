"""Regular time: how far apart steps are, which seasons that suggests, what the calendar says."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from longspan.errors import InputError

#: Seconds of the units of fixed length.
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
#: Months of the calendar's units.
MONTHS = {"mo": 1, "q": 3, "y": 12}
#: Season lengths to try, by the length of a step in seconds.
_CYCLES = {"day": 86400, "week": 604800, "year": 31557600}

_PATTERN = re.compile(r"(\d*)(s|m|h|d|w|b|mo|q|y|step)")


@dataclass(frozen=True)
class Frequency:
    """The distance of two steps: ``30m``, ``1d``, ``1b`` (business days), ``1mo``, ``1step``.

    Attributes:
        count: How many units.
        unit: ``s``, ``m``, ``h``, ``d``, ``w``, ``b``, ``mo``, ``q``, ``y``, or ``step`` where time
            is a whole number.
    """

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Frequency:
        """Return the frequency that a text like ``"15m"`` or ``"1mo"`` names.

        >>> Frequency.parse("15m")
        Frequency(count=15, unit='m')

        Raises:
            InputError: If it names none.
        """
        match = _PATTERN.fullmatch(text.strip().lower()) if isinstance(text, str) else None
        if match is None or match[1] == "0":
            raise InputError(
                f"`frequency` must be a number and a unit (s, m, h, d, w, b, mo, q, y or step), "
                f"such as 15m, 1h, 1d, 1b or 1mo, got {text!r}."
            )
        return cls(int(match[1] or 1), match[2])

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"

    @property
    def is_calendar(self) -> bool:
        """Whether steps are dates; otherwise they are whole numbers."""
        return self.unit != "step"

    def index(self, times: np.ndarray) -> np.ndarray:
        """Return the number of steps since the epoch (1970), as floats: whole ones are on the grid.

        Args:
            times: datetime64[us], or int64 for the unit ``step``.
        """
        if self.unit == "step":
            return times / self.count
        if self.unit in SECONDS:
            return times.astype(np.int64) / (1e6 * SECONDS[self.unit] * self.count)
        if self.unit == "b":
            days = times.astype("datetime64[D]")
            whole = np.busday_count(np.datetime64("1970-01-01"), days, weekmask="1111100")
            return np.where(np.is_busday(days), whole, whole - 0.5) / self.count
        months = times.astype("datetime64[M]")
        inside = (times - months.astype(times.dtype)) / np.timedelta64(31, "D")
        if _are_month_ends(times):  # the last day of February is not its 28th
            inside = np.full(len(times), 30 / 31)
        return (months.astype(np.int64) + inside) / (MONTHS[self.unit] * self.count)

    def at(self, index: np.ndarray) -> np.ndarray:
        """Return the times with these indices, the inverse of `index`."""
        if self.unit == "step":
            return np.rint(index * self.count).astype(np.int64)
        if self.unit in SECONDS:
            return np.rint(index * (1e6 * SECONDS[self.unit] * self.count)).astype("datetime64[us]")
        if self.unit == "b":
            days = np.rint(index * self.count).astype(np.int64)
            return np.busday_offset(
                np.datetime64("1970-01-01", "D"), days, weekmask="1111100"
            ).astype("datetime64[us]")
        months = index * (MONTHS[self.unit] * self.count)
        month = np.floor(months + 1e-9).astype(np.int64).astype("datetime64[M]")
        inside = np.rint((months - month.astype(np.int64)) * 31 * 86400).astype("timedelta64[s]")
        last = (month + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
        # The 31st goes on as the last day of shorter months.
        return np.minimum(month.astype("datetime64[us]") + inside, last.astype("datetime64[us]"))

    def seasons(self) -> tuple[int, ...]:
        """Return season lengths worth a try, in steps, rising."""
        if self.unit == "step":
            return (4, 7, 12, 24, 48, 52, 168)
        if self.unit == "b":
            return (5,)
        if self.unit in MONTHS:
            months = MONTHS[self.unit] * self.count
            return (12 // months,) if 12 % months == 0 and months < 12 else ()
        step = SECONDS[self.unit] * self.count
        found = []
        for seconds in _CYCLES.values():
            steps = round(seconds / step)
            # A year of hours is not a season to look back at; a year of weeks is.
            if steps > 1 and (seconds % step == 0 or steps > 50) and steps <= 700:
                found.append(steps)
        return tuple(found)

    def calendar(self, times: np.ndarray) -> np.ndarray:
        """Return the features of dates that this frequency resolves, (n, K), within [-1, 1].

        Sine and cosine of the position in the day, the week and the year, as far as steps are
        shorter than these. K is 0 for whole numbers.
        """
        if not self.is_calendar:
            return np.zeros((len(times), 0), np.float32)
        seconds = times.astype("datetime64[s]").astype(np.int64)
        year = times.astype("datetime64[Y]")
        start = year.astype("datetime64[s]").astype(np.int64)
        length = (year + 1).astype("datetime64[s]").astype(np.int64) - start
        phases = {
            "day": seconds % 86400 / 86400,
            "week": (seconds // 86400 + 3) % 7 / 7,  # 1970-01-01 was a Thursday
            "year": (seconds - start) / length,
        }
        used = [2.0 * np.pi * phases[name] for name in self.cycles()]
        waves = [wave(phase) for phase in used for wave in (np.sin, np.cos)]
        return np.stack(waves, -1).astype(np.float32) if waves else np.zeros((len(times), 0), "f4")

    def cycles(self) -> dict[str, float]:
        """Return the calendar's cycles that steps resolve, the shortest first, in steps."""
        if not self.is_calendar:
            return {}
        length = MONTHS[self.unit] * 28 * 86400 if self.unit in MONTHS else None
        step = (length or SECONDS.get(self.unit, 86400)) * self.count
        return {name: cycle / step for name, cycle in _CYCLES.items() if cycle >= 1.2 * step}


def infer_frequency(times: np.ndarray) -> Frequency:
    """Return the frequency of one series' sorted, different times: the commonest distance.

    Args:
        times: datetime64[us] or int64, at least two.

    Raises:
        InputError: If no frequency fits.
    """
    if np.issubdtype(times.dtype, np.integer):
        return Frequency(_commonest(np.diff(times)), "step")
    days = times.astype("datetime64[D]")
    month = days.astype("datetime64[M]")
    if len(times) > 2 and (times == days).all() and (days == month).all():
        return _months(month)
    monthly = _monthly(days) if (times == days).all() else None
    if monthly is not None:
        return monthly
    microseconds = _commonest(np.diff(times.astype(np.int64)))
    if microseconds % 1_000_000:
        raise InputError(
            f"The commonest distance of two times is {microseconds / 1e6} s; whole seconds are "
            "needed. Round the times, or leave out the time column."
        )
    seconds = microseconds // 1_000_000
    if seconds == 86400 and len(days) > 10 and np.is_busday(days).all():
        return Frequency(1, "b")
    unit = next(u for u in reversed(SECONDS) if seconds % SECONDS[u] == 0)
    return Frequency(seconds // SECONDS[unit], unit)


def _monthly(days: np.ndarray) -> Frequency | None:
    """Return a monthly frequency if steps are 28 to 31 days, or yearly, quarterly alike.

    If some are longer, for months are missing, every day must stand at the same place of its month.
    """
    gaps = np.diff(days.astype(np.int64))
    if len(gaps) < 3 or len(set(gaps)) == 1:
        return None
    for months, low, high in ((1, 28, 31), (3, 90, 92), (12, 365, 366)):
        if (gaps >= low).all() and (gaps <= high).all():
            return Frequency(1, {1: "mo", 3: "q", 12: "y"}[months])
    month = days.astype("datetime64[M]")
    if not (_are_month_ends(days) or len(set(days - month.astype(days.dtype))) == 1):
        return None
    return _months(month)


def _months(month: np.ndarray) -> Frequency:
    months = _commonest(np.diff(month.astype(np.int64)))
    return Frequency(months // 12, "y") if months % 12 == 0 else Frequency(months, "mo")


def _are_month_ends(times: np.ndarray) -> bool:
    """Return whether each of these times is midnight of the last day of a month."""
    days = times.astype("datetime64[D]")
    following = days + 1
    return bool((times == days).all() and (following == following.astype("datetime64[M]")).all())


def _commonest(gaps: np.ndarray) -> int:
    values, counts = np.unique(gaps, return_counts=True)
    return int(values[counts.argmax()])
