"""Sums and maxima over all label sequences of a linear chain; what `CRF` is made of.

A sequence y of K labels over T steps has the score

    s(y) = a[y₁] + Σₜ x[t, yₜ] + Σₜ A[yₜ₋₁, yₜ] + e[y_T]

and `x` are (T, B, K) scores, `a` and `e` (K,) of the ends, `A` (K, K) transitions. A forbidden
transition has -∞. Rows are handled in order of falling length, so that each step computes the rows
that are still running and no others. An empty row has one label sequence, the empty one, with
score 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from longspan.errors import InputError

#: Stands for -∞ where infinities would give NaN gradients.
FORBIDDEN = -1e30
#: Forward sums below this are not trusted: what was rounded to 0 beside them may matter.
SMALLEST = 1e-280


@dataclass(frozen=True)
class Potentials:
    """What does not depend on the input.

    Attributes:
        start: Score of each first label, (K,), -∞ where forbidden.
        transitions: Score of the second label after the first, (K, K), -∞ where forbidden.
        end: Score of each last label, (K,), -∞ where forbidden.
    """

    start: Tensor
    transitions: Tensor
    end: Tensor


@dataclass(frozen=True)
class Rows:
    """The rows of a batch by falling length.

    Attributes:
        order: Where each sorted row was, (B,).
        lengths: Lengths of the sorted rows, (B,).
        running: Number of rows that have each step, T numbers.
    """

    order: Tensor
    lengths: Tensor
    running: list[int]

    @classmethod
    def of(cls, scores: Tensor, lengths: Tensor) -> Rows:
        """Return the rows of (T, B, K) scores with these lengths, (B,)."""
        steps = len(scores)
        order = lengths.argsort(descending=True, stable=True)
        lengths = lengths[order]
        running = (lengths > torch.arange(steps, device=scores.device)[:, None]).sum(1).tolist()
        return cls(order, lengths, running)

    @property
    def steps(self) -> int:
        """Steps of the longest row."""
        return sum(n > 0 for n in self.running)

    def sort(self, values: Tensor) -> Tensor:
        """Return (T, B, …) with sorted rows, up to the longest."""
        return values[: self.steps, self.order]

    def unsort(self, values: Tensor, dim: int) -> Tensor:
        """Return sorted rows, along `dim`, in their first order."""
        return values.index_select(dim, self.order.argsort())

    def last(self, values: Tensor) -> Tensor:
        """Return each sorted row's last step of (T, B, …); step 0 of an empty row."""
        at = (self.lengths - 1).clamp(min=0)
        return values[at, torch.arange(values.shape[1], device=values.device)]


def log_partition(scores: Tensor, rows: Rows, potentials: Potentials) -> Tensor:
    """Return log Z = log Σ_y exp s(y) of each row, (B,); differentiable any number of times.

    The sums run in float64 as products with exp A, a matrix product a step. Where scores lie so
    far apart that this could lose digits, the slower sums of logarithms are used instead.
    """
    if rows.steps == 0:
        return scores[:0].sum((0, 2))
    sums = _forward(scores.detach(), rows, potentials)
    p = potentials
    if sums is None:
        return reference_log_partition(scores, rows, p)
    return _LogPartition.apply(scores, p.start, p.transitions, p.end, rows, sums)  # type: ignore


def reference_log_partition(scores: Tensor, rows: Rows, potentials: Potentials) -> Tensor:
    """Return log Z by sums of logarithms: the specification of `log_partition`."""
    start, transitions, end = (
        p.masked_fill(p == -torch.inf, FORBIDDEN)
        for p in (potentials.start, potentials.transitions, potentials.end)
    )
    x = rows.sort(scores)
    alpha = start + torch.where(rows.lengths[:, None] > 0, x[0], 0.0)
    for t in range(1, len(x)):
        n = rows.running[t]
        new = torch.logsumexp(alpha[:n, :, None] + transitions, 1) + x[t, :n]
        alpha = torch.cat([new, alpha[n:]])
    total = torch.logsumexp(alpha + end, 1)
    return rows.unsort(torch.where(rows.lengths > 0, total, 0.0), 0)


