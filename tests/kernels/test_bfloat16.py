"""bfloat16 in the kernels: what products multiply is rounded, and nothing else.

The specification is `RoundedLinear`: put in place of the products of `longspan.cells` in float64,
it makes the cells what the kernels must compute.
"""

from __future__ import annotations

import importlib
import math

import pytest
import torch
from tests.kernels.cases import FLAGS, OUTSIDE, Case, assert_close, cast, reference, results
from torch import Tensor

from longspan.cells import CELLS, RNN, Layout, gru
from longspan.kernels import Call
from longspan.kernels.vectorised import Native

_native = pytest.importorskip("longspan.kernels._native", reason="built without a compiler")

BUILDS = _native.builds()
#: The package has a function of that name too.
scan_module = importlib.import_module("longspan.cells.scan")


def rounded(x: Tensor) -> Tensor:
    return x.float().bfloat16().to(x.dtype)


class RoundedLinear(torch.autograd.Function):
    """x Wᵀ + b, every product of numbers that were rounded to bfloat16, also backward."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        product = rounded(x) @ rounded(weight).T
        return product if bias is None else product + bias

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        d_x = rounded(gradient) @ rounded(weight)
        d_weight = rounded(gradient).flatten(0, -2).T @ rounded(x).flatten(0, -2)
        d_bias = gradient.flatten(0, -2).sum(0) if ctx.needs_input_grad[2] else None
        return d_x, d_weight, d_bias


def linear(x, weight, bias=None):
    return RoundedLinear.apply(x, weight, bias)


def specified(call: Call):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "linear", linear)
        patch.setattr(scan_module, "linear", linear)
        patch.setattr(gru, "linear", linear)
        return results(reference, call)


def by_kernels(call: Call):
    """Results in float32, under autocast, so that only products are rounded."""
    with torch.autocast("cpu", torch.bfloat16):
        return results(Native().run, cast(call, torch.float32))


def distance(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Root of the mean squared difference, in units of each tensor's own root mean square."""
    parts = [
        (found[name].double() - e).square().mean() / e.square().mean()
        for name, e in expected.items()
        if e.any()
    ]
    return float(torch.stack(parts).mean().sqrt())


def check(case: Case) -> None:
    """The kernels are far nearer to the specification than results without rounding are.

    Not equal to float32's precision: where a value lies almost between two bfloat16 numbers, the
    last bit of a float32 sum decides to which it is rounded.
    """
    torch.set_num_threads(case.threads)
    call = case.call()
    expected, found, exact = specified(call), by_kernels(call), results(reference, call)
    for right, ours, unrounded in zip(expected, found, exact, strict=True):
        assert distance(unrounded, right) > 1e-3
        assert distance(ours, right) < 0.5 * distance(unrounded, right), case


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("kind", CELLS)
def test_only_what_products_multiply_is_rounded(build, kind):
    assert _native.choose(build)
    _native.set_thresholds(1, 1)
    for number, option in enumerate(("bias", *FLAGS[kind], *OUTSIDE)):
        case = Case(
            kind, frozenset({option, "bias"}), T=6, B=7, H=33, inputs=9, threads=1 + number % 2
        )
        if case.possible():
            check(case)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (3, 1, 7, 3), (4, 2, 100, 1), (2, 150, 5, 2), (3, 1, 260, 5)]
)
@pytest.mark.parametrize("kind", CELLS)
def test_odd_sizes(kind, shape):
    T, B, H, inputs = shape
    for threads in (1, 2):
        torch.set_num_threads(threads)
        _native.set_thresholds(1, 1)
        call = Case(kind, frozenset({"bias", "lengths"}), T=T, B=B, H=H, inputs=inputs).call()
        for right, ours in zip(specified(call), by_kernels(call), strict=True):
            assert_close(ours, right, 2**-8)


@pytest.mark.parametrize("build", BUILDS)
def test_rounding_is_to_nearest_with_ties_to_even(build):
    """A relu network with the identity as its matrix shows its rounded input."""
    assert _native.choose(build)
    bits = torch.arange(0x00800000, 0x7F7F0000, 0x4321, dtype=torch.int32)
    ties = torch.tensor([0x3F808000, 0x3F818000, 0x3F817FFF, 0x3F818001], dtype=torch.int32)
    x = torch.cat([ties, bits]).view(torch.float32)
    x = torch.nn.functional.pad(x, (0, -len(x) % 5)).view(1, -1, 5)
    params = {
        "weight_ih": torch.eye(5),
        "weight_hh": torch.zeros(5, 5),
        "bias_ih": None,
        "bias_hh": None,
    }
    call = Call(RNN("relu"), x, (torch.zeros(x.shape[1], 5),), params)
    with torch.autocast("cpu", torch.bfloat16):
        found = Native().run(call).output
    assert torch.equal(found, x.bfloat16().float())


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("kind", CELLS)
def test_bad_values_stay_in_their_row(build, kind):
    assert _native.choose(build)
    call = cast(Case(kind, frozenset({"bias"}), B=7, H=21, inputs=5).call(), torch.bfloat16)
    clean = Native().run(call).output
    others = [0, 1, 3, 4, 5, 6]
    for bad in (float("nan"), float("inf"), 3e38):
        x = call.x.clone()
        x[1, 2, -1] = bad
        found = Native().run(call._replace(x=x)).output
        assert torch.equal(found[:, others], clean[:, others])
        if math.isnan(bad):
            assert found[1:, 2].isnan().all()


@pytest.mark.parametrize("kind", CELLS)
def test_tensors_in_bfloat16_give_tensors_in_bfloat16(kind):
    case = Case(kind, frozenset({"bias", "lengths", "layer_norm"}), T=12, B=4)
    call = cast(cast(case.call(), torch.bfloat16), torch.float64)  # the rounded values
    found = results(Native().run, cast(call, torch.bfloat16))
    for right, ours in zip(specified(call), found, strict=True):
        assert all(v.dtype == torch.bfloat16 for v in ours.values())
        assert_close(ours, right, 2**-7)


@pytest.mark.parametrize("kind", CELLS)
def test_same_threads_same_bits(kind):
    _native.set_thresholds(1, 1)
    call = cast(Case(kind, frozenset({"bias", "lengths"}), T=20, B=9, H=130).call(), torch.bfloat16)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        first, again = results(Native().run, call), results(Native().run, call)
        for a, b in zip(first, again, strict=True):
            assert all(torch.equal(a[name], b[name]) for name in a)


def test_no_rows_run():
    call = cast(Case(options=frozenset({"bias"})).call(), torch.bfloat16)
    call = call._replace(layout=Layout(torch.zeros(3, dtype=torch.long)))
    assert not results(Native().run, call)[0]["output"].any()


def test_the_specification_is_the_reference_where_nothing_is_rounded():
    """Small whole numbers are bfloat16 numbers."""
    x, weight = torch.randint(-9, 9, (4, 6)).double(), torch.randint(-9, 9, (5, 6)).double()
    assert torch.equal(linear(x, weight), torch.nn.functional.linear(x, weight))
