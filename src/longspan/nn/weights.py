"""Reparametrised recurrent weights: weight normalisation and weight drop.

Both are `torch.nn.utils.parametrize` parametrisations, so they work with every cell and leave the
layer's code alone.
"""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from longspan.errors import InputError
from longspan.nn.recurrent import Recurrent

Layer = TypeVar("Layer", bound=Recurrent)


class WeightDrop(nn.Module):
    """DropConnect on a weight, one mask a forward pass (Merity et al. 2018).

    W' = W ⊙ m / (1 - p) in training, W' = W at evaluation.

    Args:
        p: Share of weights that are dropped.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise InputError(f"`p` must be a probability, at least 0 and below 1, got {p!r}.")
        self.p = p

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with a share dropped."""
        return nn.functional.dropout(weight, self.p, self.training)


def weight_drop(layer: Layer, p: float) -> Layer:
    """Drop a share of the recurrent weights of every layer and direction, in place.

    >>> from longspan.nn import LSTM
    >>> lstm = weight_drop(LSTM(3, 5), 0.5)
    >>> "parametrizations.weight_hh_l0.original" in lstm.state_dict()
    True

    Args:
        layer: A recurrent layer.
        p: Share of weights that are dropped.
    """
    for name in _recurrent_weights(layer):
        parametrize.register_parametrization(layer, name, WeightDrop(p))
    return layer


def weight_norm(layer: Layer) -> Layer:
    """Split every recurrent weight into length and direction by row, in place.

    w = g · v / ‖v‖ (Salimans & Kingma 2016).

    Args:
        layer: A recurrent layer.
    """
    for name in _recurrent_weights(layer):
        parametrizations.weight_norm(layer, name)
    return layer


def _recurrent_weights(layer: Recurrent) -> list[str]:
    names = [name for name, _ in layer.named_parameters() if name.startswith("weight_hh")]
    if not names:
        raise InputError("This layer's recurrent weights are reparametrised already.")
    return names
