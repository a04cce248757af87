"""Gradient flow equals what autograd finds by another way, and says what theory says."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tests.conformance.test_cells import draw, identifier
from tests.insight.networks import (
    CASES,
    LENGTHS,
    B,
    H,
    I,
    Nested,
    T,
    build,
    leaky_integrator,
    resets,
    states_by_hand,
)
from torch import nn

from longspan.errors import InputError
from longspan.insight import gradient_flow
from longspan.insight.flow import decay_of
from longspan.nn import GRU, LSTM, RNN, weight_drop, weight_norm


@pytest.mark.parametrize("case", CASES, ids=identifier)
def test_norms_by_lag_equal_autograds_of_each_sequence_alone(case):
    layer, x, reset = build(*case), draw(T, B, I), resets()
    weights = draw(T, B, layer.output_size * layer.num_directions, seed=7)
    flow = gradient_flow(layer, lambda: (weights * layer(x, lengths=LENGTHS, reset=reset)[0]).sum())
    output, states = states_by_hand(layer, x, LENGTHS, reset)
    loss = (weights * output).sum()
    assert flow.loss == pytest.approx(loss.item(), rel=1e-9)
    found = iter(flow.layers)
    for index, rows in enumerate(states):
        reverse = layer.bidirectional and index % 2 == 1
        for k, name in enumerate(layer.cell.states):
            squares = [[] for _ in range(T)]
            for b, length in enumerate(LENGTHS.tolist()):
                for t in range(length):
                    (g,) = torch.autograd.grad(
                        loss, rows[b][t][k], retain_graph=True, allow_unused=True,
                        materialize_grads=True,
                    )  # fmt: skip
                    squares[t if reverse else length - 1 - t].append(g.square().sum().item())
            expected = [np.sqrt(np.mean(s)) for s in squares]
            each = next(found)
            assert each.state == name
            assert each.name.endswith("reverse") == reverse
            np.testing.assert_allclose(each.norms, expected, rtol=1e-6, atol=1e-12)
            assert each.rows.tolist() == [len(s) for s in squares]
    assert next(found, None) is None


@pytest.mark.parametrize("case", CASES, ids=identifier)
def test_parameters_gradients_equal_backwards(case):
    layer, x = build(*case), draw(T, B, I)
    flow = gradient_flow(layer, lambda: (layer(x, lengths=LENGTHS)[0] ** 2).sum())
    (layer(x, lengths=LENGTHS)[0] ** 2).sum().backward()
    assert [p.name for p in flow.parameters] == [n for n, _ in layer.named_parameters()]
    for found, (name, p) in zip(flow.parameters, layer.named_parameters(), strict=True):
        assert found.norm == pytest.approx(p.grad.norm().item(), rel=1e-6, abs=1e-12)
        assert found.size == pytest.approx(p.detach().norm().item())
        if name.startswith(("weight_hr", "norm_c")):
            assert found.gates == {}
            continue
        whole = np.sqrt(sum(v**2 for v in found.gates.values()))
        assert whole == pytest.approx(found.norm, rel=1e-9)
        few = name.startswith(("weight_ch", "weight_gg"))
        assert list(found.gates) == list(layer.cell.sigmoid_gates if few else layer.cell.gates)


def test_a_gates_part_is_that_gates():
    layer = LSTM(I, H, dtype=torch.float64)
    x = draw(T, B, I)
    flow = gradient_flow(layer, lambda: layer(x)[0].sum())
    layer(x)[0].sum().backward()
    parts = dict(zip("ifgo", layer.weight_hh_l0.grad.chunk(4), strict=True))
    found = next(p for p in flow.parameters if p.name == "weight_hh_l0")
    for gate, part in parts.items():
        assert found.gates[gate] == pytest.approx(part.norm().item(), rel=1e-9)


def test_leaky_integrators_gradient_decays_as_it_forgets():
    for kept in (0.8, 1.0, 1.1):
        layer = leaky_integrator(kept)
        flow = gradient_flow(layer, lambda layer=layer: layer(torch.ones(40, 2, 1))[0][-1].mean())
        (found,) = flow.layers
        assert np.exp(found.decay) == pytest.approx(kept, rel=1e-5)
        assert found.ratio == pytest.approx(kept**39, rel=1e-4)
        np.testing.assert_allclose(found.norms, kept ** np.arange(40) / 2, rtol=1e-4)


def test_the_classical_difference():
    """At a forget bias of 5, a cell's gradient hardly decays; a simple network's vanishes."""
    torch.manual_seed(0)
    rnn, lstm, x = RNN(1, 16), LSTM(1, 16, forget_bias=5.0), torch.randn(100, 8, 1)
    of_rnn = gradient_flow(rnn, lambda: rnn(x)[0][-1].square().sum()).layers[0]
    lstms = gradient_flow(lstm, lambda: lstm(x)[0][-1].square().sum()).layers
    of_cell = next(layer for layer in lstms if layer.state == "c")
    assert of_rnn.ratio < 1e-10
    assert of_cell.ratio > 0.1


def test_nested_networks_name_their_parameters():
    network = Nested()
    flow = gradient_flow(network, lambda: network(torch.randn(T, B, I), LENGTHS).sum())
    names = [p.name for p in flow.parameters]
    assert names[0] == "below.first.weight_ih_l0"
    assert "above.bias_hh_l1" in names
    assert not any(name.startswith("head") for name in names)
    assert all(p.gates for p in flow.parameters)
    assert json.loads(json.dumps(flow.to_dict()))["parameters"][0]["gates"].keys() == {
        "r", "z", "n",
    }  # fmt: skip


def test_frozen_and_graded_parameters_stay_as_they_are():
    layer, x = GRU(I, H), torch.randn(T, B, I)
    free = gradient_flow(layer, lambda: layer(x)[0].sum())
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        frozen = gradient_flow(layer, lambda: layer(x)[0].sum())
    np.testing.assert_array_equal(frozen.layers[0].norms, free.layers[0].norms)
    assert all(not p.requires_grad and p.grad is None for p in layer.parameters())
    assert gradient_flow(layer, lambda: layer(x)[0].sum()).parameters == free.parameters


@pytest.mark.parametrize("reparametrise", [lambda m: weight_drop(m, 0.5), weight_norm])
def test_reparametrised_weights(reparametrise):
    layer = reparametrise(LSTM(I, H)).eval()
    flow = gradient_flow(layer, lambda: layer(torch.randn(T, B, I))[0].sum())
    found = [p for p in flow.parameters if p.name.startswith("parametrizations.weight_hh_l0")]
    assert found
    assert all(set(p.gates) == set("ifgo") for p in found)


def test_smallest_batches_and_rows_without_steps():
    layer = LSTM(I, H)
    (h, c) = gradient_flow(layer, lambda: layer(torch.randn(1, 1, I))[0].sum()).layers
    assert h.norms.shape == (1,)
    assert h.ratio == 1.0
    assert np.isnan(c.decay)
    empty = gradient_flow(layer, lambda: layer(torch.randn(3, 2, I), lengths=[0, 0])[0].sum())
    assert empty.layers[0].norms.shape == (0,)
    assert empty.to_dict()["layers"][0]["ratio"] is None


def test_decay_uses_the_norms_that_are_there():
    rows = np.array([4, 4, 4, 1])
    assert decay_of(np.array([1.0, 0.5, 0.25, 0.0]), rows) == pytest.approx(np.log(0.5))
    assert np.isnan(decay_of(np.array([1.0, 0.0, 0.0, 0.0]), rows))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda layer, x: layer(x)[0], "must return one number"),
        (lambda layer, x: 1.0, "got float"),
        (lambda layer, x: x.sum(), "none of its recurrent layers ran"),
        (lambda layer, x: layer(x)[0].detach().sum(), "has no gradient"),
        (lambda layer, x: layer(x * torch.nan)[0].sum(), "must be finite, got nan"),
    ],
)
def test_what_is_wrong_is_said(loss, message):
    layer, x = LSTM(I, H), torch.ones(T, B, I)
    with pytest.raises(InputError, match=message):
        gradient_flow(layer, lambda: loss(layer, x))
    with pytest.raises(InputError, match="must hold a recurrent layer"):
        gradient_flow(nn.Linear(2, 3), lambda: x.sum())
