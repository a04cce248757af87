"""Dropout for sequences: masks that stay the same over time, and whole words.

Both act in training alone and scale what is left by 1/(1 - p), so that expected values stay.
"""

from __future__ import annotations

from torch import Tensor, nn

from longspan.errors import InputError
from longspan.nn.embedding import PretrainedEmbedding


class LockedDropout(nn.Module):
    """Dropout with one mask for all steps of a row, "variational" (Gal & Ghahramani 2016).

    y[t, b] = x[t, b] ⊙ m[b] / (1 - p), with m[b] drawn once a call.

    Args:
        p: Share of units that are dropped.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = _probability(p)

    def forward(self, x: Tensor) -> Tensor:
        """Return x, (T, B, F), with the same units of a row dropped at all its steps."""
        if not self.training or not self.p:
            return x
        mask = x.new_empty(1, *x.shape[1:]).bernoulli_(1.0 - self.p)
        return x * mask.div_(1.0 - self.p)

    def extra_repr(self) -> str:
        """Return the share."""
        return f"p={self.p}"


class EmbeddingDropout(nn.Module):
    """Embedding whose words are dropped whole: all occurrences in a call, or none.

    Equal to dropout on the rows of the embedding matrix (Gal & Ghahramani 2016; Merity et al.
    2018), without a copy of the matrix.

    Args:
        embedding: What is looked up; its parameters stay its own.
        p: Share of words that are dropped.
    """

    def __init__(self, embedding: nn.Embedding | PretrainedEmbedding, p: float) -> None:
        super().__init__()
        self.embedding, self.p = embedding, _probability(p)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return embeddings of tokens, int64 (T, B), as (T, B, E)."""
        values = self.embedding(tokens)
        if not self.training or not self.p:
            return values
        kept = values.new_empty(self.embedding.num_embeddings, 1).bernoulli_(1.0 - self.p)
        return values * kept.div_(1.0 - self.p)[tokens]


def _probability(p: float) -> float:
    if not 0.0 <= p < 1.0:
        raise InputError(f"`p` must be a probability, at least 0 and below 1, got {p!r}.")
    return float(p)
