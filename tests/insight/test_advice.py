"""Each piece of advice comes where its threshold is crossed, and nowhere else."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tests.insight.networks import delay_line, leaky_integrator

from longspan.insight import (
    advice,
    context_ablation,
    gate_statistics,
    gradient_flow,
    jacobian_influence,
    memory_horizon,
    unit_statistics,
    watching,
)
from longspan.nn import GRU, LSTM, RNN


def flow_of(kept: float, steps: int = 40):
    layer = leaky_integrator(kept)
    return gradient_flow(layer, lambda: layer(torch.ones(steps, 2, 1))[0][-1].sum())


def kinds(found) -> list[str]:
    return [each.kind for each in found]


def horizon_of(delay: int, steps: int):
    layer = delay_line(delay)
    x = torch.rand(steps, 6, 1) + 0.1
    return memory_horizon(jacobian_influence(lambda x: layer(x)[0], x, outputs=[delay]))


def test_nothing_measured_gives_no_advice():
    assert advice() == []


def test_vanishing():
    (found,) = advice(flow=flow_of(0.5))
    assert found.kind == "vanishing"
    assert "from 10 steps before the end" in found.text  # 0.5^10 < 0.001 < 0.5^9
    assert found.value == pytest.approx(0.5**39, rel=1e-3)
    assert found.threshold == 1e-3
    assert "noise between batches" in found.reason
    assert advice(flow=flow_of(0.9)) == []  # 0.9^39 = 0.016


def test_gradients_that_vanish_only_beyond_what_the_data_hold_are_no_reason():
    assert advice(flow=flow_of(0.5), data_lag=9) == []
    assert kinds(advice(flow=flow_of(0.5), data_lag=10)) == ["vanishing"]


def test_a_cell_state_that_carries_the_gradient_saves_the_layer():
    torch.manual_seed(0)
    layer, x = LSTM(1, 8, forget_bias=6.0), torch.randn(300, 4, 1)
    flow = gradient_flow(layer, lambda: layer(x)[0][-1].sum())
    assert "vanishing" not in kinds(advice(flow=flow))
    plain = RNN(1, 8)
    flow = gradient_flow(plain, lambda: plain(x)[0][-1].sum())
    assert kinds(advice(flow=flow)) == ["vanishing"]


def test_exploding():
    (found,) = advice(flow=flow_of(1.3))
    assert found.kind == "exploding"
    assert found.value == pytest.approx(1.3**39, rel=1e-3)
    assert "39 steps before the end" in found.text
    assert advice(flow=flow_of(1.1)) == []  # 1.1^39 = 41


def test_saturated_gates_but_not_gates_that_remember():
    layer = LSTM(2, 10)
    for p in layer.parameters():
        p.data.zero_()
    layer.bias_ih_l0.data[:10] = 6.0  # i
    layer.bias_ih_l0.data[10:20] = 6.0  # f: remembers
    with watching(layer) as seen:
        layer(torch.randn(5, 3, 2))
    (found,) = advice(gates=gate_statistics(seen))
    assert found.kind == "saturated"
    assert "gate i are saturated" in found.text
    assert found.value == 1.0
    layer.bias_ih_l0.data[10:20] = -6.0  # f: forgets everything
    layer.bias_ih_l0.data[0:2] = 0.0
    with watching(layer) as seen:
        layer(torch.randn(5, 3, 2))
    (found,) = advice(gates=gate_statistics(seen))  # i is saturated in eight of ten units
    assert "gate f are saturated" in found.text
    gru = GRU(2, 10)
    with watching(gru) as seen:
        gru(torch.randn(5, 3, 2))
    assert advice(gates=gate_statistics(seen), units=unit_statistics(seen)) == []


@pytest.mark.parametrize(("dead", "expected"), [(1, []), (2, ["dead"])])
def test_dead_units(dead, expected):
    torch.manual_seed(0)
    layer = RNN(2, 10, nonlinearity="relu")
    layer.bias_ih_l0.data[:] = 3.0
    layer.bias_ih_l0.data[:dead] = -100.0
    with watching(layer) as seen:
        layer(torch.randn(5, 3, 2))
    assert kinds(advice(units=unit_statistics(seen))) == expected


def test_a_horizon_shorter_than_the_datas():
    horizon = horizon_of(5, 20)
    (found,) = advice(horizon=horizon, data_lag=6)
    assert (found.kind, found.value, found.threshold) == ("short horizon", 5.0, 6.0)
    assert advice(horizon=horizon, data_lag=5) == []


def test_a_horizon_that_may_be_long_enough_is_no_reason():
    """By the upper end of its interval."""
    influence = np.zeros((6, 30))
    influence[:5, 4] = influence[5, 12] = 1.0
    horizon = memory_horizon(influence, share=0.8)
    assert horizon.horizon == 4
    assert horizon.horizon_high == 12
    assert advice(horizon=horizon, data_lag=12) == []
    assert kinds(advice(horizon=horizon, data_lag=13)) == ["short horizon"]


def test_a_horizon_that_training_cut():
    horizon = horizon_of(18, 40)
    assert kinds(advice(horizon=horizon, bptt_length=20)) == ["cut horizon"]
    assert advice(horizon=horizon, bptt_length=21) == []
    assert advice(horizon=horizon, bptt_length=10) == []  # it reaches beyond


def test_an_influence_that_goes_on():
    layer = leaky_integrator(0.99)
    x = torch.ones(20, 3, 1)
    horizon = memory_horizon(jacobian_influence(lambda x: layer(x)[0], x))
    (found,) = advice(horizon=horizon, data_lag=100)  # a lower bound is not known to be short
    assert found.kind == "truncated"
    assert "lower bound" in found.text
    assert found.value == pytest.approx(0.99**19 / np.mean(0.99 ** np.arange(20)), rel=1e-4)


def test_a_memory_without_a_use():
    unused = context_ablation(lambda k: torch.ones(4), [1, 2, 8])
    assert kinds(advice(ablation=unused)) == ["memory unused"]
    used = context_ablation(lambda k: torch.ones(4) / k, [1, 2, 8])
    assert advice(ablation=used) == []


def test_advice_is_json():
    (found,) = advice(flow=flow_of(0.5))
    assert json.loads(json.dumps(found.to_dict()))["kind"] == "vanishing"
