"""Initialisers for recurrent layers; usable alone, and by the ``init`` option of the layers.

Each works in place on one layer's tensors, stacked by gate as in torch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from longspan.errors import InputError


def torch_uniform_(weight: Tensor, hidden_size: int) -> Tensor:
    """Fill with U(-1/√H, 1/√H), PyTorch's default for recurrent layers."""
    bound = 1.0 / math.sqrt(hidden_size) if hidden_size > 0 else 0.0
    return nn.init.uniform_(weight, -bound, bound)


@torch.no_grad()
def orthogonal_(weight_hh: Tensor, num_gates: int) -> Tensor:
    """Fill each gate's recurrent matrix with an orthogonal one (Saxe et al. 2014).

    Args:
        weight_hh: Recurrent weights, (G·H, P).
        num_gates: G.

    Raises:
        InputError: If the rows are not those of so many gates.
    """
    for block in _blocks(weight_hh, num_gates):
        nn.init.orthogonal_(block)
    return weight_hh


@torch.no_grad()
def identity_(weight_hh: Tensor, num_gates: int = 1) -> Tensor:
    """Fill each gate's recurrent matrix with the identity, "IRNN" (Le et al. 2015).

    Args:
        weight_hh: Recurrent weights, (G·H, P).
        num_gates: G.

    Raises:
        InputError: If the rows are not those of so many gates.
    """
    for block in _blocks(weight_hh, num_gates):
        nn.init.eye_(block)
    return weight_hh


@torch.no_grad()
def forget_bias_(bias: Tensor, gates: tuple[str, ...], value: float = 1.0) -> Tensor:
    """Set the forget gate's bias (Gers et al. 2000; Jozefowicz et al. 2015).

    Args:
        bias: One of the two biases, (G·H,); set the other's part to 0.
        gates: The cell's gates in order.
        value: The bias; 1 keeps about 73 % of the cell state at a step.

    Raises:
        InputError: If there is no forget gate.
    """
    return _part(bias, gates, "f").fill_(value)


@torch.no_grad()
def chrono_(bias: Tensor, gates: tuple[str, ...], longest: float) -> Tensor:
    """Set gate biases so that time scales spread up to `longest` steps (Tallec & Ollivier 2018).

    LSTM: b_f = log U(1, longest - 1), b_i = -b_f. GRU: b_z = log U(1, longest - 1).

    Args:
        bias: One of the two biases, (G·H,); set the other's part to 0.
        gates: The cell's gates in order.
        longest: The longest dependency expected, in steps, at least 3.

    Raises:
        InputError: If `longest` is less, or there is neither gate.
    """
    if not longest >= 3.0:
        raise InputError(f"`longest` must be at least 3 steps, got {longest!r}.")
    keeper = "f" if "f" in gates else "z"
    part = _part(bias, gates, keeper)
    part.copy_(torch.empty_like(part).uniform_(1.0, longest - 1.0).log_())
    if "i" in gates:
        _part(bias, gates, "i").copy_(-part)
    return bias


def _blocks(weight: Tensor, num_gates: int) -> tuple[Tensor, ...]:
    if num_gates < 1 or len(weight) % num_gates:
        raise InputError(
            f"The rows of the weight must be those of `num_gates` = {num_gates} gates of one size, "
            f"got shape {tuple(weight.shape)}."
        )
    return weight.chunk(num_gates)


def _part(bias: Tensor, gates: tuple[str, ...], gate: str) -> Tensor:
    if gate not in gates:
        raise InputError(f"There is no gate {gate!r} whose bias could be set, among {gates}.")
    return bias.chunk(len(gates))[gates.index(gate)]
