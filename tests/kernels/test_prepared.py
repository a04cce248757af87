"""Layers that are made ready once; that changes of weights are noticed is in test_packed.py."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import longspan
from longspan import cells
from longspan.errors import InputError
from longspan.kernels import PackedWeights, explain, force, intercept, prepared, run

pytest.importorskip("longspan.kernels._native", reason="built without a compiler")

OPTIONS = {
    longspan.nn.LSTM: (
        {}, {"peephole": True}, {"layer_norm": True}, {"zoneout": (0.2, 0.1)}, {"proj_size": 2},
        {"coupled_gates": True}, {"full_gate_recurrence": True}, {"batch_norm": "sequence"},
        {"dropout": 0.5}, {"recurrent_dropout": 0.5}, {"bias": False},
    ),
    longspan.nn.GRU: ({}, {"layer_norm": True}, {"reset_after": False}, {"zoneout": 0.1}),
    longspan.nn.RNN: ({}, {"nonlinearity": "relu"}),
}  # fmt: skip


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return longspan.nn.LSTM(3, 5, 2, bidirectional=True).eval()


@pytest.fixture
def x():
    return torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def prepared_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every layer and direction that runs prepared."""
    runs: list[int] = []
    original = prepared.PreparedLayer.run

    def counted(self, *args):
        runs.append(1)
        return original(self, *args)

    monkeypatch.setattr(prepared.PreparedLayer, "run", counted)
    return runs


def flat(result: object) -> list[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        return [result]
    return [tensor for each in result for tensor in flat(each)]  # type: ignore[attr-defined]


def same(found: object, expected: object) -> bool:
    pairs = zip(flat(found), flat(expected), strict=True)
    return all(torch.equal(a, b) and a.stride() == b.stride() for a, b in pairs)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_bits_are_those_of_any_other_call(data):
    kind = data.draw(st.sampled_from(list(OPTIONS)))
    options = dict(data.draw(st.sampled_from(OPTIONS[kind])))
    options["batch_first"] = data.draw(st.booleans())
    options["bidirectional"] = data.draw(st.booleans())
    hidden, layers = data.draw(st.integers(3, 20)), data.draw(st.integers(1, 3))
    torch.manual_seed(data.draw(st.integers(0, 99)))
    layer = kind(4, hidden, layers, **options).eval()
    packed = PackedWeights()
    for _ in range(3):
        steps, batch = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))
        shape = (batch, steps, 4) if options["batch_first"] else (steps, batch, 4)
        x = torch.randn(shape) if batch else torch.randn(shape[:1] + shape[2:])  # unbatched
        if data.draw(st.booleans()):
            x = torch.randn(*x.shape[:-1], 8)[..., ::2]
        with torch.no_grad():
            hx = layer(x)[1] if data.draw(st.booleans()) else None
            expected = layer(x, hx)
            with packed:
                assert same(layer(x, hx), expected)


def test_prepared_layers_run_and_only_inside(layer, x, prepared_runs):
    with torch.no_grad():
        layer(x)
        assert not prepared_runs
        with PackedWeights():
            layer(x)
            layer(x, layer(x)[1])
    assert len(prepared_runs) == 12


@pytest.mark.filterwarnings("ignore")  # tracing is deprecated, and warns of every condition
@pytest.mark.parametrize(
    "call",
    [
        lambda layer, x: layer(x, lengths=[4, 1]),
        lambda layer, x: layer(x, reset=torch.eye(4, 2).bool()),
        lambda layer, x: layer(x, return_gates=True)[:2],
        lambda layer, x: torch.func.vmap(layer)(x[None])[0],
        lambda layer, x: torch.func.jvp(lambda x: layer(x)[0], (x,), (x.cos(),))[1],
        lambda layer, x: torch.jit.trace(layer, x, check_trace=False)(x + 1.0),
        lambda layer, x: layer(x[:0])[1],
    ],
    ids=["lengths", "reset", "gates", "vmap", "jvp", "trace", "empty"],
)
def test_other_calls_go_the_long_way(layer, x, prepared_runs, call: Callable):
    with torch.no_grad():
        expected = call(layer, x)
        with PackedWeights():
            assert same(call(layer, x), expected)
    assert not prepared_runs


def test_training_goes_the_long_way(layer, x, prepared_runs):
    with PackedWeights():
        assert layer(x)[0].requires_grad
    assert not prepared_runs


@pytest.mark.parametrize("name", ["dropout", "zoneout", "recurrent_dropout", "update_dropout"])
def test_masks_are_drawn_anew_in_training(name, x):
    layer = longspan.nn.LSTM(3, 5, 2, **{name: 0.5})
    with torch.no_grad(), PackedWeights():
        assert torch.equal(layer.eval()(x)[0], layer(x)[0])
        assert not torch.equal(layer.train()(x)[0], layer(x)[0])


def test_options_that_change_are_noticed(x):
    layer = longspan.nn.LSTM(3, 5, zoneout=0.1).eval()
    with torch.no_grad(), PackedWeights():
        before = layer(x)[0]
        layer.zoneout = (0.5, 0.5)
        other = layer(x)[0]
        layer.cell = cells.LSTM(output_activation=False)
        third = layer(x)[0]
    with torch.no_grad():
        assert torch.equal(third, layer(x)[0])
        layer.cell = cells.LSTM()
        assert torch.equal(other, layer(x)[0])
    assert not torch.equal(before, other)


def test_who_looks_on_sees_every_call(layer, x, prepared_runs):
    seen = []
    with torch.no_grad(), PackedWeights():
        layer(x)
        prepared_runs.clear()
        assert explain(layer, x).count("native") == 4
        with intercept(lambda call: seen.append(call.label) or run(call)):
            layer(x)
        with force("vendor"):
            layer(x)
    assert len(seen) == 4
    assert not prepared_runs


def test_a_forced_kernel_that_cannot_run_is_still_an_error(x, monkeypatch):
    layer = longspan.nn.LSTM(3, 5, peephole=True).eval()
    with torch.no_grad(), PackedWeights():
        layer(x)
        monkeypatch.setenv("LONGSPAN_KERNEL", "vendor")
        with pytest.raises(InputError, match="forced"):
            layer(x)


def test_bad_input_is_refused_as_ever(layer, x):
    with torch.no_grad(), PackedWeights():
        layer(x)
        with pytest.raises(InputError, match="input_size = 3"):
            layer(x[..., :2])
        with pytest.raises(InputError, match="dtype"):
            layer(x.double())
        with pytest.raises(InputError, match="`hx`"):
            layer(x, (torch.zeros(4, 3, 5), torch.zeros(4, 3, 5)))


def test_weights_of_several_dtypes_go_the_long_way(x, prepared_runs):
    layer = longspan.nn.LSTM(3, 5, layer_norm=True).eval()
    layer.norm_hh_l0 = nn.Parameter(layer.norm_hh_l0.detach().bfloat16())
    with torch.no_grad():
        expected = layer(x)
        with PackedWeights():
            assert same(layer(x), expected)
    assert not prepared_runs


def test_nothing_is_kept_longer_than_the_object(x):
    layer = longspan.nn.LSTM(3, 5).eval()
    gone = weakref.ref(layer)
    gc.disable()
    try:
        with torch.no_grad(), PackedWeights() as packed:
            layer(x)
        del layer
        assert gone() is not None
        del packed
        assert gone() is None
    finally:
        gc.enable()
