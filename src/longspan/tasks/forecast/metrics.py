"""How good forecasts are. Missing actual values are left out everywhere.

Shapes: W windows (a series at an origin), H steps, Q quantile levels.
"""

from __future__ import annotations

import numpy as np

from longspan.tasks.forecast.results import Evaluation, Forecasts

METRICS = ("mae", "rmse", "mase", "smape", "crps", "mean_wql", "coverage")


def evaluate(model: Forecasts, baselines: dict[str, Forecasts]) -> Evaluation:
    """Return the scores of a model beside its baselines', for the same windows."""
    everyone = {"model": model, **baselines}
    return Evaluation(
        model,
        baselines,
        {name: scores(f) for name, f in everyone.items()},
        {name: scores_by_step(f) for name, f in everyone.items()},
        central_interval(model.levels),
    )


def scores(forecasts: Forecasts) -> dict[str, float]:
    """Return every metric, over all windows and steps.

    - ``mae``: mean |y - median|.
    - ``rmse``: √ mean (y - mean)².
    - ``mase``: mean over windows of mean |y - median| / (in-sample mean |y[t] - y[t-m]|), with m
      the season length (Hyndman & Koehler 2006). Windows whose history is too short or does not
      change from season to season are left out.
    - ``smape``: mean over windows of mean 200·|y - median| / (|y| + |median|), in percent, as in
      the M4 competition; 0/0 counts 0.
    - ``crps``: 2 · mean pinball loss over the levels, which approximates the continuous ranked
      probability score (Gneiting & Raftery 2007) the better the more levels there are.
    - ``mean_wql``: mean over levels of 2 · Σ pinball loss / Σ |y| (Salinas et al. 2020).
    - ``coverage``: share of values inside the central interval of the outermost levels.
    """
    y, error = forecasts.actual, np.abs(forecasts.actual - median(forecasts))
    pinball = _pinball(forecasts)
    return {
        "mae": _mean(error),
        "rmse": float(np.sqrt(_mean((y - forecasts.mean) ** 2))),
        "mase": _mean(_row_means(error) / _scales(forecasts)),
        "smape": _mean(_row_means(_smape(forecasts))),
        "crps": 2.0 * _mean(pinball),
        "mean_wql": _wql(pinball, y),
        "coverage": _mean(_covered(forecasts)),
    }


def scores_by_step(forecasts: Forecasts) -> dict[str, np.ndarray]:
    """Return every metric for each step of the horizon, (H,)."""
    steps = range(forecasts.actual.shape[1])
    error = np.abs(forecasts.actual - median(forecasts))
    pinball = _pinball(forecasts)
    squares = (forecasts.actual - forecasts.mean) ** 2
    scaled, relative = error / _scales(forecasts)[:, None], _smape(forecasts)
    covered = _covered(forecasts)
    return {
        "mae": np.array([_mean(error[:, h]) for h in steps]),
        "rmse": np.sqrt([_mean(squares[:, h]) for h in steps]),
        "mase": np.array([_mean(scaled[:, h]) for h in steps]),
        "smape": np.array([_mean(relative[:, h]) for h in steps]),
        "crps": np.array([2.0 * _mean(pinball[:, h]) for h in steps]),
        "mean_wql": np.array([_wql(pinball[:, h], forecasts.actual[:, h]) for h in steps]),
        "coverage": np.array([_mean(covered[:, h]) for h in steps]),
    }


def median(forecasts: Forecasts) -> np.ndarray:
    """Return the forecast median, (W, H); without a level 0.5 the mean stands in."""
    if 0.5 in forecasts.levels:
        return forecasts.quantiles[..., forecasts.levels.index(0.5)]
    return forecasts.mean


def central_interval(levels: tuple[float, ...]) -> tuple[float, float] | None:
    """Return the outermost pair of levels that lies symmetrically, or None.

    >>> central_interval((0.1, 0.5, 0.9))
    (0.1, 0.9)
    """
    for low in levels:
        high = next((h for h in levels if abs(low + h - 1.0) < 1e-9), None)
        if high is not None and low < high:
            return low, high
    return None


def _pinball(forecasts: Forecasts) -> np.ndarray:
    """Return max(τ·u, (τ - 1)·u), u = y - q_τ, for each value and level, (W, H, Q)."""
    tau = np.asarray(forecasts.levels)
    u = forecasts.actual[..., None] - forecasts.quantiles
    return np.maximum(tau * u, (tau - 1.0) * u)


def _wql(pinball: np.ndarray, y: np.ndarray) -> float:
    total = np.nansum(np.abs(y))
    return float(2.0 * np.nansum(pinball.mean(-1)) / total) if total > 0 else float("nan")


def _smape(forecasts: Forecasts) -> np.ndarray:
    y, f = forecasts.actual, median(forecasts)
    size = np.abs(y) + np.abs(f)
    return 200.0 * np.abs(y - f) / np.where(size == 0.0, 1.0, size)


def _covered(forecasts: Forecasts) -> np.ndarray:
    interval = central_interval(forecasts.levels)
    if interval is None:
        return np.full(forecasts.actual.shape, np.nan)
    low, high = (forecasts.quantiles[..., forecasts.levels.index(level)] for level in interval)
    inside = (forecasts.actual >= low) & (forecasts.actual <= high)
    return np.where(np.isnan(forecasts.actual), np.nan, inside)


def _scales(forecasts: Forecasts) -> np.ndarray:
    """Return each window's in-sample seasonal naive error, NaN where there is none, (W,)."""
    m = forecasts.season_length
    scales = np.full(len(forecasts.history), np.nan)
    for k, y in enumerate(forecasts.history):
        scale = _mean(np.abs(y[m:] - y[:-m])) if len(y) > m else np.nan
        scales[k] = scale if scale > 0.0 else np.nan
    return scales


def _row_means(values: np.ndarray) -> np.ndarray:
    observed = ~np.isnan(values)
    total, count = np.where(observed, values, 0.0).sum(1), observed.sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _mean(values: np.ndarray) -> float:
    observed = values[~np.isnan(values)]
    return float(observed.mean()) if observed.size else float("nan")
