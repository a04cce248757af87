"""What runs is what is said to run."""

from __future__ import annotations

import pytest
import torch

from longspan import cells, kernels, nn
from longspan.errors import InputError
from longspan.kernels import native, vectorised


def test_explaining_changes_nothing():
    layer = nn.LSTM(3, 5, batch_norm="recurrent", recurrent_dropout=0.3)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    random = torch.get_rng_state()
    lines = kernels.explain(layer, torch.randn(4, 2, 3, generator=torch.Generator()))
    assert lines.startswith("layer 0: reference (not native: batch normalisation inside")
    assert torch.equal(random, torch.get_rng_state())
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_every_layer_and_direction_has_its_line():
    layer = nn.GRU(3, 5, 2, bidirectional=True)
    lines = kernels.explain(layer, torch.zeros(4, 2, 3)).splitlines()
    names = ["layer 0", "layer 0 reverse", "layer 1", "layer 1 reverse"]
    assert lines == [f"{name}: native" for name in names]


def test_environment_variable_forces(monkeypatch):
    layer, x = nn.RNN(3, 5), torch.zeros(4, 2, 3)
    monkeypatch.setenv("LONGSPAN_KERNEL", "reference")
    assert kernels.explain(layer, x) == "layer 0: reference"
    with kernels.force("vendor"):
        assert kernels.explain(layer, x) == "layer 0: vendor"
    monkeypatch.setenv("LONGSPAN_KERNEL", "referense")
    with pytest.raises(InputError, match="Did you mean 'reference'"):
        layer(x)


@pytest.mark.parametrize(
    ("options", "arguments", "reason"),
    [
        ({"peephole": True}, {}, "options are not in torch"),
        ({"layer_norm": True}, {}, "normalisation is on"),
        ({"zoneout": 0.1}, {}, "zoneout or recurrent dropout"),
        ({}, {"lengths": [4, 1]}, "ragged"),
        ({}, {"reset": torch.ones(4, 2, dtype=torch.bool)}, "reset inside"),
        ({}, {"return_gates": True}, "gates are recorded"),
    ],
)
def test_every_reason_is_named(options, arguments, reason):
    layer = nn.LSTM(3, 5, dtype=torch.float64, **options)
    lines = kernels.explain(layer, torch.zeros(4, 2, 3, dtype=torch.float64), **arguments)
    assert reason in lines
    assert "not native: the dtype is torch.float64" in lines


def test_without_compiled_kernels_all_works_and_one_warning_says_so(monkeypatch):
    layer, x = nn.LSTM(3, 5, peephole=True), torch.randn(4, 2, 3)
    expected = layer(x)[0]
    monkeypatch.setattr(native, "_native", None)
    vectorised._warn_once.cache_clear()
    with pytest.warns(UserWarning, match="compiled kernels are missing.*Install a C"):
        found = layer(x)[0]
    torch.testing.assert_close(found, expected)
    assert "not native: Longspan was installed without a C++ compiler" in kernels.explain(layer, x)
    vectorised._warn_once.cache_clear()


def test_handlers_see_every_call_the_innermost_first():
    layer, x = nn.GRU(3, 5, 2, bidirectional=True), torch.randn(4, 2, 3)
    seen = []

    def handler(name):
        def handle(call):
            seen.append((name, call.label))
            return kernels.run(call)

        return handle

    expected = layer(x)[0]
    with kernels.intercept(handler("outer")):
        with kernels.intercept(handler("inner")):
            found = layer(x)[0]
        layer(x)
    layer(x)
    assert torch.equal(found, expected)
    labels = ["layer 0", "layer 0 reverse", "layer 1", "layer 1 reverse"]
    nested = [(name, label) for label in labels for name in ("inner", "outer")]
    assert seen == nested + [("outer", label) for label in labels]


def test_a_handler_may_change_a_call_and_explain_says_what_ran():
    layer, x = nn.LSTM(3, 5), torch.randn(4, 2, 3)
    with kernels.intercept(lambda call: kernels.run(call._replace(record_states=True))):
        lines = kernels.explain(layer, x)
    assert lines.startswith("layer 0: reference (not native: every step's states are recorded")
    assert "not vendor: every step's states are recorded" in lines


def test_an_error_in_a_handler_leaves_nothing_behind():
    layer, x = nn.LSTM(3, 5), torch.randn(4, 2, 3)

    def refuse(call):
        raise InputError("no")

    with pytest.raises(InputError, match="no"), kernels.intercept(refuse):
        layer(x)
    assert kernels.explain(layer, x) == "layer 0: native"


def test_a_call_without_inputs_goes_by_the_reference():
    cell, x, h = cells.RNN(), torch.zeros(4, 2, 0), torch.zeros(2, 5)
    params = {"weight_ih": torch.zeros(5, 0), "weight_hh": torch.zeros(5, 5)}
    result = kernels.run(kernels.Call(cell, x, (h,), params))
    assert torch.equal(result.output, torch.zeros(4, 2, 5))
