"""Influence equals autograd's Jacobian, and known memories have their known horizon."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tests.conformance.test_cells import draw, identifier
from tests.insight.networks import (
    CASES,
    B,
    H,
    I,
    T,
    build,
    delay_line,
    leaky_integrator,
    leaky_lstm,
    resets,
)
from torch.autograd.functional import jacobian

from longspan import kernels
from longspan.errors import InputError
from longspan.insight import jacobian_influence, memory_horizon
from longspan.nn import GRU, LSTM, RNN

RAGGED = torch.tensor([6, 1, 3, 5])


def by_brute_force(run, x, at: list[int]) -> np.ndarray:
    """The whole Jacobian of all outputs, from which the entries are picked: (T, B), by input."""
    whole = jacobian(run, x)  # (T, B, O, T, B, I)
    rows = range(x.shape[1])
    return torch.stack([whole[at[b], b, :, :, b].square().sum((0, 2)).sqrt() for b in rows], 1)


@pytest.mark.parametrize("copies", [1, 4])
@pytest.mark.parametrize("case", CASES, ids=identifier)
def test_influence_equals_the_whole_jacobian(case, copies):
    layer, x, reset = build(*case), draw(T, B, I), resets()

    def run(x):
        times = x.shape[1] // B
        return layer(x, lengths=RAGGED.repeat(times), reset=reset.repeat(1, times))[0]

    at = [4, 0, 1, 4]
    whole = by_brute_force(run, x, at).numpy()
    back = jacobian_influence(run, x, at, copies=copies)
    ahead = jacobian_influence(run, x, at, lengths=RAGGED, ahead=True, copies=copies)
    assert back.shape == (B, 5)
    assert ahead.shape == (B, 2)
    for b in range(B):
        expected = [whole[at[b] - k, b] if k <= at[b] else np.nan for k in range(5)]
        np.testing.assert_allclose(back[b], expected, rtol=1e-6, atol=1e-12)
        expected = [whole[at[b] + k, b] if at[b] + k < RAGGED[b] else np.nan for k in range(2)]
        np.testing.assert_allclose(ahead[b], expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_native_kernels_find_the_same(name):
    layer, x = build(name, {"num_layers": 2}), draw(30, 5, I)
    expected = jacobian_influence(lambda x: layer(x)[0], x)
    single = layer.float()
    assert "native" in kernels.explain(single, x.float())
    found = jacobian_influence(lambda x: single(x)[0], x.float(), copies=3)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_outputs_may_be_chosen_or_picked_by_the_network():
    layer, x = build("lstm", {}), draw(T, B, I)
    every = jacobian_influence(lambda x: layer(x)[0], x)
    np.testing.assert_array_equal(jacobian_influence(lambda x: layer(x)[0][-1], x), every)
    singles = [jacobian_influence(lambda x: layer(x)[0], x, outputs=[k]) for k in range(H)]
    np.testing.assert_allclose(np.sqrt(sum(s**2 for s in singles)), every, rtol=1e-9)


def test_random_probes_estimate_the_square_without_bias():
    layer, x = build("gru", {}), draw(T, B, I)
    exact = jacobian_influence(lambda x: layer(x)[0], x) ** 2
    estimates = [jacobian_influence(lambda x: layer(x)[0], x, probes=50, seed=s) for s in range(8)]
    mean = np.mean([e**2 for e in estimates], 0)
    np.testing.assert_allclose(mean, exact, rtol=0.25, atol=1e-9)
    again = jacobian_influence(lambda x: layer(x)[0], x, probes=50, seed=3)
    np.testing.assert_array_equal(again, estimates[3])


def test_an_output_that_ignores_its_inputs_has_no_influence():
    layer = RNN(1, 2)
    found = jacobian_influence(lambda x: layer(torch.ones_like(x))[0], torch.ones(4, 2, 1))
    assert not found.any()
    assert memory_horizon(found).horizon == 0


@pytest.mark.parametrize("delay", [0, 1, 7, 60])
def test_delay_lines_horizon_is_its_delay(delay):
    layer = delay_line(delay)
    x = torch.rand(delay + 20, 6, 1) + 0.1
    influence = jacobian_influence(lambda x: layer(x)[0], x, outputs=[delay])
    expected = np.eye(delay + 20)[delay]
    np.testing.assert_allclose(influence, np.tile(expected, (6, 1)), rtol=1e-6)
    found = memory_horizon(influence)
    assert (found.horizon, found.horizon_low, found.horizon_high) == (delay, delay, delay)
    assert not found.truncated


@pytest.mark.parametrize("tau", [50.0, 150.0])
@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_leaky_integrators_horizon_tells_its_time_constant_within_one_per_cent(kind, tau):
    kept = float(np.exp(-1 / tau))
    layer = leaky_integrator(kept) if kind == "rnn" else leaky_lstm(kept)
    x = torch.rand(int(10 * tau), 2, 1) + 0.1
    influence = jacobian_influence(lambda x: layer(x)[0], x)
    np.testing.assert_allclose(influence[0, :100], kept ** np.arange(100), rtol=1e-2)
    found = memory_horizon(influence)
    # 1 - kept^(k + 1) = 0.95
    assert found.horizon == pytest.approx(np.log(0.05) * -tau - 1, rel=0.01)
    half = memory_horizon(influence, share=0.5)
    assert half.horizon == pytest.approx(np.log(0.5) * -tau - 1, abs=1)
    assert not found.truncated


def test_a_memory_cut_short_is_said_to_be():
    x = torch.rand(40, 2, 1) + 0.1
    layer = leaky_integrator(0.99)
    assert memory_horizon(jacobian_influence(lambda x: layer(x)[0], x)).truncated


def test_interval_covers_the_horizon_of_the_population():
    """Rows with a memory of 5 or of 20 steps, equally often: with 40 rows the mean lies between."""
    rng = np.random.default_rng(0)
    covered = 0
    lags = np.arange(80)
    population = memory_horizon(np.stack([np.exp(-lags / 5), np.exp(-lags / 20)])).horizon
    for seed in range(60):
        scales = rng.choice([5, 20], 40)
        found = memory_horizon(np.exp(-lags / scales[:, None]), seed=seed)
        assert found.horizon_low < found.horizon_high
        assert (found.low <= found.influence + 1e-12).all()
        assert (found.influence <= found.high + 1e-12).all()
        covered += found.horizon_low <= population <= found.horizon_high
    assert covered >= 50  # 57 of 60 expected


def test_ragged_rows_count_where_they_have_the_lag():
    influence = np.array([[1.0, 1.0, np.nan, np.nan], [3.0, 1.0, 4.0, 0.0]])
    found = memory_horizon(influence)
    assert found.influence.tolist() == [2.0, 1.0, 4.0, 0.0]
    assert found.horizon == 2


def test_a_single_row_has_no_interval():
    found = memory_horizon(np.array([[1.0, 0.5, 0.0]]))
    assert found.horizon == 1
    assert np.isnan(found.horizon_low)
    assert np.isnan(found.high).all()
    assert json.loads(json.dumps(found.to_dict()))["horizon_low"] is None


def test_the_same_seed_gives_the_same_interval():
    influence = np.random.default_rng(0).random((9, 12))
    first, second = (memory_horizon(influence, seed=4).to_dict() for _ in range(2))
    assert first == second
    assert first != memory_horizon(influence, seed=5).to_dict()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": torch.zeros(4, 2, dtype=torch.long)}, "floating"),
        ({"x": torch.zeros(0, 2, I)}, "at least one step"),
        ({"at": 9}, "`at` must lie between 0 and 3, got 9 to 9"),
        ({"at": [1, 2, 3]}, "one for each of the 2 rows"),
        ({"at": [0.5, 1.0]}, "one for each of the 2 rows"),
        ({"lengths": [0, 4]}, "`lengths` must lie between 1 and 4"),
        ({"outputs": [7]}, "`outputs` must be numbers below 3"),
        ({"copies": 0}, "`copies` must be at least 1"),
        ({"probes": -1}, "`probes` at least 0"),
        ({"run": lambda x: x.sum()}, "`run` must return"),
    ],
)
def test_what_is_wrong_with_influence_is_said(given, message):
    layer = GRU(I, H)
    arguments = {"run": lambda x: layer(x)[0], "x": torch.zeros(4, 2, I)} | given
    with pytest.raises(InputError, match=message):
        jacobian_influence(**arguments)


@pytest.mark.parametrize(
    ("influence", "share", "message"),
    [
        (np.zeros((0, 4)), 0.95, "at least one of each"),
        (np.zeros(4), 0.95, "at least one of each"),
        (np.ones((2, 4)), 0.0, "`share`"),
        (np.ones((2, 4)), 1.1, "`share`"),
        (np.full((2, 4), np.inf), 0.95, "finite"),
        (-np.ones((2, 4)), 0.95, "not negative"),
        (np.full((2, 4), np.nan), 0.95, "at least one row at every lag"),
    ],
)
def test_what_is_wrong_with_a_horizon_is_said(influence, share, message):
    with pytest.raises(InputError, match=message):
        memory_horizon(influence, share)


def test_gradients_stored_before_stay():
    layer = LSTM(I, H)
    jacobian_influence(lambda x: layer(x)[0], torch.zeros(T, B, I))
    assert all(p.grad is None for p in layer.parameters())
