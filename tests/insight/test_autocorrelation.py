"""The lag that matters is the order of the process that made the data."""

from __future__ import annotations

import numpy as np
import pytest

from longspan.errors import InputError
from longspan.insight import autocorrelation_lag, partial_autocorrelation


def autoregressive(coefficients: dict[int, float], steps: int, rows: int = 1, seed: int = 0):
    noise = np.random.default_rng(seed).normal(size=(steps, rows, 1))
    for t in range(steps):
        for lag, coefficient in coefficients.items():
            if t >= lag:
                noise[t] += coefficient * noise[t - lag]
    return noise


def test_partial_autocorrelation_is_the_last_coefficient_of_a_regression():
    x = autoregressive({1: 0.5, 3: -0.3}, 300)[:, 0, 0]
    x = x - x.mean()
    covariance = np.array([(x[k:] * x[: len(x) - k]).sum() for k in range(6)])
    found = partial_autocorrelation(x[:, None, None], 5)
    assert found.shape == (5, 1)
    for k in range(1, 6):  # the Yule-Walker equations, solved outright
        matrix = covariance[np.abs(np.subtract.outer(np.arange(k), np.arange(k)))]
        expected = np.linalg.solve(matrix, covariance[1 : k + 1])[-1]
        assert found[k - 1, 0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("coefficients", [{}, {1: 0.6}, {7: 0.5}, {1: 0.4, 24: 0.4}])
def test_the_longest_lag_that_matters_is_the_order(coefficients):
    x = autoregressive(coefficients, 800, rows=4)
    assert autocorrelation_lag(x) == max(coefficients, default=0)


def test_noise_seldom_has_a_lag():
    found = [
        autocorrelation_lag(np.random.default_rng(s).normal(size=(120, 1, 1))) for s in range(100)
    ]
    assert sum(lag > 0 for lag in found) <= 12  # 5 expected


def test_padding_and_missing_values_are_not_looked_at():
    x = autoregressive({5: 0.6}, 400, rows=3)
    padded = np.full((500, 3, 1), 1e6)
    padded[:400] = x
    assert autocorrelation_lag(padded, [400] * 3, 20) == 5
    x[::17] = np.nan
    assert autocorrelation_lag(x, max_lag=20) == 5


@pytest.mark.parametrize("shape", [(0, 2, 1), (1, 1, 1), (3, 2, 1), (50, 0, 1), (50, 2, 0)])
def test_too_little_data_has_no_lag(shape):
    assert autocorrelation_lag(np.ones(shape)) == 0


def test_constant_channels_have_no_lag():
    assert autocorrelation_lag(np.full((100, 2, 1), 0.1)) == 0
    x = np.concatenate([np.full((400, 1, 1), 3.0), autoregressive({2: 0.7}, 400)], -1)
    assert autocorrelation_lag(x) == 2


def test_a_series_that_is_predicted_perfectly():
    t = np.arange(400.0)[:, None, None]
    assert autocorrelation_lag(np.where(t % 2, 1.0, -1.0)) >= 1
    assert 2 <= autocorrelation_lag(np.sin(t)) <= 100


def test_what_is_wrong_is_said():
    with pytest.raises(InputError, match="must be \\(T, B, I\\)"):
        autocorrelation_lag(np.ones(5))
    with pytest.raises(InputError, match="`lengths` must have shape"):
        autocorrelation_lag(np.ones((9, 2, 1)), [9])
    for lag in (0, 9):
        with pytest.raises(InputError, match="`max_lag` must lie between 1 and"):
            autocorrelation_lag(np.ones((9, 2, 1)), max_lag=lag)
