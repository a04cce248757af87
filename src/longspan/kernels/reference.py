"""The reference: `longspan.cells.scan`, which runs everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from longspan.cells import Cell, ScanResult, scan
from longspan.cells.cell import State, Step
from longspan.kernels.call import Call


class Reference:
    """Runs any cell with any option, on any device and in any dtype, by a loop over time."""

    def why_not(self, call: Call) -> str | None:
        """Return None: the specification runs everything."""
        return None

    def run(self, call: Call) -> ScanResult:
        """Run the scan."""
        measured = call.flow is not None and torch.is_grad_enabled()
        return scan(
            _Measured(call) if measured else call.cell,
            call.x,
            call.state,
            call.params,
            layout=call.layout,
            noise=call.noise,
            normalisers=call.normalisers,
            record_gates=call.record_gates,
        )


class _Measured(Cell):
    """A call's cell, whose states tell the call's `Flow` of their gradients."""

    def __init__(self, call: Call) -> None:
        assert call.flow is not None
        self.cell, self.gates, self.states = call.cell, call.cell.gates, call.cell.states
        steps, batch, _ = call.x.shape
        lengths = call.layout.lengths
        self.squares = call.flow.room(steps, batch, lengths)
        ends = torch.full((batch,), steps) if lengths is None else lengths.cpu()
        # By time, steps to the last that is run; below 0 beyond a row's length.
        self.left = ends - 1 - torch.arange(steps)[:, None]
        if call.layout.reverse:
            self.left = torch.where(self.left < 0, -1, torch.arange(steps)[:, None])

    def shapes(self, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple]:
        """Return the cell's."""
        return self.cell.shapes(input_size, hidden_size, bias)

    def step(self, x_gates: Tensor, state: State, step: Step) -> tuple[State, dict[str, Tensor]]:
        """Run the cell's step."""
        new, gates = self.cell.step(x_gates, state, step)
        # A view tells the state apart from the simple cell's activation, which is recorded.
        new = (new[0].view_as(new[0]), *new[1:])
        for column, tensor in enumerate(new[: self.squares.shape[1]]):
            if tensor.requires_grad:
                tensor.register_hook(partial(self._add, step.t, column))
        return new, gates

    def _add(self, t: int, column: int, gradient: Tensor) -> None:
        runs = self.left[t] >= 0
        squares = gradient.detach().double().square().sum(1).cpu()
        self.squares[:, column].index_add_(0, self.left[t][runs], squares[runs])


def differentiable_gradients(
    run: Callable[[list[Tensor]], Sequence[Tensor]],
    tensors: Sequence[Tensor],
    wanted: Sequence[bool],
    gradients: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Return gradients that can be differentiated again, for kernels whose own cannot.

    Args:
        run: Computes by the reference what a kernel computes, tensors to outputs.
        tensors: What the kernel was given.
        wanted: Which of the tensors need a gradient.
        gradients: Of the outputs; None for zero.
    """
    # Views, so that a tensor that is passed twice is told apart.
    inputs = [t.view_as(t) if w else t for t, w in zip(tensors, wanted, strict=True)]
    pairs = [(o, g) for o, g in zip(run(inputs), gradients, strict=True) if g is not None]
    found = iter(
        torch.autograd.grad(
            [o for o, _ in pairs], [t for t, w in zip(inputs, wanted, strict=True) if w],
            [g for _, g in pairs], create_graph=True, allow_unused=True,
        )
    )  # fmt: skip
    return [next(found) if w else None for w in wanted]
