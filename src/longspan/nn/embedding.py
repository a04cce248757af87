"""Embeddings that start from vectors which others have learnt."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PretrainedEmbedding(nn.Module):
    """Given vectors that stay as they are, and corrections that are learnt.

    e(k) = v(k) + d(k) for the first tokens, and e(k) = v(k) for the others, of which training has
    no example. d starts from zero where there is a vector; so weight decay draws towards the given
    vectors, and words seen in training stay in one space with those that were not.

    Shapes: V tokens, L of them learnt, E the width. Tokens of any shape give vectors (…, E).

    >>> embedding = PretrainedEmbedding(3, 2, learnt=2)
    >>> embedding.start(torch.eye(3, 2), torch.tensor([True, True, True]))
    >>> embedding(torch.tensor([1, 2])).tolist()
    [[0.0, 1.0], [0.0, 0.0]]

    Args:
        num_embeddings: V.
        embedding_dim: E.
        learnt: L.
        std: Standard deviation of the first vector of a token that none is given for.
    """

    values: Tensor

    def __init__(
        self, num_embeddings: int, embedding_dim: int, learnt: int, std: float = 0.1
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.register_buffer("values", torch.zeros(num_embeddings, embedding_dim))
        self.corrections = nn.Embedding(learnt, embedding_dim)
        nn.init.normal_(self.corrections.weight, std=std)

    @torch.no_grad()
    def start(self, values: Tensor, found: Tensor) -> None:
        """Take given vectors.

        Args:
            values: (V, E).
            found: Whether there is a vector, (V,).
        """
        self.values.copy_(torch.where(found[:, None], values, 0.0))
        self.corrections.weight[found[: self.corrections.num_embeddings]] = 0.0

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the vectors of tokens, int64, (…, E)."""
        learnt = tokens < self.corrections.num_embeddings
        own = self.corrections(torch.where(learnt, tokens, 0))
        return self.values[tokens] + torch.where(learnt[..., None], own, 0.0)
