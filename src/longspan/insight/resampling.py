"""Intervals by the bootstrap over rows (Efron 1979)."""

from __future__ import annotations

import numpy as np

#: Resamples of the rows that an interval is made from.
RESAMPLES = 1000
#: An interval leaves out this share of the resamples on each side.
TAIL = 0.025


def weights(rows: int, seed: int) -> np.ndarray:
    """Return how often each of N rows is drawn in each resample, (RESAMPLES, N)."""
    return np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), RESAMPLES)


def mean(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return weighted means over rows, (R, K), in each column over the rows that have a value.

    A resample may hold no row that has a value; its mean is then 0.

    Args:
        values: (N, K), NaN where a row has no value.
        drawn: Weights, (R, N).
    """
    there = ~np.isnan(values)
    return (drawn @ np.where(there, values, 0.0)) / np.maximum(drawn @ there, 1)


def interval(resampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the 95 % interval of each column of (R, K)."""
    low, high = np.quantile(resampled, [TAIL, 1 - TAIL], axis=0)
    return low, high
