"""Which steps train, which stop the training, which test: strictly one after the other in time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from longspan.data import Panel, WindowRange
from longspan.errors import InputError
from longspan.tasks.forecast.results import SplitSummary

VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Split:
    """Rows at which the parts of each series end, each (N,).

    Attributes:
        train: End of the training part; the validation part begins there.
        validation: End of the validation part; the test part begins there.
        test: End of the series.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def summaries(self, panel: Panel) -> list[SplitSummary]:
        """Return the parts of each series as step numbers."""
        parts = np.stack([panel.first, self.train, self.validation, self.test]) - panel.first
        return [
            SplitSummary(
                name, *((int(a), int(b)) for a, b in pairwise(p)),
                missing=int(np.isnan(panel.values(k)).sum()),
            )
            for k, (name, p) in enumerate(zip(panel.ids, parts.T, strict=True))
        ]  # fmt: skip


def split(panel: Panel, horizon: int, test_steps: int, validation_windows: int) -> Split:
    """Cut the test part off the end of every series, then the validation part.

    The validation part takes at most a fifth of what is before the test part, but at least one
    horizon. A series that is too short for all three gives up its validation part first, then
    takes no part in training; if that leaves none, the data are too short.

    Raises:
        InputError: If no series is long enough.
    """
    validation = panel.stop - test_steps
    windows = np.floor(VALIDATION_SHARE * (validation - panel.first) / horizon).astype(np.int64)
    train = validation - np.clip(windows, min(1, validation_windows), validation_windows) * horizon
    short = train - panel.first < horizon + 1
    train = np.maximum(np.where(short, validation, train), panel.first)
    usable = train - panel.first >= horizon + 1
    if not usable.any():
        longest = int(panel.lengths.max())
        needed = test_steps + horizon + 1
        raise InputError(
            f"The longest series has {longest} steps; forecasting {horizon} steps with a test part "
            f"of {test_steps} needs at least {needed}. Give longer series, or lower the horizon or "
            "the number of test windows."
        )
    # A series that takes no part ends where it begins.
    ends = (train, np.maximum(validation, train), panel.stop)
    return Split(*(np.where(usable, end, panel.first) for end in ends))


def training_origins(
    panel: Panel, context_length: int, horizon: int, stop: np.ndarray
) -> WindowRange:
    """Return all origins whose horizon ends in the training part.

    A series gives its windows with a full context; if it is too short for that, those with at
    least half of what it has.
    """
    last = stop - horizon
    full = panel.first + context_length
    short = panel.first + np.maximum((last - panel.first) // 2, 1)
    return WindowRange.between(np.where(full <= last, full, short), last)


def rolling_origins(begin: np.ndarray, stop: np.ndarray, horizon: int, step: int) -> WindowRange:
    """Return origins from `begin` on, `step` apart, whose horizon ends before `stop`."""
    return WindowRange.between(begin, stop - horizon, step)
