"""Weights that are packed once; that results are the same bits is in test_native.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

import longspan
from longspan.kernels import PackedWeights

pytest.importorskip("longspan.kernels._native", reason="built without a compiler")


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return longspan.nn.LSTM(3, 21, 2, bidirectional=True).eval()


@pytest.fixture
def x():
    return torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(1))


def outputs(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return layer(x)[0]


def matrices(layer: nn.Module) -> list[torch.Tensor]:
    """Biases are read at every call; these are not."""
    return [p for name, p in layer.named_parameters() if name.startswith("weight")]


def clear_behind_torch(layer: nn.Module) -> None:
    for weight in matrices(layer):
        weight.detach().numpy()[...] = 0.0


def test_weights_are_packed_once(layer, x):
    with PackedWeights():
        before = outputs(layer, x)
        clear_behind_torch(layer)
        assert torch.equal(outputs(layer, x), before)
    assert not torch.equal(outputs(layer, x), before)


def test_one_object_keeps_them_from_one_use_to_the_next(layer, x):
    packed = PackedWeights()
    with packed:
        before = outputs(layer, x)
    clear_behind_torch(layer)
    with packed:
        assert torch.equal(outputs(layer, x), before)
    with PackedWeights(), packed:
        assert torch.equal(outputs(layer, x), before)
    with packed, PackedWeights():
        assert not torch.equal(outputs(layer, x), before)


def test_changes_by_torch_are_noticed(layer, x):
    fresh = longspan.nn.LSTM(3, 21, 2, bidirectional=True)
    with PackedWeights():
        outputs(layer, x)
        layer.load_state_dict(fresh.state_dict())
        assert torch.equal(outputs(layer, x), outputs(fresh, x))
        optimizer = torch.optim.SGD(layer.parameters(), 0.1)
        layer(x)[0].square().sum().backward()
        optimizer.step()
        found = outputs(layer, x)
    assert torch.equal(found, outputs(layer, x))


def test_a_weight_that_is_exchanged_is_noticed(layer, x):
    with PackedWeights():
        outputs(layer, x)
        layer.weight_hh_l0 = nn.Parameter(torch.zeros_like(layer.weight_hh_l0))
        layer.weight_ih_l1.data = torch.ones_like(layer.weight_ih_l1)
        found = outputs(layer, x)
    assert torch.equal(found, outputs(layer, x))


def test_gradients_are_those_of_the_weights_now(layer, x):
    def gradients() -> list[torch.Tensor]:
        return list(torch.autograd.grad(layer(x)[0].square().sum(), list(layer.parameters())))

    with PackedWeights():
        outputs(layer, x)
        clear_behind_torch(layer)
        found = gradients()
    assert all(torch.equal(a, b) for a, b in zip(found, gradients(), strict=True))


def test_weights_made_for_one_call_are_not_kept(x):
    layer = longspan.nn.LSTM(3, 5).eval()
    nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    with PackedWeights():
        for _ in range(3):
            found = outputs(layer, x)
            with torch.no_grad():
                layer.parametrizations.weight_hh_l0.original0.mul_(1.5)
    with torch.no_grad():
        layer.parametrizations.weight_hh_l0.original0.div_(1.5)
    assert torch.equal(found, outputs(layer, x))


def test_other_sizes_and_options_of_a_call(layer, x):
    calls = [(x, {}), (x[:1], {}), (x, {"lengths": [4, 1]}), (x.repeat(9, 5, 1), {})]
    calls += [(x, {"reset": torch.rand(4, 2) < 0.5}), (x, {"return_gates": True})]
    with torch.no_grad():
        expected = [layer(given, **options)[0] for given, options in calls]
        with PackedWeights():
            found = [layer(given, **options)[0] for given, options in calls * 2]
    for a, b in zip(found, expected * 2, strict=True):
        assert torch.equal(a, b)


def test_other_numbers_of_threads_and_bfloat16(layer, x):
    packed = PackedWeights()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        with torch.autocast("cpu", torch.bfloat16):
            expected = outputs(layer, x)
            with packed:
                assert torch.equal(outputs(layer, x), expected)
        with packed:
            wide = outputs(layer, x)
        assert torch.equal(wide, outputs(layer, x))
        assert not torch.equal(wide, expected)


def test_tensors_of_inference_mode(x):
    with torch.inference_mode():
        layer = longspan.nn.LSTM(3, 5).eval()
        with PackedWeights():
            outputs(layer, x)
            layer.weight_hh_l0.zero_()
            assert torch.equal(layer(x)[0], layer(x.clone())[0])
            found = outputs(layer, x)
        assert torch.equal(found, outputs(layer, x))


def test_threads_share_an_object(layer, x):
    packed, expected = PackedWeights(), outputs(layer, x)

    def run(_: int) -> bool:
        with packed:
            return all(torch.equal(outputs(layer, x), expected) for _ in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(8)))


def test_an_error_inside_leaves_nothing_entered(layer, x):
    with pytest.raises(ZeroDivisionError), PackedWeights():
        raise ZeroDivisionError
    before = outputs(layer, x)
    clear_behind_torch(layer)
    assert not torch.equal(outputs(layer, x), before)


def test_blocks_may_end_in_another_order(layer, x):
    first, second = PackedWeights(), PackedWeights()
    with first:
        before = outputs(layer, x)
    clear_behind_torch(layer)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not torch.equal(outputs(layer, x), before)  # the second's: packed now
    second.__exit__(None, None, None)
    with first:
        assert torch.equal(outputs(layer, x), before)


def test_another_build_packs_anew(layer, x):
    native = pytest.importorskip("longspan.kernels._native")
    with PackedWeights():
        for build in native.builds():
            native.choose(build)
            found = outputs(layer, x)
            with PackedWeights():
                assert torch.equal(found, outputs(layer, x))
