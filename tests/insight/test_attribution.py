"""Integrated gradients add up to the difference they explain, and find what mattered."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tests.conformance.test_cells import draw, identifier
from tests.insight.networks import CASES, LENGTHS, B, I, T, build, delay_line

from longspan.errors import InputError
from longspan.insight import integrated_gradients


@pytest.mark.parametrize("case", CASES, ids=identifier)
def test_values_add_up_to_the_difference(case):
    layer, x, baseline = build(*case), draw(T, B, I), draw(1, 1, I, seed=8)
    found = integrated_gradients(
        lambda x: layer(x, lengths=LENGTHS)[0].sum((0, 2)), x, baseline, steps=32
    )
    with torch.no_grad():
        run = [layer(v, lengths=LENGTHS)[0].sum((0, 2)) for v in (x, baseline.expand(x.shape))]
    np.testing.assert_allclose(found.output, run[0])
    np.testing.assert_allclose(found.baseline_output, run[1])
    difference = (run[0] - run[1]).numpy()
    np.testing.assert_allclose(found.gap, found.values.sum((0, 2)) - difference, atol=1e-12)
    # Kinks of relu, and the cliff of a layer normalisation near inputs of equal pre-activations,
    # are no polynomials: there the gap says that the integral is coarse.
    if case[1].get("nonlinearity") != "relu" and not case[1].get("layer_norm"):
        np.testing.assert_allclose(found.gap, 0.0, atol=1e-6)
    padding = torch.arange(T)[:, None] >= LENGTHS
    assert not found.values[padding].any()


def test_more_nodes_leave_a_smaller_gap():
    layer, x = build("rnn", {"nonlinearity": "relu"}), draw(T, B, I)
    gaps = [
        np.abs(integrated_gradients(lambda x: layer(x)[0][-1].sum(-1), x, steps=s).gap).max()
        for s in (2, 400)
    ]
    assert gaps[1] < gaps[0] / 10


def test_a_product_shares_by_the_integral():
    """Of x₁² x₂ from 0, x₁ gets two thirds and x₂ one third."""
    x = torch.tensor([[[2.0, 5.0]]], dtype=torch.float64)
    found = integrated_gradients(lambda x: (x[..., 0] ** 2 * x[..., 1]).sum(0), x, steps=2)
    np.testing.assert_allclose(found.values[0, 0], [20 * 2 / 3, 20 / 3])


def test_a_delay_line_owes_its_output_to_one_step():
    layer, x = delay_line(4), torch.rand(12, 3, 1) + 0.1
    found = integrated_gradients(lambda x: layer(x)[0][-1, :, 4], x)
    by_lag = found.by_lag()
    assert by_lag.shape == (12,)
    assert by_lag[4] == pytest.approx(float(x[-5].mean()), rel=1e-5)
    assert np.delete(by_lag, 4).max() < 1e-6
    np.testing.assert_allclose(found.by_channel(), [by_lag[4]], rtol=1e-5)


def test_lags_count_from_each_rows_step():
    x = torch.ones(4, 2, 2)
    weights = torch.arange(16.0).view(4, 2, 2) - 3
    found = integrated_gradients(lambda x: (weights * x).sum((0, 2)), x)
    size = weights.abs().sum(-1).numpy()
    expected = [
        (size[1, 0] + size[3, 1]) / 2,
        (size[0, 0] + size[2, 1]) / 2,
        size[1, 1],
        size[0, 1],
    ]
    np.testing.assert_allclose(found.by_lag([1, 3]), expected, rtol=1e-5)
    np.testing.assert_allclose(found.by_channel(), weights.abs().sum(0).mean(0).numpy(), rtol=1e-5)


def test_what_ignores_its_inputs_owes_them_nothing():
    found = integrated_gradients(lambda x: torch.ones(x.shape[1]), torch.ones(3, 2, 1))
    assert not found.values.any()
    assert json.loads(json.dumps(found.to_dict()))["gap"] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": torch.zeros(4, 2)}, "floating"),
        ({"x": torch.zeros(4, 2, 1, dtype=torch.long)}, "floating"),
        ({"steps": 0}, "`steps` must be at least 1"),
        ({"baseline": torch.zeros(7)}, "`baseline` must have the shape of x"),
        ({"run": lambda x: x.sum()}, "one number a row"),
    ],
)
def test_what_is_wrong_is_said(given, message):
    arguments = {"run": lambda x: x.sum((0, 2)), "x": torch.zeros(4, 2, 1)} | given
    with pytest.raises(InputError, match=message):
        integrated_gradients(**arguments)


def test_no_steps_and_no_rows():
    nothing = integrated_gradients(lambda x: x.sum((0, 2)), torch.zeros(0, 2, 1))
    assert nothing.gap.tolist() == [0, 0]
    empty = integrated_gradients(lambda x: x.sum((0, 2)), torch.zeros(3, 0, 1))
    assert empty.by_lag().shape == (0,)
