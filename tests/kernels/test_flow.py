"""The flow of gradients that backward measures, against autograd on rows that run by themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kernels.cases import FLAGS, OUTSIDE, Case, assert_close, cast, reference

from longspan import kernels
from longspan.cells import CELLS, Layout, Noise
from longspan.kernels import Flow, native
from longspan.kernels.reference import Reference
from longspan.kernels.vectorised import Native

needs_native = pytest.mark.skipif(not native.available(), reason="built without a compiler")


def weights(values, seed=7):
    make = torch.Generator().manual_seed(seed)
    return [torch.randn(v.shape, generator=make, dtype=torch.float64).to(v) for v in values]


def every_value(result):
    return [result.output, *result.state, *(result.gates or {}).values()]


def measured(run, call: kernels.Call) -> Flow:
    flow = Flow()
    for tensor in call.params.values():
        if tensor is not None:
            tensor.requires_grad_()
    values = every_value(run(call._replace(flow=flow)))
    sum((v * w).sum() for v, w in zip(values, weights(values), strict=True)).backward()
    return flow


def one_step(call: kernels.Call, state, t: int, b: int) -> kernels.Call:
    """Return the call of one row at one step."""
    n = call.noise

    def of_step(mask):
        return mask[t : t + 1, b : b + 1] if isinstance(mask, torch.Tensor) else mask

    hidden = None if n.hidden is None else n.hidden[b : b + 1]
    noise = Noise(hidden, of_step(n.update), of_step(n.zoneout_c), of_step(n.zoneout_h))
    return call._replace(x=of_step(call.x), state=state, layout=Layout(), noise=noise)


def by_autograd(call: kernels.Call) -> Flow:
    """Run every row by itself, step by step, with the gradient of every state kept."""
    flow, layout = Flow(), call.layout
    steps, batch, _ = call.x.shape
    squares = flow.room(steps, batch, layout.lengths)
    for tensor in call.params.values():
        if tensor is not None:
            tensor.requires_grad_()
    values = every_value(reference(call))
    out, *rest = weights(values)
    finals, gates = rest[: len(call.state)], rest[len(call.state) :]
    loss, kept = torch.zeros((), dtype=call.x.dtype), []
    for b in range(batch):
        n = steps if layout.lengths is None else int(layout.lengths[b])
        state = tuple(s[b : b + 1] for s in call.state)
        order = range(n)[::-1] if layout.reverse else range(n)
        for done, t in enumerate(order):
            begins = t + 1 if layout.reverse else t
            if layout.reset is not None and begins < n and layout.reset[begins, b]:
                state = tuple(torch.zeros_like(s) for s in state)
            result = reference(one_step(call, state, t, b))
            state = result.state
            for index, tensor in enumerate(state[:2]):
                tensor.retain_grad()
                kept.append((n - 1 - done, index, tensor))
            loss = loss + (state[0] * out[t, b]).sum()
            for value, weight in zip((result.gates or {}).values(), gates, strict=True):
                loss = loss + (value[0, 0] * weight[t, b]).sum()
        for value, weight in zip(state, finals, strict=True):
            loss = loss + (value * weight[b]).sum()
    if loss.requires_grad:
        loss.backward()
    for lag, index, tensor in kept:
        if tensor.grad is not None:
            squares[lag, index] += tensor.grad.square().sum()
    return flow


def check(case: Case) -> None:
    if case.kind == "rnn":  # what it records is its state or not, as the options are
        case = replace(case, options=case.options - {"record"})
    torch.set_num_threads(case.threads)
    expected = by_autograd(case.call())
    one_state = len(case.cell.states) == 1
    assert not (one_state and expected.squares[:, 1].any())
    found = measured(Reference().run, case.call())
    assert torch.equal(found.rows, expected.rows)
    assert_close({"": found.squares}, {"": expected.squares}, 1e-10)
    if native.available():
        found = measured(Native().run, cast(case.call(), torch.float32))
        assert torch.equal(found.rows, expected.rows)
        least = 1.0 if case.has("layer_norm") else 0.1
        assert_close({"": found.squares.sqrt()}, {"": expected.squares.sqrt()}, 1e-4, least)


@pytest.mark.parametrize("kind", CELLS)
def test_every_option(kind):
    for option in (*FLAGS[kind], *OUTSIDE, None):
        options = frozenset({"bias", "lengths", option} - {None})
        if Case(kind, options).possible():
            check(Case(kind, options, seed=len(str(option))))
            check(Case(kind, options | {"reset", "reverse"}, T=4, H=8))


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_random_layers(data):
    kind = data.draw(st.sampled_from(sorted(CELLS)))
    options = data.draw(st.frozensets(st.sampled_from((*FLAGS[kind], *OUTSIDE))))
    case = Case(
        kind, options, T=data.draw(st.integers(1, 6)), B=data.draw(st.integers(1, 5)),
        H=data.draw(st.integers(1, 40)), threads=data.draw(st.integers(1, 2)),
        seed=data.draw(st.integers(0, 99)),
    )  # fmt: skip
    if case.possible():
        check(case)


@needs_native
@pytest.mark.parametrize("kind", CELLS)
def test_threads_that_share_units(kind):
    from longspan.kernels import _native

    _native.set_thresholds(1, 1)
    try:
        check(Case(kind, frozenset({"bias"}), B=1, H=160, threads=2))
    finally:
        _native.set_thresholds()


@needs_native
def test_measuring_changes_no_gradient():
    call = cast(Case(options=frozenset({"bias"})).call(), torch.float32)
    measured(Native().run, call)
    with_flow = {name: p.grad.clone() for name, p in call.params.items()}
    for p in call.params.values():
        p.grad = None
    values = every_value(Native().run(call))
    sum((v * w).sum() for v, w in zip(values, weights(values), strict=True)).backward()
    assert all(torch.equal(with_flow[name], p.grad) for name, p in call.params.items())


def test_calls_of_different_lengths_add_up():
    flow = Flow()
    flow.room(2, 3, None)[:] = 1.0
    flow.room(4, 2, torch.tensor([4, 1]))[:] += 1.0
    assert flow.rows.tolist() == [5.0, 4.0, 1.0, 1.0]
    assert flow.squares[:, 0].tolist() == [2.0, 2.0, 1.0, 1.0]
