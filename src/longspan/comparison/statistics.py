"""Which differences are real: paired intervals over seeds, corrected for how many are looked at.

Two cells trained from the same seed on the same data have batches in the same order, so their
scores are compared seed by seed. Let dᵢ = aᵢ - bᵢ over n seeds, with mean d̄ and standard deviation
s. Student's t interval is d̄ ± t(1 - α'/2, n - 1) s / √n. With K cells there are m = K (K - 1) / 2
pairs; all of them count, because which cell is the best is known only after looking. Holm (1979)
sorts the pairs by their p-values and gives the j-th α' = α / (m - j + 1), until the first that does
not pass; that one and all after it keep its level. So an interval leaves 0 out exactly where Holm's
test rejects, and the probability that any pair of equal cells is called different is at most α.

Where training diverged from some seeds, all pairs are compared by the same seeds, those that all
cells finished (`shared_seeds`): then a difference of means is the mean of the differences, and no
two statements about the same cells can contradict each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm, t

#: Probability of calling any pair of equal cells different.
ALPHA = 0.05
#: Probability with which a difference that is said to be seen would be seen.
POWER = 0.8
#: Differences that vary less than this share of the values do not vary.
EQUAL = 1e-9
#: Points at which the distribution of a standard deviation is summed.
POINTS = 2000


class Interval(NamedTuple):
    """A mean over seeds and its interval; NaN at both ends if there are fewer than two."""

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Difference:
    """Two cells, compared seed by seed.

    Attributes:
        first: One cell.
        second: The other.
        mean: Of first - second.
        low: Lower end of its corrected interval; NaN if there is none.
        high: Upper end.
        p: Two-sided p-value; NaN with fewer than two seeds.
        adjusted: The same by Holm's correction.
        real: Whether the corrected interval leaves 0 out.
        detectable: Difference that would have been seen with probability `POWER`; NaN if the
            differences do not vary, or there are fewer than two.
        count: Seeds it is taken from; 0 where one of the cells is not compared.
    """

    first: str
    second: str
    mean: float
    low: float
    high: float
    p: float
    adjusted: float
    real: bool
    detectable: float
    count: int

    def turned(self) -> Difference:
        """Return the same as second - first."""
        return Difference(
            self.second, self.first, -self.mean, -self.high, -self.low, self.p, self.adjusted,
            self.real, self.detectable, self.count,
        )  # fmt: skip


def interval(values: Sequence[float] | np.ndarray, alpha: float = ALPHA) -> Interval:
    """Return the mean of values and its Student interval; NaN values are left out.

    >>> interval([1.0, 2.0, 3.0])
    Interval(mean=2.0, low=-0.484..., high=4.484..., count=3)
    """
    kept = _finite(values)
    if len(kept) < 2:
        return Interval(float(kept.mean()) if len(kept) else np.nan, np.nan, np.nan, len(kept))
    half = _half(float(kept.std(ddof=1)), len(kept), alpha)
    mean = float(kept.mean())
    return Interval(mean, mean - half, mean + half, len(kept))


def differences(
    values: Mapping[str, Sequence[float] | np.ndarray], alpha: float = ALPHA
) -> list[Difference]:
    """Return the differences of all pairs, in the order of their names.

    Args:
        values: A value for each seed by cell, all as many; NaN where there is none. Only the seeds
            that `shared_seeds` finds are looked at.
        alpha: Probability of calling any pair of equal cells different.
    """
    names, shared = shared_seeds(values)
    kept = {n: np.where(shared & (n in names), np.asarray(v, float), np.nan)
            for n, v in values.items()}  # fmt: skip
    pairs = [_Pair.of(a, b, kept[a], kept[b]) for a, b in combinations(kept, 2)]
    levels, adjusted = holm([pair.p for pair in pairs], alpha)
    return [
        pair.judged(level, own) for pair, level, own in zip(pairs, levels, adjusted, strict=True)
    ]


def shared_seeds(
    values: Mapping[str, Sequence[float] | np.ndarray],
) -> tuple[list[str], np.ndarray]:
    """Return the cells that can be compared, and whether they all have a value from each seed.

    A cell that has values from half of the seeds or fewer is not compared: it would leave the
    others too few. If the rest have no seed in common, the one with most values is left alone.

    Args:
        values: As `differences` takes them; what is infinite is no value either.
    """
    finite = {name: np.isfinite(np.asarray(own, float)) for name, own in values.items()}
    if not finite:
        return [], np.zeros(0, bool)
    names = [name for name, own in finite.items() if 2 * own.sum() > len(own)]
    shared = np.logical_and.reduce([finite[name] for name in names or finite])
    if not names or not shared.any():
        names = [max(finite, key=lambda name: finite[name].sum())]
        shared = finite[names[0]]
    return names, shared


def holm(p: Sequence[float], alpha: float = ALPHA) -> tuple[list[float], list[float]]:
    """Return the level at which each p-value is judged, and the adjusted p-values (Holm 1979).

    >>> levels, adjusted = holm([0.04, 0.001, 0.03])
    >>> [round(x, 4) for x in levels], [round(x, 4) for x in adjusted]
    ([0.025, 0.0167, 0.025], [0.06, 0.003, 0.06])

    Args:
        p: P-values; those that are NaN are not counted and are not adjusted.
        alpha: Of the whole family.
    """
    values = np.asarray(p, float)
    counted = [int(k) for k in np.argsort(values, kind="stable") if not np.isnan(values[k])]
    levels, adjusted = np.full(len(values), alpha), values.copy()
    largest, stopped = 0.0, None
    for place, k in enumerate(counted):
        left = len(counted) - place
        largest = max(largest, min(left * values[k], 1.0))
        adjusted[k] = largest
        levels[k] = alpha / left if stopped is None else stopped
        if stopped is None and values[k] >= levels[k]:
            stopped = levels[k]
    return levels.tolist(), adjusted.tolist()


def detectable(deviation: float, count: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """Return the difference that a paired t-test at level α rejects with this probability.

    With T = (d̄ √n / σ) / (s / σ) and true difference δ, P(T > c) = E[Φ(δ √n / σ - c s / σ)] over
    the distribution of s; the other tail is left out.

    Args:
        deviation: Standard deviation of the differences, σ.
        count: Seeds, n.
        alpha: Level of the two-sided test.
        power: The probability.
    """
    shares = (np.arange(POINTS) + 0.5) / POINTS
    spread = np.sqrt(chi2.ppf(shares, count - 1) / (count - 1))
    limit = t.ppf(1.0 - alpha / 2.0, count - 1)

    def missing(shift: float) -> float:
        return float(norm.cdf(shift - limit * spread).mean()) - power

    shift: Any = brentq(missing, 0.0, limit * spread.max() + 10.0)
    return float(shift * deviation / np.sqrt(count))


@dataclass(frozen=True)
class _Pair:
    first: str
    second: str
    mean: float
    deviation: float
    p: float
    count: int

    @classmethod
    def of(cls, first: str, second: str, a: object, b: object) -> _Pair:
        own, other = np.asarray(a, float), np.asarray(b, float)
        d = _finite(own - other)
        if not len(d):
            return cls(first, second, np.nan, np.nan, np.nan, 0)
        mean, count = float(d.mean()), len(d)
        if count < 2:
            return cls(first, second, mean, np.nan, np.nan, count)
        scale = float(np.nanmax(np.abs([own, other])))
        deviation = float(d.std(ddof=1))
        mean = 0.0 if abs(mean) <= EQUAL * scale else mean  # sums round
        if deviation > EQUAL * scale:
            p = 2.0 * float(t.sf(abs(mean) * np.sqrt(count) / deviation, count - 1))
        else:
            # No spread to judge by: only the signs are left, of which all are equal.
            deviation, p = 0.0, 1.0 if mean == 0.0 else 2.0 ** (1 - count)
        return cls(first, second, mean, deviation, p, count)

    def judged(self, level: float, adjusted: float) -> Difference:
        real = bool(self.p < level)
        low = high = seen = np.nan
        if self.deviation == 0.0 and (real or self.p == 1.0):
            low = high = self.mean
        elif self.deviation > 0.0:
            half = _half(self.deviation, self.count, level)
            low, high = self.mean - half, self.mean + half
            seen = detectable(self.deviation, self.count, level)
        return Difference(
            self.first, self.second, self.mean, low, high, self.p, adjusted, real, seen, self.count
        )


def _half(deviation: float, count: int, alpha: float) -> float:
    return float(t.ppf(1.0 - alpha / 2.0, count - 1) * deviation / np.sqrt(count))


def _finite(values: object) -> np.ndarray:
    found = np.asarray(values, float)
    return found[np.isfinite(found)]
