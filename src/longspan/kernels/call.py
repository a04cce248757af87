"""One call of a recurrent layer: everything an implementation needs to run it, or to decline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from longspan.cells import Cell, Layout, Noise, Normaliser, ScanResult
from longspan.cells.cell import Parameters, State


@dataclass(frozen=True)
class Call:
    """One layer, one direction, a whole sequence.

    The fields are the arguments of `longspan.cells.scan`; `label` names the layer to `explain`.
    """

    cell: Cell
    x: Tensor
    state: State
    params: Parameters
    layout: Layout = field(default_factory=Layout)
    noise: Noise = field(default_factory=Noise)
    normalisers: Mapping[str, Normaliser] = field(default_factory=dict)
    record_gates: bool = False
    label: str = "layer"
    record_states: bool = False


class Implementation(Protocol):
    """A way to run a `Call`."""

    def why_not(self, call: Call) -> str | None:
        """Return why this implementation cannot run the call, or None if it can."""
        ...

    def run(self, call: Call) -> ScanResult:
        """Run the call; the result equals `longspan.cells.scan`'s."""
        ...
