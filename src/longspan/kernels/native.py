"""The native kernels on torch tensors: pointers in, pointers out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from longspan.cells import GRU, LSTM, RNN, Cell
from longspan.kernels.loader import native as _native
from longspan.kernels.program import CONSTANTS, Program, empty_outputs, unflatten

#: Outputs and gradients of so many floats take their memory from the kernels' pool: malloc would
#: give larger ones back to the system, and fresh pages cost more than a small layer's arithmetic.
POOLED = 1 << 15
#: Floats beyond the packed rows' own that alignment may take in a buffer.
SLACK = 512


def available() -> bool:
    """Return whether the kernels were compiled when Longspan was installed."""
    return _native is not None


def forward(
    program: Program, tensors: Sequence[Tensor], training: bool
) -> tuple[tuple[Tensor, ...], Any]:
    """Return the outputs and, in training, what backward needs."""
    problem, outputs, _alive = _forward_problem(program, tensors)
    problem.training = training
    return outputs, _native.forward(problem)


def forward_into(program: Program, tensors: Sequence[Tensor], saved: Tensor) -> tuple[Tensor, ...]:
    """Return the outputs; what backward needs goes to `saved`."""
    problem, outputs, _alive = _forward_problem(program, tensors)
    problem.training = True
    _native.forward_into(problem, _aligned(saved))
    return outputs


def backward(
    program: Program,
    tensors: Sequence[Tensor],
    output: Tensor,
    saved: Any,
    gradients: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """Return the gradients of the wanted tensors from those of the outputs.

    Overwrites `saved`.
    """
    given = _contiguous(program, tensors)
    problem = _problem(program, given)
    problem.training = True
    _set_view(problem.set_output, output)
    d_output, *rest = gradients
    d_output = None if d_output is None else _rows_contiguous(d_output)
    # The list keeps the gradients alive while C++ knows their addresses.
    incoming = [d_output, *(None if g is None else g.contiguous() for g in rest)]
    result = unflatten(program, incoming)
    if d_output is not None:
        _set_view(problem.set_d_output, d_output)
    for name, g in zip(program.cell.states, result.state, strict=True):
        if g is not None:
            setattr(problem, f"d_{name}_n", g.data_ptr())
    for k, g in enumerate((result.gates or {}).values()):
        if g is not None:
            problem.set_d_record(k, g.data_ptr())
    found: list[Tensor | None] = []
    for name, tensor, want in zip(program.names, given, wanted, strict=True):
        if not want or name in CONSTANTS:
            found.append(None)
            continue
        gradient = _empty_like(tensor)
        found.append(gradient)
        if name == "x":
            _set_view(problem.set_d_x, gradient)
        else:
            setattr(problem, f"d_{name}", gradient.data_ptr())
    _native.backward(problem, saved.address if hasattr(saved, "address") else _aligned(saved))
    return found


def saved_floats(program: Program, tensors: Sequence[Tensor]) -> int:
    """Return how many floats forward keeps of each step and row, at most."""
    problem = _cell_and_widths(program, program.named(tensors))
    for name in program.names:
        if name.startswith(("norm_", "weight_", "hidden_mask")):
            setattr(problem, name, 1)  # only whether it is there counts
    rows = 64
    return -(-_native.saved_bytes(problem, rows) // (4 * rows))


def _forward_problem(
    program: Program, tensors: Sequence[Tensor]
) -> tuple[Any, tuple[Tensor, ...], Any]:
    given = _contiguous(program, tensors)
    outputs = empty_outputs(program, given, _empty)
    problem = _problem(program, given)
    _set_view(problem.set_output, outputs[0])
    result = unflatten(program, outputs)
    for name, state in zip(program.cell.states, result.state, strict=True):
        setattr(problem, f"{name}_n", state.data_ptr())
    for k, gate in enumerate((result.gates or {}).values()):
        problem.set_record(k, gate.data_ptr())
    return problem, outputs, given


def _empty(x: Tensor, *sizes: int) -> Tensor:
    """Return memory for a tensor; where it is large, some that was used before."""
    return _native.pooled(*sizes) if math.prod(sizes) >= POOLED else x.new_empty(*sizes)


def _empty_like(tensor: Tensor) -> Tensor:
    """Return memory for a gradient, laid out like the tensor."""
    if tensor.numel() < POOLED or not tensor.is_contiguous():
        return torch.empty_like(tensor)
    return _native.pooled(1, 1, tensor.numel()).view(tensor.shape)


def _problem(program: Program, tensors: Sequence[Tensor]) -> Any:
    given = program.named(tensors)
    problem = _cell_and_widths(program, given)
    problem.T, problem.B, problem.I = given["x"].shape
    problem.reverse, problem.x_is_gates = program.reverse, program.x_is_gates
    problem.bfloat16 = program.bfloat16
    problem.zoneout_c, problem.zoneout_h = program.zoneout_c, program.zoneout_h
    problem.threads = torch.get_num_threads()
    for name, tensor in given.items():
        if name == "x":
            _set_view(problem.set_x, tensor)
        else:
            setattr(problem, name, tensor.data_ptr())
    return problem


def _cell_and_widths(program: Program, given: dict[str, Tensor]) -> Any:
    """Return a problem without the sizes that a tracer may not know: steps and rows."""
    problem = _native.Problem()
    problem.P = given["h0"].shape[-1]
    problem.H = given["c0"].shape[-1] if "c0" in given else problem.P
    problem.gates = len(program.cell.gates)
    _set_cell(problem, program.cell)
    return problem


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


def _contiguous(program: Program, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the tensors as the kernels read them; most are so already."""
    result = []
    for name, tensor in zip(program.names, tensors, strict=True):
        if name == "x":
            result.append(_rows_contiguous(tensor))
        elif name == "lengths":
            result.append(tensor.to("cpu", torch.int64).contiguous())
        else:
            result.append(tensor.contiguous())
    return result


def _rows_contiguous(tensor: Tensor) -> Tensor:
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def _set_view(setter: Any, tensor: Tensor) -> None:
    setter(tensor.data_ptr(), tensor.stride(0), tensor.stride(1))


def _aligned(buffer: Tensor) -> int:
    """Return the first address in a buffer at which a cache line begins."""
    return -(-buffer.data_ptr() // 64) * 64
