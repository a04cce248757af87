"""Fast ways to run the cells of `longspan.cells`: one layer, one direction, a whole sequence.

`IMPLEMENTATIONS` lists them, fastest first. A new one is a class with ``why_not`` and ``run`` (see
`Implementation`) and one entry there. `Stepper` runs a trained layer step by step, without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longspan.kernels.call import Call, Flow, Implementation
    from longspan.kernels.dispatch import IMPLEMENTATIONS, choose, explain, force, intercept, run
    from longspan.kernels.masks import random_mask
    from longspan.kernels.packed import PackedWeights
    from longspan.kernels.prepared import PreparedLayer, prepare
    from longspan.kernels.stepper import Stepper

__all__ = [
    "IMPLEMENTATIONS", "Call", "Flow", "Implementation", "PackedWeights", "PreparedLayer",
    "Stepper", "choose", "explain", "force", "intercept", "prepare", "random_mask", "run",
]  # fmt: skip

_HOME = {
    "Call": "call", "Flow": "call", "Implementation": "call", "Stepper": "stepper",
    "PackedWeights": "packed", "PreparedLayer": "prepared", "prepare": "prepared",
    "random_mask": "masks",
}  # fmt: skip


def __getattr__(name: str) -> Any:  # so that Stepper can be had without importing torch
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME.get(name, 'dispatch')}"), name)
    globals()[name] = value  # the next look-up does not come here
    return value
