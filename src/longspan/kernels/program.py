"""A `Call` as the native kernels take it: a description that can be written down, and tensors.

The description is plain data, so that it can travel as an argument of an operator that
``torch.compile`` and ``torch.export`` carry in their graphs.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from longspan.cells import (
    CELLS,
    GRU,
    LSTM,
    RNN,
    Cell,
    LayerNorm,
    Layout,
    Noise,
    ScanResult,
    scan,
    scan_gates,
)
from longspan.kernels.call import Call
from longspan.kernels.loader import native

#: Gates as `longspan.cells` records them, in the kernels' order.
RECORDS = {"lstm": ("i", "f", "g", "o", "c"), "gru": ("r", "z", "n"), "rnn": ("h",)}
#: Arguments without a gradient.
CONSTANTS = (
    "hidden_mask", "update_mask", "zoneout_c_mask", "zoneout_h_mask", "lengths", "reset",
)  # fmt: skip
#: What the kernels bring into an order of their own before they read it.
PACKED = ("weight_ih", "weight_hh", "weight_hr", "weight_gg")


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

    @cached_property
    def packed_places(self) -> tuple[int, ...]:
        """Places among `names` of the weights that the kernels pack."""
        return tuple(self.names.index(name) for name in PACKED if name in self.names)

    @cached_property
    def routine(self) -> Any:
        """The program as the compiled kernels take it, with all that stays from call to call."""
        blank = native.Problem()
        _set_cell(blank, self.cell)
        blank.gates = len(self.cell.gates)
        blank.reverse, blank.x_is_gates = self.reverse, self.x_is_gates
        blank.bfloat16 = self.bfloat16
        blank.zoneout_c, blank.zoneout_h = self.zoneout_c, self.zoneout_h
        return native.Routine(blank, self.names, len(self.cell.states))

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


# The same few programs run again and again, so that they are kept, with their routines.
_program = lru_cache(maxsize=1024)(Program)


def program_of(call: Call) -> tuple[Program, list[Tensor]]:
    """Return a call's program and its tensors."""
    kind = kind_of(call.cell)
    assert kind is not None
    tensors: dict[str, Tensor] = {"x": call.x}
    for name, state in zip(call.cell.states, call.state, strict=True):
        tensors[f"{name}0"] = state
    tensors |= {name: value for name, value in call.params.items() if value is not None}
    for place, normaliser in call.normalisers.items():
        tensors[f"norm_{place}"] = normaliser.weight  # type: ignore[attr-defined]
    numbers = _add_noise(call.noise, tensors)
    if call.layout.lengths is not None:
        tensors["lengths"] = call.layout.lengths
    if call.layout.reset is not None:
        tensors["reset"] = call.layout.reset
    make = Program if torch.compiler.is_compiling() else _program
    program = make(
        kind, call.cell, tuple(tensors), call.layout.reverse, call.record_gates, *numbers,
        "weight_ih" not in tensors, _wants_bfloat16(tensors),
    )  # fmt: skip
    return program, list(tensors.values())


def _wants_bfloat16(tensors: dict[str, Tensor]) -> bool:
    if torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16:
        return True
    return torch.bfloat16 in {t.dtype for t in tensors.values()}


def _add_noise(noise: Noise, tensors: dict[str, Tensor]) -> tuple[float, float]:
    """Add the masks to the tensors; return zoneout's shares where they are numbers, c and h."""
    if noise.hidden is not None:
        tensors["hidden_mask"] = noise.hidden
    if noise.update is not None:
        tensors["update_mask"] = noise.update
    numbers = {"zoneout_c": 0.0, "zoneout_h": 0.0}
    for name, value in (("zoneout_c", noise.zoneout_c), ("zoneout_h", noise.zoneout_h)):
        if isinstance(value, Tensor):
            tensors[f"{name}_mask"] = value
        elif value is not None:
            numbers[name] = float(value)
    return numbers["zoneout_c"], numbers["zoneout_h"]


def _set_cell(problem: Any, cell: Cell) -> None:
    if isinstance(cell, LSTM):
        problem.set_lstm(
            cell.coupled_gates, cell.input_gate, cell.forget_gate, cell.output_gate,
            cell.input_activation, cell.output_activation,
        )  # fmt: skip
    elif isinstance(cell, GRU):
        problem.set_gru(cell.reset_after)
    else:
        assert isinstance(cell, RNN)
        problem.set_rnn(cell.nonlinearity == "relu")


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
    x, (width, hidden) = tensors[0], widths(program, tensors)
    steps, batch, _ = x.shape
    if x.stride(0) < x.stride(1):  # (B, T, ·) in memory, so the caller's output will be contiguous
        output = empty(x, batch, steps, width).transpose(0, 1)
    else:
        output = empty(x, steps, batch, width)
    states = [s.new_empty(batch, s.shape[-1]) for s in tensors[1 : 1 + len(program.cell.states)]]
    return (output, *states, *[empty(x, steps, batch, hidden) for _ in program.recorded])


def widths(program: Program, tensors: Sequence[Tensor]) -> tuple[int, int]:
    """Return the widths of the output, P, and of the hidden units, H."""
    width = tensors[1].shape[-1]  # h0, then c0 if there is one
    return width, tensors[2].shape[-1] if len(program.cell.states) > 1 else width
