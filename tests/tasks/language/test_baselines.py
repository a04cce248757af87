"""Counted models against a straightforward computation with dictionaries."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from longspan.errors import InputError
from longspan.tasks.language.baselines import KneserNey, _discounts


def by_dictionaries(train, order, vocab):
    """Interpolated modified Kneser-Ney, as it is written in the paper."""
    runs = {
        n: Counter(tuple(train[i : i + n]) for i in range(len(train) - n + 1))
        for n in range(1, order + 1)
    }
    adjusted = {order: runs[order]}
    for n in range(1, order):
        adjusted[n] = Counter()
        for longer in runs[n + 1]:
            adjusted[n][longer[1:]] += 1
    discounts = {}
    for n, counts in adjusted.items():
        values = [counts.get(run, 0) for run in runs[n]]
        discounts[n] = _discounts(np.array(values))

    def probability(word, context):
        if len(context) == 0:
            lower, n = 1.0 / vocab, 1
        else:
            lower, n = probability(word, context[1:]), len(context) + 1
        following = {r[-1]: c for r, c in adjusted[n].items() if r[:-1] == tuple(context)}
        total = sum(following.values())
        if total == 0:
            return lower
        removed = {w: min(discounts[n][min(c, 3)], c) for w, c in following.items()}
        own = (following.get(word, 0) - removed.get(word, 0)) / total
        return own + sum(removed.values()) / total * lower

    return probability


@pytest.fixture(scope="module")
def text():
    rng = np.random.default_rng(0)
    train = np.minimum(rng.geometric(0.3, 400) - 1, 7)
    train[1::2] = (train[::2] * 3 + 1) % 8  # so that contexts matter
    return train, np.concatenate([train[50:70], rng.integers(0, 10, 30)])


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_it_is_kneser_ney(order, text):
    train, test = text
    found = KneserNey(train, 10, order).probabilities(test)
    reference = by_dictionaries(train.tolist(), order, 10)
    expected = [
        reference(w, test[max(i - order + 1, 0) : i].tolist()) for i, w in enumerate(test.tolist())
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_probabilities_add_up_to_one(order, text):
    train, test = text
    model = KneserNey(train, 10, order)
    for k in range(len(test)):
        found = model.distribution(test[:k])
        assert found.sum() == pytest.approx(1.0, abs=1e-12)
        assert found.min() > 0.0
        assert found[test[k]] == pytest.approx(model.probabilities(test[: k + 1])[-1])


def test_discounts_by_hand():
    counts = np.repeat([1, 2, 3, 4, 7], [8, 4, 2, 1, 3])
    y = 8 / (8 + 2 * 4)
    expected = [0, 1 - 2 * y * 4 / 8, 2 - 3 * y * 2 / 4, 3 - 4 * y * 1 / 2]
    np.testing.assert_allclose(_discounts(counts), expected)
    assert _discounts(np.array([1, 1, 5])).tolist() == [0.0, 0.5, 0.5, 0.5]


def test_the_smallest_texts():
    for train in ([2], [2, 2], [0, 1]):
        model = KneserNey(np.array(train), 4, 3)
        assert model.order == min(len(train), 3)
        assert model.distribution(np.array([0, 1, 3])).sum() == pytest.approx(1.0)
    assert model.probabilities(np.array([], np.int64)).shape == (0,)
    assert model.probabilities(np.array([1, 2, 3]), 2).shape == (1,)
    with pytest.raises(InputError, match="at least one token"):
        KneserNey(np.array([], np.int64), 4, 3)


def test_longer_runs_help_on_real_structure(text):
    train, _ = text
    held_out = train[300:]
    losses = [-np.log(KneserNey(train[:300], 10, n).probabilities(held_out)).mean() for n in (1, 2)]
    assert losses[1] < losses[0] - 0.3
