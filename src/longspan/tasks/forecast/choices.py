"""Options that depend on the data: seasons, context length, scales. Training rows alone decide."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from longspan.data import Panel
from longspan.errors import InputError
from longspan.tasks.forecast.config import ForecastConfig

#: Series and steps at the end of each that are looked at to choose a season.
SERIES, STEPS = 100, 3000
#: A season must beat the last value by this share to be taken.
GAIN = 0.95
#: A deviation below this share of the mean is rounding in float32.
SMALLEST = 1e-6
#: Sums of squares of values beyond this are infinite in float32.
LARGEST = 1e17
SHORTEST_CONTEXT, LONGEST_CONTEXT = 16, 512


def choose_seasons(panel: Panel, config: ForecastConfig) -> tuple[int, ...]:
    """Return season lengths, the one to forecast naively by first; empty if there is no season.

    Each candidate is judged by what the seasonal naive forecast would have missed over the
    horizon, relative to the last value, on the training part.
    """
    if config.season_length is not None:
        return () if config.season_length == 1 else (config.season_length,)
    errors = {
        m: _naive_error(panel, m, config.horizon)
        for m in (1, *panel.frequency.seasons())
        if m == 1 or np.median(panel.lengths) >= 2 * m + config.horizon
    }
    good = [m for m in errors if m > 1 and errors[m] < GAIN * errors[1]]
    return tuple(sorted(good, key=lambda m: errors[m]))


def _naive_error(panel: Panel, m: int, horizon: int) -> float:
    """Return the mean scaled error of repeating the last season over the horizon."""
    steps = np.unique(np.linspace(1, horizon, min(horizon, 8)).astype(int))
    lags = [m * -(-int(h) // m) for h in steps]
    found = []
    for k in np.linspace(0, len(panel) - 1, min(len(panel), SERIES)).astype(int):
        y = panel.values(k)[-STEPS:].astype(np.float64)
        spread = np.nanstd(y) if np.isfinite(y).any() else 0.0
        gaps = [np.abs(y[lag:] - y[:-lag]) for lag in lags if lag < len(y)]
        observed = [gap[~np.isnan(gap)] for gap in gaps]
        means = [gap.mean() for gap in observed if len(gap)]
        if spread > 0 and len(means) == len(lags):
            found.append(np.mean(means) / spread)
    return float(np.mean(found)) if found else np.inf


def choose_context(panel: Panel, config: ForecastConfig, seasons: tuple[int, ...]) -> int:
    """Return the context length: two horizons or two short seasons, at most what there is.

    Values of longer seasons ago reach the network as inputs of their own.
    """
    if config.context_length is not None:
        return config.context_length
    wanted = max(2 * config.horizon, 2 * min(seasons, default=0), SHORTEST_CONTEXT)
    wanted = min(wanted, LONGEST_CONTEXT)
    available = int(panel.lengths.max()) - config.horizon
    return max(min(wanted, available), 1)


def choose_anchor(config: ForecastConfig, seasons: tuple[int, ...]) -> str:
    """Return what the network corrects.

    Raises:
        InputError: If a season is asked for where there is none.
    """
    if config.likelihood == "negative_binomial":
        return "none"
    if config.anchor == "seasonal" and not seasons:
        raise InputError(
            "anchor='seasonal' needs a season, and none was found. State `season_length`, or use "
            "anchor='last'."
        )
    return ("seasonal" if seasons else "last") if config.anchor == "auto" else config.anchor


def choose_calendar(panel: Panel, config: ForecastConfig) -> int:
    """Return how many of the calendar's features to use: those of cycles that are seen twice.

    A network that has seen one spring takes the date for a trend and follows it astray.
    """
    if not config.calendar:
        return 0
    longest = int(panel.lengths.max())
    return 2 * sum(longest >= 2 * cycle for cycle in panel.frequency.cycles().values())


def units_of(y: np.ndarray) -> tuple[float, float]:
    """Return mean and deviation of the observed values; 0 and 1 if there are none."""
    observed = y[~np.isnan(y)].astype(np.float64)
    if not len(observed):
        return 0.0, 1.0
    mean, deviation = float(observed.mean()), float(observed.std())
    return mean, deviation if deviation > SMALLEST * abs(mean) else max(abs(mean), 1.0)


def covariate_units(panel: Panel, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of covariates over the training rows, each (columns,).

    Args:
        panel: The training part.
        values: `panel.past` or `panel.future`, (R, columns).
    """
    size = values.shape[1]
    total, squares, count = (np.zeros(size) for _ in range(3))
    for begin, end in zip(panel.first, panel.stop, strict=True) if size else ():
        x = values[begin:end].numpy().astype(np.float64)
        total += np.nansum(x, 0)
        squares += np.nansum(np.square(x), 0)
        count += (~np.isnan(x)).sum(0)
    mean = total / np.maximum(count, 1)
    deviation = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0))
    return _tensor(mean), _tensor(np.where(deviation > 1e-6 * np.abs(mean), deviation, 1.0))


def static_units(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of the observed covariates of the series, (N, S), each (S,)."""
    x = values.numpy().astype(np.float64)
    count = np.maximum((~np.isnan(x)).sum(0), 1)
    mean = np.nansum(x, 0) / count
    deviation = np.sqrt(np.nansum(np.square(x - mean), 0) / count)
    return _tensor(mean), _tensor(np.where(deviation > 1e-6 * np.abs(mean), deviation, 1.0))


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


def check_varies(panel: Panel, name: str) -> None:
    """Refuse data in which no series changes, as far as float32 can tell, or that it cannot square.

    Raises:
        InputError: If every series is constant, or all but, or values are too large.
    """
    found, hardly = np.nan, None
    for k in range(len(panel)):
        y = panel.values(k)
        y = y[~np.isnan(y)]
        if not len(y):  # a series that takes no part in training
            continue
        low, high = float(y.min()), float(y.max())
        if max(abs(low), abs(high)) > LARGEST:
            raise InputError(
                f"The target {name} has values beyond {LARGEST:g}, such as "
                f"{low if -low > high else high:g}, with which float32 cannot compute. Divide it "
                "by a constant."
            )
        if high == low:
            found = low
        elif y.std(dtype=np.float64) > SMALLEST * abs(y.mean(dtype=np.float64)):
            return
        else:
            hardly = hardly or (low, high)
    if hardly:
        raise InputError(
            f"The target {name} hardly changes beside its level (it is between {hardly[0]:.9g} and "
            f"{hardly[1]:.9g}), less than float32 tells apart. Subtract a constant such as "
            f"{hardly[0]:.9g} before training, and add it to the forecasts."
        )
    raise InputError(
        f"The target {name} never changes (it is {found:g} throughout), so there is nothing to "
        "learn. Check that the right column is named."
    )
