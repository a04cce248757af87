"""Words from characters: every word as if it were alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from longspan.errors import InputError
from longspan.nn import CharacterEncoder
from longspan.nn.characters import ENCODERS

LENGTHS = [5, 1, 0, 3]


def encoder(kind, **options):
    torch.manual_seed(0)
    return CharacterEncoder(9, kind=kind, embedding_size=4, output_size=6, **options).double()


def words():
    return torch.randint(1, 9, (5, 4), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_the_cnn_is_a_convolution_and_a_maximum(kernel_size):
    own = encoder("cnn", kernel_size=kernel_size)
    found = own(words(), LENGTHS)
    convolution = nn.Conv1d(4, 6, kernel_size, padding=kernel_size // 2).double()
    with torch.no_grad():
        weight = own.convolution.weight.view(6, kernel_size, 4).transpose(1, 2)
        convolution.weight.copy_(weight)
        convolution.bias.copy_(own.convolution.bias)
    for k, n in enumerate(LENGTHS):
        if n == 0:
            assert (found[k] == 0).all()
            continue
        alone = own.embedding(words()[:n, k]).t()[None]  # (1, E, n)
        torch.testing.assert_close(found[k], convolution(alone)[0].amax(1))


def test_the_lstm_takes_the_last_states_of_both_directions():
    own = encoder("lstm")
    theirs = nn.LSTM(4, 3, bidirectional=True).double()
    theirs.load_state_dict(own.lstm.state_dict())
    found = own(words(), LENGTHS)
    for k, n in enumerate(LENGTHS):
        expected = torch.zeros(6, dtype=torch.float64)
        if n:
            _, (h, _) = theirs(own.embedding(words()[:n, k]))
            expected = h.flatten()
        torch.testing.assert_close(found[k], expected)


@pytest.mark.parametrize("kind", ENCODERS)
def test_padding_and_other_words_do_not_matter(kind):
    own = encoder(kind)
    changed = words()
    inside = torch.arange(5)[:, None] < torch.tensor(LENGTHS)
    changed[~inside] = 8
    longer = torch.cat([changed, changed])
    for characters in (changed, longer):
        torch.testing.assert_close(own(characters, LENGTHS), own(words(), LENGTHS))
    alone = torch.cat([own(words()[:, k : k + 1], [n]) for k, n in enumerate(LENGTHS)])
    torch.testing.assert_close(own(words(), LENGTHS), alone)


@pytest.mark.parametrize("kind", ENCODERS)
def test_derivatives(kind):
    own = encoder(kind)
    parameters = dict(own.named_parameters())

    def call(*values):
        named = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(own, named, (words(), LENGTHS))

    assert torch.autograd.gradcheck(call, tuple(parameters.values()), fast_mode=True)


@pytest.mark.parametrize("kind", ENCODERS)
def test_nothing_to_encode(kind):
    own = encoder(kind)
    assert own(torch.zeros(0, 3, dtype=torch.int64)).tolist() == [[0.0] * 6] * 3
    assert own(torch.zeros(4, 0, dtype=torch.int64)).shape == (0, 6)
    assert (own(words(), [0] * 4) == 0).all()


def test_bad_input():
    cases = {
        "Did you mean 'cnn'": lambda: CharacterEncoder(9, kind="cn"),
        "must be odd": lambda: CharacterEncoder(9, kernel_size=2),
        "must be even, got 5": lambda: CharacterEncoder(9, kind="lstm", output_size=5),
        "must have shape (C, W)": lambda: encoder("cnn")(torch.zeros(3, dtype=torch.int64)),
        "one length per sequence": lambda: encoder("cnn")(words(), [1]),
    }
    for message, call in cases.items():
        with pytest.raises(InputError) as caught:
            call()
        assert message in str(caught.value)
