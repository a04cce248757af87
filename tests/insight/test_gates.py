"""What is said of gates is what the recorded gates are, and known time scales are found."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tests.conformance.test_cells import draw, identifier
from tests.insight.networks import CASES, LENGTHS, B, H, I, T, build, leaky_lstm

from longspan.insight import gate_statistics, unit_statistics, watching
from longspan.nn import GRU, LSTM, RNN


@pytest.mark.parametrize("case", CASES, ids=identifier)
def test_statistics_are_those_of_the_recorded_gates_without_padding(case):
    layer, x = build(*case), 3 * draw(T, B, I)
    _, _, recorded = layer(x, lengths=LENGTHS, return_gates=True)
    with watching(layer) as seen:
        layer(x, lengths=LENGTHS)
    valid = (torch.arange(T)[:, None] < LENGTHS).numpy()
    found = iter(gate_statistics(seen))
    for watched, gates in zip(seen.layers, recorded, strict=True):
        left_out = {"c"} | {n for n in "ifo" if not getattr(layer.cell, _option(n), True)}
        for name in [n for n in gates if n not in left_out]:
            each, values = next(found), gates[name].detach().numpy()[valid]
            assert (each.layer, each.gate) == (watched.name, name)
            assert each.mean == pytest.approx(values.mean(), rel=1e-6, abs=1e-9)
            np.testing.assert_allclose(each.unit_mean, values.mean(0), rtol=1e-6, atol=1e-9)
            assert each.histogram.sum() == pytest.approx(1.0)
            low, high = _limits(each.kind)
            assert each.low == pytest.approx((values < low).mean())
            assert each.high == pytest.approx((values > high).mean())
            outside = (values < low) | (values > high)
            np.testing.assert_allclose(each.unit_saturated, outside.mean(0), rtol=1e-9)
            assert each.saturated == pytest.approx(each.low + each.high)
    assert next(found, None) is None


def _option(gate: str) -> str:
    return {"i": "input_gate", "f": "forget_gate", "o": "output_gate"}[gate]


def _limits(kind: str) -> tuple[float, float]:
    # Of relu, exact zeros count; no value lies between 0 and the smallest float.
    limits = {"sigmoid": (0.05, 0.95), "tanh": (-0.95, 0.95), "relu": (5e-324, np.inf)}
    return limits.get(kind, (-np.inf, np.inf))


@pytest.mark.parametrize(
    ("layer", "kinds"),
    [
        (LSTM(I, H), {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}),
        (LSTM(I, H, output_gate=False, input_activation=False),
         {"i": "sigmoid", "f": "sigmoid", "g": "linear"}),
        (LSTM(I, H, coupled_gates=True),
         {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}),
        (GRU(I, H), {"r": "sigmoid", "z": "sigmoid", "n": "tanh"}),
        (RNN(I, H), {"h": "tanh"}),
        (RNN(I, H, nonlinearity="relu"), {"h": "relu"}),
    ],
    ids=str,
)  # fmt: skip
def test_gates_that_are_left_out_have_no_entry(layer, kinds):
    with watching(layer) as seen:
        layer(torch.randn(T, B, I))
    assert {each.gate: each.kind for each in gate_statistics(seen)} == kinds


def test_a_forget_gates_time_scale():
    for tau in (5.0, 80.0):
        layer = leaky_lstm(float(np.exp(-1 / tau)))
        with watching(layer) as seen:
            layer(torch.rand(30, 2, 1))
        (units,) = unit_statistics(seen)
        assert units.time_scales[0] == pytest.approx(tau, rel=1e-4)
        assert units.quantiles["50%"] == pytest.approx(tau, rel=1e-4)
        assert units.never_forget == ()


def test_update_gates_and_zoneout_keep_too():
    """A step keeps d + (1 - d) z of a GRU's state; over time shares multiply."""
    gru, x = build("gru", {"zoneout": 0.25}), draw(T, B, I)
    z = gru(x, lengths=LENGTHS, return_gates=True)[2][0]["z"].detach().numpy()
    with watching(gru) as seen:
        gru(x, lengths=LENGTHS)
    valid = (torch.arange(T)[:, None] < LENGTHS).numpy()
    kept = 0.25 + 0.75 * z[valid]
    expected = -1 / np.log(kept.prod(0) ** (1 / len(kept)))
    np.testing.assert_allclose(unit_statistics(seen)[0].time_scales, expected, rtol=1e-9)


def test_units_that_never_forget():
    layer = LSTM(I, H)
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        layer.weight_hh_l0.zero_()
        layer.bias_ih_l0[H + 1] = 20.0
    layer.bias_hh_l0.data.zero_()
    with watching(layer) as seen:
        layer(torch.randn(T, B, I))
    (units,) = unit_statistics(seen)
    assert units.never_forget == (1,)
    assert units.time_scales[1] > 1e6
    without = LSTM(I, H, forget_gate=False)
    with watching(without) as seen:
        without(torch.randn(T, B, I))
    (units,) = unit_statistics(seen)
    assert units.never_forget == (0, 1, 2)
    assert np.isinf(units.time_scales).all()
    assert json.loads(json.dumps(units.to_dict()))["time_scales"] == [None] * 3


def test_dead_units():
    layer = RNN(I, H, nonlinearity="relu")
    with torch.no_grad():
        layer.bias_ih_l0[1] = -100.0
    with watching(layer) as seen:
        layer(torch.randn(T, B, I))
        layer(torch.randn(1, 1, I))
    first, second = unit_statistics(seen)
    assert first.dead == (1,)
    assert first.time_scales is None
    assert first.quantiles is None
    assert second.dead == ()  # of one value nothing can be said


def test_padding_is_no_sign_of_life():
    """A unit that is constant but for the zeros in the padding is dead."""
    layer = RNN(I, H, nonlinearity="relu")
    with torch.no_grad():
        layer.weight_ih_l0[2] = 0.0
        layer.weight_hh_l0[2] = 0.0
        layer.bias_ih_l0[2] = 5.0
    with watching(layer) as seen:
        layer(torch.randn(T, B, I), lengths=LENGTHS)
    assert 2 in unit_statistics(seen)[0].dead


def test_rows_without_steps_have_no_statistics():
    layer = LSTM(I, H)
    with watching(layer) as seen:
        layer(torch.zeros(T, 2, I), lengths=[0, 0])
    assert gate_statistics(seen) == []
    assert unit_statistics(seen) == []
