"""The one loop over time: ragged lengths, resets, direction and recorded gates for every cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from longspan.cells.cell import Cell, Noise, Normaliser, Parameters, State, Step
from longspan.errors import InputError


@dataclass(frozen=True)
class Layout:
    """How rows and time are laid out in one call.

    Attributes:
        lengths: Valid steps of each row, (B,), or None when all rows are full.
        reset: True where a row begins a new sequence before that step, (T, B), or None.
        reverse: Run from each row's last step to its first.
    """

    lengths: Tensor | None = None
    reset: Tensor | None = None
    reverse: bool = False


class ScanResult(NamedTuple):
    """What a scan returns.

    Attributes:
        output: h of every step, (T, B, P); zero beyond a row's length.
        state: The states after each row's last step, each (B, width).
        gates: Gates by name, each (T, B, H), zero beyond a row's length; None if not asked for.
        states: By name, what the cell made of each state at each of the T steps, (B, width), as
            tensors through which the output and all later states were computed. Their gradients
            are therefore total derivatives. None if not asked for.
    """

    output: Tensor
    state: State
    gates: dict[str, Tensor] | None = None
    states: dict[str, tuple[Tensor, ...]] | None = None


def scan(
    cell: Cell,
    x: Tensor,
    state: State,
    params: Parameters,
    *,
    layout: Layout | None = None,
    noise: Noise | None = None,
    normalisers: Mapping[str, Normaliser] | None = None,
    record_gates: bool = False,
    record_states: bool = False,
) -> ScanResult:
    """Run a cell over a whole sequence: one layer, one direction. The specification.

    A row whose length is over keeps its state and its outputs are zero; padding is never looked
    at, so even NaN there reaches neither values nor gradients. A reset at step t puts the row in
    the zero state before step t (not in `state`, which may have been carried over from the
    sequence that just ended), with no gradient across. In reverse the row is put in the zero
    state where it leaves that sequence, so both directions equal separate sequences. A reset beyond
    a row's length does nothing.

    Args:
        cell: The cell.
        x: Inputs, (T, B, I).
        state: Initial states, each (B, width).
        params: Parameters by name, as `Cell.shapes` lists them.
        layout: Lengths, resets and direction.
        noise: Random masks, drawn beforehand.
        normalisers: By place: ``"ih"``, ``"hh"``, ``"c"``.
        record_gates: Whether to return every step's gates.
        record_states: Whether to return every step's states.
    """
    layout, normalisers = layout or Layout(), normalisers or {}
    x_gates = input_gates(x, params, layout, normalisers)
    return scan_gates(
        cell, x_gates, state, params,
        layout=layout, noise=noise, normalisers=normalisers, record_gates=record_gates,
        record_states=record_states,
    )  # fmt: skip


def scan_gates(
    cell: Cell,
    x_gates: Tensor,
    state: State,
    params: Parameters,
    *,
    layout: Layout | None = None,
    noise: Noise | None = None,
    normalisers: Mapping[str, Normaliser] | None = None,
    record_gates: bool = False,
    record_states: bool = False,
) -> ScanResult:
    """Run a cell over what `input_gates` made of the inputs, as `scan` does.

    Args:
        cell: The cell.
        x_gates: Input pre-activations, (T, B, G·H).
        state: Initial states, each (B, width).
        params: Parameters by name.
        layout: Lengths, resets and direction.
        noise: Random masks.
        normalisers: By place: ``"hh"``, ``"c"``.
        record_gates: Whether to return every step's gates.
        record_states: Whether to return every step's states.
    """
    layout, noise = layout or Layout(), noise or Noise()
    normalisers = normalisers or {}
    active = _active(layout.lengths, x_gates)
    resets = _resets(layout, active)
    steps = len(x_gates)
    outputs: list[Tensor] = [x_gates] * steps
    records: list[dict[str, Tensor]] = [{}] * steps
    states: list[State] = [()] * steps
    for t in reversed(range(steps)) if layout.reverse else range(steps):
        rows = None if active is None else active[t]
        if resets is not None:
            state = tuple(torch.where(resets[t][:, None], 0.0, s) for s in state)
        new, gates = cell.step(x_gates[t], state, Step(params, noise, t, rows, normalisers))
        outputs[t], records[t] = new[0], gates
        if record_states:
            states[t] = new
        if rows is not None:
            outputs[t] = torch.where(rows[:, None], new[0], 0.0)
            new = tuple(torch.where(rows[:, None], n, s) for n, s in zip(new, state, strict=True))
        state = new
    empty = x_gates.new_zeros(0, x_gates.shape[1], state[0].shape[1])
    output = torch.stack(outputs) if outputs else empty
    return ScanResult(
        output,
        state,
        (_stack(records, active) if steps else _of_no_step(cell, x_gates, state, params))
        if record_gates
        else None,
        {name: tuple(s[k] for s in states) for k, name in enumerate(cell.states)}
        if record_states
        else None,
    )


def input_gates(
    x: Tensor, params: Parameters, layout: Layout, normalisers: Mapping[str, Normaliser]
) -> Tensor:
    """Return W_ih x + b_ih of all steps, normalised where it is to be, (T, B, G·H).

    Padding is replaced by zeros first, so that nothing in it reaches anything.
    """
    active = _active(layout.lengths, x)
    if active is not None:
        x = torch.where(active[..., None], x, 0.0)
    weight, bias = params["weight_ih"], params.get("bias_ih")
    assert weight is not None
    if "ih" not in normalisers:
        return linear(x, weight, bias)
    product = normalisers["ih"](linear(x, weight), None, active)
    return product if bias is None else product + bias


def check_lengths(lengths: Tensor, steps: int) -> None:
    """Refuse lengths that are negative or beyond the steps.

    Raises:
        InputError: If one is.
    """
    if lengths.numel() and (int(lengths.min()) < 0 or int(lengths.max()) > steps):
        raise InputError(
            f"`lengths` must lie between 0 and the number of steps, {steps}, got "
            f"{int(lengths.min())} to {int(lengths.max())}."
        )


def _active(lengths: Tensor | None, x: Tensor) -> Tensor | None:
    """Return which steps are valid, (T, B), or None when all are."""
    if lengths is None:
        return None
    return torch.arange(len(x), device=x.device)[:, None] < lengths.to(x.device)


def _resets(layout: Layout, active: Tensor | None) -> Tensor | None:
    """Return before which steps, in the order of the run, the state is zeroed, (T, B)."""
    if layout.reset is None:
        return None
    reset = layout.reset if active is None else layout.reset & active
    if not layout.reverse:
        return reset
    # A sequence that begins at t is left, in reverse, on the way to t - 1.
    return torch.cat([reset[1:], torch.zeros_like(reset[:1])])


def _stack(records: list[dict[str, Tensor]], active: Tensor | None) -> dict[str, Tensor]:
    stacked = {name: torch.stack([r[name] for r in records]) for name in records[0]}
    if active is None:
        return stacked
    return {name: torch.where(active[..., None], v, 0.0) for name, v in stacked.items()}


def _of_no_step(cell: Cell, x_gates: Tensor, state: State, params: Parameters) -> dict[str, Tensor]:
    """Return the gates of no step, by the names and widths of one, (0, B, H)."""
    _, gates = cell.step(x_gates.new_zeros(x_gates.shape[1:]), state, Step(params))
    return {name: gate.new_zeros(0, *gate.shape) for name, gate in gates.items()}
