"""What the results of `longspan.insight` share: they become JSON."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


class Result:
    """Base of the results: frozen dataclasses of numbers, texts, arrays and each other."""

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON has them; a number that is not finite becomes None."""
        return jsonable(self)


def jsonable(value: Any) -> Any:
    """Return dataclasses, arrays and containers as what ``json.dumps`` takes.

    >>> jsonable({"time scales": np.array([2.0, np.inf])})
    {'time scales': [2.0, None]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(name): jsonable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
