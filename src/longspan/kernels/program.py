"""A `Call` as the native kernels take it: a description that can be written down, and tensors.

The description is plain data, so that it can travel as an argument of an operator that
``torch.compile`` and ``torch.export`` carry in their graphs.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from longspan.cells import CELLS, Cell, LayerNorm, Layout, Noise, ScanResult, scan, scan_gates
from longspan.kernels.call import Call

#: Gates as `longspan.cells` records them, in the kernels' order.
RECORDS = {"lstm": ("i", "f", "g", "o", "c"), "gru": ("r", "z", "n"), "rnn": ("h",)}
#: Arguments without a gradient.
CONSTANTS = (
    "hidden_mask", "update_mask", "zoneout_c_mask", "zoneout_h_mask", "lengths", "reset",
)  # fmt: skip


@dataclass(frozen=True)
class Program:
    """What is to be computed, without the tensors.

    Attributes:
        kind: Key of `longspan.cells.CELLS`.
        cell: The cell.
        names: What each tensor is, ``x`` first.
        reverse: Direction.
        record: Whether every step's gates are returned.
        zoneout_c: Share of the cell state that is kept, where it is a number.
        zoneout_h: The same for h.
        x_is_gates: Whether x holds the input's pre-activations already.
        bfloat16: Whether what products multiply is rounded to bfloat16.
    """

    kind: str
    cell: Cell
    names: tuple[str, ...]
    reverse: bool = False
    record: bool = False
    zoneout_c: float = 0.0
    zoneout_h: float = 0.0
    x_is_gates: bool = False
    bfloat16: bool = False

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the initial states among `names`."""
        return tuple(f"{name}0" for name in self.cell.states)

    @property
    def recorded(self) -> tuple[str, ...]:
        """Names of the recorded gates, or none."""
        return RECORDS[self.kind] if self.record else ()

    def named(self, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the tensors by name."""
        return dict(zip(self.names, tensors, strict=True))

    def to_text(self) -> str:
        """Return the program as text, by means that ``torch.compile`` can follow."""
        cell = [f"cell.{name}={getattr(self.cell, name)!r}" for name in self.cell.__match_args__]  # type: ignore[attr-defined]
        own = [f"{name}={getattr(self, name)!r}" for name in _FIELDS]
        return "\n".join([f"kind={self.kind!r}", f"names={','.join(self.names)!r}", *own, *cell])

    @staticmethod
    @lru_cache(maxsize=1024)
    def from_text(text: str) -> Program:
        """Return the program that `to_text` wrote."""
        fields = {
            k: ast.literal_eval(v) for k, v in (line.split("=", 1) for line in text.split("\n"))
        }
        options = {k[5:]: fields.pop(k) for k in list(fields) if k.startswith("cell.")}
        names = tuple(fields.pop("names").split(","))
        return Program(cell=CELLS[fields["kind"]](**options), names=names, **fields)


_FIELDS = ("reverse", "record", "zoneout_c", "zoneout_h", "x_is_gates", "bfloat16")


_KINDS = {cell: kind for kind, cell in CELLS.items()}


def kind_of(cell: Cell) -> str | None:
    """Return the key of a cell in `CELLS`, or None if it is not there."""
    return _KINDS.get(type(cell))


def program_of(call: Call) -> tuple[Program, list[Tensor]]:
    """Return a call's program and its tensors."""
    kind = kind_of(call.cell)
    assert kind is not None
    tensors: dict[str, Tensor] = {"x": call.x}
    tensors |= {f"{n}0": s for n, s in zip(call.cell.states, call.state, strict=True)}
    x_is_gates = "weight_ih" not in call.params
    tensors |= {name: value for name, value in call.params.items() if value is not None}
    tensors |= {f"norm_{place}": n.weight for place, n in call.normalisers.items()}  # type: ignore[attr-defined]
    noise, layout, numbers = call.noise, call.layout, {"zoneout_c": 0.0, "zoneout_h": 0.0}
    for name, value in (("hidden_mask", noise.hidden), ("update_mask", noise.update)):
        if value is not None:
            tensors[name] = value
    for name, value in (("zoneout_c", noise.zoneout_c), ("zoneout_h", noise.zoneout_h)):
        if isinstance(value, Tensor):
            tensors[f"{name}_mask"] = value
        elif value is not None:
            numbers[name] = float(value)
    if layout.lengths is not None:
        tensors["lengths"] = layout.lengths
    if layout.reset is not None:
        tensors["reset"] = layout.reset
    half = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    program = Program(
        kind, call.cell, tuple(tensors), layout.reverse, call.record_gates, **numbers,
        x_is_gates=x_is_gates,
        bfloat16=half or any(t.dtype == torch.bfloat16 for t in tensors.values()),
    )  # fmt: skip
    return program, list(tensors.values())


def by_reference(program: Program, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Compute what the kernels compute by `longspan.cells`; differentiable any number of times."""
    given = program.named(tensors)
    noise = Noise(
        given.get("hidden_mask"), given.get("update_mask"),
        given.get("zoneout_c_mask", program.zoneout_c or None),
        given.get("zoneout_h_mask", program.zoneout_h or None),
    )  # fmt: skip
    options: dict[str, Any] = {
        "layout": Layout(given.get("lengths"), given.get("reset"), program.reverse),
        "noise": noise,
        "normalisers": {n[5:]: LayerNorm(w) for n, w in given.items() if n.startswith("norm_")},
        "record_gates": program.record,
    }
    run = scan_gates if program.x_is_gates else scan
    state = tuple(given[name] for name in program.state_names)
    return flatten(program, run(program.cell, given["x"], state, given, **options))


def flatten(program: Program, result: ScanResult) -> tuple[Tensor, ...]:
    """Return a result as one tuple: output, states, gates."""
    gates = result.gates or {}
    return (result.output, *result.state, *(gates[name] for name in program.recorded))


def unflatten(program: Program, values: Sequence[Any]) -> ScanResult:
    """Return the result that `flatten` made into a tuple (or gradients of one, some None)."""
    count = 1 + len(program.cell.states)
    gates = dict(zip(program.recorded, values[count:], strict=True)) if program.record else None
    return ScanResult(values[0], tuple(values[1:count]), gates)


def empty_outputs(
    program: Program, tensors: Sequence[Tensor], empty: Callable[..., Tensor] = Tensor.new_empty
) -> tuple[Tensor, ...]:
    """Return uninitialised outputs of the right shapes; in the memory layout of x.

    Args:
        program: The program.
        tensors: Its tensors.
        empty: Called with x and three sizes, for the tensors of all steps.
    """
    given = program.named(tensors)
    x = given["x"]
    steps, batch = x.shape[:2]
    width = given["h0"].shape[-1]
    if x.stride(0) < x.stride(1):  # (B, T, ·) in memory, so the caller's output will be contiguous
        output = empty(x, batch, steps, width).transpose(0, 1)
    else:
        output = empty(x, steps, batch, width)
    states = [given[n].new_empty(given[n].shape) for n in program.state_names]
    hidden_size = given["c0"].shape[-1] if "c0" in given else width
    gates = [empty(x, steps, batch, hidden_size) for _ in program.recorded]
    return (output, *states, *gates)
