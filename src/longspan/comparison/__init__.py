"""Is an LSTM the right choice? Cells on the same data, with the same size and the same budget."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from longspan.comparison.config import CompareConfig

if TYPE_CHECKING:
    from longspan.comparison.results import Comparison as Comparison
    from longspan.comparison.results import Entry as Entry
    from longspan.comparison.results import Memory as Memory
    from longspan.comparison.results import Training as Training
    from longspan.comparison.results import Trial as Trial
    from longspan.comparison.running import compare as compare
    from longspan.comparison.statistics import Difference as Difference
    from longspan.comparison.statistics import Interval as Interval
    from longspan.comparison.statistics import differences as differences
    from longspan.comparison.statistics import interval as interval

#: The options alone, which the command line reads, need neither torch nor scipy.
_LAZY = {
    "Comparison": "results", "Difference": "statistics", "Entry": "results",
    "Interval": "statistics", "Memory": "results", "Training": "results", "Trial": "results",
    "compare": "running", "differences": "statistics", "interval": "statistics",
}  # fmt: skip

__all__ = [
    "CompareConfig", "Comparison", "Difference", "Entry", "Interval", "Memory", "Training",
    "Trial", "compare", "differences", "interval",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"longspan.comparison.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
