"""PyTorch's own fused layers (oneDNN on processors, cuDNN on GPUs), for the plain cells.

Their second derivatives are missing or wrong in places; asked for them, this implementation
differentiates through the reference instead.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from longspan.cells import GRU, LSTM, RNN, Noise, ScanResult, scan
from longspan.cells.cell import State
from longspan.kernels.call import Call

_ORDER = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


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
            "zoneout or recurrent dropout is on": call.noise != Noise(),
            "normalisation is on": bool(call.normalisers),
            "the input is empty": call.x.numel() == 0 or call.x.shape[1] == 0,
        }
        return next((reason for reason, true in reasons.items() if true), None)

    def run(self, call: Call) -> ScanResult:
        """Run the fused layer."""
        names = tuple(name for name in _ORDER if call.params.get(name) is not None)
        weights = [w for name in names if (w := call.params[name]) is not None]
        tensors = [call.x, *call.state, *weights]
        output, *state = _run(call, names, tensors)  # type: ignore[call-arg]
        return ScanResult(output, tuple(state))


# Not traced, as torch.nn's own layers are not: oneDNN's operator cannot be. (The decorator's type
# stub loses the signature, hence the ignored type above.)
@torch.compiler.disable
def _run(call: Call, names: tuple[str, ...], tensors: list[Tensor]) -> Any:
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        return _Differentiable.apply(call, names, *tensors)
    return _fused(call, names, *tensors)


_PLAIN = (GRU(), RNN("tanh"), RNN("relu"))


def _fused(call: Call, names: Any, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Call torch's layer on (x, states, weights); return (output, states)."""
    count = len(call.cell.states)
    state = tuple(s[None].contiguous() for s in tensors[:count])
    weights, has_biases = list(tensors[count:]), "bias_ih" in names
    if call.layout.reverse:
        x = x.flip(0)
    options = (weights, has_biases, 1, 0.0, False, False, False)
    if isinstance(call.cell, LSTM):
        output, *new_state = torch.lstm(x, state, *options)
    elif isinstance(call.cell, GRU):
        output, *new_state = torch.gru(x, state[0], *options)
    else:
        run = torch.rnn_tanh if call.cell == RNN("tanh") else torch.rnn_relu
        output, *new_state = run(x, state[0], *options)
    output = output.flip(0) if call.layout.reverse else output
    return (output, *(s[0] for s in new_state))


def _by_scan(call: Call, names: Any, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Compute what `_fused` computes, by the reference."""
    count = len(call.cell.states)
    state: State = tensors[:count]
    params = dict(zip(names, tensors[count:], strict=True))
    result = scan(call.cell, x, state, params, layout=call.layout)
    return (result.output, *result.state)


class _Differentiable(torch.autograd.Function):
    """The fused layer, differentiable any number of times."""

    @staticmethod
    def forward(ctx: Any, call: Call, names: tuple[str, ...], *tensors: Tensor) -> Any:  # type: ignore[override]
        ctx.call, ctx.names = call, names
        ctx.save_for_backward(*tensors)
        with torch.enable_grad():
            inputs = [t.detach().requires_grad_(t.requires_grad) for t in tensors]
            outputs = _fused(call, names, *inputs)
        ctx.inputs, ctx.outputs = inputs, outputs
        return tuple(o.detach() for o in outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # type: ignore[override]
        again = torch.is_grad_enabled()  # create_graph=True: somebody differentiates this too
        if again:
            inputs = ctx.saved_tensors
            # Views, so that a tensor that is passed twice is told apart.
            inputs = [t.view_as(t) if t.requires_grad else t for t in inputs]
            outputs = _by_scan(ctx.call, ctx.names, *inputs)
        else:
            inputs, outputs = ctx.inputs, ctx.outputs
        wanted = [t for t in inputs if t.requires_grad]
        found = iter(
            torch.autograd.grad(
                outputs, wanted, gradients, retain_graph=True, create_graph=again,
                allow_unused=True,
            )
        )  # fmt: skip
        return (None, None, *(next(found) if t.requires_grad else None for t in inputs))
