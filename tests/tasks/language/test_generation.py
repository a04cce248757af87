"""Drawing tokens by the definitions, and steps against whole sequences."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from longspan.errors import InputError
from longspan.tasks.language.generation import Continuation, Sampling, generate
from longspan.tasks.language.network import LanguageNetwork

PROBABILITIES = np.array([[0.1, 0.4, 0.05, 0.25, 0.2]])
LOG_PROBS = np.log(PROBABILITIES)


def rows(count, seed=0):
    return [np.random.default_rng((seed, k)) for k in range(count)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.1, 0.4, 0.05, 0.25, 0.2]),
        ({"temperature": 0.0}, [0, 1, 0, 0, 0]),
        ({"temperature": 0.5}, np.square(PROBABILITIES[0]) / np.square(PROBABILITIES[0]).sum()),
        ({"top_k": 1}, [0, 1, 0, 0, 0]),
        ({"top_k": 2}, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]),
        ({"top_k": 99}, [0.1, 0.4, 0.05, 0.25, 0.2]),
        ({"top_p": 0.3}, [0, 1, 0, 0, 0]),
        ({"top_p": 0.6}, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]),
        ({"top_p": 0.7}, [0, 0.4 / 0.85, 0, 0.25 / 0.85, 0.2 / 0.85]),
        ({"top_p": 1.0}, [0.1, 0.4, 0.05, 0.25, 0.2]),
        ({"top_k": 3, "top_p": 0.5}, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]),  # 0.4/0.85 < 0.5
    ],
)
def test_what_is_drawn_from(options, expected):
    found = Sampling(**options).probabilities(LOG_PROBS)
    np.testing.assert_allclose(found[0], expected, atol=1e-12)


def test_ties_are_broken_by_number_and_forbidden_tokens_have_none():
    equal = np.log(np.full((1, 4), 0.25))
    assert Sampling(top_k=2).probabilities(equal).tolist() == [[0.5, 0.5, 0, 0]]
    assert Sampling(temperature=0).draw(equal, rows(1)).tolist() == [0]
    some = np.array([[-np.inf, 0.0, 0.0, -np.inf]])
    assert Sampling(top_p=0.9).probabilities(some).tolist() == [[0, 0.5, 0.5, 0]]


def test_the_lowest_temperature_takes_the_likeliest():
    scores = np.array([[-1e30, -3.0, -2.9, -np.inf]])
    assert Sampling(temperature=1e-6).probabilities(scores).tolist() == [[0, 0, 1, 0]]


def test_draws_follow_the_probabilities():
    many = np.repeat(LOG_PROBS, 20_000, axis=0)
    drawn = Sampling().draw(many, [np.random.default_rng(0)] * len(many))
    shares = np.bincount(drawn, minlength=5) / len(drawn)
    assert np.abs(shares - PROBABILITIES[0]).max() < 4 * np.sqrt(0.25 / 20_000)


@pytest.mark.parametrize(
    "bad", [{"temperature": -1}, {"temperature": float("nan")}, {"top_k": 0}, {"top_p": 0.0},
            {"top_p": 1.1}, {"temperature": 1e-310}, {"temperature": 9e-7}],
)  # fmt: skip
def test_options_out_of_range(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        Sampling(**bad)


def network(**options):
    torch.manual_seed(0)
    given = {"embedding_size": 16, "layer_sizes": (9, 16), "weight_drop": 0.3, "tied": False}
    model = LanguageNetwork(31, **(given | options)).eval()
    with torch.no_grad():  # scores that differ clearly
        for parameter in model.head.parameters():
            parameter.mul_(20.0)
    return model


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    "options",
    [{}, {"cell": "gru"}, {"cell": "rnn"}, {"layer_norm": True}, {"softmax": "adaptive"},
     {"tied": True}],
)  # fmt: skip
def test_steps_equal_whole_sequences(options, fast):
    model = network(**options)
    prompts = [[3], [5, 1, 7, 2], [9, 9]]
    run = Continuation(model, prompts, fast=fast)
    texts = [list(prompt) for prompt in prompts]
    for tokens in np.random.default_rng(1).integers(0, 31, (5, 3)):
        for row, text in enumerate(texts):
            with torch.no_grad():
                features, _, _ = model.features(torch.tensor(text)[:, None])
                expected = model.head.log_probs(features[-1])
            np.testing.assert_allclose(run.log_probs[row], expected[0], rtol=1e-4, atol=1e-4)
        run.step(tokens)
        for text, token in zip(texts, tokens.tolist(), strict=True):
            text.append(token)


def take(count, *arguments, **options):
    return np.stack(list(islice(generate(*arguments, **options), count)), 1).tolist()


def test_the_seed_decides_and_rows_do_not_depend_on_each_other():
    model, prompts = network(), [[3, 4], [3, 4], [5, 6, 7]]
    first = take(12, model, prompts, Sampling(), seed=7)
    assert first == take(12, model, prompts, Sampling(), seed=7)
    assert first != take(12, model, prompts, Sampling(), seed=8)
    assert first[0] != first[1]
    assert take(12, model, prompts[:1], Sampling(), seed=7) == first[:1]


def test_forbidden_tokens_never_come():
    model = network()
    likely = take(1, model, [[3]], Sampling(temperature=0))[0][0]
    drawn = take(200, model, [[3]], Sampling(), forbidden=[likely, 0])
    assert {likely, 0} & set(drawn[0]) == set()
    assert take(1, model, [[3]], Sampling(temperature=0), forbidden=[likely])[0] != [likely]
