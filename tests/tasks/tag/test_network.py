"""The tagger's network against the same written in plain PyTorch, one sequence at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from longspan.data import tagged_text
from longspan.tasks.tag.config import TagConfig
from longspan.tasks.tag.encoding import Encoder
from longspan.tasks.tag.engine import Engine

TEXT = tagged_text(
    [["to", "New", "York"], ["Rome"], ["from", "Oslo", "to", "Rome", "now"], []],
    [["O", "B-to", "I-to"], ["B-to"], ["O", "B-from", "O", "B-to", "O"], []],
    ["go", "go", "come", "go"],
)


def made(**options):
    config = TagConfig(
        hidden_size=5, word_size=4, character_size=6, character_embedding_size=3, dropout=0.0,
        rare_rate=0.0, **options,
    )  # fmt: skip
    encoder = Encoder.fit(config, TEXT)
    return Engine(config, encoder).network, encoder.encode(TEXT)


def plain(network, words, characters):
    """Return scores of labels and intents of one sequence, words (T,), characters T tensors."""
    columns = [F.embedding(words, network.word_embedding.weight)]
    if network.characters is not None:
        columns.append(torch.stack([alone(network.characters, c) for c in characters]))
    theirs = nn.LSTM(columns[0].shape[1] + 6 * (len(columns) > 1), 5, bidirectional=True)
    theirs.load_state_dict(network.recurrent.state_dict())
    h, _ = theirs(torch.cat(columns, -1))
    head = network.intents
    attention = torch.tanh(h @ head.attention.weight.T + head.attention.bias)
    weights = (attention @ head.weight.weight.T).softmax(0)
    return network.output(h), head.output((weights * h).sum(0))


def alone(encoder, characters):
    """Return what the characters of one word say, by a convolution or a BiLSTM of PyTorch's."""
    x = F.embedding(characters, encoder.embedding.weight)
    if encoder.kind == "lstm":
        theirs = nn.LSTM(3, 3, bidirectional=True)
        theirs.load_state_dict(encoder.lstm.state_dict())
        return torch.cat(list(theirs(x)[1][0]))
    convolution = nn.Conv1d(3, 6, 3, padding=1)
    weight = encoder.convolution.weight.view(6, 3, 3).transpose(1, 2)
    found = F.conv1d(x.T[None], weight, encoder.convolution.bias, padding=convolution.padding)
    return found[0].amax(-1)


@pytest.mark.parametrize("kind", ["cnn", "lstm", "none"])
def test_scores_are_those_of_plain_pytorch(kind):
    network, text = made(character_encoder=kind)
    inputs = text.gather(torch.tensor([2, 0, 3, 1]))
    scores, intents = network(inputs)
    for b, row in enumerate([2, 0, 3, 1]):
        words = text.words[row]
        if not len(words):
            continue
        forms = text.forms[text.words.offsets[row] : text.words.offsets[row + 1]]
        labels, whole = plain(network, words, [text.characters[int(f)] for f in forms])
        torch.testing.assert_close(scores[: len(words), b], labels, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(intents[b], whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(intents[2], network.intents.output.bias)  # without words


@pytest.mark.parametrize("crf", [True, False])
def test_padding_is_never_read(crf):
    network, text = made(crf=crf)
    inputs = text.gather(torch.tensor([2, 0, 3, 1]))
    scores, intents = network(inputs)
    losses = network.label_loss(scores, inputs)
    outside = torch.arange(8)[:, None] >= inputs.lengths

    def longer(values, filler):
        padded = torch.full((8, 4), filler)
        padded[: len(values)] = values
        return torch.where(outside, filler, padded)

    wide = replace(
        inputs, words=longer(inputs.words, 3), forms=longer(inputs.forms, 1),
        labels=longer(inputs.labels, -7),
    )  # fmt: skip
    again, others = network(wide)
    inside = ~outside[: len(scores)]
    torch.testing.assert_close(again[: len(scores)][inside], scores[inside])
    torch.testing.assert_close(others, intents)
    torch.testing.assert_close(network.label_loss(again, wide), losses)
    assert losses[2] == 0.0
    for b, row in enumerate([2, 0, 3, 1]):
        one = text.gather(torch.tensor([row]))
        if len(one.words):
            torch.testing.assert_close(network.label_loss(network(one)[0], one)[0], losses[b])


def test_independent_labels_have_the_cross_entropy():
    network, text = made(crf=False, scheme="none")
    inputs = text.gather(torch.tensor([2]))
    scores, _ = network(inputs)
    expected = F.cross_entropy(scores[:, 0], inputs.labels[:, 0], reduction="sum")
    torch.testing.assert_close(network.label_loss(scores, inputs)[0], expected)
    assert not network.chain.transitions.any()
    loss = network.label_loss(scores, inputs).sum()
    torch.testing.assert_close(network.chain(scores, inputs.labels, inputs.lengths).sum(), loss)


def test_nothing_but_empty_sequences():
    network, text = made()
    scores, intents = network(text.gather(torch.tensor([3, 3])))
    assert scores.shape == (0, 2, network.output.out_features)
    torch.testing.assert_close(intents, network.intents.output.bias.expand(2, -1))
