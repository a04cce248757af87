"""The regular container of many series that everything below a forecast works on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from longspan.data.frequency import Frequency


@dataclass(frozen=True)
class Panel:
    """N series on one regular grid, one behind the other in flat storage.

    Series i has its target in rows first[i] to stop[i], and covariates known in advance up to
    row_stop[i]. Splits change `stop` and share the storage: they are views.

    Attributes:
        ids: Name of each series.
        target: (R,), float32, NaN where missing.
        past: Covariates known up to the present, (R, P).
        future: Covariates known in advance, (R, F).
        static: Covariates of each series, (N, S).
        first: First row of each series, (N,).
        stop: Row after the last with a target, (N,).
        row_stop: Row after the last, (N,).
        start: Index of each first row on the time grid, (N,), see `Frequency.index`.
        frequency: Distance of two rows.
        notes: What was found in the data, and what was done about it.
    """

    ids: tuple[str, ...]
    target: Tensor
    past: Tensor
    future: Tensor
    static: Tensor
    first: np.ndarray
    stop: np.ndarray
    row_stop: np.ndarray
    start: np.ndarray
    frequency: Frequency
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """Steps with a target of each series, (N,)."""
        return self.stop - self.first

    def until(self, stop: np.ndarray) -> Panel:
        """Return a view in which each series ends before its row `stop`, (N,)."""
        return replace(self, stop=np.clip(stop, self.first, self.stop))

    def values(self, series: int) -> np.ndarray:
        """Return the target of one series, a view."""
        return self.target[self.first[series] : self.stop[series]].numpy()

    def times(self, series: int, begin: int, end: int) -> np.ndarray:
        """Return the times of steps begin to end of one series; steps may lie beyond its end."""
        return self.frequency.at(self.start[series] + np.arange(begin, end))

    def grid(self) -> np.ndarray:
        """Return the position of each first row in the table of `calendar`, (N,)."""
        whole = np.floor(self.start + 1e-9).astype(np.int64)
        return whole - whole.min()

    def calendar(self, ahead: int) -> Tensor:
        """Return calendar features of the time grid that all series share, (steps, K).

        One row for each time, however many series there are, up to `ahead` steps beyond the last.
        """
        steps = int((self.grid() + self.row_stop - self.first).max()) + ahead
        begin = self.start[np.floor(self.start + 1e-9).argmin()]
        times = self.frequency.at(begin + np.arange(steps))
        return torch.from_numpy(self.frequency.calendar(times))
