"""How far back data depend on themselves, before any model sees them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from longspan.errors import InputError

#: A partial autocorrelation below this adds less than a hundredth of the variance that is left.
LEAST = 0.1
#: Chance that noise gives a lag at all.
CHANCE = 0.05
#: Lags that are looked at by default.
LAGS = 200


def partial_autocorrelation(
    values: np.ndarray, max_lag: int, lengths: Sequence[int] | np.ndarray | None = None
) -> np.ndarray:
    """Return the partial autocorrelation at lags 1 … max_lag, (max_lag, I).

    What x[t - k] adds to a linear prediction of x[t] from x[t - 1], …, x[t - k + 1], as a
    correlation; by the recursion of Durbin (1960) from autocovariances of all rows together, each
    row about its own mean. A channel that is constant has zeros.

    Args:
        values: (T, B, I); missing values are NaN.
        max_lag: At least 1.
        lengths: Valid steps of each row, (B,).

    Raises:
        InputError: If the shape or the number of lags does not fit.
    """
    centred = _centred(values, lengths)
    if not 1 <= max_lag < len(centred):
        raise InputError(
            f"`max_lag` must lie between 1 and the steps less one, {len(centred) - 1}, got "
            f"{max_lag}."
        )
    steps = len(centred)
    lagged = range(max_lag + 1)
    covariance = np.stack([(centred[k:] * centred[: steps - k]).sum((0, 1)) for k in lagged])
    return np.stack([_durbin(channel) for channel in covariance.T], 1)


def autocorrelation_lag(
    values: np.ndarray,
    lengths: Sequence[int] | np.ndarray | None = None,
    max_lag: int | None = None,
) -> int:
    """Return the longest lag that adds to a linear prediction from all shorter ones; 0 for none.

    That is the longest lag, in any channel, whose partial autocorrelation is above 0.1 in size and
    beyond what noise reaches at any lag with a chance of 5 %. A model whose memory is shorter
    cannot use what a linear regression could.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=2000)
    >>> for t in range(12, 2000):
    ...     x[t] += 0.7 * x[t - 12]
    >>> autocorrelation_lag(x[:, None, None])
    12

    Args:
        values: (T, B, I); missing values are NaN.
        lengths: Valid steps of each row, (B,).
        max_lag: Longest lag that is tried; by default 200, or a quarter of the steps if less.

    Raises:
        InputError: If the shape or the number of lags does not fit.
    """
    seen = ~np.isnan(_inside(values, lengths))
    lags = min(LAGS, len(seen) // 4) if max_lag is None else max_lag
    if not seen.any() or (max_lag is None and lags < 1):
        return 0
    partial = np.abs(partial_autocorrelation(values, lags, lengths))
    count = np.maximum(seen.sum((0, 1)), 1)
    quantile = NormalDist().inv_cdf(1 - CHANCE / (2 * lags * partial.shape[1]))
    found = (partial > np.maximum(LEAST, quantile / np.sqrt(count))).any(1)
    return int(np.flatnonzero(found).max(initial=-1)) + 1


def _inside(values: np.ndarray, lengths: Sequence[int] | np.ndarray | None) -> np.ndarray:
    """Return the values with NaN beyond each row's length."""
    x = np.asarray(values, float)
    if x.ndim != 3:
        raise InputError(f"`values` must be (T, B, I), got shape {x.shape}.")
    if lengths is None:
        return x
    ends = np.asarray(lengths)
    if ends.shape != (x.shape[1],):
        raise InputError(f"`lengths` must have shape (B,) = ({x.shape[1]},), got {ends.shape}.")
    return np.where((np.arange(len(x))[:, None] < ends)[..., None], x, np.nan)


def _centred(values: np.ndarray, lengths: Sequence[int] | np.ndarray | None) -> np.ndarray:
    """Return each row about its mean, with zeros where there is no value."""
    x = _inside(values, lengths)
    there = ~np.isnan(x)
    filled = np.where(there, x, 0.0)
    means = filled.sum(0) / np.maximum(there.sum(0), 1)
    return np.where(there, x - means, 0.0)


def _durbin(covariance: np.ndarray) -> np.ndarray:
    """Return partial autocorrelations from autocovariances at lags 0 … K."""
    partial = np.zeros(len(covariance) - 1)
    # Rounding of the mean leaves a constant channel a variance of nearly nothing.
    if covariance[0] <= 1e-20:
        return partial
    r = covariance / covariance[0]
    phi, left = np.zeros(0), 1.0
    for k in range(1, len(r)):
        new = (r[k] - phi @ r[k - 1 : 0 : -1]) / left
        phi = np.append(phi - new * phi[::-1], new)
        partial[k - 1] = new
        left *= 1 - new**2
        if left <= 1e-12:  # predicted perfectly: nothing is left to add to
            break
    return partial
