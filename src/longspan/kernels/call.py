"""One call of a recurrent layer: everything an implementation needs to run it, or to decline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad

from longspan.cells import Cell, Layout, Noise, Normaliser, ScanResult
from longspan.cells.cell import Parameters, State


class Flow:
    """How much gradient reaches each step of a layer: backward adds to it.

    Attributes:
        squares: Sums over rows and units of (∂L/∂h)² and of the LSTM's (∂L/∂c)², by the number of
            steps to each row's last (in reverse: its first), (T, 2) in float64; derivatives through
            all that comes after. Beyond the longest call so far there is nothing.
        rows: Rows that have so many steps, (T,).
    """

    def __init__(self) -> None:
        self.squares = torch.zeros(0, 2, dtype=torch.float64)
        self.rows = torch.zeros(0)

    def room(self, steps: int, batch: int, lengths: Tensor | None) -> Tensor:
        """Count the rows of a call; return where its squares are to be added, (T, 2)."""
        missing = steps - len(self.rows)
        if missing > 0:
            self.squares = torch.cat([self.squares, self.squares.new_zeros(missing, 2)])
            self.rows = torch.cat([self.rows, self.rows.new_zeros(missing)])
        if lengths is None:
            self.rows[:steps] += batch
        else:
            self.rows[:steps] += (lengths.cpu() > torch.arange(steps)[:, None]).sum(1)
        return self.squares[:steps]


_NONE: Mapping[str, Normaliser] = {}


class Call(NamedTuple):
    """One layer, one direction, a whole sequence.

    The fields are the arguments of `longspan.cells.scan`; `label` names the layer to `explain`,
    and backward adds to `flow` where gradients are to be measured. States may share one tensor;
    nobody writes to them.
    """

    cell: Cell
    x: Tensor
    state: State
    params: Parameters
    layout: Layout = Layout()
    noise: Noise = Noise()
    normalisers: Mapping[str, Normaliser] = _NONE
    record_gates: bool = False
    label: str = "layer"
    record_states: bool = False
    flow: Flow | None = None


class Implementation(Protocol):
    """A way to run a `Call`."""

    def why_not(self, call: Call) -> str | None:
        """Return why this implementation cannot run the call, or None if it can."""
        ...

    def run(self, call: Call) -> ScanResult:
        """Run the call; the result equals `longspan.cells.scan`'s."""
        ...


def follower() -> str | None:
    """Return what follows PyTorch's operators one by one, and so past a compiled layer; or None.

    It would take the outputs for constants, or for memory that nobody has written to.
    """
    if torch._C._are_functorch_transforms_active():
        return "a torch.func transform runs"
    if forward_ad._current_level >= 0:
        return "derivatives are taken in forward mode"
    if torch.jit.is_tracing():
        return "torch.jit traces"
    return None
