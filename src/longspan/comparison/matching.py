"""Hidden sizes at which cells have as many parameters, or take as long."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from longspan.errors import InputError

#: A number of parameters nearer than this share is as good as the same.
CLOSE = 0.02
#: Times are not known better than this.
CLOSE_TIME = 0.05
#: Sizes that are tried to match a time.
TRIES = 6
#: A network of the same time is looked for between these sizes, relative to the given one.
RANGE = 16


def match_parameters(
    count: Callable[[int], int], wanted: int, start: int, step: int = 1
) -> tuple[int, int]:
    """Return the hidden size whose number of parameters is nearest to the wanted one, and that.

    The number must grow with the size. Between a size with fewer and one with more, the next is
    guessed as if its root were linear, which holds where the square of the size decides.

    >>> match_parameters(lambda h: 4 * h * (h + 10), 4 * 64 * 74, 128)
    (64, 18944)

    Args:
        count: Number of parameters by size.
        wanted: What it should be.
        start: A size to begin with.
        step: Sizes are multiples of it.

    Raises:
        InputError: If the size does not change the number.
    """
    at = cache(lambda k: count(k * step))
    low = high = max(start // step, 1)
    if at(low) == at(low + 1):
        raise InputError(
            "With these options the number of parameters does not depend on hidden_size, so sizes "
            "cannot be matched. Match nothing (match='none', --match none), or leave out the "
            "option that fixes the sizes of layers."
        )
    while at(high) < wanted:
        low, high = high, 2 * high
    while low > 1 and at(low) > wanted:
        high, low = low, max(low // 2, 1)
    guesses = 0
    while high - low > 1:
        ends = [math.sqrt(at(low)), math.sqrt(at(high))]
        share = (math.sqrt(wanted) - ends[0]) / max(ends[1] - ends[0], 1e-9)
        guesses += 1
        middle = low + round(share * (high - low)) if guesses % 4 else (low + high) // 2
        middle = min(max(middle, low + 1), high - 1)
        low, high = (middle, high) if at(middle) <= wanted else (low, middle)
    best = min((low, high), key=lambda k: abs(at(k) - wanted))
    return best * step, at(best)


def match_time(ratio: Callable[[int], float], start: int, step: int = 1) -> tuple[int, float]:
    """Return the hidden size whose steps take as long as wanted, and how long by comparison.

    The time is taken for a power of the size, whose exponent is measured by the last two sizes.

    >>> match_time(lambda h: (h / 90) ** 1.5, 64)
    (90, 1.0)

    Args:
        ratio: Time of a step by the wanted one, by size; measured, so it may vary.
        start: A size to begin with.
        step: Sizes are multiples of it.
    """
    tried: dict[int, float] = {}
    size, exponent = start, 1.5
    least, most = max(start // RANGE, step), start * RANGE
    for _ in range(TRIES):
        tried[size] = ratio(size)
        if abs(math.log(tried[size])) <= CLOSE_TIME / 2:
            break
        if len(tried) > 1:
            (a, b), (c, d) = list(tried.items())[-2:]
            slope = math.log(d / b) / math.log(c / a)
            exponent = min(max(slope, 0.5), 2.5)
        wanted = size * tried[size] ** (-1.0 / exponent)
        size = min(max(step * round(wanted / step), least), most)
        if size in tried:
            break
    best = min(tried, key=lambda h: abs(math.log(tried[h])))
    return best, tried[best]


def relative_time(times: np.ndarray, others: np.ndarray) -> float:
    """Return how long steps take by comparison with the same steps of another network.

    Args:
        times: Seconds of each step, in each of R repetitions, (R, S).
        others: The same of the other network, in turn with these, (R, S').
    """
    steps = min(times.shape[1], others.shape[1])
    # The first steps also fill caches and pools of memory.
    begin = min(2, steps - 1)
    own, other = (np.median(each[:, begin:steps], 0).sum() for each in (times, others))
    return float(own / other)
