"""Windows over a panel: found by number and gathered for a batch, never stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from longspan.data.panel import Panel


@dataclass(frozen=True)
class WindowRange:
    """Which (series, origin) pairs there are, without an array of them.

    An origin is the row of the first forecast step. Series i has count[i] origins, first[i],
    first[i] + stride, ….
    """

    first: np.ndarray
    count: np.ndarray
    stride: int = 1

    @classmethod
    def between(cls, first: np.ndarray, last: np.ndarray, stride: int = 1) -> WindowRange:
        """Return the origins from `first` to `last`, both included, per series; rows (N,)."""
        return cls(first, np.maximum((last - first) // stride + 1, 0), stride)

    def __len__(self) -> int:
        return int(self.count.sum())

    def locate(self, numbers: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return series and origin row of the windows with these numbers."""
        ends = np.cumsum(self.count)
        wanted = numbers.numpy()
        series = np.searchsorted(ends, wanted, side="right")
        within = wanted - (ends[series] - self.count[series])
        return series, self.first[series] + within * self.stride

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Return series and origin row of every window."""
        return self.locate(torch.arange(len(self)))


@dataclass(frozen=True)
class Windows:
    """A batch of windows: `before` steps up to the origin and `after` from it on.

    Attributes:
        context: Target before the origin, (B, before), NaN where missing or outside the series.
        inside: Whether each of those steps is a row of the series, (B, before).
        past: Past covariates, (B, before, P), NaN outside.
        future: Covariates known in advance, (B, before + after, F), NaN where unknown.
        calendar: Calendar features, (B, before + after, K).
        static: (B, S).
        actual: Target from the origin on, (B, after), NaN where the panel does not know it.
        series: Number of each window's series, (B,).
    """

    context: Tensor
    inside: Tensor
    past: Tensor
    future: Tensor
    calendar: Tensor
    static: Tensor
    actual: Tensor
    series: Tensor


def gather(
    panel: Panel,
    calendar: Tensor,
    series: np.ndarray,
    origin: np.ndarray,
    before: int,
    after: int,
) -> Windows:
    """Return the windows at these origins.

    Nothing at or after `panel.stop` is ever read as target, so a view shows no later value.

    Args:
        panel: The series.
        calendar: `panel.calendar(after)`.
        series: Numbers of series, (B,).
        origin: Rows of the first forecast step, (B,).
        before: Steps before the origin.
        after: Steps from the origin on.
    """
    first, stop, row_stop = (
        torch.from_numpy(a[series])[:, None] for a in (panel.first, panel.stop, panel.row_stop)
    )
    row = torch.from_numpy(origin)[:, None] + torch.arange(-before, after)
    begun = row >= first
    known_target, known_row = begun & (row < stop), begun & (row < row_stop)
    safe = row.clamp(0, max(len(panel.target) - 1, 0))
    target = torch.where(known_target, panel.target[safe], torch.nan)
    grid = torch.from_numpy(panel.grid()[series])[:, None] + row - first
    return Windows(
        context=target[:, :before],
        inside=known_row[:, :before],
        past=_where(known_target[:, :before], panel.past, safe[:, :before]),
        future=_where(known_row, panel.future, safe),
        calendar=calendar[grid.clamp(0, len(calendar) - 1)],
        static=panel.static[series],
        actual=target[:, before:],
        series=torch.from_numpy(series),
    )


def _where(known: Tensor, values: Tensor, rows: Tensor) -> Tensor:
    if not values.shape[1]:
        return values.new_zeros(*rows.shape, 0)
    return torch.where(known[..., None], values[rows], torch.nan)