def marginals(scores: Tensor, rows: Rows, potentials: Potentials) -> Tensor:
    """Return P(yₜ = k | x), (T, B, K); zero at padding."""
    if rows.steps == 0:
        return torch.zeros_like(scores)
    sums = _forward(scores, rows, potentials)
    if sums is None:  # the derivatives of log Z are the marginals
        with torch.enable_grad():
            x = scores.detach().requires_grad_()
            return torch.autograd.grad(reference_log_partition(x, rows, potentials).sum(), x)[0]
    beta, _ = _backward(sums, rows)
    found = torch.zeros_like(scores)
    found[: rows.steps] = rows.unsort(sums.alpha * beta, 1).to(scores.dtype)
    return found


@dataclass(frozen=True)
class _Sums:
    """Forward sums, float64, each step's scaled to 1.

    Attributes:
        log_z: (B,), sorted.
        alpha: (T, B, K); zero beyond a row's length.
        scale: What each step was divided by, (T, B, 1); 1 beyond a row's length.
        x: exp of scores less each step's largest, (T, B, K); zero at labels that cannot be reached.
        a: exp of transitions less the largest, (K, K).
        end: exp of end scores less the largest, divided by each row's sum, (B, K).
    """

    log_z: Tensor
    alpha: Tensor
    scale: Tensor
    x: Tensor
    a: Tensor
    end: Tensor


@torch.no_grad()
def _forward(scores: Tensor, rows: Rows, potentials: Potentials) -> _Sums | None:
    """Return the forward sums, or None where they cannot be trusted.

    alphaₜ ∝ (alphaₜ₋₁ exp A) ∘ exp xₜ. What is rounded to 0 in a sum is below 1e-300, so nothing is
    lost as long as every sum that can be positive is above `SMALLEST`.
    """
    running = torch.arange(rows.steps, device=scores.device)[:, None] < rows.lengths
    logs = torch.where(running[..., None], rows.sort(scores).double(), 0.0)
    (start, at_start), (a, at_a), (end, at_end) = (
        _exp(p.double()) for p in (potentials.start, potentials.transitions, potentials.end)
    )
    largest = logs.amax(-1, keepdim=True)
    x = (logs - largest).exp_()
    reached = _reachable(rows, potentials)
    if reached is not None:
        x.mul_(reached[:, None])
    alpha, scale = torch.zeros_like(x), torch.ones_like(largest)
    raw = torch.ones_like(x)
    for t, n in enumerate(rows.running[: rows.steps]):
        if t:
            torch.mm(alpha[t - 1, :n], a, out=raw[t, :n]).mul_(x[t, :n])
        else:
            torch.mul(x[0, :n], start, out=raw[0, :n])
        torch.sum(raw[t, :n], 1, keepdim=True, out=scale[t, :n])
        torch.div(raw[t, :n], scale[t, :n], out=alpha[t, :n])
    if reached is not None:
        raw.add_(1.0 - reached[:, None])
    filled = rows.lengths > 0
    ends = torch.where(filled[:, None], (rows.last(alpha) * end).sum(1, keepdim=True), 1.0)
    if not bool(torch.minimum(raw.amin(), ends.amin()) > SMALLEST):  # NaN too
        return None
    shift = at_start + (rows.lengths - 1) * at_a + at_end
    log_z = (scale.log() + largest).sum((0, 2)) + ends.log()[:, 0] + shift
    return _Sums(torch.where(filled, log_z, 0.0), alpha, scale, x, a, end / ends)


