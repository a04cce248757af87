"""The network of a language model against the same written in plain PyTorch."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from longspan.errors import InputError
from longspan.tasks.language.network import LanguageNetwork


def network(**options):
    torch.manual_seed(0)
    defaults = {"embedding_size": 6, "layer_sizes": (9, 6)}
    return LanguageNetwork(23, **(defaults | options))


def tokens(steps=8, rows=3):
    generator = torch.Generator().manual_seed(1)
    data = torch.randint(23, (steps + 1, rows), generator=generator)
    return data[:-1], data[1:]


def plain(ours, inputs, targets, *, alpha=0.0, beta=0.0, rates=None, weight_drop=0.0, words=0.0):
    """AWD-LSTM's loss with torch.nn.LSTM, drawing masks in the order of our network."""
    embedding = ours.encoder.embedding.weight
    if words:
        mask = torch.empty(23, 1).bernoulli_(1 - words) / (1 - words)
        x = F.embedding(inputs, embedding * mask)
    else:
        x = F.embedding(inputs, embedding)

    def locked(x, p):
        return x * torch.empty(1, *x.shape[1:]).bernoulli_(1 - p).div(1 - p) if p else x

    first, between, last = rates or (0.0, 0.0, 0.0)
    x = locked(x, first)
    for layer, p in zip(ours.layers, (between, last), strict=True):
        weights = dict(layer.named_parameters())
        hh = weights.get("parametrizations.weight_hh_l0.original", weights.get("weight_hh_l0"))
        given = {
            "weight_ih_l0": weights["weight_ih_l0"],
            "weight_hh_l0": F.dropout(hh, weight_drop) if weight_drop else hh,
            "bias_ih_l0": weights["bias_ih_l0"],
            "bias_hh_l0": weights["bias_hh_l0"],
        }
        with torch.random.fork_rng():  # its initial weights, which are not used, are draws too
            theirs = getattr(nn, ours.cell.upper())(x.shape[-1], layer.hidden_size)
        raw, _ = torch.func.functional_call(theirs, given, (x,))
        x = locked(raw, p)
    logits = F.linear(x, ours.head.weight, ours.head.bias).flatten(0, 1)
    loss = F.cross_entropy(logits, targets.flatten(), reduction="sum")
    penalty = alpha * x.square().mean() + beta * (raw[1:] - raw[:-1]).square().mean()
    return loss + targets.numel() * penalty


def check_equal(ours, found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    parameters = list(ours.parameters())
    for a, b in zip(
        torch.autograd.grad(found, parameters),
        torch.autograd.grad(expected, parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"tied": False, "layer_sizes": (9, 4)}, {"cell": "gru"}])
def test_evaluation_equals_plain_pytorch(options):
    ours = network(dropout=(0.5, 0.5, 0.5), embedding_dropout=0.5, **options).eval()
    inputs, targets = tokens()
    loss = ours(inputs, targets)
    assert loss.weight == 24
    check_equal(ours, loss.total, plain(ours, inputs, targets))
    nll, _ = ours.nll(inputs, targets)
    assert nll.shape == (8, 3)
    torch.testing.assert_close(nll.sum(), loss.total.detach())


def test_training_equals_plain_pytorch_with_the_same_masks():
    ours = network(
        dropout=(0.4, 0.25, 0.3), embedding_dropout=0.1, weight_drop=0.5, activation_penalty=2.0,
        change_penalty=1.0,
    )  # fmt: skip
    inputs, targets = tokens()
    torch.manual_seed(5)
    found = ours(inputs, targets).total
    torch.manual_seed(5)
    expected = plain(
        ours, inputs, targets, alpha=2.0, beta=1.0, rates=(0.4, 0.25, 0.3), weight_drop=0.5,
        words=0.1,
    )  # fmt: skip
    check_equal(ours, found, expected)


def test_chunks_with_carried_state_equal_the_whole():
    ours = network(cell="gru").eval()
    inputs, targets = tokens(steps=9)
    whole, final = ours.nll(inputs, targets)
    state, parts = None, []
    for begin, end in ((0, 1), (1, 5), (5, 9)):
        nll, state = ours.nll(inputs[begin:end], targets[begin:end], state)
        parts.append(nll)
    torch.testing.assert_close(torch.cat(parts), whole)
    torch.testing.assert_close(state, final)


def test_one_step_one_row_and_ragged_rows():
    ours = network(activation_penalty=1.0, change_penalty=1.0)
    inputs, targets = tokens(1, 1)
    loss = ours(inputs, targets)
    assert loss.total.isfinite()
    inputs, _ = tokens(6, 2)
    ours.eval()
    _, _, state = ours.features(inputs, lengths=torch.tensor([2, 6]))
    _, _, alone = ours.features(inputs[:2, :1])
    torch.testing.assert_close([s[0][:, :1] for s in state], [s[0] for s in alone])


@pytest.mark.parametrize("softmax", ["sampled", "adaptive"])
def test_other_softmaxes(softmax):
    sizes = {"embedding_size": 16, "layer_sizes": (16,), "tied": softmax != "adaptive"}
    ours = network(softmax=softmax, samples=7, **sizes)
    inputs, targets = tokens()
    ours(inputs, targets).total.backward()
    assert all(p.grad is not None for p in ours.parameters())
    ours.eval()
    features, _, _ = ours.features(inputs)
    log_probs = ours.head.log_probs(features.flatten(0, 1))
    expected = F.nll_loss(log_probs, targets.flatten(), reduction="sum")
    torch.testing.assert_close(ours(inputs, targets).total, expected)


def test_a_tied_softmax_needs_a_last_layer_of_the_embeddings_size():
    with pytest.raises(InputError, match="last layer the size of the embedding"):
        network(layer_sizes=(9, 7))
