"""Metrics by hand, and baselines by hand and by a published figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from longspan.tasks.forecast.baselines import BASELINES, baseline_forecasts
from longspan.tasks.forecast.metrics import central_interval, evaluate, scores
from longspan.tasks.forecast.results import Forecasts

M4 = Path(__file__).resolve().parents[3] / "shared" / "data" / "forecasting" / "m4_hourly"


def forecasts(actual, quantiles, levels, mean=None, history=None, season_length=1):
    actual, quantiles = np.atleast_2d(np.asarray(actual, float)), np.asarray(quantiles, float)
    windows, horizon = actual.shape
    history = history or (np.array([1.0, 2.0, 4.0, 7.0]),) * windows
    return Forecasts(
        ("s",) * windows, np.zeros(windows, int), np.zeros((windows, horizon), int),
        quantiles[..., 0] if mean is None else np.atleast_2d(mean), tuple(levels), quantiles,
        actual, tuple(history), season_length,
    )  # fmt: skip


def test_scores_by_hand():
    quantiles = [[[8.0, 10.0, 13.0], [9.0, 10.0, 11.0], [1.0, 2.0, 3.0]]]
    f = forecasts([[12.0, 6.0, np.nan]], quantiles, (0.1, 0.5, 0.9), mean=[[11.0, 9.0, 0.0]])
    found = scores(f)
    assert found["mae"] == pytest.approx(3.0)  # |12-10|, |6-10|
    assert found["rmse"] == pytest.approx(np.sqrt((1 + 9) / 2))
    assert found["mase"] == pytest.approx(3.0 / 2.0)  # history changes by 1, 2, 3
    assert found["smape"] == pytest.approx(100 * (2 * 2 / 22 + 2 * 4 / 16) / 2)
    pinball = [[0.4, 1.0, 0.1], [2.7, 2.0, 0.5]]  # levels 0.1, 0.5, 0.9
    assert found["crps"] == pytest.approx(2 * np.mean(pinball))
    assert found["mean_wql"] == pytest.approx(2 * np.mean(np.sum(pinball, 0)) / 18)
    assert found["coverage"] == 0.5
    assert central_interval((0.2, 0.5)) is None


def test_crps_tends_to_that_of_a_normal():
    levels = np.arange(1, 1000) / 1000
    y, mu, sigma = 1.3, 0.4, 2.0
    found = scores(forecasts([[y]], [[norm.ppf(levels, mu, sigma)]], levels))["crps"]
    z = (y - mu) / sigma
    exact = sigma * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert found == pytest.approx(exact, rel=2e-3)


def test_mase_leaves_out_windows_without_a_scale():
    flat, short, good = np.ones(5), np.array([1.0]), np.array([1.0, 3.0])
    f = forecasts([[2.0], [2.0], [2.0]], np.ones((3, 1, 1)), (0.5,), history=[flat, short, good])
    assert scores(f)["mase"] == pytest.approx(0.5)
    assert np.isnan(scores(forecasts([[2.0]], np.ones((1, 1, 1)), (0.5,), history=[flat]))["mase"])


def test_baselines_by_hand():
    y = np.array([1.0, 5.0, 2.0, 6.0, 4.0])
    mean, deviation = BASELINES["last value"](y, 4, 2)
    assert mean.tolist() == [4.0] * 4
    sigma = np.sqrt(np.mean(np.square([4.0, -3.0, 4.0, -2.0])))
    np.testing.assert_allclose(deviation, sigma * np.sqrt([1, 2, 3, 4]))
    mean, deviation = BASELINES["drift"](y, 2, 2)
    np.testing.assert_allclose(mean, [4.75, 5.5])
    residual = np.sqrt(np.sum(np.square([3.25, -3.75, 3.25, -2.75])) / 3)
    np.testing.assert_allclose(deviation, residual * np.sqrt([1 * 1.25, 2 * 1.5]))
    mean, deviation = BASELINES["seasonal naive"](y, 5, 2)
    assert mean.tolist() == [6.0, 4.0, 6.0, 4.0, 6.0]
    seasonal = np.sqrt(np.mean(np.square([1.0, 1.0, 2.0])))
    np.testing.assert_allclose(deviation, seasonal * np.sqrt([1, 1, 2, 2, 3]))


def test_baselines_fill_gaps_by_phase_and_cope_with_little():
    nan = np.nan
    f = forecasts(
        np.zeros((4, 2)), np.zeros((4, 2, 1)), (0.5,), season_length=2,
        history=[np.array([1.0, 2.0, nan, 4.0]), np.array([nan, nan]), np.array([3.0]),
                 np.array([1.0, nan, 3.0, nan])],
    )  # fmt: skip
    found = baseline_forecasts(f)
    assert found["seasonal naive"].mean.tolist() == [[1.0, 4.0], [0.0, 0.0], [3.0, 3.0], [3.0, 3.0]]
    assert found["last value"].mean[:, 0].tolist() == [4.0, 0.0, 3.0, 3.0]
    f = forecasts([[1.0]], np.zeros((1, 1, 1)), (0.5,))
    assert set(evaluate(f, baseline_forecasts(f)).scores) == {"model", "last value", "drift"}


@pytest.mark.skipif(not M4.exists(), reason="needs M4 hourly in ../shared/data")
def test_seasonal_naive_has_the_published_score_on_m4_hourly():
    parts = []
    for part in ("Train/Hourly-train.csv", "Test/Hourly-test.csv"):
        wide = pl.read_csv(M4 / part, infer_schema_length=None)
        rows = wide[:, 1:].cast(pl.Float64).to_numpy()
        parts.append([row[~np.isnan(row)] for row in rows])
    history, actual = parts[0], np.stack(parts[1])
    f = forecasts(actual, np.zeros((*actual.shape, 1)), (0.5,), history=history, season_length=24)
    found = scores(baseline_forecasts(f)["seasonal naive"])
    assert found["smape"] == pytest.approx(13.912, abs=5e-4)
    assert found["mase"] == pytest.approx(1.193, abs=5e-4)
