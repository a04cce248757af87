"""The native kernels against `longspan.cells` in float64: values and gradients."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.kernels.cases import (
    FLAGS,
    OUTSIDE,
    Case,
    assert_close,
    cast,
    leaves,
    reference,
    results,
    with_parameters,
)  # fmt: skip
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from longspan.cells import CELLS, Layout
from longspan.kernels import PackedWeights, native
from longspan.kernels.vectorised import Native
from longspan.nn import LSTM

_native = pytest.importorskip("longspan.kernels._native", reason="built without a compiler")

BUILDS = _native.builds()
VALUES, GRADIENTS = 1e-5, 1e-4
FUZZ = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def check(case: Case) -> None:
    torch.set_num_threads(case.threads)
    call = case.call()
    assert Native().why_not(cast(call, torch.float32)) is None
    values, gradients = results(reference, call)
    found, slopes = results(Native().run, cast(call, torch.float32))
    # Layer normalisation does not see its input's scale, so with few inputs or units a gradient is
    # what is left when terms of order one cancel out.
    least = 1.0 if case.has("layer_norm") else 0.1
    assert_close(found, values, VALUES, least)
    assert_close(slopes, gradients, GRADIENTS, least)
    with torch.no_grad():  # inference keeps nothing and has code of its own
        inference = Native().run(cast(call, torch.float32))
    for a, b in zip((inference.output, *inference.state), found.values(), strict=False):
        assert torch.equal(a, b)
    with torch.no_grad(), PackedWeights():
        kept = with_parameters(cast(call, torch.float32))
        first, second = Native().run(kept), Native().run(kept)
    for one in (first, second):
        for a, b in zip((one.output, *one.state), found.values(), strict=False):
            assert torch.equal(a, b)


def cases_of_pairs() -> list[Case]:
    cases = []
    for kind in CELLS:
        options = (*FLAGS[kind], *OUTSIDE)
        chosen = itertools.chain(
            [()], ((o,) for o in options), itertools.combinations(options, 2), [options[-6:]]
        )
        cases += [Case(kind, frozenset({*pair, "bias"})) for pair in chosen]
    return [case for case in cases if case.possible()]


@pytest.mark.parametrize("kind", CELLS)
def test_every_option_and_pair_of_options(kind):
    """With biases and without is one of the pairs."""
    _native.set_thresholds(1, 1)
    for case in cases_of_pairs():
        if case.kind == kind:
            check(case)
            check(replace(case, options=case.options - {"bias"}, threads=2, seed=1))


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("kind", CELLS)
def test_every_build_with_every_option(build, kind):
    assert _native.choose(build)
    for option in (*FLAGS[kind], *OUTSIDE):
        check(Case(kind, frozenset({option, "bias"}), H=37, seed=3))


@pytest.mark.parametrize("build", BUILDS)
@given(data=st.data())
@FUZZ
def test_random_shapes_and_options(build, data):
    _native.choose(build)
    _native.set_thresholds(1, 1)
    kind = data.draw(st.sampled_from(sorted(CELLS)))
    case = Case(
        kind,
        frozenset(data.draw(st.sets(st.sampled_from((*FLAGS[kind], *OUTSIDE)), max_size=6))),
        T=data.draw(st.integers(1, 9)),
        B=data.draw(st.integers(1, 14)),
        inputs=data.draw(st.integers(1, 20)),
        H=data.draw(st.integers(1, 70)),
        threads=data.draw(st.integers(1, 4)),
        seed=data.draw(st.integers(0, 1000)),
    )
    if case.possible():
        check(case)


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", CELLS)
def test_threads_that_share_the_hidden_units(kind, threads):
    """One row, so that threads must split the units and meet at every step."""
    _native.set_thresholds(1, 1)
    for option in (*FLAGS[kind], *OUTSIDE):
        options = frozenset({option, "bias"})
        check(Case(kind, options, T=3, B=1, H=277, threads=threads))
        check(Case(kind, options | {"lengths", "reset"}, B=5, H=130, threads=threads))


@pytest.mark.parametrize("kind", CELLS)
def test_long_and_wide(kind):
    """Several chunks of steps, and sums over more rows than one block."""
    for options in ({"bias"}, {"bias", "layer_norm", "lengths"}, {"bias", "record", "reset"}):
        check(Case(kind, frozenset(options), T=70, B=11, H=67, threads=2))
    check(Case(kind, frozenset({"bias"}), T=2, B=300, H=5, threads=2))


@pytest.mark.parametrize("own_sums", [0, 1 << 19])
@pytest.mark.parametrize("kind", CELLS)
def test_sums_of_weights_gradients_of_all_threads_or_of_each_group(kind, own_sums):
    """Groups of unequal lengths, some of whose rows have none, and with more chunks than others."""
    _native.set_thresholds(1, 1, own_sums)
    for option in (*FLAGS[kind], *OUTSIDE):
        case = Case(kind, frozenset({option, "bias", "lengths"}), T=41, B=33, H=21, threads=3)
        check(case)
        check(replace(case, T=1, B=3, H=5, threads=4))


@pytest.mark.parametrize("kind", CELLS)
def test_same_threads_same_bits(kind):
    _native.set_thresholds(1, 1)
    call = cast(Case(kind, frozenset({"bias", "lengths"}), T=20, B=9, H=130).call(), torch.float32)
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        first, again = results(Native().run, call), results(Native().run, call)
        for a, b in zip(first, again, strict=True):
            for name in a:
                assert torch.equal(a[name], b[name]), name


@pytest.mark.parametrize("kind", CELLS)
def test_no_rows_run(kind):
    call = cast(Case(kind, frozenset({"bias"})).call(), torch.float32)
    call = call._replace(layout=Layout(torch.zeros(3, dtype=torch.long)))
    values, gradients = results(Native().run, call)
    assert not values["output"].any()
    for k, state in enumerate(call.state):
        assert torch.equal(values[f"final{k}"], state)
    assert all(not g.any() for name, g in gradients.items() if not name.startswith("state"))


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_saturation_and_bad_rows(kind, layer_norm):
    """±1e4 saturates cleanly, denormals are no trouble, and a NaN stays in its row."""
    options = frozenset({"bias", "layer_norm"} if layer_norm else {"bias"})
    for scale in (1e4, 1e-40):
        base = Case(kind, options, B=7).call()
        call = base._replace(x=base.x * scale)
        expected = results(reference, call)[0]
        assert_close(results(Native().run, cast(call, torch.float32))[0], expected, 1e-4)
    call = cast(Case(kind, options, B=7).call(), torch.float32)
    clean = Native().run(call)
    bad = call.x.clone()
    bad[1, 2] = float("nan")
    found = Native().run(call._replace(x=bad))
    others = [0, 1, 3, 4, 5, 6]
    assert torch.equal(found.output[:, others], clean.output[:, others])
    assert found.output[1:, 2].isnan().all()
    assert torch.equal(found.output[0, 2], clean.output[0, 2])


def test_nan_in_padding_is_never_seen():
    call = cast(Case(options=frozenset({"bias"})).call(), torch.float32)
    layout = Layout(torch.tensor([5, 0, 2]))
    clean = results(Native().run, call._replace(layout=layout))
    x = call.x.clone().detach()
    x[2:, 2] = x[:, 1] = float("nan")
    found = results(Native().run, call._replace(x=x, layout=layout))
    for a, b in zip(clean, found, strict=True):
        for name in a:
            assert torch.equal(a[name], b[name]), name


@pytest.mark.parametrize("build", BUILDS)
def test_activations_are_good_to_a_few_ulp(build):
    """Every 64th float32 there is."""
    _native.choose(build)
    bits = np.arange(0, 2**32, 64, dtype=np.uint64).astype(np.uint32)
    x = bits.view(np.float32)
    x = np.ascontiguousarray(x[np.isfinite(x)])
    exact = x.astype(np.float64)
    within = np.abs(exact) < 87.0  # beyond, the sigmoid stays at its least value
    for which, true in ((0, 1.0 / (1.0 + np.exp(-np.clip(exact, -700, 700)))), (1, np.tanh(exact))):
        y = np.empty_like(x)
        _native.activation(which, x.ctypes.data, y.ctypes.data, len(x))
        ulp = np.maximum(np.spacing(np.abs(true).astype(np.float32)), np.finfo(np.float32).tiny)
        error = np.abs(y - true) / ulp
        assert error[within].max() < 3.5, (which, x[within][error[within].argmax()])
        assert np.abs(y - true)[~within].max() < 1e-37
    nan = np.array([np.nan], np.float32)
    out = np.zeros(1, np.float32)
    for which in (0, 1):
        _native.activation(which, nan.ctypes.data, out.ctypes.data, 1)
        assert np.isnan(out[0])


@pytest.mark.parametrize("kind", CELLS)
def test_second_derivatives_are_the_reference_s(kind):
    call = Case(kind, frozenset({"bias", "lengths"}), T=3, B=2, H=3).call()

    def second(run, call):
        inputs = leaves(call)
        first = torch.autograd.grad(
            run(call).output.square().sum(), list(inputs.values()), create_graph=True
        )
        return torch.autograd.grad(
            sum(g.square().sum() for g in first), list(inputs.values()), allow_unused=True
        )

    expected = second(reference, call)
    for f, e in zip(second(Native().run, cast(call, torch.float32)), expected, strict=True):
        torch.testing.assert_close(f.double(), e, rtol=1e-4, atol=1e-4)


def test_the_right_build_is_the_fastest_and_unknown_ones_are_refused():
    assert BUILDS[-1] == "baseline"
    assert not _native.choose("mmx")
    assert native.available()


@pytest.mark.parametrize("kind", CELLS)
def test_the_number_of_threads_may_change_before_backward(kind):
    _native.set_thresholds(1, 1)
    case = Case(kind, frozenset({"bias", "lengths", "layer_norm"}), T=9, B=8, H=130)
    expected = results(reference, case.call())[1]
    torch.set_num_threads(3)
    call = cast(case.call(), torch.float32)

    def run_and_change(call):
        result = Native().run(call)
        torch.set_num_threads(1)
        return result

    assert_close(results(run_and_change, call)[1], expected, GRADIENTS, 1.0)


def test_environment_variable_forces_a_build():
    code = "from longspan.kernels.loader import native"
    for name, fine in (("baseline", True), ("mmx", False)):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "LONGSPAN_ISA": name}, capture_output=True, text=True,
        )  # fmt: skip
        assert (run.returncode == 0) == fine
        assert fine or "this processor can run" in run.stderr


@pytest.mark.parametrize("layer_norm", [False, True])
def test_backward_runs_again_on_what_forward_kept_and_frees_it_at_last(layer_norm):
    layer, x = LSTM(3, 5, layer_norm=layer_norm), torch.randn(9, 3, 3, requires_grad=True)
    output = layer(x)[0]
    inputs = (x, *layer.parameters())
    first = torch.autograd.grad(output.sum(), inputs, retain_graph=True)
    again = torch.autograd.grad(output.sum(), inputs, retain_graph=True)
    assert output.grad_fn.saved is not None
    last = torch.autograd.grad(output.sum(), inputs)
    assert output.grad_fn.saved is None
    for a, b, c in zip(first, again, last, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(b, c)


@pytest.mark.parametrize("lengths", [None, [9, 0, 4]])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_hooks_on_saved_tensors_get_all_that_backward_needs(lengths, layer_norm):
    """Gradient checkpointing could otherwise not free what the kernels keep of each step."""
    torch.manual_seed(0)
    layer, x = LSTM(3, 5, layer_norm=layer_norm), torch.randn(9, 3, 3)
    inputs = (x.requires_grad_(), *layer.parameters())

    def run(x):
        return layer(x, lengths=lengths)[0].square()

    expected = torch.autograd.grad(run(x).sum(), inputs)

    def elsewhere(saved):  # a copy that begins within a cache line
        return torch.cat([saved.new_zeros(1), saved.flatten()])[1:].view(saved.shape)

    runs = {
        "checkpoint": (lambda: checkpoint(run, x, use_reentrant=False), nullcontext()),
        "hooks": (lambda: run(x), saved_tensors_hooks(lambda t: t, lambda t: t)),
        "moved": (lambda: run(x), saved_tensors_hooks(elsewhere, lambda t: t)),
    }
    for forward, hooks in runs.values():
        with hooks:
            output = forward()
        scan = output.grad_fn
        while scan.name() != "_ScanBackward":
            scan = scan.next_functions[0][0]
        assert scan.saved is None
        for _ in range(2):
            found = torch.autograd.grad(output.sum(), inputs, retain_graph=True)
            for f, e in zip(found, expected, strict=True):
                assert torch.equal(f, e)
        (second,) = torch.autograd.grad(
            torch.autograd.grad(output.sum(), x, create_graph=True)[0].sum(), layer.weight_hh_l0
        )
        assert second.isfinite().all()


def test_gradients_may_come_in_batches():
    torch.manual_seed(0)
    layer, x = LSTM(3, 5), torch.randn(4, 2, 3, requires_grad=True)
    output = layer(x)[0]
    incoming = torch.randn(3, *output.shape)
    (found,) = torch.autograd.grad(
        output, x, incoming, is_grads_batched=True, retain_graph=True
    )  # fmt: skip
    each = [torch.autograd.grad(output, x, g, retain_graph=True)[0] for g in incoming]
    torch.testing.assert_close(found, torch.stack(each))
    assert not found.requires_grad
