"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gates: Gers et al. 2000)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from longspan.cells.cell import Cell, State, Step, keep, standard_shapes
from longspan.errors import InputError


@dataclass(frozen=True)
class LSTM(Cell):
    """The LSTM cell with its variants; all options combine.

        i = σ(W_i x + U_i h + p_i ⊙ c + b_i)            input gate
        f = σ(W_f x + U_f h + p_f ⊙ c + b_f)            forget gate
        g = tanh(W_g x + U_g h + b_g)                   candidate
        c' = f ⊙ c + i ⊙ g                              cell state
        o = σ(W_o x + U_o h + p_o ⊙ c' + b_o)           output gate
        h' = o ⊙ tanh(c')                               output, then W_hr h' if projected

    Args:
        proj_size: Width of a projected output, 0 for none (Sak et al. 2014).
        peephole: Gates see the cell state through p (Gers et al. 2002).
        coupled_gates: i = 1 - f, "CIFG" (Greff et al. 2017).
        input_gate: False: i = 1.
        forget_gate: False: f = 1, the cell of 1997.
        output_gate: False: o = 1.
        input_activation: False: g is not squashed.
        output_activation: False: h' = o ⊙ c'.
        full_gate_recurrence: Gates also see the gates of the step before (Greff et al. 2017), which
            become a third state, ``gates``.

    Normalisation acts on W x ("ih"), U h ("hh") and on c' before the output activation ("c"), as
    in Ba et al. (2016) and Cooijmans et al. (2017). Zoneout (Krueger et al. 2017) and dropout of
    the candidate (Semeniuta et al. 2016) come as masks in `Noise`; zoneout mixes c' and h' as
    computed above with c and h, each by its own mask.

    Raises:
        InputError: If `coupled_gates` is combined with a missing input or forget gate.
    """

    proj_size: int = 0
    peephole: bool = False
    coupled_gates: bool = False
    input_gate: bool = True
    forget_gate: bool = True
    output_gate: bool = True
    input_activation: bool = True
    output_activation: bool = True
    full_gate_recurrence: bool = False

    #: Gates with weights of their own, in torch's order.
    gates: tuple[str, ...] = field(init=False, repr=False, compare=False)
    #: The gates proper, without the candidate.
    sigmoid_gates: tuple[str, ...] = field(init=False, repr=False, compare=False)
    #: Output, cell state, and the gates where they are fed back.
    states: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.coupled_gates and not (self.input_gate and self.forget_gate):
            raise InputError(
                "coupled_gates=True computes the input gate from the forget gate, so neither can "
                "be left out. Drop coupled_gates, or keep input_gate and forget_gate True."
            )
        has = {
            "i": self.input_gate and not self.coupled_gates,
            "f": self.forget_gate,
            "g": True,
            "o": self.output_gate,
        }
        gates = tuple(name for name, present in has.items() if present)
        proper = tuple(name for name in gates if name != "g")
        states = ("h", "c", "gates") if self.full_gate_recurrence and proper else ("h", "c")
        # Layers ask for these at every call.
        for name, value in (("gates", gates), ("sigmoid_gates", proper), ("states", states)):
            object.__setattr__(self, name, value)

    @property
    def _feeds_gates(self) -> bool:
        return len(self.states) == 3

    def state_sizes(self, hidden_size: int) -> tuple[int, ...]:
        """Return the widths of h, c and, where they are fed back, the gates."""
        sizes = (self.proj_size or hidden_size, hidden_size)
        return (*sizes, len(self.sigmoid_gates) * hidden_size) if self._feeds_gates else sizes

    def shapes(self, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple]:
        """Return torch's shapes, then those of the options."""
        output_size, gates = self.proj_size or hidden_size, len(self.sigmoid_gates)
        shapes = standard_shapes(len(self.gates), input_size, hidden_size, output_size, bias)
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, hidden_size)
        if self.peephole and gates:
            shapes["weight_ch"] = (gates * hidden_size,)
        if self._feeds_gates:
            shapes["weight_gg"] = (gates * hidden_size, gates * hidden_size)
        return shapes

    def step(self, x_gates: Tensor, state: State, step: Step) -> tuple[State, dict[str, Tensor]]:
        """Return (h', c'[, gates']) and the gates i, f, g, o with the cell state c."""
        h, c = state[0], state[1]
        raw = dict(
            zip(
                self.gates,
                (x_gates + self.recurrent(h, step)).chunk(len(self.gates), -1),
                strict=True,
            )
        )
        self._add_gate_recurrence(raw, state, step)
        peephole = self._peepholes(step)

        def gate(name: str, cell: Tensor) -> Tensor:
            if name not in raw:
                return torch.ones_like(c)
            seen = raw[name] + peephole[name] * cell if name in peephole else raw[name]
            return torch.sigmoid(seen)

        f = gate("f", c)
        i = 1.0 - f if self.coupled_gates else gate("i", c)
        g = torch.tanh(raw["g"]) if self.input_activation else raw["g"]
        update = g if step.noise.update is None else g * step.noise.update[step.t]
        proposed = f * c + i * update
        o = gate("o", proposed)
        seen_c = step.normalise("c", proposed)
        new_h = o * (torch.tanh(seen_c) if self.output_activation else seen_c)
        if self.proj_size:
            # The cell's own shapes say that this weight is there, and not None.
            new_h = torch.nn.functional.linear(new_h, step.params["weight_hr"])  # type: ignore[arg-type]
        # Zoneout comes last, so that h' sees the proposed cell state, as in the paper.
        new_c = keep(step.noise.zoneout_c, step.t, c, proposed)
        new_h = keep(step.noise.zoneout_h, step.t, h, new_h)
        gates = {"i": i, "f": f, "g": g, "o": o, "c": new_c}
        if not self._feeds_gates:
            return (new_h, new_c), gates
        return (new_h, new_c, torch.cat([gates[name] for name in self.sigmoid_gates], -1)), gates

    def _add_gate_recurrence(self, raw: dict[str, Tensor], state: State, step: Step) -> None:
        if not self._feeds_gates:
            return
        # The weight is there, and not None, as the cell's shapes say.
        fed = torch.nn.functional.linear(state[2], step.params["weight_gg"])  # type: ignore[arg-type]
        for name, value in zip(
            self.sigmoid_gates, fed.chunk(len(self.sigmoid_gates), -1), strict=True
        ):
            raw[name] = raw[name] + value

    def _peepholes(self, step: Step) -> dict[str, Tensor]:
        weight = step.params.get("weight_ch")
        if weight is None:
            return {}
        return dict(zip(self.sigmoid_gates, weight.chunk(len(self.sigmoid_gates)), strict=True))
