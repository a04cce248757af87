"""PyTorch's own fused layers (oneDNN on processors, cuDNN on GPUs), for the plain cells.

Their second derivatives are missing or wrong in places; asked for them, this implementation
differentiates through the reference instead.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from longspan.cells import GRU, LSTM, RNN, Cell, Layout, Noise, ScanResult, scan
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
            "a torch.func transform runs": torch._C._are_functorch_transforms_active(),
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
        return _Differentiable.apply(call.cell, call.layout, names, *tensors)
    return _fused(call.cell, call.layout, names, *tensors)


_PLAIN = (GRU(), RNN("tanh"), RNN("relu"))


def _fused(
    cell: Cell, layout: Layout, names: tuple[str, ...], x: Tensor, *tensors: Tensor
) -> tuple[Tensor, ...]:
    """Call torch's layer on (x, states, weights); return (output, states)."""
    count = len(cell.states)
    state = tuple(s[None].contiguous() for s in tensors[:count])
    weights, has_biases = list(tensors[count:]), "bias_ih" in names
    if layout.reverse:
        x = x.flip(0)
    # cuDNN keeps what backward needs only where it is told that this is training.
    options = (weights, has_biases, 1, 0.0, torch.is_grad_enabled(), False, False)
    if isinstance(cell, LSTM):
        output, *new_state = torch.lstm(x, state, *options)
    elif isinstance(cell, GRU):
        output, *new_state = torch.gru(x, state[0], *options)
    else:
        run = torch.rnn_tanh if cell == RNN("tanh") else torch.rnn_relu
        output, *new_state = run(x, state[0], *options)
    output = output.flip(0) if layout.reverse else output
    return (output, *(s[0] for s in new_state))


def _by_scan(
    cell: Cell, layout: Layout, names: tuple[str, ...], x: Tensor, *tensors: Tensor
) -> tuple[Tensor, ...]:
    """Compute what `_fused` computes, by the reference."""
    count = len(cell.states)
    state: State = tensors[:count]
    params = dict(zip(names, tensors[count:], strict=True))
    result = scan(cell, x, state, params, layout=layout)
    return (result.output, *result.state)


class _Differentiable(torch.autograd.Function):
    """The fused layer, differentiable any number of times.

    Forward records the fused layer in a graph of its own, which backward runs. That graph hangs on
    saved tensors, so that it is freed with them after backward and not with the loss.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, cell: Cell, layout: Layout, names: tuple[str, ...], *tensors: Tensor
    ) -> Any:
        ctx.layer = (cell, layout, names)
        inputs, outputs = _recorded(ctx.layer, tensors)
        ctx.save_for_backward(*tensors, *inputs, *outputs)
        return tuple(o.detach() for o in outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # type: ignore[override]
        saved, count = ctx.saved_tensors, len(ctx.needs_input_grad) - 3
        tensors, inputs, outputs = saved[:count], saved[count : 2 * count], saved[2 * count :]
        again = torch.is_grad_enabled()  # create_graph=True: somebody differentiates this too
        if again:
            # Views, so that a tensor that is passed twice is told apart.
            inputs = [t.view_as(t) if t.requires_grad else t for t in tensors]
            outputs = _by_scan(*ctx.layer, *inputs)
        elif not outputs[0].requires_grad:  # hooks on saved tensors brought back values alone
            inputs, outputs = _recorded(ctx.layer, tensors)
        wanted = [t for t in inputs if t.requires_grad]
        found = iter(
            torch.autograd.grad(
                outputs, wanted, gradients, retain_graph=True, create_graph=again,
                allow_unused=True,
            )
        )  # fmt: skip
        return (None, None, None, *(next(found) if t.requires_grad else None for t in inputs))


def _recorded(layer: Any, tensors: Any) -> tuple[Any, Any]:
    """Run the fused layer on copies that share memory; return these and its outputs."""
    with torch.enable_grad():
        inputs = [t.detach().requires_grad_(t.requires_grad) for t in tensors]
        return inputs, _fused(*layer, *inputs)
