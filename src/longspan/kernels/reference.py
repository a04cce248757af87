"""The reference: `longspan.cells.scan`, which runs everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from longspan.cells import ScanResult, scan
from longspan.kernels.call import Call


class Reference:
    """Runs any cell with any option, on any device and in any dtype, by a loop over time."""

    def why_not(self, call: Call) -> str | None:
        """Return None: the specification runs everything."""
        return None

    def run(self, call: Call) -> ScanResult:
        """Run the scan."""
        measured = call.flow is not None and torch.is_grad_enabled()
        result = scan(
            call.cell,
            call.x,
            call.state,
            call.params,
            layout=call.layout,
            noise=call.noise,
            normalisers=call.normalisers,
            record_gates=call.record_gates,
            record_states=call.record_states or measured,
        )
        if measured:
            _measure(call, result)
        return result if call.record_states else result._replace(states=None)


def _measure(call: Call, result: ScanResult) -> None:
    """Let the gradients of every step's states, when they come, be added to the call's flow."""
    assert call.flow is not None
    assert result.states is not None
    steps, batch, _ = call.x.shape
    lengths = call.layout.lengths
    squares = call.flow.room(steps, batch, lengths)
    ends = torch.full((batch,), steps) if lengths is None else lengths.cpu()
    at = torch.arange(steps)[:, None]
    to_come = at.expand(-1, batch) if call.layout.reverse else ends - 1 - at
    for column, name in enumerate(call.cell.states[: squares.shape[1]]):
        for t, state in enumerate(result.states[name]):
            if state.requires_grad:
                add = partial(_add_squares, squares[:, column], to_come[t], at[t] < ends)
                state.register_hook(add)


def _add_squares(to: Tensor, places: Tensor, rows: Tensor, gradient: Tensor) -> None:
    squares = gradient.detach().double().square().sum(1).cpu()
    to.index_add_(0, places[rows], squares[rows])


def differentiable_gradients(
    run: Callable[[list[Tensor]], Sequence[Tensor]],
    tensors: Sequence[Tensor],
    wanted: Sequence[bool],
    gradients: Sequence[Tensor | None],
    again: bool = True,
) -> list[Tensor | None]:
    """Return gradients that can be differentiated again, for kernels whose own cannot.

    Args:
        run: Computes by the reference what a kernel computes, tensors to outputs.
        tensors: What the kernel was given.
        wanted: Which of the tensors need a gradient.
        gradients: Of the outputs; None for zero.
        again: Whether they are to be differentiated again.
    """
    # Views, so that a tensor that is passed twice is told apart.
    inputs = [t.view_as(t) if w else t for t, w in zip(tensors, wanted, strict=True)]
    pairs = [(o, g) for o, g in zip(run(inputs), gradients, strict=True) if g is not None]
    found = iter(
        torch.autograd.grad(
            [o for o, _ in pairs], [t for t, w in zip(inputs, wanted, strict=True) if w],
            [g for _, g in pairs], create_graph=again, allow_unused=True,
        )
    )  # fmt: skip
    return [next(found) if w else None for w in wanted]