def _exp(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return exp of values less the largest, and the largest."""
    largest = values.amax().clamp(min=FORBIDDEN)
    return (values - largest).exp(), largest


def _reachable(rows: Rows, potentials: Potentials) -> Tensor | None:
    """Return which labels any path can have at each step, 0 or 1 (T, K); None if all are."""
    start, transitions = potentials.start, potentials.transitions
    allowed = (transitions != -torch.inf).double()
    reached = (start != -torch.inf).double()
    if bool(allowed.all()) and bool(reached.all()):
        return None
    found = [reached]
    while len(found) < rows.steps:
        reached = (reached @ allowed).clamp(max=1.0)
        found.append(reached)
        if torch.equal(reached, found[-2]):  # and so it stays
            found += [reached] * (rows.steps - len(found))
    return torch.stack(found)


def check_possible(rows: Rows, potentials: Potentials) -> None:
    """Refuse lengths of which no label sequence is allowed.

    Raises:
        InputError: If a row has such a length.
    """
    reached = _reachable(rows, potentials) if rows.steps else None
    ends = potentials.end != -torch.inf
    if reached is None:
        if rows.steps and not bool(ends.any()):
            raise InputError("No label may be the last of a sequence. Allow one in `ends`.")
        return
    possible = (reached * ends).sum(1) > 0
    lengths = rows.lengths[rows.lengths > 0]
    wrong = lengths[~possible[lengths - 1]]
    if len(wrong):
        raise InputError(
            f"No sequence of {int(wrong[0])} labels is allowed by the constraints. Allow more "
            "starts, transitions or ends."
        )


@torch.no_grad()
def _backward(sums: _Sums, rows: Rows) -> tuple[Tensor, Tensor]:
    """Return the backward sums, each (T, B, K) in float64.

    betaₜ ∝ exp A (exp xₜ₊₁ ∘ betaₜ₊₁), scaled so that alphaₜ ∘ betaₜ are the marginals.

    Returns:
        beta, and wₜ = exp xₜ ∘ betaₜ / scaleₜ: P(yₜ₋₁ = i, yₜ = j) is alphaₜ₋₁ᵢ exp Aᵢⱼ wₜⱼ.
    """
    x = sums.x / sums.scale
    beta, w = torch.zeros_like(x), torch.zeros_like(x)
    back = sums.a.t().contiguous()
    later = 0
    for t in reversed(range(rows.steps)):
        n = rows.running[t]
        if later:
            torch.mm(w[t + 1, :later], back, out=beta[t, :later])
        if n > later:
            beta[t, later:n] = sums.end[later:n]
        torch.mul(x[t, :n], beta[t, :n], out=w[t, :n])
        later = n
    return beta, w


class _LogPartition(torch.autograd.Function):
    """log Z with its derivatives by the backward sums; those of higher order by the reference."""

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, start: Tensor, transitions: Tensor, end: Tensor, rows: Rows,
        sums: _Sums,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(scores, start, transitions, end)
        ctx.rows, ctx.sums = rows, sums
        return rows.unsort(sums.log_z, 0).to(scores.dtype)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (grad,) = outputs
        rows, sums = ctx.rows, ctx.sums
        inputs = ctx.saved_tensors
        if torch.is_grad_enabled():
            wanted = [v for v, needed in zip(inputs, ctx.needs_input_grad, strict=False) if needed]
            again = reference_log_partition(inputs[0], rows, Potentials(*inputs[1:]))
            found = iter(torch.autograd.grad(again, wanted, grad, create_graph=True))
            return *(next(found) if n else None for n in ctx.needs_input_grad[:4]), None, None
        beta, w = _backward(sums, rows)
        g = grad.double()[rows.order, None]
        joint = sums.alpha * beta * g
        scores = torch.zeros_like(inputs[0])
        scores[: rows.steps] = rows.unsort(joint, 1).to(scores.dtype)
        before, after = sums.alpha[:-1].flatten(0, 1), (w[1:] * g).flatten(0, 1)
        parts = (
            joint[0].sum(0),
            sums.a * (before.t() @ after),
            (rows.last(sums.alpha) * sums.end * g).sum(0),
        )
        return scores, *(v.to(p.dtype) for v, p in zip(parts, inputs[1:], strict=True)), None, None


@torch.no_grad()
def viterbi(scores: Tensor, rows: Rows, potentials: Potentials) -> tuple[Tensor, Tensor]:
    """Return the best label sequence of each row, int64 (T, B), -1 at padding, and its score (B,).

    Forward keeps maxima alone; the labels are found on the way back, where one label of each row
    is looked at instead of K.
    """
    labels = torch.full(scores.shape[:2], -1, device=scores.device)
    if rows.steps == 0:
        return labels, scores.new_zeros(len(rows.order))
    x = rows.sort(scores)
    into = potentials.transitions.t().to(scores.dtype).contiguous()  # (to, from)
    best = x.clone()
    best[0] += potentials.start
    for t in range(1, rows.steps):
        n = rows.running[t]
        best[t, :n] += (best[t - 1, :n, None] + into).amax(-1)
    top, last = (rows.last(best) + potentials.end).max(1)
    path = labels.new_full(x.shape[:2], -1)
    later = 0
    for t in reversed(range(rows.steps)):
        n = rows.running[t]
        if later:
            path[t, :later] = (best[t, :later] + into[path[t + 1, :later]]).argmax(-1)
        path[t, later:n] = last[later:n]
        later = n
    labels[: rows.steps] = rows.unsort(path, 1)
    return labels, rows.unsort(torch.where(rows.lengths > 0, top, 0.0), 0)


@torch.no_grad()
def k_best(scores: Tensor, rows: Rows, potentials: Potentials, k: int) -> tuple[Tensor, Tensor]:
    """Return the k best label sequences of each row, (k, T, B), the best first, and scores (k, B).

    A row with fewer sequences has scores of -∞ and labels of -1 in place of those missing.
    """
    steps, batch, _ = scores.shape
    labels = torch.full((k, steps, batch), -1, device=scores.device)
    found = scores.new_full((k, batch), -torch.inf)
    found[0, rows.unsort(rows.lengths == 0, 0)] = 0.0
    if rows.steps == 0:
        return labels, found
    x = rows.sort(scores)
    into = potentials.transitions.t().to(scores.dtype).contiguous()
    best = x.new_full((*x.shape, k), -torch.inf)  # the k best that end in each label
    best[0, ..., 0] = x[0] + potentials.start
    origin = torch.zeros(best.shape, dtype=torch.int64, device=x.device)  # label · k + place
    for t in range(1, rows.steps):
        n = rows.running[t]
        ways = (best[t - 1, :n, None] + into[..., None]).flatten(2)  # (n, to, from · k)
        top, origin[t, :n] = ways.topk(k, -1)
        best[t, :n] = top + x[t, :n, :, None]
    top, place = (rows.last(best) + potentials.end[:, None]).flatten(1).topk(k, 1)
    path = _trace(origin, place, rows, k)
    path = torch.where(top.t()[:, None] > -torch.inf, path, -1)
    labels[:, : rows.steps] = rows.unsort(path, 2)
    filled = rows.unsort(rows.lengths > 0, 0)
    return labels, torch.where(filled, rows.unsort(top, 0).t(), found)


def _trace(origin: Tensor, place: Tensor, rows: Rows, k: int) -> Tensor:
    """Follow the origins back from each row's end; returns labels, (k, T, B)."""
    path = place.new_full((k, *origin.shape[:2]), -1)
    at = place  # (B, k): label · k + place among the k best that end in it
    later = 0
    for t in reversed(range(len(origin))):
        n = rows.running[t]
        if later:
            at = at.clone()
            at[:later] = origin[t + 1, :later].flatten(1).gather(1, at[:later])
        path[:, t, :n] = (at[:n] // k).t()
        later = n
    return path


def score(scores: Tensor, labels: Tensor, rows: Rows, potentials: Potentials) -> Tensor:
    """Return s(y) of given labels, int64 (T, B), for each row, (B,); differentiable."""
    if rows.steps == 0:
        return scores[:0].sum((0, 2))
    x, y = rows.sort(scores), rows.sort(labels)
    running = torch.arange(rows.steps, device=x.device)[:, None] < rows.lengths
    y = torch.where(running, y, 0)
    found = torch.where(running, x.gather(-1, y[..., None])[..., 0], 0.0).sum(0)
    steps = potentials.transitions[y[:-1], y[1:]]
    found = found + torch.where(running[1:], steps, 0.0).sum(0)
    ends = potentials.start[y[0]] + potentials.end[rows.last(y)]
    return rows.unsort(found + torch.where(rows.lengths > 0, ends, 0.0), 0)
