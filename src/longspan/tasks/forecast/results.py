"""What a forecast's evaluation consists of: plain arrays and tables, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longspan.tasks.running import Run


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of W windows (a window is one series at one origin) for H steps.

    Attributes:
        series: Name of each window's series, W strings.
        origin: Number of the first forecast step in its series, shape (W,).
        time: Time (or step number) of every forecast value, shape (W, H), datetime64 or int64.
        mean: Expected values, shape (W, H).
        levels: The Q quantile levels, rising.
        quantiles: Forecast quantiles, shape (W, H, Q).
        actual: What happened, shape (W, H); NaN where it is missing or not known.
        history: The values before each origin, W arrays, NaN where missing.
        season_length: Steps in one season; 1 means no season.
    """

    series: tuple[str, ...]
    origin: np.ndarray
    time: np.ndarray
    mean: np.ndarray
    levels: tuple[float, ...]
    quantiles: np.ndarray
    actual: np.ndarray
    history: tuple[np.ndarray, ...]
    season_length: int = 1


@dataclass(frozen=True)
class Evaluation:
    """A rolling-origin evaluation: the model's forecasts and its baselines', with their scores.

    Attributes:
        model: The model's forecasts.
        baselines: The baselines' forecasts by name (``last value``, ``drift``,
            ``seasonal naive``), for the same windows.
        scores: Metric values by forecaster: ``scores["model"]["mae"]``. Metrics: ``mae``,
            ``rmse``, ``mase``, ``smape`` (percent), ``crps``, ``mean_wql``, ``coverage``.
        by_step: The metric for each step of the horizon: ``by_step["model"]["mae"]``, shape (H,).
        interval: The two quantile levels whose coverage is measured, e.g. (0.1, 0.9).
    """

    model: Forecasts
    baselines: dict[str, Forecasts]
    scores: dict[str, dict[str, float]]
    by_step: dict[str, dict[str, np.ndarray]]
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class SplitSummary:
    """Which rows served what, for one series: step numbers, each range ends before the next."""

    series: str
    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]
    missing: int = 0


@dataclass(frozen=True, kw_only=True)
class ForecastRun(Run):
    """Everything a forecaster's report shows of one training and its evaluation.

    Attributes:
        splits: How each series was divided.
        sample_series: A few whole series to draw: name -> (time, value).
    """

    evaluation: Evaluation | None = None
    splits: list[SplitSummary]
    sample_series: dict[str, tuple[np.ndarray, np.ndarray]]
