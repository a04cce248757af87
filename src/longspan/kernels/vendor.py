"""PyTorch's own fused layers (oneDNN on processors, cuDNN on GPUs), for the plain cells.

Their second derivatives are missing or wrong in places; asked for them, this implementation
differentiates through the reference instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from longspan.cells import GRU, LSTM, RNN, Noise, ScanResult
from longspan.kernels.call import Call, follower
from longspan.kernels.program import Program, by_reference, program_of, unflatten
from longspan.kernels.reference import differentiable_gradients


class Vendor:
    """Runs plain LSTM (projected or not), GRU (reset after) and RNN layers over full batches."""

    def why_not(self, call: Call) -> str | None:
        """Return what this call asks for that PyTorch's layers do not offer."""
        cell = call.cell
        plain = (LSTM(proj_size=cell.proj_size),) if isinstance(cell, LSTM) else _PLAIN
        reasons = {
            "the cell's options are not in torch": cell not in plain,
            "the batch is ragged": call.layout.lengths is not None,
            "rows are reset inside the sequence": call.layout.reset is not None,
            "gates are recorded": call.record_gates,
            "every step's states are recorded": call.record_states,
            "zoneout or recurrent dropout is on": call.noise != Noise(),
            "normalisation is on": bool(call.normalisers),
            "the input is empty": call.x.numel() == 0 or call.x.shape[1] == 0,
        }
        return next((reason for reason, true in reasons.items() if true), None) or follower()

    def run(self, call: Call) -> ScanResult:
        """Run the fused layer."""
        return _run(call)  # type: ignore[call-arg]


# Not traced, as torch.nn's own layers are not: oneDNN's operator cannot be. (The decorator's type
# stub loses the signature, hence the ignored type above.)
@torch.compiler.disable
def _run(call: Call) -> Any:
    program, tensors = program_of(call)
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        return unflatten(program, _Differentiable.apply(program, *tensors))  # type: ignore[arg-type]
    return unflatten(program, _fused(program, tensors))


_PLAIN = (GRU(), RNN("tanh"), RNN("relu"))


def _fused(program: Program, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Call torch's layer on (x, states, weights); return (output, states)."""
    cell, count = program.cell, 1 + len(program.cell.states)
    x, weights = tensors[0], list(tensors[count:])
    state = tuple(s[None].contiguous() for s in tensors[1:count])
    if program.reverse:
        x = x.flip(0)
    # cuDNN keeps what backward needs only where it is told that this is training.
    options = (weights, "bias_ih" in program.names, 1, 0.0, torch.is_grad_enabled(), False, False)
    if isinstance(cell, LSTM):
        output, *new_state = torch.lstm(x, state, *options)
    elif isinstance(cell, GRU):
        output, *new_state = torch.gru(x, state[0], *options)
    else:
        run = torch.rnn_tanh if cell == RNN("tanh") else torch.rnn_relu
        output, *new_state = run(x, state[0], *options)
    output = output.flip(0) if program.reverse else output
    return (output, *(s[0] for s in new_state))


class _Differentiable(torch.autograd.Function):
    """The fused layer, differentiable any number of times.

    Forward records the fused layer in a graph of its own, which backward runs. That graph hangs on
    saved tensors, so that it is freed with them after backward and not with the loss.
    """

    @staticmethod
    def forward(ctx: Any, program: Program, *tensors: Tensor) -> Any:  # type: ignore[override]
        ctx.program = program
        inputs, outputs = _recorded(program, tensors)
        ctx.save_for_backward(*tensors, *inputs, *outputs)
        return tuple(o.detach() for o in outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # type: ignore[override]
        wanted = ctx.needs_input_grad[1:]
        saved, count = ctx.saved_tensors, len(wanted)
        tensors, inputs, outputs = saved[:count], saved[count : 2 * count], saved[2 * count :]
        if torch.is_grad_enabled():  # create_graph=True: somebody differentiates this too
            run = partial(by_reference, ctx.program)
            return (None, *differentiable_gradients(run, tensors, wanted, gradients))
        if not outputs[0].requires_grad:  # hooks on saved tensors brought back values alone
            inputs, outputs = _recorded(ctx.program, tensors)
        leaves = [t for t in inputs if t.requires_grad]
        # Kept, as the caller may keep the graph; it is freed with the saved tensors.
        found = iter(
            torch.autograd.grad(outputs, leaves, gradients, retain_graph=True, allow_unused=True)
        )
        return (None, *(next(found) if t.requires_grad else None for t in inputs))


def _recorded(program: Program, tensors: Sequence[Tensor]) -> tuple[Any, Any]:
    """Run the fused layer on copies that share memory; return these and its outputs."""
    with torch.enable_grad():
        inputs = [t.detach().requires_grad_(t.requires_grad) for t in tensors]
        return inputs, _fused(program, inputs)
