"""When training stops, on answers made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.experiments import EXPERIMENTS, Criterion, Recent, Sequences
from longspan.experiments.problem import most_active, within
from longspan.experiments.problems import EmbeddedReber


def two():
    """Two sequences with two targets and one."""
    mask = np.array([[True, True], [False, True]])
    truth = np.array([[1, 0, 0], [0, 1, 1], [1, 0, 0]], np.float32)
    return Sequences(np.zeros((2, 2), np.int64), np.array([2, 2]), mask, truth)


def test_most_active_wants_all_possible_symbols_above_all_others():
    outputs = np.array([[0.5, 0.4, 0.1], [0.2, 0.4, 0.3], [0.9, 0.0, 0.0]])
    assert most_active(outputs, two()).tolist() == [True, True]
    outputs[1] = [0.3, 0.7, 0.3]  # as active as one of those that may come
    assert most_active(outputs, two()).tolist() == [False, True]
    outputs[2] = [0.0, 0.1, 0.0]
    assert most_active(outputs, two()).tolist() == [False, False]


def test_within_wants_every_output_near():
    found = two()
    outputs = found.truth + 0.19
    assert within(0.2, outputs, found).tolist() == [True, True]
    outputs[0, 2] += 0.02
    assert within(0.2, outputs, found).tolist() == [False, True]
    np.testing.assert_allclose(found.errors(outputs), [0.21, 0.19], rtol=1e-5)


def test_criterion():
    right, wrong = np.ones(4, bool), np.array([True, True, True, False])
    small = np.full(4, 0.01)
    assert Criterion(4).met(right, small)
    assert not Criterion(4).met(wrong, small)
    assert Criterion(4, wrong=1).met(wrong, small)
    assert not Criterion(5).met(right, small)
    assert not Criterion(4, mean_error=0.01).met(right, small)
    assert Criterion(4, mean_error=0.0101).met(right, small)


def first_met(criterion, correct, errors):
    """After how many sequences the criterion holds first, by looking at every window."""
    window = criterion.window
    for end in range(window, len(correct) + 1):
        part = slice(end - window, end)
        if criterion.met(correct[part], errors[part]):
            return end - window if criterion.before else end
    return None


@given(
    st.lists(st.tuples(st.booleans() | st.just(True), st.integers(0, 4)), max_size=40),
    st.integers(1, 6), st.integers(0, 2), st.none() | st.integers(1, 4), st.booleans(),
    st.integers(1, 9),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_recent_finds_the_first_good_window(answers, window, wrong, limit, before, size):
    criterion = Criterion(window, wrong, limit, before=before)
    correct = np.array([a for a, _ in answers], bool)
    errors = np.array([e for _, e in answers], float)
    recent, found = Recent(criterion), None
    for begin in range(0, len(answers), size):
        part = slice(begin, begin + size)
        found = recent.add(correct[part], errors[part])
        if found is not None:
            break
    assert found == first_met(criterion, correct, errors)


def test_recent_takes_nothing():
    recent = Recent(Criterion(2))
    assert recent.add(np.zeros(0, bool), np.zeros(0)) is None
    assert recent.seen == 0


def test_take():
    found = EmbeddedReber().draw(np.random.default_rng(0), 6)
    some = found.take(np.array([4, 1]))
    ends = np.cumsum(found.lengths)
    for number, own in zip((4, 1), range(2), strict=True):
        np.testing.assert_array_equal(some.inputs[own], found.inputs[number])
        begin = ends[number] - found.lengths[number]
        mine = some.truth[: found.lengths[4]] if own == 0 else some.truth[found.lengths[4] :]
        np.testing.assert_array_equal(mine, found.truth[begin : ends[number]])
    assert len(found.take(np.zeros(0, np.int64))) == 0


def test_published_criteria():
    """Those of the paper, one by one."""
    for T in (100, 500, 1000):
        assert EXPERIMENTS[f"adding-{T}"].criterion == Criterion(2000, mean_error=0.01)
    for name in ("6a", "6b"):
        assert EXPERIMENTS[name].criterion == Criterion(2000, mean_error=0.1)
    assert EXPERIMENTS["multiplication-140"].criterion == Criterion(2000, 139)
    assert EXPERIMENTS["multiplication-13"].criterion == Criterion(2000, 12)
    for name in ("2a", "2b", "2c-1000-50"):
        assert EXPERIMENTS[name].criterion == Criterion(10_000, before=True)
    assert EXPERIMENTS["reber"].criterion == Criterion(256, on="both")
    assert EXPERIMENTS["3a-100-3"].criterion == Criterion(256, mean_error=0.01, on="test")
    assert EXPERIMENTS["3c-100-1"].criterion == Criterion(256, mean_error=0.015, on="test")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_says_what_it_is(name):
    found = EXPERIMENTS[name]
    assert found.title
    assert any(year in found.source for year in ("1997", "2000", "2001", "2002", "2016"))
    assert found.modern.max_sequences >= found.criterion.window
