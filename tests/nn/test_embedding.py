"""Embeddings that start from given vectors."""

from __future__ import annotations

import torch

from longspan.nn import EmbeddingDropout, PretrainedEmbedding


def made():
    torch.manual_seed(0)
    embedding = PretrainedEmbedding(5, 3, learnt=3)
    values = torch.arange(15.0).reshape(5, 3) + 1.0
    embedding.start(values, torch.tensor([False, True, True, True, False]))
    return embedding, values


def test_it_starts_from_what_is_given():
    embedding, values = made()
    found = embedding(torch.arange(5))
    assert torch.equal(found[1:4], values[1:4])
    assert torch.equal(found[4], torch.zeros(3))  # nothing is known of it, and nothing learnt
    assert found[0].abs().min() > 0.0  # it starts by chance, for there is no vector
    assert not torch.equal(found[0], values[0])


def test_only_learnt_tokens_move():
    embedding, _ = made()
    tokens = torch.tensor([[0, 1], [3, 4], [1, 2]])
    before = embedding(torch.arange(5)).detach()
    optimiser = torch.optim.SGD(embedding.parameters(), lr=1.0)
    out = embedding(tokens)
    assert out.shape == (3, 2, 3)
    (2.0 * out).sum().backward()
    optimiser.step()
    moved = embedding(torch.arange(5)).detach() - before
    # Each occurrence adds 2 to the gradient: 1, 2 and 1 of the learnt ones.
    assert torch.allclose(moved[:3], torch.tensor([[-2.0], [-4.0], [-2.0]]).expand(3, 3))
    assert torch.equal(moved[3:], torch.zeros(2, 3))
    assert [p.shape for p in embedding.parameters()] == [(3, 3)]


def test_words_are_dropped_whole():
    embedding, values = made()
    dropped = EmbeddingDropout(embedding, 0.5).train()(torch.arange(5).repeat(50, 1))
    for word in (1, 2, 3):
        ratios = dropped[:, word] / values[word]
        assert len(ratios.unique()) == 1
        assert ratios[0, 0] in (0.0, 2.0)


def test_its_state_is_complete():
    embedding, _ = made()
    other = PretrainedEmbedding(5, 3, learnt=3)
    other.load_state_dict(embedding.state_dict())
    assert torch.equal(other(torch.arange(5)), embedding(torch.arange(5)))
