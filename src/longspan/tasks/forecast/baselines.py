"""Forecasts that need no learning, with the intervals that theory gives them.

Hyndman & Athanasopoulos, Forecasting: principles and practice (3rd ed.), sections 5.2 and 5.5:
normal intervals with σ from the in-sample errors, which grow with the step h = 1, 2, ….
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from longspan.tasks.forecast.results import Forecasts

#: Mean and standard deviation of H steps, from a history without gaps and a season length.
Baseline = Callable[[np.ndarray, int, int], tuple[np.ndarray, np.ndarray]]


def last_value(y: np.ndarray, horizon: int, season_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return y[T] for every step; σ_h = σ·√h."""
    del season_length
    h = np.arange(1, horizon + 1)
    return np.full(horizon, y[-1]), _deviation(np.diff(y), 0) * np.sqrt(h)


def drift(y: np.ndarray, horizon: int, season_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the line through the first and the last value; σ_h = σ·√(h·(1 + h / (T - 1)))."""
    del season_length
    h, gaps = np.arange(1, horizon + 1), max(len(y) - 1, 1)
    slope = (y[-1] - y[0]) / gaps
    return y[-1] + h * slope, _deviation(np.diff(y) - slope, 1) * np.sqrt(h * (1 + h / gaps))


def seasonal_naive(
    y: np.ndarray, horizon: int, season_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the value one season before; σ_h = σ·√(k + 1), k whole seasons before step h."""
    m = season_length
    if len(y) < m:
        return last_value(y, horizon, 1)
    step = np.arange(horizon)
    seasons = step // m + 1
    return y[len(y) - m + step % m], _deviation(y[m:] - y[:-m], 0) * np.sqrt(seasons)


BASELINES: dict[str, Baseline] = {
    "last value": last_value, "drift": drift, "seasonal naive": seasonal_naive,
}  # fmt: skip


def baseline_forecasts(model: Forecasts) -> dict[str, Forecasts]:
    """Return each baseline's forecasts for the windows of a model's.

    Missing values of the history are replaced by the last observed one, or for the seasonal
    forecast by the latest of the same phase. Without a season (length 1) the seasonal naive
    forecast is the last value and left out.
    """
    from scipy.special import ndtri

    quantile = ndtri(np.asarray(model.levels))
    found = {}
    for name, baseline in BASELINES.items():
        if name == "seasonal naive" and model.season_length == 1:
            continue
        lag = model.season_length if name == "seasonal naive" else 1
        horizon = model.actual.shape[1]
        pairs = [
            baseline(_without_gaps(y, lag), horizon, model.season_length) for y in model.history
        ]
        mean = np.stack([m for m, _ in pairs])
        deviation = np.stack([d for _, d in pairs])
        quantiles = mean[..., None] + deviation[..., None] * quantile
        found[name] = replace(model, mean=mean, quantiles=quantiles)
    return found


def _without_gaps(y: np.ndarray, lag: int) -> np.ndarray:
    """Replace missing values by those `lag` before, then by the last observed one."""
    y = np.array(y, np.float64)
    if lag > 1:
        for k in np.flatnonzero(np.isnan(y[lag:])) + lag:
            y[k] = y[k - lag]
    observed = ~np.isnan(y)
    if not observed.any():
        return np.zeros_like(y)
    last = np.maximum.accumulate(np.where(observed, np.arange(len(y)), observed.argmax()))
    return y[last]


def _deviation(errors: np.ndarray, used: int) -> float:
    """Return √(Σ e² / (n - used)), 0 without errors."""
    return float(np.sqrt(np.square(errors).sum() / max(len(errors) - used, 1)))
