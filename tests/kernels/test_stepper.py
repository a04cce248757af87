"""The streaming step against whole sequences."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

import longspan
from longspan.errors import InputError
from longspan.kernels.stepper import Stepper

pytest.importorskip("longspan.kernels._native", reason="built without a compiler")

LAYERS = {
    "lstm": lambda: longspan.nn.LSTM(3, 21),
    "two layers": lambda: longspan.nn.LSTM(3, 21, 2, bias=False),
    "options": lambda: longspan.nn.LSTM(
        3, 21, 2, layer_norm=True, peephole=True, proj_size=4, zoneout=(0.1, 0.2)
    ),
    "fed gates": lambda: longspan.nn.LSTM(3, 21, full_gate_recurrence=True, coupled_gates=True),
    "gru": lambda: longspan.nn.GRU(3, 21, 2),
    "reset before": lambda: longspan.nn.GRU(3, 21, reset_after=False),
    "relu": lambda: longspan.nn.RNN(3, 21, nonlinearity="relu"),
    "weight norm": lambda: longspan.nn.weight_norm(longspan.nn.LSTM(3, 21, 2)),
    "weight drop": lambda: longspan.nn.weight_drop(longspan.nn.GRU(3, 21, 2), 0.5),
    "subclass": lambda: type("Mine", (longspan.nn.LSTM,), {})(3, 21),
    "torch's": lambda: torch.nn.LSTM(3, 21, 2),
}


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("name", LAYERS)
def test_steps_equal_a_sequence(name, batch):
    torch.manual_seed(0)
    layer = LAYERS[name]().eval()
    x = torch.randn(9, batch, 3)
    with torch.no_grad():
        expected, final = layer(x)
    stepper = Stepper.of(layer, batch)
    state = stepper.initial_state()
    for t in range(9):
        output = stepper.step(x[t].numpy(), state)
        np.testing.assert_allclose(output, expected[t], rtol=1e-5, atol=1e-6)
    final = final if isinstance(final, tuple) else (final,)
    widths = len(final)
    for k, whole in enumerate(final):  # the stepper's states go layer by layer
        for n in range(len(whole)):
            np.testing.assert_allclose(state[n * widths + k], whole[n], rtol=1e-5, atol=1e-6)


def test_the_output_is_one_array_and_the_state_changes_in_place():
    stepper = Stepper.of(longspan.nn.GRU(3, 5))
    state = stepper.initial_state()
    x = np.ones((1, 3), np.float32)
    first = stepper.step(x, state)
    assert stepper.step(x, state) is first
    assert np.array_equal(first, state[0])


def test_later_changes_of_the_layer_do_not_reach_the_stepper():
    layer = longspan.nn.LSTM(3, 5, layer_norm=True)
    stepper, x = Stepper.of(layer), np.ones((1, 3), np.float32)
    before = stepper.step(x, stepper.initial_state()).copy()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    assert np.array_equal(before, stepper.step(x, stepper.initial_state()))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((1, 4), np.float32), r"x must have shape \(1, 3\), got \(1, 4\)"),
        (np.ones((1, 3)), "float32"),
        (np.ones(3, np.float32), "contiguous numpy arrays of float32"),
        (np.ones((3, 1), np.float32).T[:, ::-1], "contiguous"),
        ([[1.0, 2.0, 3.0]], "numpy arrays"),
    ],
)
def test_bad_inputs(x, message):
    stepper = Stepper.of(longspan.nn.LSTM(3, 5))
    with pytest.raises(InputError, match=message):
        stepper.step(x, stepper.initial_state())


def test_bad_states_and_weights():
    layer = longspan.nn.LSTM(3, 5)
    stepper, x = Stepper.of(layer), np.ones((1, 3), np.float32)
    h, c = stepper.initial_state()
    for state in ((), (h,), (h, c.astype(np.float64)), (h, c[:, :2]), (h, c, c)):
        with pytest.raises(InputError):
            stepper.step(x, state)
    weights = {name: value.numpy() for name, value in layer.state_dict().items()}
    for change in (
        {"weight_ih_l0": None}, {"bias_ih_l0": np.zeros(3)}, {"weight_xx_l0": np.zeros(3)},
        {"weight_ih_l0_reverse": np.zeros(3)},
    ):  # fmt: skip
        bad = {n: v for n, v in (weights | change).items() if v is not None}
        with pytest.raises(InputError):
            Stepper(bad)
    for arguments in ({"kind": "lstn"}, {"batch": 0}, {"peepholes": True}, {"peephole": True}):
        with pytest.raises(InputError):
            Stepper(weights, **arguments)
    with pytest.raises(InputError, match="forward in time only"):
        Stepper.of(longspan.nn.LSTM(3, 5, bidirectional=True))
    with pytest.raises(InputError, match="without batch normalisation"):
        Stepper.of(longspan.nn.LSTM(3, 5, batch_norm="sequence"))


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({}, "weight_ih_l0"),
        ({}, "bias_hh_l0"),
        ({}, "bias_ih_l1"),
        ({"full_gate_recurrence": True}, "weight_gg_l1"),
        ({"peephole": True}, "weight_ch_l0"),
        ({"layer_norm": True}, "norm_c_l1"),
    ],
)
def test_a_missing_weight_is_named(options, missing):
    layer = longspan.nn.LSTM(3, 5, 2, **options)
    weights = {n: v.numpy() for n, v in layer.state_dict().items() if n != missing}
    with pytest.raises(InputError, match=f"lack {missing}"):
        Stepper(weights, **{name: on for name, on in options.items() if name != "layer_norm"})


@pytest.mark.parametrize("width", [3, 7])
def test_a_layer_reads_what_the_one_below_puts_out(width):
    weights = {n: v.numpy() for n, v in longspan.nn.LSTM(3, 5, 2).state_dict().items()}
    weights["weight_ih_l1"] = np.zeros((20, width))
    with pytest.raises(InputError, match=f"weight_ih_l1 reads {width} values.* puts out 5"):
        Stepper(weights)


def test_a_layer_in_bfloat16_is_read():
    layer, x = longspan.nn.GRU(3, 5).bfloat16(), np.ones((1, 3), np.float32)
    stepper, wide = Stepper.of(layer), Stepper.of(layer.float())
    found = stepper.step(x, stepper.initial_state())
    np.testing.assert_array_equal(found, wide.step(x, wide.initial_state()))


def test_torch_is_not_imported():
    code = (
        "import sys, numpy as np; from longspan.kernels import Stepper; "
        "s = Stepper({'weight_ih_l0': np.ones((4, 3)), 'weight_hh_l0': np.ones((4, 4))}, "
        "kind='rnn'); s.step(np.ones((1, 3), np.float32), s.initial_state()); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
