"""Attribution: which inputs, at which steps, made an output what it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from longspan.errors import InputError
from longspan.insight.results import Result

#: Parts of the way from the baseline to begin with, and nodes of the integral in each.
PARTS, NODES = 4, 8


@dataclass(frozen=True)
class Attribution(Result):
    """Each input's share in an output, signed. Shapes: T steps, B rows, I inputs.

    Attributes:
        values: (T, B, I); their sum over steps and inputs is output - baseline_output, but for
            `gap`.
        output: run(x), (B,).
        baseline_output: run(baseline), (B,).
        gap: Σ values - (output - baseline_output), (B,): the error of the integral.
    """

    values: np.ndarray
    output: np.ndarray
    baseline_output: np.ndarray
    gap: np.ndarray

    def by_lag(self, at: int | Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """Return Σ over inputs of |values|, averaged over the rows that have the lag, (K,).

        Args:
            at: The step with lag 0 of each row; the last by default.
        """
        steps, batch, _ = self.values.shape
        where = np.broadcast_to(np.asarray(steps - 1 if at is None else at), (batch,))
        size = np.abs(self.values).sum(-1)
        found = [
            size[where[where >= k] - k, np.flatnonzero(where >= k)].mean()
            for k in range(1 + where.max(initial=-1))
        ]
        return np.array(found)

    def by_channel(self) -> np.ndarray:
        """Return Σ over steps of |values|, averaged over rows, (I,)."""
        return np.abs(self.values).sum(0).mean(0)


def integrated_gradients(
    run: Callable[[Tensor], Tensor],
    x: Tensor,
    baseline: Tensor | None = None,
    steps: int = 64,
) -> Attribution:
    """Return integrated gradients (Sundararajan et al. 2017).

        values = (x - x') ⊙ ∫₀¹ ∂run/∂x (x' + α (x - x')) dα

    x' is the baseline. The integral is taken by Gauss and Legendre's rule, which is exact for
    polynomials of degree 2 · steps - 1; how good it was, `Attribution.gap` says.

    >>> found = integrated_gradients(lambda x: (x**2).sum((0, 2)), torch.ones(3, 1, 2))
    >>> found.values[:, 0].round(6).tolist()  # each input gives x² - 0²
    [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]

    Args:
        run: From inputs to one number a row, (B,): a forecast, a score, a log probability.
        x: Inputs, (T, B, I), floating; of tokens, their embeddings.
        baseline: What stands for "nothing"; broadcast to x; zeros by default.
        steps: Nodes of the integral: as many forward and backward passes.

    Raises:
        InputError: If a shape or value does not fit.
    """
    if x.dim() != 3 or not x.is_floating_point():
        raise InputError(
            f"`x` must be floating, (T, B, I), got {x.dtype} of shape {tuple(x.shape)}. Of tokens "
            "pass the embeddings, and let `run` begin behind them."
        )
    if steps < 1:
        raise InputError(f"`steps` must be at least 1, got {steps}.")
    x = x.detach()
    start = _baseline(baseline, x)
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # on [-1, 1]
    mean = torch.zeros(x.shape, dtype=torch.float64)
    for node, weight in zip((1 + nodes) / 2, weights / 2, strict=True):
        leaf = (start + float(node) * (x - start)).requires_grad_()
        mean += float(weight) * _gradient(run, leaf).cpu()
    values = ((x.double() - start.double()).cpu() * mean).numpy()
    with torch.no_grad():
        output, from_baseline = (run(v).double().cpu().numpy() for v in (x, start))
    return Attribution(values, output, from_baseline, values.sum((0, 2)) - (output - from_baseline))


def refined_gradients(
    run: Callable[[Tensor], Tensor],
    x: Tensor,
    baseline: Tensor | None = None,
    *,
    tolerance: float = 0.01,
    most: int = 32,
) -> Attribution:
    """Return integrated gradients whose path is divided where the output changes suddenly.

    A trained network may leap from one answer to another within a hundredth of the way, which a
    rule of fixed nodes misses. On each part of the way too, the shares must add up to the change
    of the output; the part that is most wrong is halved until all is right.

    >>> step = lambda x: torch.sigmoid(9000.0 * (x.sum((0, 2)) - 0.3))
    >>> x = torch.ones(1, 1, 1, dtype=torch.float64)
    >>> bool(abs(integrated_gradients(step, x, steps=64).gap[0]) > 0.5)
    True
    >>> bool(abs(refined_gradients(step, x).gap[0]) < 0.01)
    True

    Args:
        run: As in `integrated_gradients`; likewise `x` and `baseline`.
        x: Inputs.
        baseline: What stands for "nothing".
        tolerance: Largest error of a row that is accepted, as a share of the largest change of the
            output in any row.
        most: Parts at most.

    Raises:
        InputError: If a shape or value does not fit.
    """
    start = _baseline(baseline, x.detach())
    way = x.detach() - start

    def part(begin: float, end: float) -> tuple[float, float, Attribution]:
        own = integrated_gradients(run, start + end * way, start + begin * way, NODES)
        return begin, end, own

    parts = [part(k / PARTS, (k + 1) / PARTS) for k in range(PARTS)]
    while True:
        parts.sort(key=lambda each: each[0])
        values = sum(own.values for _, _, own in parts)
        first, last = parts[0][2].baseline_output, parts[-1][2].output
        gap = np.asarray(values).sum((0, 2)) - (last - first)
        allowed = tolerance * np.abs(last - first).max(initial=0.0)
        errors = [np.abs(own.gap).max(initial=0.0) for _, _, own in parts]
        if len(parts) >= most or sum(errors) <= allowed:
            return Attribution(np.asarray(values), last, first, gap)
        begin, end, _ = parts.pop(int(np.argmax(errors)))
        middle = (begin + end) / 2
        parts += [part(begin, middle), part(middle, end)]


def _baseline(baseline: Tensor | None, x: Tensor) -> Tensor:
    if baseline is None:
        return torch.zeros_like(x)
    try:
        return baseline.detach().to(x).expand(x.shape)
    except RuntimeError as error:
        raise InputError(
            f"`baseline` must have the shape of x, {tuple(x.shape)}, or one that can be broadcast "
            f"to it, got {tuple(baseline.shape)}."
        ) from error


def _gradient(run: Callable[[Tensor], Tensor], leaf: Tensor) -> Tensor:
    with torch.enable_grad():
        output = run(leaf)
    if tuple(output.shape) != (leaf.shape[1],):
        raise InputError(
            f"`run` must return one number a row, (B,) = ({leaf.shape[1]},), got "
            f"{tuple(output.shape)}. Pick one output, or add them up."
        )
    if not output.requires_grad:
        return torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(output.sum(), leaf, allow_unused=True, materialize_grads=True)
    return gradient
