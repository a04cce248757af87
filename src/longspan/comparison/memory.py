"""The one place where a comparison asks how far back a model remembers."""

from __future__ import annotations

from typing import Any

from longspan.comparison.results import Memory
from longspan.errors import InputError
from longspan.insight import inspect

#: Rows whose influence is averaged, and steps of each at most.
ROWS, STEPS = 16, 200


def memory_of(model: Any, data: Any, reading: dict[str, Any], seed: int) -> Memory:
    """Return the memory horizon of a fitted estimator; see `longspan.insight.memory_horizon`.

    Args:
        model: The estimator.
        data: As its `evaluate` takes it.
        reading: More arguments of `longspan.insight.inspect`.
        seed: Of the choice of rows.
    """
    try:
        seen = inspect(model, data, rows=ROWS, steps=STEPS, seed=seed, **reading)
    except InputError as error:
        return Memory(why=str(error))
    found = seen.horizon
    return Memory(
        float(found.horizon), float(found.horizon_low), float(found.horizon_high),
        # There is nothing before the first step of a whole sequence.
        found.truncated and not seen.whole, found.lags.tolist(), found.influence.tolist(),
    )  # fmt: skip
