"""The protocol of a cell: its gates, states, parameters and one step.

Every cell has the form

    x_gates[t] = W_ih x[t] + b_ih                     all steps at once
    h_gates[t] = W_hh h[t-1] + b_hh                   one step at a time
    state[t]   = step(x_gates[t], h_gates[t], state[t-1], parameters)

so a cell says how many gates it has, which states it carries, which parameters it needs, and how
a step goes. Everything else (time, direction, ragged lengths, resets) is the same for all cells
and lives in `longspan.cells.scan`. Shapes: T steps, B rows, I inputs, H hidden units, P outputs
(H unless projected), G gates.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

Parameters = Mapping[str, Tensor | None]
State = tuple[Tensor, ...]  # one tensor a state, the output h first
#: Normalises pre-activations: ``(values, t, rows)``, where t is the time step, or None when values
#: are those of all steps, (T, B, ·), and rows marks the valid ones (None for all).
Normaliser = Callable[[Tensor, int | None, Tensor | None], Tensor]


@dataclass(frozen=True)
class Noise:
    """Random masks of one layer and direction, drawn before the scan.

    Attributes:
        hidden: Multiplies h before the recurrent product, (B, P), the same at every step.
        update: Multiplies the candidate, (T, B, H).
        zoneout_c: Share of the old cell state that each step keeps, (T, B, H) or a number.
        zoneout_h: The same for the hidden state, (T, B, P) or a number.
    """

    hidden: Tensor | None = None
    update: Tensor | None = None
    zoneout_c: Tensor | float | None = None
    zoneout_h: Tensor | float | None = None


@dataclass(frozen=True)
class Step:
    """What a step may look at besides its inputs.

    Attributes:
        params: The layer's parameters by name.
        noise: Random masks.
        t: The time step.
        rows: Rows that are still running, (B,), or None when all are.
        normalisers: By the place they act on: ``"ih"``, ``"hh"``, ``"c"``.
    """

    params: Parameters
    noise: Noise = field(default_factory=Noise)
    t: int = 0
    rows: Tensor | None = None
    normalisers: Mapping[str, Normaliser] = field(default_factory=dict)

    def normalise(self, place: str, values: Tensor) -> Tensor:
        """Return the values normalised, or as they are where nothing is to be done."""
        normaliser = self.normalisers.get(place)
        return values if normaliser is None else normaliser(values, self.t, self.rows)


class Cell(ABC):
    """A recurrent cell: what it computes, without its weights."""

    #: Names of the gates, in the order in which their weights are stacked.
    gates: tuple[str, ...]
    #: Names of the states; the first is the output h.
    states: tuple[str, ...]

    @abstractmethod
    def shapes(self, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple]:
        """Return the shape of every parameter by name, in the order of ``state_dict``."""

    def state_sizes(self, hidden_size: int) -> tuple[int, ...]:
        """Return the width of each state."""
        return (hidden_size,) * len(self.states)

    def recurrent(self, h: Tensor, step: Step) -> Tensor:
        """Return h_gates = W_hh (h ⊙ mask) + b_hh, (B, G·H)."""
        if step.noise.hidden is not None:
            h = h * step.noise.hidden
        weight = step.params["weight_hh"]
        assert weight is not None
        bias = step.params.get("bias_hh")
        if "hh" not in step.normalisers:
            return torch.nn.functional.linear(h, weight, bias)
        product = step.normalise("hh", torch.nn.functional.linear(h, weight))
        return product if bias is None else product + bias

    @abstractmethod
    def step(self, x_gates: Tensor, state: State, step: Step) -> tuple[State, dict[str, Tensor]]:
        """Return the next state and the gates by name.

        Args:
            x_gates: Input pre-activations of this step, (B, G·H).
            state: The states before the step, each (B, width).
            step: Parameters, masks and normalisers.
        """


def standard_shapes(
    gates: int, input_size: int, hidden_size: int, output_size: int, bias: bool
) -> dict[str, tuple]:
    """Return the shapes that torch.nn's cells have in common."""
    rows = gates * hidden_size
    shapes: dict[str, tuple] = {"weight_ih": (rows, input_size), "weight_hh": (rows, output_size)}
    if bias:
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    return shapes


def keep(share: Tensor | float | None, t: int, old: Tensor, new: Tensor) -> Tensor:
    """Zoneout: d ⊙ old + (1 - d) ⊙ new (Krueger et al. 2017), d the share of step t."""
    if share is None:
        return new
    d = share[t] if isinstance(share, Tensor) else share
    return d * old + (1.0 - d) * new
