"""The network of a language model: embedding, recurrent layers, softmax; AWD-LSTM's options.

Shapes: T steps, B rows, V vocabulary, E embedding, P outputs of the last layer.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

import longspan.nn
from longspan.nn import AdaptiveSoftmax, EmbeddingDropout, LockedDropout, Softmax, weight_drop
from longspan.training import Loss

LAYERS = {"lstm": longspan.nn.LSTM, "gru": longspan.nn.GRU, "rnn": longspan.nn.RNN}


class LanguageNetwork(nn.Module):
    """Predicts each token from all before it.

    x = embedding(token), layers h¹ … hᴸ, p(next) = softmax(W hᴸ + b), with dropout whose masks
    stay the same over time (Gal & Ghahramani 2016), dropped recurrent weights, and
    α·mean(dropped hᴸ ²) + β·mean((hᴸ[t + 1] - hᴸ[t])²) added to the loss (Merity et al. 2018).

    Args:
        vocab_size: V; tokens are numbered from the most frequent on.
        embedding_size: E.
        layer_sizes: Hidden units of each layer.
        cell: ``"lstm"``, ``"gru"`` or ``"rnn"``.
        layer_norm: Normalise inside the cell (Ba et al. 2016).
        softmax: ``"full"``, ``"sampled"`` or ``"adaptive"``.
        tied: Use the embedding's matrix as W; the last layer must then have E units.
        samples: Classes that a sampled softmax draws.
        cutoffs: Where an adaptive softmax's clusters begin.
        embedding_dropout: Share of words that are dropped.
        dropout: Shares of units that are dropped after the embedding, between layers, and before
            the softmax.
        weight_drop: Share of recurrent weights that are dropped.
        activation_penalty: α.
        change_penalty: β.

    Raises:
        InputError: If sizes do not fit together.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        embedding_size: int,
        layer_sizes: Sequence[int],
        cell: str = "lstm",
        layer_norm: bool = False,
        softmax: str = "full",
        tied: bool = True,
        samples: int = 1000,
        cutoffs: Sequence[int] | None = None,
        embedding_dropout: float = 0.0,
        dropout: tuple[float, float, float] = (0.0, 0.0, 0.0),
        weight_drop: float = 0.0,
        activation_penalty: float = 0.0,
        change_penalty: float = 0.0,
    ) -> None:
        super().__init__()
        self.vocab_size, self.cell = vocab_size, cell
        self.activation_penalty, self.change_penalty = activation_penalty, change_penalty
        embedding = nn.Embedding(vocab_size, embedding_size)
        nn.init.uniform_(embedding.weight, -0.1, 0.1)
        self.encoder = EmbeddingDropout(embedding, embedding_dropout)
        sizes = [embedding_size, *layer_sizes]
        self.layers = nn.ModuleList(
            _layer(cell, width, hidden, layer_norm, weight_drop)
            for width, hidden in itertools.pairwise(sizes)
        )
        after_embedding, between, before_softmax = dropout
        rates = [after_embedding, *[between] * (len(layer_sizes) - 1), before_softmax]
        self.dropouts = nn.ModuleList(LockedDropout(rate) for rate in rates)
        if softmax == "adaptive":
            self.head: nn.Module = AdaptiveSoftmax(sizes[-1], vocab_size, cutoffs)
        else:
            self.head = Softmax(
                sizes[-1], vocab_size, tied=embedding if tied else None,
                samples=min(samples, vocab_size) if softmax == "sampled" else None,
            )  # fmt: skip

    def forward(self, inputs: Tensor, targets: Tensor, state: Any = None) -> Loss:
        """Return the loss of predicting targets from inputs and what came before.

        Args:
            inputs: Tokens, int64 (T, B).
            targets: The next tokens, (T, B).
            state: What an earlier call returned as its state.

        Returns:
            Sum of the losses in nats (in training with the penalties, weighted by the number of
            tokens), number of tokens, and the state after the last step.
        """
        features, raw, state = self.features(inputs, state)
        total = self.head.loss(features.flatten(0, 1), targets.flatten())  # type: ignore[operator]
        if self.training:
            total = total + targets.numel() * self._penalty(features, raw)
        return Loss(total, targets.numel(), state)

    def features(
        self, inputs: Tensor, state: Any = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor, list[Any]]:
        """Run the layers.

        Args:
            inputs: Tokens, int64 (T, B).
            state: Each layer's state, or None.
            lengths: Valid steps of each row, (B,); the state is that after the last of them.

        Returns:
            The last layer's output with and without dropout, (T, B, P), and the states.
        """
        x = raw = self.dropouts[0](self.encoder(inputs))
        before = state if state is not None else [None] * len(self.layers)
        after = []
        for layer, dropout, hx in zip(self.layers, self.dropouts[1:], before, strict=True):
            raw, hx = layer(x, hx, lengths=lengths)
            after.append(hx)
            x = dropout(raw)
        return x, raw, after

    @torch.no_grad()
    def nll(self, inputs: Tensor, targets: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return each token's exact loss in nats, (T, B), and the state after the last step."""
        features, _, state = self.features(inputs, state)
        found = self.head.nll(features.flatten(0, 1), targets.flatten())  # type: ignore[operator]
        return found.view_as(targets), state

    def _penalty(self, features: Tensor, raw: Tensor) -> Tensor | float:
        penalty: Tensor | float = 0.0
        if self.activation_penalty:
            penalty = self.activation_penalty * features.square().mean()
        if self.change_penalty and len(raw) > 1:
            penalty = penalty + self.change_penalty * (raw[1:] - raw[:-1]).square().mean()
        return penalty


def _layer(cell: str, width: int, hidden: int, layer_norm: bool, drop: float) -> nn.Module:
    layer = LAYERS[cell](width, hidden, layer_norm=layer_norm)
    return weight_drop(layer, drop) if drop else layer
