"""The one place where a comparison asks how far back a model remembers."""

from __future__ import annotations

from typing import Any

from longspan.comparison.results import Memory


def memory_of(model: Any) -> Memory:
    """Return the memory horizon of a fitted estimator.

    Args:
        model: The estimator.
    """
    del model
    return Memory(why="it is not measured yet")
