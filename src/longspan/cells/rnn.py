"""The simple recurrent network (Elman 1990)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from longspan.cells.cell import Cell, State, Step, keep, standard_shapes
from longspan.errors import InputError, unknown_name

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


@dataclass(frozen=True)
class RNN(Cell):
    """The simple cell: h' = φ(W x + U h + b), φ = tanh or relu.

    Args:
        nonlinearity: ``"tanh"`` or ``"relu"``.

    Raises:
        InputError: If the nonlinearity is unknown.
    """

    nonlinearity: str = "tanh"
    gates: ClassVar[tuple[str, ...]] = ("h",)
    states: ClassVar[tuple[str, ...]] = ("h",)

    def __post_init__(self) -> None:
        if self.nonlinearity not in ACTIVATIONS:
            raise InputError(unknown_name("nonlinearity", self.nonlinearity, ACTIVATIONS))

    def shapes(self, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple]:
        """Return torch's shapes."""
        return standard_shapes(1, input_size, hidden_size, hidden_size, bias)

    def step(self, x_gates: Tensor, state: State, step: Step) -> tuple[State, dict[str, Tensor]]:
        """Return (h',) and the activation h."""
        (h,) = state
        activation = ACTIVATIONS[self.nonlinearity](x_gates + self.recurrent(h, step))
        update = activation if step.noise.update is None else activation * step.noise.update[step.t]
        return (keep(step.noise.zoneout_h, step.t, h, update),), {"h": activation}
