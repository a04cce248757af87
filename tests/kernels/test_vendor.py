"""The fused and the native layers under everything that PyTorch does to autograd."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from longspan import kernels, nn
from longspan.kernels import vendor

LAYERS = [nn.LSTM, nn.GRU, nn.RNN]


@pytest.fixture(params=["native", "vendor"])
def kernel(request):
    with kernels.force(request.param):
        yield request.param


@pytest.fixture(params=LAYERS, ids=lambda layer: layer.__name__)
def layer(request):
    torch.manual_seed(0)
    return request.param(3, 5, bidirectional=True)


def gradients(layer, x, run):
    layer.zero_grad()
    leaf = x.clone().requires_grad_()
    run(leaf).square().sum().backward()
    return [leaf.grad, *(p.grad.clone() for p in layer.parameters())]


def assert_same(found, expected):
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(f, e)


def test_graph_is_freed_by_backward_and_not_with_the_loss(monkeypatch):
    graphs = []

    def recorded(*arguments, original=vendor._recorded):
        inputs, outputs = original(*arguments)
        graphs.append(weakref.ref(outputs[0]))
        return inputs, outputs

    monkeypatch.setattr(vendor, "_recorded", recorded)
    with kernels.force("vendor"):
        loss = nn.LSTM(3, 5)(torch.randn(4, 2, 3))[0].sum()
    loss.backward()
    gc.collect()
    assert [graph() for graph in graphs] == [None]
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


def test_a_retained_graph_runs_backward_again(layer, kernel):
    x = torch.randn(4, 2, 3, requires_grad=True)
    loss = layer(x)[0].square().sum()
    first = torch.autograd.grad(loss, [x, *layer.parameters()], retain_graph=True)
    assert_same(torch.autograd.grad(loss, [x, *layer.parameters()]), first)


def test_activation_checkpoints_and_offloaded_tensors_change_nothing(layer, kernel):
    x = torch.randn(4, 2, 3)
    expected = gradients(layer, x, lambda leaf: layer(leaf)[0])
    for reentrant in (False, True):
        found = gradients(
            layer,
            x,
            lambda leaf, r=reentrant: checkpoint(lambda a: layer(a)[0], leaf, use_reentrant=r),
        )
        assert_same(found, expected)
    with torch.autograd.graph.save_on_cpu():
        assert_same(gradients(layer, x, lambda leaf: layer(leaf)[0]), expected)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t):
        assert_same(gradients(layer, x, lambda leaf: layer(leaf)[0]), expected)


def test_torch_func_goes_by_the_reference(layer):
    x = torch.randn(4, 2, 3)
    expected = gradients(layer, x, lambda leaf: layer(leaf)[0])
    parameters = dict(layer.named_parameters())

    def loss(parameters, x):
        return torch.func.functional_call(layer, parameters, (x,))[0].square().sum()

    by_name, of_x = torch.func.grad(loss, argnums=(0, 1))(parameters, x)
    assert_same([of_x, *by_name.values()], expected)
    rows = x.transpose(0, 1)[:, :, None]  # one gradient for each row of the batch
    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, rows)
    assert_same([value.sum(0) for value in each.values()], expected[1:])


def test_inference_equals_training(layer, kernel):
    x = torch.randn(4, 2, 3)
    with torch.inference_mode():
        output, _ = layer(x)
    torch.testing.assert_close(output, layer(x)[0])


def test_a_changed_weight_is_noticed():
    layer = nn.GRU(3, 5)
    loss = layer(torch.randn(4, 2, 3))[0].sum()
    with torch.no_grad():
        layer.weight_hh_l0.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_float64_equals_the_reference(layer):
    layer.double()
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    found = gradients(layer, x, lambda leaf: layer(leaf)[0])
    with kernels.force("reference"):
        assert_same(found, gradients(layer, x, lambda leaf: layer(leaf)[0]))
