"""With its context cut, a network computes what it would from the window alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.conformance.test_cells import draw, identifier
from tests.insight.networks import CASES, B, H, I, Nested, T, build, delay_line
from torch import nn

from longspan.errors import InputError
from longspan.insight import context_ablation, cutting, watching
from longspan.nn import GRU, LSTM

AT = [3, 0, 2, 4]
ENDS = torch.tensor([6, 1, 3, 5])


@pytest.mark.parametrize("context", [1, 2, 3, 9])
@pytest.mark.parametrize("case", CASES, ids=identifier)
def test_the_output_is_that_of_the_window_alone(case, context):
    layer, x = build(*case), draw(T, B, I)
    if case[1].get("batch_norm") == "recurrent":
        return  # statistics per time step: a window alone is normalised by other ones
    with cutting(layer, context, AT):
        found = layer(x, lengths=ENDS)[0]
    for b, at in enumerate(AT):
        begin, end = max(0, at - context + 1), min(at + context, int(ENDS[b]))
        alone = layer(x[begin:end, b : b + 1])[0][at - begin, 0]
        torch.testing.assert_close(found[at, b], alone, rtol=0, atol=1e-12)


def test_by_default_the_last_step_of_each_row_counts():
    network, x = Nested().double(), draw(T, B, I)
    ends = torch.tensor([6, 2, 3, 5])
    layer = build("lstm", {"num_layers": 2})
    with cutting(layer, 2):
        output = layer(x, lengths=ends)[0]
    for b, end in enumerate(ends.tolist()):
        alone = layer(x[max(0, end - 2) : end, b : b + 1])[0][-1, 0]
        torch.testing.assert_close(output[end - 1, b], alone)
    full = network(x, ends)
    with cutting(network, T):
        torch.testing.assert_close(network(x, ends), full, rtol=0, atol=0)


def test_a_window_that_reaches_the_start_keeps_the_initial_state():
    layer, x, state = build("gru", {}), draw(T, B, I), draw(1, B, H, seed=4)
    whole, alone = layer(x, state)[0][-1], layer(x[1:])[0][-1]
    with cutting(layer, T):
        torch.testing.assert_close(layer(x, state)[0][-1], whole, rtol=0, atol=0)
    with cutting(layer, T - 1):
        torch.testing.assert_close(layer(x, state)[0][-1], alone)


def test_resets_that_are_there_stay():
    layer, x = build("lstm", {}), draw(T, B, I)
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[4] = True
    with cutting(layer, 4):
        found = layer(x, reset=reset)[0][-1]
    torch.testing.assert_close(found, layer(x[4:])[0][-1])


def test_cutting_and_watching_go_together_in_any_order():
    layer, x = build("lstm", {}), draw(T, B, I)
    expected = layer(x[-2:])[0][-1]
    with watching(layer) as outer, cutting(layer, 2), watching(layer) as inner:
        layer(x)
    for seen in (outer, inner):
        torch.testing.assert_close(seen.layers[0].values("h")[-1], expected.detach())
    assert outer.layers[0].reset[T - 2].all()
    torch.testing.assert_close(layer(x)[0][-1], layer(x)[0][-1])
    assert not torch.allclose(layer(x)[0][-1], expected)


@pytest.mark.parametrize("delay", [2, 6])
def test_what_a_delay_line_remembers_is_worth_its_delay(delay):
    layer, x = delay_line(delay), torch.rand(20, 12, 1) + 0.1

    def loss_at(context):
        with cutting(layer, context):
            return (layer(x)[0][-1, :, delay] - x[-1 - delay, :, 0]) ** 2

    found = context_ablation(loss_at, range(1, 21))
    expected = float((x[-1 - delay] ** 2).mean())
    np.testing.assert_allclose(found.losses[:delay], expected, rtol=1e-5)
    np.testing.assert_allclose(found.losses[delay:], 0.0, atol=1e-12)
    assert (found.horizon, found.horizon_low, found.horizon_high) == (delay + 1,) * 3
    assert found.gap == pytest.approx(expected, rel=1e-5)
    assert (found.low[:delay] < found.high[:delay]).all()


def test_the_horizon_is_where_the_loss_stays_down():
    losses = {1: 2.0, 2: 1.01, 3: 1.5, 4: 1.04, 8: 1.0}
    found = context_ablation(lambda k: torch.full((3,), losses[k]), [8, 4, 3, 2, 1, 1])
    assert found.contexts.tolist() == [1, 2, 3, 4, 8]
    assert found.horizon == 4
    assert found.gap == pytest.approx(1.0)


def test_a_memory_that_is_worth_nothing_has_the_smallest_horizon():
    found = context_ablation(lambda k: torch.full((3,), float(k)), [1, 2, 8])
    assert found.horizon == 1
    assert found.gap == -7.0


def test_a_single_row_has_no_interval():
    found = context_ablation(lambda k: torch.ones(1) / k, [1, 2, 4])
    assert np.isnan(found.horizon_high)
    assert np.isnan(found.low).all()


@pytest.mark.parametrize(
    ("loss_at", "contexts", "message"),
    [
        (lambda k: torch.ones(3), [4], "at least two different"),
        (lambda k: torch.ones(3), [-1, 4], "from 0 on"),
        (lambda k: torch.ones(k), [2, 4], "of the same rows each time; at context 4"),
        (lambda k: torch.tensor(1.0), [2, 4], "loss of each row"),
        (lambda k: torch.full((2,), torch.nan), [2, 4], "finite losses, but at context 2"),
    ],
)
def test_what_is_wrong_with_an_ablation_is_said(loss_at, contexts, message):
    with pytest.raises(InputError, match=message):
        context_ablation(loss_at, contexts)


def test_what_is_wrong_with_a_cut_is_said():
    layer = LSTM(I, H)
    with pytest.raises(InputError, match="`context` must be at least 1"), cutting(layer, 0):
        pass
    with pytest.raises(InputError, match="holds none"), cutting(nn.Identity(), 1):
        pass
    for at in (T, -1, [0, 1], [0.5] * B):
        with pytest.raises(InputError, match="one step from 0 to 5"), cutting(layer, 1, at):
            layer(torch.zeros(T, B, I))
    gru = GRU(I, H)
    with cutting(gru, 2):
        assert gru(torch.zeros(0, B, I))[0].shape == (0, B, H)
        assert gru(torch.zeros(T, 0, I))[0].shape == (T, 0, H)
