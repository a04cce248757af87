"""A conditional random field over a linear chain: labels that know their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from longspan.errors import InputError
from longspan.nn import chain
from longspan.nn.chain import Potentials, Rows
from longspan.nn.ragged import every_length

Lengths = Tensor | Sequence[int] | None


class CRF(nn.Module):
    """Linear-chain conditional random field (Lafferty et al. 2001), batched over padded rows.

    P(y | x) = exp s(y) / Σ_y' exp s(y') with s(y) = a[y₁] + Σₜ x[t, yₜ] + Σₜ A[yₜ₋₁, yₜ] + e[y_T];
    the scores x come from a network, (T, B, K); A, a and e are ``transitions``, ``start`` and
    ``end``. Every method takes `lengths` (zero is allowed: the empty sequence has one labelling,
    with score 0), and never reads padding.

    >>> import torch
    >>> crf = CRF(3)
    >>> scores, labels = torch.zeros(4, 2, 3), torch.zeros(4, 2, dtype=torch.int64)
    >>> crf(scores, labels, lengths=[4, 2]).shape  # a loss for each row
    torch.Size([2])
    >>> best, score = crf.viterbi(scores, lengths=[4, 2])
    >>> best[:, 1].tolist()[2:]
    [-1, -1]

    Args:
        num_labels: K.
        transitions: Which label may follow which, bool (K, K): ``transitions[i, j]`` is whether j
            may follow i. None allows all. What is forbidden has no probability, in training too.
        starts: Which labels may be the first, bool (K,).
        ends: Which labels may be the last, bool (K,).
        device: Of the parameters.
        dtype: Of the parameters.

    Raises:
        InputError: If a size does not fit.
    """

    transitions_allowed: Tensor
    start_allowed: Tensor
    end_allowed: Tensor

    def __init__(
        self,
        num_labels: int,
        *,
        transitions: Tensor | None = None,
        starts: Tensor | None = None,
        ends: Tensor | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if num_labels < 1:
            raise InputError(f"`num_labels` must be at least 1, got {num_labels}.")
        self.num_labels = num_labels
        for name, given, shape in (
            ("transitions", transitions, (num_labels, num_labels)),
            ("start", starts, (num_labels,)),
            ("end", ends, (num_labels,)),
        ):
            size = torch.empty(shape, device=device, dtype=dtype)
            self.register_parameter(name, nn.Parameter(size))
            allowed = _allowed(name, given, size)
            self.register_buffer(f"{name}_allowed", allowed, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters from U(-0.1, 0.1)."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"{self.num_labels}"

    def forward(self, scores: Tensor, labels: Tensor, lengths: Lengths = None) -> Tensor:
        """Return the negative log-likelihood -log P(y | x) of each row, (B,).

        Args:
            scores: (T, B, K).
            labels: Whole numbers from 0 to K - 1, (T, B); what stands at padding does not matter.
            lengths: Of the rows; all full by default.

        Raises:
            InputError: If a shape or a label does not fit, or labels take a forbidden transition.
        """
        rows = self._rows(scores, lengths)
        potentials = self._potentials()
        own = self._score(scores, labels, rows, potentials)
        return chain.log_partition(scores, rows, potentials) - own

    def log_partition(self, scores: Tensor, lengths: Lengths = None) -> Tensor:
        """Return log Σ_y exp s(y) of each row, (B,)."""
        return chain.log_partition(scores, self._rows(scores, lengths), self._potentials())

    def score(self, scores: Tensor, labels: Tensor, lengths: Lengths = None) -> Tensor:
        """Return s(y) of given labels for each row, (B,); arguments as in `forward`."""
        return self._score(scores, labels, self._rows(scores, lengths), self._potentials())

    @torch.no_grad()
    def marginals(self, scores: Tensor, lengths: Lengths = None) -> Tensor:
        """Return P(yₜ = k | x), (T, B, K); zero at padding."""
        return chain.marginals(scores, self._rows(scores, lengths), self._potentials())

    @torch.no_grad()
    def viterbi(self, scores: Tensor, lengths: Lengths = None) -> tuple[Tensor, Tensor]:
        """Return the most probable labels, int64 (T, B), -1 at padding, and their score, (B,)."""
        return chain.viterbi(scores, self._rows(scores, lengths), self._potentials())

    @torch.no_grad()
    def k_best(self, scores: Tensor, k: int, lengths: Lengths = None) -> tuple[Tensor, Tensor]:
        """Return the k most probable label sequences, (k, T, B), and their scores, (k, B).

        Where a row has fewer than k, scores are -∞ and labels -1.

        Raises:
            InputError: If k is less than 1.
        """
        if k < 1:
            raise InputError(f"`k` must be at least 1, got {k}.")
        return chain.k_best(scores, self._rows(scores, lengths), self._potentials(), k)

    def _potentials(self) -> Potentials:
        return Potentials(
            *(
                getattr(self, name).masked_fill(~getattr(self, f"{name}_allowed"), -torch.inf)
                for name in ("start", "transitions", "end")
            )
        )

    def _rows(self, scores: Tensor, lengths: Lengths) -> Rows:
        if scores.dim() != 3 or scores.shape[2] != self.num_labels:
            raise InputError(
                f"`scores` must have shape (T, B, K) with K = {self.num_labels}, got "
                f"{tuple(scores.shape)}."
            )
        rows = Rows.of(scores, every_length(lengths, scores))
        with torch.no_grad():
            chain.check_possible(rows, self._potentials())
        return rows

    def _score(self, scores: Tensor, labels: Tensor, rows: Rows, potentials: Potentials) -> Tensor:
        if labels.shape != scores.shape[:2]:
            raise InputError(
                f"`labels` must have shape (T, B) = {tuple(scores.shape[:2])}, got "
                f"{tuple(labels.shape)}."
            )
        found = self._checked(labels, rows)
        return chain.score(scores, found, rows, potentials)

    def _checked(self, labels: Tensor, rows: Rows) -> Tensor:
        """Return labels, int64, with 0 at padding, if all others are possible."""
        lengths = rows.unsort(rows.lengths, 0)
        inside = torch.arange(len(labels), device=labels.device)[:, None] < lengths
        given = torch.where(inside, labels, 0)
        labels = given.to(torch.int64)
        if labels.numel() and bool((labels != given).any()):
            wrong = given[labels != given][0].item()
            raise InputError(f"`labels` must be whole numbers, got {wrong}.")
        if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < self.num_labels:
            raise InputError(
                f"`labels` must lie between 0 and {self.num_labels - 1}, got {int(labels.min())} "
                f"to {int(labels.max())}."
            )
        if rows.steps == 0:
            return labels
        filled = lengths > 0
        last = labels.gather(0, (lengths - 1).clamp(min=0)[None])[0]
        allowed = torch.stack([self.start_allowed[labels[0]], self.end_allowed[last]]) | ~filled
        steps = self.transitions_allowed[labels[:-1], labels[1:]] | ~inside[1:]
        if not bool(allowed.all() & steps.all()):
            wrong = (~allowed.all(0) | ~steps.all(0)).nonzero()[0]
            raise InputError(
                f"The labels of row {int(wrong)} take a start, transition or end that the "
                "constraints forbid. Correct them, or allow it."
            )
        return labels


def _allowed(name: str, given: Tensor | None, like: Tensor) -> Tensor:
    if given is None:
        return torch.ones_like(like, dtype=torch.bool)
    found = torch.as_tensor(given, device=like.device)
    if found.shape != like.shape or found.dtype != torch.bool:
        raise InputError(
            f"The allowed {name} must be bool of shape {tuple(like.shape)}, got {found.dtype} "
            f"{tuple(found.shape)}."
        )
    return found.clone()
