"""Losses over many classes against plain PyTorch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from longspan.errors import InputError
from longspan.nn import AdaptiveSoftmax, Softmax, cross_entropy, linear_cross_entropy


def problem(n=37, p=5, v=11, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    x, w, b = (torch.randn(s, generator=g, dtype=dtype) for s in ((n, p), (v, p), (v,)))
    return x.requires_grad_(), w.requires_grad_(), b.requires_grad_(), torch.arange(n) * 7 % v


@pytest.mark.parametrize("scores", [2**20, 22, 44, 1])  # all rows at once; chunks of 2, 4 and 1
@pytest.mark.parametrize("bias", [True, False])
def test_linear_cross_entropy_equals_torchs(scores, bias, monkeypatch):
    monkeypatch.setattr(cross_entropy, "SCORES", scores)
    x, w, b, targets = problem()
    b = b if bias else None
    given = [t for t in (x, w, b) if t is not None]
    expected = F.cross_entropy(F.linear(x, w, b), targets, reduction="sum")
    found = linear_cross_entropy(x, w, b, targets)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    for ours, theirs in zip(
        torch.autograd.grad(3.0 * found, given),
        torch.autograd.grad(3.0 * expected, given),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    each = F.cross_entropy(F.linear(x, w, b), targets, reduction="none")
    torch.testing.assert_close(cross_entropy.linear_nll(x, w, b, targets), each.detach())


@pytest.mark.parametrize("n", [0, 1])
def test_few_rows(n):
    x, w, b, targets = problem(n)
    for loss in (
        linear_cross_entropy(x, w, b, targets),
        cross_entropy.sampled_cross_entropy(x, w, b, targets, 5),
    ):
        assert loss.shape == ()
        assert (loss.item() == 0.0) == (n == 0)
    assert cross_entropy.linear_nll(x, w, b, targets).shape == (n,)


@pytest.mark.parametrize("samples", [None, 3])
def test_one_target_for_each_row(samples):
    output, x = Softmax(5, 11, samples=samples), torch.zeros(9, 5)
    for features, count in ((x, 1), (x, 8), (x[:1], 9), (x[None], 9)):
        targets = torch.zeros(count, dtype=torch.int64)
        for of in (output.loss, output.nll):
            with pytest.raises(InputError, match=r"Features must have shape \(N, P\)"):
                of(features, targets)
    with pytest.raises(InputError, match="`samples` must be at least 1"):
        Softmax(5, 11, samples=0)


def test_under_autocast_features_may_be_rounded():
    torch.manual_seed(0)
    output, before, targets = Softmax(5, 11), nn.Linear(4, 5), torch.arange(9)
    x = torch.randn(9, 4)
    expected = output.loss(before(x), targets)
    with torch.autocast("cpu", torch.bfloat16):
        loss = output.loss(before(x), targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=1e-2, atol=0)
    loss.backward()
    assert before.weight.grad.abs().sum() > 0.0


def test_large_scores_stay_finite():
    x, w, b, targets = problem()
    loss = linear_cross_entropy(x * 1e4, w, b, targets)
    loss.backward()
    assert loss.isfinite()
    assert all(t.grad.isfinite().all() for t in (x, w, b))


def test_log_uniform_is_a_distribution_and_what_is_drawn():
    p = cross_entropy.log_uniform(torch.arange(50), 50).exp()
    assert p.sum().item() == pytest.approx(1.0, abs=1e-12)
    torch.manual_seed(0)
    drawn, log_q = cross_entropy.log_uniform_samples(200_000, 50)
    torch.testing.assert_close(log_q, p.log()[drawn].float())
    shares = torch.bincount(drawn, minlength=50) / len(drawn)
    assert (shares - p).abs().max() < 4 * math.sqrt(0.25 / 200_000)


def test_sampled_cross_entropy_by_its_formula():
    x, w, b, targets = problem()
    torch.manual_seed(3)
    found = cross_entropy.sampled_cross_entropy(x, w, b, targets, 6)
    torch.manual_seed(3)
    drawn, log_q = cross_entropy.log_uniform_samples(6, len(w))
    expected = 0.0
    for n, t in enumerate(targets.tolist()):
        own = float((w[t] @ x[n] + b[t]).detach())
        z = math.exp(own)
        for s, q in zip(drawn.tolist(), log_q.double().exp().tolist(), strict=True):
            if s != t:  # a target that is drawn by accident does not count twice
                z += math.exp(float((w[s] @ x[n] + b[s]).detach())) / (6 * q)
        expected += math.log(z) - own
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_many_samples_approach_the_full_softmax_with_its_gradients():
    x, w, b, targets = problem()
    torch.manual_seed(0)
    many = cross_entropy.sampled_cross_entropy(x, w, b, targets, 200_000)
    full = linear_cross_entropy(x, w, b, targets)
    assert many.item() == pytest.approx(full.item(), rel=2e-3)
    for ours, theirs in zip(
        torch.autograd.grad(many, (x, w, b)), torch.autograd.grad(full, (x, w, b)), strict=True
    ):
        assert (ours - theirs).norm() < 0.01 * theirs.norm()


@pytest.mark.parametrize("samples", [None, 4])
def test_softmax_is_exact_at_evaluation(samples):
    torch.manual_seed(0)
    embedding = nn.Embedding(11, 5)
    layer = Softmax(5, 11, tied=embedding, samples=samples).eval()
    x, targets = torch.randn(7, 5), torch.arange(7)
    logits = x @ embedding.weight.T + layer.bias
    torch.testing.assert_close(layer.log_probs(x), logits.log_softmax(1))
    torch.testing.assert_close(
        layer.nll(x, targets), F.cross_entropy(logits, targets, reduction="none")
    )
    torch.testing.assert_close(layer.loss(x, targets), layer.nll(x, targets).sum())
    estimate = layer.train().loss(x, targets)
    assert torch.allclose(estimate, layer.nll(x, targets).sum(), rtol=1e-5) == (not samples)
    assert [name for name, _ in layer.named_parameters()] == ["bias"]
    layer.loss(x, targets).backward()
    assert embedding.weight.grad is not None
    with pytest.raises(InputError, match=r"\(12, 5\), got \(11, 5\)"):
        Softmax(5, 12, tied=embedding)


def test_adaptive_softmax_equals_torchs_and_reaches_every_parameter():
    torch.manual_seed(0)
    layer = AdaptiveSoftmax(16, 40)
    assert layer.softmax.cutoffs == [4, 13, 40]
    x, targets = torch.randn(9, 16), torch.arange(9) % 3  # the first cluster alone
    loss = layer.loss(x, targets)
    torch.testing.assert_close(loss, 9 * layer.softmax(x, targets).loss)
    loss.backward()
    assert all(p.grad is not None for p in layer.parameters())
    every = torch.arange(40)
    x = torch.randn(40, 16)
    log_probs = layer.log_probs(x)
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(40))
    torch.testing.assert_close(layer.nll(x, every), -log_probs[every, every].detach())
    assert layer.nll(x[:0], every[:0]).shape == (0,)
    torch.testing.assert_close(layer.nll(x[:1], every[:1]), -log_probs[:1, 0].detach())


@pytest.mark.parametrize("cutoffs", [[], [0, 5], [5, 5], [5, 40], [9, 4]])
def test_cutoffs_that_cannot_be(cutoffs):
    with pytest.raises(InputError, match="must rise between 1 and"):
        AdaptiveSoftmax(16, 40, cutoffs)


def test_adaptive_softmax_needs_features():
    with pytest.raises(InputError, match="at least 16, got 15"):
        AdaptiveSoftmax(15, 40)
