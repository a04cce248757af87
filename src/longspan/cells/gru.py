"""Gated recurrent unit (Cho et al. 2014), in both common forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import linear

from longspan.cells.cell import Cell, State, Step, keep, standard_shapes


@dataclass(frozen=True)
class GRU(Cell):
    """The GRU cell.

        r = σ(W_r x + U_r h + b_r)                      reset gate
        z = σ(W_z x + U_z h + b_z)                      update gate
        n = tanh(W_n x + b_in + r ⊙ (U_n h + b_hn))     candidate, reset after (torch, cuDNN)
        n = tanh(W_n x + b_in + U_n (r ⊙ h) + b_hn)     candidate, reset before (Cho et al. 2014)
        h' = (1 - z) ⊙ n + z ⊙ h

    Args:
        reset_after: Whether the reset gate acts after the recurrent product.
    """

    reset_after: bool = True
    gates: ClassVar[tuple[str, ...]] = ("r", "z", "n")
    states: ClassVar[tuple[str, ...]] = ("h",)

    def shapes(self, input_size: int, hidden_size: int, bias: bool = True) -> dict[str, tuple]:
        """Return torch's shapes."""
        return standard_shapes(3, input_size, hidden_size, hidden_size, bias)

    def step(self, x_gates: Tensor, state: State, step: Step) -> tuple[State, dict[str, Tensor]]:
        """Return (h',) and the gates r, z, n."""
        (h,) = state
        x_r, x_z, x_n = x_gates.chunk(3, -1)
        if self.reset_after:
            h_r, h_z, h_n = self.recurrent(h, step).chunk(3, -1)
            r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
            candidate = r * h_n
        else:
            r, z, candidate = self._reset_before(x_r, x_z, h, step)
        n = torch.tanh(x_n + candidate)
        update = n if step.noise.update is None else n * step.noise.update[step.t]
        new_h = keep(step.noise.zoneout_h, step.t, h, (1.0 - z) * update + z * h)
        return (new_h,), {"r": r, "z": z, "n": n}

    def _reset_before(
        self, x_r: Tensor, x_z: Tensor, h: Tensor, step: Step
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return r, z and U_n (r ⊙ h) + b_hn: two products, since the second needs r.

        There is thus no U h to be normalised as a whole; `longspan.nn.GRU` refuses to try.
        """
        seen = h if step.noise.hidden is None else h * step.noise.hidden
        weight, bias = step.params["weight_hh"], step.params.get("bias_hh")
        assert weight is not None
        size = h.shape[-1]
        rz_bias, n_bias = (None, None) if bias is None else (bias[: 2 * size], bias[2 * size :])
        h_r, h_z = linear(seen, weight[: 2 * size], rz_bias).chunk(2, -1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        return r, z, linear(r * seen, weight[2 * size :], n_bias)
