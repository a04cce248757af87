"""Dropout for sequences against its definition."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from longspan.errors import InputError
from longspan.nn import EmbeddingDropout, LockedDropout


def test_locked_dropout_has_one_mask_a_row():
    torch.manual_seed(0)
    x = torch.rand(6, 50, 40) + 1.0
    y = LockedDropout(0.3)(x)
    ratio = y / x
    assert torch.equal(ratio != 0, (ratio != 0)[:1].expand_as(ratio))
    torch.testing.assert_close(
        ratio[ratio != 0], torch.tensor(1 / 0.7).expand(ratio.count_nonzero())
    )
    assert abs((ratio == 0).float().mean().item() - 0.3) < 0.05
    assert not torch.equal(ratio[0, 0], ratio[0, 1])


def test_embedding_dropout_drops_words_and_equals_a_dropped_matrix():
    torch.manual_seed(0)
    embedding = nn.Embedding(200, 3)
    layer = EmbeddingDropout(embedding, 0.4)
    tokens = torch.arange(200).repeat(2, 1)
    torch.manual_seed(1)
    found = layer(tokens)
    torch.manual_seed(1)
    mask = torch.empty(200, 1).bernoulli_(0.6) / 0.6
    expected = nn.functional.embedding(tokens, embedding.weight * mask)
    torch.testing.assert_close(found, expected)
    assert torch.equal(found[0], found[1])
    assert abs((mask == 0).float().mean().item() - 0.4) < 0.1
    ours = torch.autograd.grad(found.square().sum(), embedding.weight)[0]
    theirs = torch.autograd.grad(expected.square().sum(), embedding.weight)[0]
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("layer", [LockedDropout(0.5), EmbeddingDropout(nn.Embedding(9, 4), 0.5)])
def test_nothing_is_dropped_at_evaluation(layer):
    layer.eval()
    if isinstance(layer, LockedDropout):
        x = torch.randn(3, 2, 4)
        assert layer(x) is x
    else:
        tokens = torch.arange(9)[:, None]
        assert torch.equal(layer(tokens), layer.embedding(tokens))


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_shares_that_cannot_be(p):
    with pytest.raises(InputError, match="probability"):
        LockedDropout(p)
    with pytest.raises(InputError, match="probability"):
        EmbeddingDropout(nn.Embedding(2, 2), p)
