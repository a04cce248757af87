"""The native kernels as differentiable functions of torch tensors.

In eager mode an autograd function calls them at once. Under ``torch.compile`` and ``torch.export``
the operators ``longspan::scan`` and ``longspan::scan_backward`` stand in its place, so that a graph
holds one node a layer and direction. Differentiating twice goes through `longspan.cells`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from longspan.cells.scan import check_lengths
from longspan.kernels import native
from longspan.kernels.call import Flow
from longspan.kernels.program import CONSTANTS, Program, by_reference, empty_outputs
from longspan.kernels.reference import differentiable_gradients


def scan(program: Program, tensors: list[Tensor], flow: Flow | None = None) -> tuple[Tensor, ...]:
    """Run a program on CPU tensors; return output, states and recorded gates.

    In eager mode backward adds to `flow`; graphs do not measure it.
    """
    training = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    if torch.compiler.is_compiling() or not _is_plain(tensors[0]):
        return tuple(torch.ops.longspan.scan(tensors, program.to_text(), training)[:-1])
    if training:
        return _Scan.apply(program, flow, *tensors)  # type: ignore[return-value]
    return native.forward(program, tensors, training=False)[0]


def _is_plain(tensor: Tensor) -> bool:
    """Return whether a tensor has memory of its own, unlike the tracers' stand-ins."""
    return type(tensor) in (Tensor, torch.nn.Parameter)


class _Scan(torch.autograd.Function):
    """The kernels in eager mode."""

    @staticmethod
    def forward(ctx: Any, program: Program, flow: Flow | None, *tensors: Tensor) -> Any:  # type: ignore[override]
        kept: tuple[Tensor, ...] = ()
        ctx.program, ctx.flow, ctx.saved = program, flow, None
        if _hooks_take_what_is_saved():  # as a tensor, so that they can drop it or move it away
            kept = (_saved_buffer(program, list(tensors), training=True),)
            outputs = native.forward_into(program, tensors, *kept)
        else:
            outputs, ctx.saved = native.forward(program, tensors, training=True)
        ctx.save_for_backward(*tensors, outputs[0], *kept)
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:  # type: ignore[override]
        wanted = ctx.needs_input_grad[2:]
        values, count = ctx.saved_tensors, len(wanted)
        tensors, output, kept = list(values[:count]), values[count], values[count + 1 :]
        # create_graph=True: somebody differentiates this too. Batched gradients have no address.
        twice = torch.is_grad_enabled()
        if twice or any(map(_is_batched, gradients)):
            run = partial(by_reference, ctx.program)
            with torch.enable_grad():
                found = differentiable_gradients(run, tensors, wanted, gradients, again=twice)
            return (None, None, *found)
        saved = kept[0] if kept else ctx.saved
        if not torch._C._autograd._get_current_graph_task_keep_graph():  # type: ignore[attr-defined]
            ctx.saved = None  # as torch frees saved tensors, though the loss may live on
        found = native.backward(ctx.program, tensors, output, saved, gradients, wanted, ctx.flow)
        return (None, None, *found)


def _is_batched(gradient: Tensor | None) -> bool:
    """Return whether a gradient stands for many at once (``is_grads_batched=True``)."""
    return gradient is not None and torch._C._functorch.is_legacy_batchedtensor(gradient)  # type: ignore[attr-defined]


def _hooks_take_what_is_saved() -> bool:
    """Return whether hooks on saved tensors are set, by gradient checkpointing for instance."""
    return torch._C._autograd._top_saved_tensors_default_hooks(True) is not None  # type: ignore[attr-defined]


# --- Operators, for graphs ----------------------------------------------------------------------


@torch.library.custom_op("longspan::scan", mutates_args=(), device_types="cpu")
def _scan_op(tensors: list[Tensor], program: str, training: bool) -> list[Tensor]:
    """Return output, states, recorded gates and, last, what backward needs (if training).

    Raises:
        InputError: If lengths do not fit; a graph could not check that before.
    """
    what = Program.from_text(program)
    lengths = what.named(tensors).get("lengths")
    if lengths is not None:
        check_lengths(lengths, len(tensors[0]))
    saved = _saved_buffer(what, tensors, training)
    if not training:
        return [*native.forward(what, tensors, training=False)[0], saved]
    return [*native.forward_into(what, tensors, saved), saved]


@torch.library.custom_op("longspan::scan_backward", mutates_args=(), device_types="cpu")
def _scan_backward_op(
    tensors: list[Tensor], output: Tensor, saved: Tensor, gradients: list[Tensor], program: str
) -> list[Tensor]:
    """Return the gradients of all tensors but the `CONSTANTS`."""
    what = Program.from_text(program)
    wanted = [name not in CONSTANTS for name in what.names]
    found = native.backward(what, tensors, output, saved, gradients, wanted)
    return [g for g in found if g is not None]


@_scan_op.register_fake
def _(tensors: list[Tensor], program: str, training: bool) -> list[Tensor]:
    what = Program.from_text(program)
    return [*empty_outputs(what, tensors), _saved_buffer(what, tensors, training)]


@_scan_backward_op.register_fake
def _(
    tensors: list[Tensor], output: Tensor, saved: Tensor, gradients: list[Tensor], program: str
) -> list[Tensor]:
    del output, saved, gradients
    names = Program.from_text(program).names
    return [torch.empty_like(t) for n, t in zip(names, tensors, strict=True) if n not in CONSTANTS]


def _saved_buffer(program: Program, tensors: list[Tensor], training: bool) -> Tensor:
    """Return memory for as many packed rows as there can be, whatever the lengths."""
    x = tensors[0]
    if not training:
        return x.new_empty(0)
    floats = native.saved_floats(program, tensors)
    return x.new_empty(x.shape[0] * x.shape[1] * floats + native.SLACK, dtype=torch.float32)


def _setup(ctx: Any, inputs: Any, output: list[Tensor]) -> None:
    tensors, ctx.program, _ = inputs
    ctx.save_for_backward(*tensors, output[0], output[-1])
    ctx.set_materialize_grads(True)


def _backward(ctx: Any, gradients: list[Tensor]) -> Any:
    *tensors, output, saved = ctx.saved_tensors
    program = Program.from_text(ctx.program)
    used = [g.contiguous() for g in gradients[:-1]]
    found = iter(torch.ops.longspan.scan_backward(tensors, output, saved, used, ctx.program))
    return [None if name in CONSTANTS else next(found) for name in program.names], None, None


_scan_op.register_autograd(_backward, setup_context=_setup)
