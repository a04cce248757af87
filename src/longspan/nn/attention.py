"""Attention: which steps of a memory each query looks at.

Shapes: T queries, S steps of the memory, B rows, Q and M their widths, A the width in which
additive scores are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from longspan.errors import InputError, unknown_name
from longspan.nn.ragged import as_lengths

KINDS = ("dot", "general", "additive", "concat")
#: Score of padding. Not -∞: a row without any step would have the weights 0 / 0.
NEVER = -1e30


class Memory(NamedTuple):
    """What queries look at, prepared once for all of them.

    Attributes:
        values: (B, S, M), zero at padding.
        keys: What queries are compared with, (B, S, ·).
        inside: False at padding, (B, 1, S), or None where there is none.
    """

    values: Tensor
    keys: Tensor
    inside: Tensor | None

    def rows(self, numbers: Tensor) -> Memory:
        """Return some of the rows, int64 (N,)."""
        inside = None if self.inside is None else self.inside[numbers]
        return Memory(self.values[numbers], self.keys[numbers], inside)


class Attention(nn.Module):
    """Weights over a memory's steps by their scores, and the mean that they make.

    a = softmaxₛ(score(q, mₛ)), context = Σₛ aₛ mₛ, with one of the scores

        dot        q · m                          (Luong et al. 2015), Q = M
        general    q · W m                        (the same)
        concat     v · tanh(W [q; m])             (the same), A = Q
        additive   v · tanh(W q + U m + b)        (Bahdanau et al. 2015)

    >>> import torch
    >>> attention = Attention(4, 6, kind="general")
    >>> memory = attention.prepare(torch.zeros(5, 2, 6), torch.tensor([5, 2]))
    >>> context, weights = attention(torch.zeros(3, 2, 4), memory)
    >>> context.shape, weights[0, 1].tolist()
    (torch.Size([3, 2, 6]), [0.5, 0.5, 0.0, 0.0, 0.0])

    Args:
        query_size: Q.
        memory_size: M.
        kind: One of `KINDS`.
        size: A of additive scores; by default Q.

    Raises:
        InputError: If there is no such kind, or the sizes do not fit it.
    """

    def __init__(
        self, query_size: int, memory_size: int, *, kind: str = "general", size: int | None = None
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise InputError(unknown_name("attention", kind, KINDS))
        if kind == "dot" and query_size != memory_size:
            raise InputError(
                f"Dot products need queries and memory of one width, got {query_size} and "
                f"{memory_size}. Make them equal, or use kind='general'."
            )
        if size is not None and kind != "additive":
            raise InputError(f"`size` is for additive attention, got {size} and kind={kind!r}.")
        self.kind = kind
        if kind == "general":
            self.key = nn.Linear(memory_size, query_size, bias=False)
        elif kind in ("additive", "concat"):
            width = size or query_size
            self.query = nn.Linear(query_size, width, bias=False)
            self.key = nn.Linear(memory_size, width, bias=kind == "additive")
            self.weight = nn.Parameter(torch.empty(width).uniform_(-1.0, 1.0) / width**0.5)

    def prepare(self, memory: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Memory:
        """Return a memory ready to be looked at.

        Args:
            memory: (S, B, M).
            lengths: Valid steps of each row, (B,), 0 allowed; None where all are valid.

        Raises:
            InputError: If there is not one length from 0 to S for each row.
        """
        values = memory.transpose(0, 1)
        inside = None
        known = as_lengths(lengths, memory)
        if known is not None:
            steps = torch.arange(len(memory), device=memory.device)
            inside = (steps < known[:, None])[:, None]
            values = torch.where(inside.transpose(1, 2), values, 0.0)
        keys = values if self.kind == "dot" else self.key(values)
        return Memory(values, keys, inside)

    def forward(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Return the contexts, (T, B, M), and the weights, (T, B, S).

        The weights of a row add up to 1, or are all zero where it has no step.

        Args:
            query: (T, B, Q).
            memory: What `prepare` made.
        """
        asked = query.transpose(0, 1)
        if self.kind in ("additive", "concat"):
            scores = additive_scores(self.query(asked), memory.keys, self.weight)
        else:
            scores = asked @ memory.keys.transpose(1, 2)
        if memory.inside is None:
            weights = scores.softmax(-1)
        else:
            weights = scores.masked_fill(~memory.inside, NEVER).softmax(-1) * memory.inside
        return (weights @ memory.values).transpose(0, 1), weights.transpose(0, 1)

    def extra_repr(self) -> str:
        """Return the kind."""
        return f"kind={self.kind!r}"


def additive_scores(query: Tensor, keys: Tensor, weight: Tensor) -> Tensor:
    """Return v · tanh(q + k) of every query and key, (B, T, S).

    The tensor (B, T, S, A) never exists: it is made for one query at a time, and once more for
    the gradient.

    Args:
        query: q, (B, T, A).
        keys: k, (B, S, A).
        weight: v, (A,).
    """
    return _AdditiveScores.apply(query, keys, weight)  # type: ignore[return-value]


class _AdditiveScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, weight: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(query, keys, weight)
        found = query.new_empty(len(query), query.shape[1], keys.shape[1])
        for t in range(query.shape[1]):
            found[:, t] = (keys + query[:, t, None]).tanh_() @ weight
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        query, keys, weight = ctx.saved_tensors
        d_query, d_keys = torch.empty_like(query), torch.zeros_like(keys)
        d_weight = torch.zeros_like(weight)
        for t in range(query.shape[1]):
            squashed = (keys + query[:, t, None]).tanh_()
            g = gradient[:, t]
            d_weight += torch.mv(squashed.flatten(0, 1).t(), g.flatten())
            inner = squashed.square_().neg_().add_(1.0).mul_(weight).mul_(g[..., None])
            d_query[:, t] = inner.sum(1)
            d_keys += inner
        return d_query, d_keys, d_weight
