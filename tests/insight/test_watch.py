"""What is seen is what ran, and watching changes nothing."""

from __future__ import annotations

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
    resets,
    states_by_hand,
)
from torch import nn

from longspan import kernels
from longspan.errors import InputError
from longspan.insight import watching
from longspan.nn import GRU, LSTM, RNN, weight_drop


@pytest.mark.parametrize("case", CASES, ids=identifier)
def test_states_and_total_derivatives_equal_those_of_each_sequence_alone(case):
    layer, x, reset = build(*case), draw(T, B, I), resets()
    weights = draw(T, B, layer.output_size * layer.num_directions, seed=7)
    with watching(layer) as seen:
        output = layer(x, lengths=LENGTHS, reset=reset)[0]
    loss = (weights * output + output**2).sum()
    by_hand, states = states_by_hand(layer, x, LENGTHS, reset)
    torch.testing.assert_close(output, by_hand, rtol=0, atol=1e-12)
    expected_loss = (weights * by_hand + by_hand**2).sum()
    assert len(seen.layers) == layer.num_layers * layer.num_directions
    for watched, rows in zip(seen.layers, states, strict=True):
        for k, name in enumerate(layer.cell.states):
            flat = [rows[b][t][k] for b in range(B) for t in rows[b]]
            expected = torch.autograd.grad(
                expected_loss, flat, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            steps = watched.states[name]
            found = torch.autograd.grad(
                loss, steps, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            values, e = watched.values(name), iter(expected)
            total = torch.stack(found)
            for b in range(B):
                for t in rows[b]:
                    torch.testing.assert_close(values[t, b], rows[b][t][k][0])
                    torch.testing.assert_close(total[t, b], next(e)[0], rtol=0, atol=1e-10)
            outside = ~watched.valid
            assert not values[outside].any()
            assert not total[outside].any()


def test_a_cell_states_derivative_includes_its_own_steps_output():
    """By finite differences on equations written out here."""
    torch.manual_seed(0)
    layer, x = LSTM(I, H, dtype=torch.float64), draw(T, 1, I)
    at = 2

    def loss_by_hand(push: torch.Tensor) -> torch.Tensor:
        h = c = torch.zeros(1, H, dtype=torch.float64)
        total = torch.zeros((), dtype=torch.float64)
        for t in range(T):
            raw = x[t] @ layer.weight_ih_l0.T + layer.bias_ih_l0
            raw = raw + h @ layer.weight_hh_l0.T + layer.bias_hh_l0
            i, f, g, o = raw.chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            c = c + push if t == at else c
            h = torch.sigmoid(o) * torch.tanh(c)
            total = total + (h**2).sum()
        return total

    with watching(layer) as seen:
        loss = (layer(x)[0] ** 2).sum()
    (found,) = torch.autograd.grad(loss, [seen.layers[0].states["c"][at]])
    for unit in range(H):
        push = torch.zeros(1, H, dtype=torch.float64)
        push[0, unit] = 1e-5
        with torch.no_grad():
            slope = (loss_by_hand(push) - loss_by_hand(-push)) / 2e-5
        assert found[0, unit].item() == pytest.approx(slope.item(), rel=1e-6, abs=1e-10)


def test_names_layers_and_order():
    network = Nested()
    with watching(network) as seen:
        network(torch.randn(T, B, I), LENGTHS)
    assert [layer.name for layer in seen.layers] == [
        "below.first layer 0", "below.first layer 0 reverse", "above layer 0", "above layer 1",
    ]  # fmt: skip
    assert [layer.layer for layer in seen.layers] == [0, 0, 0, 1]
    assert [layer.reverse for layer in seen.layers] == [False, True, False, False]
    assert seen.layers[0].module == "below.first"
    assert torch.equal(seen.layers[3].lengths, LENGTHS)


def test_lags_count_from_the_end_of_each_rows_run():
    layer = GRU(I, H, bidirectional=True)
    with watching(layer) as seen:
        layer(torch.randn(T, B, I), lengths=LENGTHS)
    forward, reverse = seen.layers
    assert forward.lags[:, 2].tolist() == [2, 1, 0, -1, -2, -3]
    assert reverse.lags[:, 2].tolist() == [0, 1, 2, 3, 4, 5]
    assert forward.valid.sum(0).tolist() == LENGTHS.tolist()


def test_a_layer_that_runs_again_gets_another_entry():
    layer = RNN(I, H)
    with watching(layer) as seen:
        _, state = layer(torch.randn(3, B, I))
        layer(torch.randn(2, B, I), state)
    assert [(each.name, each.steps) for each in seen.layers] == [
        ("layer 0", 3), ("layer 0 call 2", 2),
    ]  # fmt: skip


def test_watching_changes_nothing_and_leaves_nothing_behind():
    layer = LSTM(I, H, zoneout=0.2, recurrent_dropout=0.3, dropout=0.3, num_layers=2)
    x = torch.randn(T, B, I)
    torch.manual_seed(3)
    expected = layer(x)[0]
    torch.manual_seed(3)
    with watching(layer):
        found = layer(x)[0]
    torch.testing.assert_close(found, expected)
    assert not layer._forward_hooks
    assert not layer._forward_pre_hooks
    assert kernels.explain(layer, x).startswith("layer 0: native")


@pytest.mark.parametrize("batch_first", [False, True])
def test_every_form_of_input_is_seen_with_time_first(batch_first):
    layer = GRU(I, H, batch_first=batch_first)
    x = torch.randn(T, 2, I)
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([6, 4]))
    given = x.transpose(0, 1) if batch_first else x
    with watching(layer) as seen:
        output = layer(given)[0]
        layer(x[:, 0])
        layer(packed)
    output = output.transpose(0, 1) if batch_first else output
    torch.testing.assert_close(seen.layers[0].values("h"), output.detach())
    assert seen.layers[1].values("h").shape == (T, 1, H)
    assert seen.layers[2].lengths.tolist() == [6, 4]


def test_an_error_inside_leaves_nothing_behind():
    network = Nested()
    with pytest.raises(InputError, match="input_size"), watching(network):
        network(torch.zeros(T, B, I + 1))
    layer, x = LSTM(I, H), torch.zeros(T, B, I)
    network(torch.zeros(T, B, I))
    with watching(network) as seen:
        layer(x)  # not a part of the network
    assert seen.layers == []
    assert all(not module._forward_hooks for module in network.modules())


def test_an_error_of_a_layer_does_not_disturb_the_next_run():
    layer, other = LSTM(I, H), GRU(I, H)
    network = nn.ModuleList([layer, other])
    with watching(network) as seen:
        with pytest.raises(InputError, match="input_size"):
            layer(torch.zeros(T, B, I + 1))
        RNN(I, H)(torch.zeros(T, B, I))
        other(torch.zeros(T, B, I))
    assert [each.name for each in seen.layers] == ["1 layer 0"]


def test_two_may_watch_at_once():
    network = Nested()
    with watching(network) as outer, watching(network.above) as inner:
        network(torch.randn(T, B, I))
    assert len(outer.layers) == 4
    assert [layer.name for layer in inner.layers] == ["layer 0", "layer 1"]


@pytest.mark.parametrize("shape", [(0, B), (T, 0)], ids=str)
def test_runs_over_nothing_have_no_entry(shape):
    layer = LSTM(I, H)
    with watching(layer) as seen:
        output = layer(torch.zeros(*shape, I))[0]
    assert output.shape == (*shape, H)
    assert seen.layers == []


def test_reparametrised_weights_are_seen():
    layer = weight_drop(LSTM(I, H), 0.5).eval()
    with watching(layer) as seen:
        layer(torch.randn(T, B, I))
    assert len(seen.layers) == 1


def test_what_is_wrong_is_said():
    with pytest.raises(InputError, match="Linear holds none"), watching(nn.Linear(2, 3)):
        pass
    layer = LSTM(I, H)
    with (
        pytest.raises(InputError, match="every step's states are recorded"),
        watching(layer),
        kernels.force("native"),
    ):
        layer(torch.zeros(T, B, I))
