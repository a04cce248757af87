"""From the steps of a sequence to one vector: the last state, mean, maximum, attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from longspan.errors import InputError, unknown_name
from longspan.nn.ragged import every_length

POOLINGS = ("last", "mean", "max", "attention")


class Pooling(nn.Module):
    """One vector for each sequence of a batch; what stands at padding does not matter.

    ``"last"``: z = h_T, for both directions together; ``"mean"``: z = Σ h_t / T; ``"max"``: z = max
    h_t; ``"attention"``: z = Σ a_t h_t with a = softmax(v·tanh(W h_t + b)) (Lin et al. 2017). An
    empty sequence gives zeros. Shapes: T steps, B rows, F features.

    >>> h = torch.tensor([[[1.0], [5.0]], [[3.0], [9.0]]])
    >>> Pooling("mean", 1)(h, torch.tensor([2, 1])).tolist()
    [[2.0], [5.0]]

    Args:
        kind: One of `POOLINGS`.
        size: F.
        bidirectional: Whether the second half of the features was read from the end, so that its
            last state stands at the first step.

    Raises:
        InputError: If there is no such pooling.
    """

    def __init__(self, kind: str, size: int, bidirectional: bool = False) -> None:
        super().__init__()
        if kind not in POOLINGS:
            raise InputError(unknown_name("pooling", kind, POOLINGS))
        self.kind, self.bidirectional = kind, bidirectional
        if kind == "attention":
            self.hidden = nn.Linear(size, size)
            self.weight = nn.Linear(size, 1, bias=False)

    def forward(self, h: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """Return the vectors, (B, F).

        Args:
            h: Outputs of all steps, (T, B, F).
            lengths: Valid steps of each row, (B,); all full by default.

        Raises:
            InputError: If there is not one length from 0 to T for each row.
        """
        return self._pool(h, every_length(lengths, h))

    def _pool(self, h: Tensor, lengths: Tensor) -> Tensor:
        if not len(h):
            return h.new_zeros(h.shape[1:])
        if self.kind == "last":
            return self._last(h, lengths)
        inside = (torch.arange(len(h), device=h.device)[:, None] < lengths)[..., None]
        if self.kind == "max":
            largest = h.masked_fill(~inside, -torch.inf).amax(0)
            return torch.where(inside[0], largest, 0.0)
        if self.kind == "mean":
            return torch.where(inside, h, 0.0).sum(0) / lengths.clamp(min=1)[:, None]
        h = torch.where(inside, h, 0.0)  # first, as the gradient of NaN times 0 is NaN
        scores = self.weight(torch.tanh(self.hidden(h)))
        # Not -∞: a row without a step would be 0 / 0.
        weights = torch.where(inside, scores, -1e30).softmax(0) * inside
        return (weights * h).sum(0)

    def _last(self, h: Tensor, lengths: Tensor) -> Tensor:
        rows = torch.arange(h.shape[1], device=h.device)
        last = h[(lengths - 1).clamp(min=0), rows]
        if self.bidirectional:
            half = h.shape[-1] // 2
            last = torch.cat([last[:, :half], h[0, :, half:]], -1)
        return torch.where((lengths > 0)[:, None], last, 0.0)

    def extra_repr(self) -> str:
        """Return the kind."""
        return self.kind
