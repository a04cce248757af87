"""Intervals and corrections, against scipy and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from longspan.comparison import statistics
from longspan.comparison.statistics import (
    ALPHA,
    POWER,
    detectable,
    differences,
    holm,
    interval,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_interval_is_students(count):
    values = RNG.normal(3.0, 2.0, count)
    found = interval(values)
    low, high = stats.t.interval(
        0.95, count - 1, loc=values.mean(), scale=stats.sem(values)
    )  # fmt: skip
    np.testing.assert_allclose(found, (values.mean(), low, high, count), rtol=1e-12)


def test_interval_of_few_values():
    assert math.isnan(interval([]).mean)
    one = interval([2.0, math.nan])
    assert one.mean == 2.0
    assert one.count == 1
    assert math.isnan(one.low)
    assert interval([1.0, math.nan, 3.0])[:1] == (2.0,)


@pytest.mark.parametrize("count", [2, 5, 12])
def test_two_cells_are_compared_by_the_paired_t_test(count):
    a = RNG.normal(size=count)
    b = a + RNG.normal(0.4, 0.5, count)
    (found,) = differences({"a": a, "b": b})
    theirs = stats.ttest_rel(a, b)
    ends = theirs.confidence_interval(0.95)
    np.testing.assert_allclose(
        (found.mean, found.p, found.adjusted, found.low, found.high),
        ((a - b).mean(), theirs.pvalue, theirs.pvalue, ends.low, ends.high),
    )  # fmt: skip
    assert found.real == (theirs.pvalue < 0.05)
    assert (found.first, found.second, found.count) == ("a", "b", count)


def test_turned_it_says_the_same_the_other_way_round():
    a, b = RNG.normal(size=5), RNG.normal(1.0, 1.0, 5)
    (one,), (other,) = differences({"a": a, "b": b}), differences({"b": b, "a": a})
    turned = one.turned()
    assert (turned.first, turned.second, turned.real) == (other.first, other.second, other.real)
    for name in ("mean", "low", "high", "p", "adjusted", "detectable"):
        assert getattr(turned, name) == pytest.approx(getattr(other, name))


def test_holm_against_its_definition():
    p = RNG.uniform(0.0, 0.1, 12)
    levels, adjusted = holm(p)
    order = np.argsort(p)
    expected, largest, going = np.zeros(12), 0.0, True
    for place, k in enumerate(order):
        largest = max(largest, min(1.0, (12 - place) * p[k]))
        expected[k] = largest
        going = going and p[k] < ALPHA / (12 - place)
        # What is rejected by the sequence is what its own level rejects.
        assert (p[k] < levels[k]) == going
    np.testing.assert_allclose(adjusted, expected)
    assert ((np.array(adjusted) < ALPHA) == (p < np.array(levels))).all()


def test_holm_leaves_out_what_has_no_p_value():
    levels, adjusted = holm([math.nan, 0.01, 0.04])
    assert levels == [0.05, 0.025, 0.05]
    assert math.isnan(adjusted[0])
    assert adjusted[1:] == pytest.approx([0.02, 0.04])
    assert holm([]) == ([], [])


def test_an_interval_leaves_zero_out_exactly_where_it_is_real():
    for _ in range(200):
        values = {name: RNG.normal(RNG.normal(), 1.0, 5) for name in "abcd"}
        for each in differences(values):
            assert each.real == (each.low > 0.0 or each.high < 0.0)
            assert each.real == (each.adjusted < ALPHA)


def test_equal_cells_are_rarely_called_different(monkeypatch):
    """Four equal cells, whose seeds have something in common: at most 5 % of comparisons."""
    monkeypatch.setattr(statistics, "detectable", lambda *_: math.nan)  # it takes long
    comparisons, wrong, covered = 2000, 0, 0
    for _ in range(comparisons):
        common = RNG.normal(size=5)
        found = differences({name: common + 0.5 * RNG.normal(size=5) for name in "abcd"})
        wrong += any(each.real for each in found)
        covered += sum(each.low <= 0.0 <= each.high for each in found)
    # Three standard deviations of a binomial above α.
    assert wrong / comparisons < 0.05 + 3 * math.sqrt(0.05 * 0.95 / comparisons)
    # Bonferroni's bound is not far off, so the correction is no stricter than it must be.
    assert wrong / comparisons > 0.015
    assert covered / (6 * comparisons) > 0.98


def test_intervals_cover_a_true_difference(monkeypatch):
    monkeypatch.setattr(statistics, "detectable", lambda *_: math.nan)
    hits, count = 0, 2000
    for _ in range(count):
        common = RNG.normal(size=5)
        (found,) = differences({"a": common + RNG.normal(2.0, 1.0, 5), "b": common})
        hits += found.low <= 2.0 <= found.high
    assert abs(hits / count - 0.95) < 3 * math.sqrt(0.05 * 0.95 / count)


@pytest.mark.parametrize(("count", "alpha"), [(3, 0.05), (5, 0.05), (5, 0.05 / 6), (10, 0.05)])
def test_what_is_detectable_is_detected_so_often(count, alpha):
    size = detectable(2.0, count, alpha)
    d = RNG.normal(size, 2.0, (20_000, count))
    t = np.sqrt(count) * d.mean(1) / d.std(1, ddof=1)
    seen = (t > stats.t.ppf(1 - alpha / 2, count - 1)).mean()
    assert seen == pytest.approx(POWER, abs=0.012)
    by_scipy = stats.nct.sf(
        stats.t.ppf(1 - alpha / 2, count - 1), count - 1, size * np.sqrt(count) / 2.0
    )
    assert by_scipy == pytest.approx(POWER, abs=2e-3)


def test_without_spread_signs_are_left():
    five = differences({"a": np.full(5, 0.7), "b": np.full(5, 0.6)})[0]
    assert five.p == 2.0**-4
    assert not five.real
    assert math.isnan(five.low)
    assert math.isnan(five.detectable)
    ten = differences({"a": np.full(10, 0.7), "b": np.full(10, 0.6)})[0]
    assert ten.real
    assert ten.low == ten.high == pytest.approx(0.1)
    same = differences({"a": np.full(5, 0.7), "b": np.full(5, 0.7)})[0]
    assert (same.mean, same.low, same.high, same.p, same.real) == (0.0, 0.0, 0.0, 1.0, False)
    zero = differences({"a": np.zeros(3), "b": np.zeros(3)})[0]
    assert not zero.real


def test_missing_seeds_are_left_out_of_pairs():
    a, b = np.array([1.0, math.nan, 3.0, 4.0]), np.array([0.5, 1.0, 2.2, math.nan])
    found = differences({"a": a, "b": b})[0]
    assert found.count == 2
    assert found.mean == pytest.approx(0.65)
    for nothing in (np.full(4, math.nan), np.array([1.0, math.nan, math.nan, math.nan])):
        found = differences({"a": a, "b": nothing})[0]
        assert found.count < 2
        assert not found.real
        assert math.isnan(found.low)
    assert differences({"a": a}) == []
