"""Cross-entropy of a linear layer over many classes, without the scores of all rows at once.

Scores of N rows over V classes are by far the largest tensor of a language model. Here they exist
for some rows at a time, in memory that is used again, and the gradients are made while they are
in the cache.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from longspan.errors import InputError

#: Scores that are held at once; 4 MB in float32.
SCORES = 2**20


def linear_cross_entropy(x: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """Return the summed loss Σₙ -log softmax(W xₙ + b)[targetₙ], a scalar.

    Equal to ``F.cross_entropy(F.linear(x, weight, bias), targets, reduction="sum")``.

    Args:
        x: (N, P); N may be 0.
        weight: W, (V, P).
        bias: b, (V,), or None.
        targets: Classes, int64 (N,).

    Raises:
        InputError: If there is not one target for each row.
    """
    _check_rows(x, targets)
    if torch.is_autocast_enabled(x.device.type):  # which has rounded what a layer before put out
        x = x.to(weight.dtype)
    if not torch.is_grad_enabled():
        return linear_nll(x, weight, bias, targets).sum()
    return _LinearCrossEntropy.apply(x, weight, bias, targets)  # type: ignore[return-value]


@torch.no_grad()
def linear_nll(x: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """Return each row's loss, (N,), without gradients; arguments as `linear_cross_entropy`."""
    _check_rows(x, targets)
    losses = [
        F.cross_entropy(F.linear(rows, weight, bias), wanted, reduction="none")
        for rows, wanted in _parts(x, targets, len(weight))
    ]
    return torch.cat(losses) if losses else x.new_zeros(0)


def _check_rows(x: Tensor, targets: Tensor) -> None:
    """Refuse targets that would be broadcast over the rows, or the other way round."""
    if x.dim() != 2 or targets.shape != x.shape[:1]:
        raise InputError(
            "Features must have shape (N, P) and targets (N,), got "
            f"{tuple(x.shape)} and {tuple(targets.shape)}. Flatten steps and rows into N."
        )


def _parts(x: Tensor, targets: Tensor, classes: int) -> Any:
    rows = max(SCORES // classes, 1)
    return zip(x.split(rows), targets.split(rows), strict=True) if len(x) else ()


class _LinearCrossEntropy(torch.autograd.Function):
    """Gradients are made in forward, where the scores are; backward scales them."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor
    ) -> Tensor:
        wanted = any(ctx.needs_input_grad)
        dx, dw = (torch.empty_like(x), torch.zeros_like(weight)) if wanted else (None, None)
        db = torch.zeros_like(bias) if wanted and bias is not None else None
        losses, begin = [], 0
        scores: Tensor | None = None
        for rows, classes in _parts(x, targets, len(weight)):
            if scores is None:
                scores = x.new_empty(len(rows), len(weight))
            scores = torch.mm(rows, weight.t(), out=scores[: len(rows)])
            if bias is not None:
                scores += bias
            norm = scores.logsumexp(1, keepdim=True)
            picked = scores.gather(1, classes[:, None])
            losses.append((norm - picked).sum())
            if dx is not None and dw is not None:
                p = scores.sub_(norm).exp_()  # the gradient of the scores: softmax - one-hot
                p.scatter_add_(1, classes[:, None], p.new_full((len(p), 1), -1.0))
                torch.mm(p, weight, out=dx[begin : begin + len(p)])
                dw.addmm_(p.t(), rows)
                if db is not None:
                    db += p.sum(0)
            begin += len(rows)
        ctx.save_for_backward(dx, dw, db)
        return torch.stack(losses).sum() if losses else x.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        found = [None if g is None else g * gradient for g in ctx.saved_tensors]
        return (*found, None)


def log_uniform_samples(count: int, classes: int, device: Any = None) -> tuple[Tensor, Tensor]:
    """Draw classes with replacement, by P(k) = ln((k + 2)/(k + 1)) / ln(V + 1).

    This is Zipf's law for classes that are numbered from the most frequent on.

    Returns:
        Classes, int64 (count,), and the logarithm of each one's probability.
    """
    top = math.log(classes + 1)
    drawn = torch.rand(count, dtype=torch.float64, device=device).mul_(top).exp_().long() - 1
    drawn.clamp_(0, classes - 1)
    return drawn, log_uniform(drawn, classes).float()


def log_uniform(k: Tensor, classes: int) -> Tensor:
    """Return the logarithm of the log-uniform probability of classes k, float64."""
    return torch.log(torch.log1p(1.0 / (k.double() + 1.0)) / math.log(classes + 1))


def sampled_cross_entropy(
    x: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, samples: int
) -> Tensor:
    """Return an estimate of `linear_cross_entropy` from a sample of classes that all rows share.

    The sum over all classes in the softmax is estimated by importance sampling (Bengio & Senécal
    2008): with S classes s drawn from Q,

        Z ≈ exp(z_target) + Σ_{s ≠ target} exp(z_s - ln(S·Q(s))),

    which has the right expectation. The loss ln Z - z_target is then a little too small, the less
    the more samples.

    Args:
        x: (N, P).
        weight: W, (V, P); classes are numbered from the most frequent on.
        bias: b, (V,), or None.
        targets: Classes, int64 (N,).
        samples: S.

    Raises:
        InputError: If there is not one target for each row.
    """
    _check_rows(x, targets)
    if not len(x):
        return x.new_zeros(())
    drawn, log_q = log_uniform_samples(samples, len(weight), x.device)
    others = F.linear(x, weight[drawn], None if bias is None else bias[drawn])
    others = others - (log_q.to(x) + math.log(samples))
    others = others.masked_fill(drawn[None] == targets[:, None], -math.inf)
    own = (x * weight[targets]).sum(1, keepdim=True)
    if bias is not None:
        own = own + bias[targets, None]
    return (torch.cat([own, others], 1).logsumexp(1) - own[:, 0]).sum()


def smoothing_penalty(x: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """Return what label smoothing adds to the loss, for a share of 1, summed over rows.

    With a share ε of each target spread over all V classes (Szegedy et al. 2016), the loss is

        (1 - ε)·(-log p_target) + ε·mean_k(-log p_k) = -log p_target + ε·(z_target - mean_k z_k),

    and the mean of the scores z = W x + b needs only the mean of W and of b.

    Args:
        x: (N, P).
        weight: W, (V, P).
        bias: b, (V,), or None.
        targets: Classes, int64 (N,).
    """
    penalty = (x * (F.embedding(targets, weight) - weight.mean(0))).sum()
    return penalty if bias is None else penalty + (bias[targets] - bias.mean()).sum()
