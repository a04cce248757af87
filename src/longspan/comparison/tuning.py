"""The same number of trainings for each cell to find its options, judged by the validation part.

The options to try are quasi-random (Halton 1960): they fill the range evenly however many there
are, a further one changes none of the earlier, and every cell gets the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from scipy.stats import qmc

#: Learning rates are looked for between a tenth and ten times the given one.
FACTOR = 10.0
#: Ranges of the others, and whether they are divided by their logarithm.
RANGES = {"dropout": (0.0, 0.6, False), "weight_decay": (1e-6, 1e-1, True)}


def candidates(
    trials: int, tune: Sequence[str], rate: float, rates: tuple[float, float] | None, seed: int
) -> list[dict[str, Any]]:
    """Return what to try in place of the given options; the first is nothing.

    >>> len(candidates(4, ["learning_rate"], 0.002, None, 0))
    4

    Args:
        trials: How many.
        tune: Names of options.
        rate: The given learning rate.
        rates: Lowest and highest one, or None.
        seed: Of the points.
    """
    low, high = rates or (rate / FACTOR, rate * FACTOR)
    ranges = {**RANGES, "learning_rate": (low, high, True)}
    if trials == 1:
        return [{}]
    points = qmc.Halton(len(tune), rng=seed).random(trials - 1)
    found: list[dict[str, Any]] = [{}]
    for point in points.tolist():
        values = [_at(share, *ranges[name]) for share, name in zip(point, tune, strict=True)]
        found.append(dict(zip(tune, values, strict=True)))
    return found


def best(losses: Sequence[float]) -> int:
    """Return the number of the lowest loss; those that are NaN are not counted."""
    return min(range(len(losses)), key=lambda k: math.inf if math.isnan(losses[k]) else losses[k])


def at_the_edge(rates: Sequence[float], chosen: float) -> bool:
    """Return whether the chosen learning rate is the lowest or highest of those tried."""
    return len(set(rates)) > 2 and chosen in (min(rates), max(rates))


def _at(share: float, low: float, high: float, logarithmic: bool) -> float:
    """Return the value at a share of a range, to four digits."""
    if logarithmic:
        return float(f"{low * (high / low) ** share:.4g}")
    return float(f"{low + share * (high - low):.4g}")
