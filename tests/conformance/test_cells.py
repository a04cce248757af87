"""Every cell with every option: derivatives, ragged lengths, resets, chunks, direction."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from longspan import kernels
from longspan.cells import CELLS
from longspan.nn import GRU, LSTM, RNN

LAYERS = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
SHARED = [
    {},
    {"bias": False},
    {"num_layers": 2},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True},
    {"layer_norm": True},
    {"batch_norm": "sequence"},
    {"batch_norm": "recurrent"},
    {"zoneout": 0.3},
    {"zoneout": (0.2, 0.4)},
    {"recurrent_dropout": 0.3},
    {"update_dropout": 0.3},
]
OPTIONS = {
    "lstm": [
        *SHARED,
        {"proj_size": 2},
        {"peephole": True},
        {"coupled_gates": True},
        {"input_gate": False},
        {"forget_gate": False},
        {"output_gate": False},
        {"input_activation": False},
        {"output_activation": False},
        {"full_gate_recurrence": True},
        {
            "peephole": True,
            "coupled_gates": True,
            "layer_norm": True,
            "proj_size": 2,
            "zoneout": 0.1,
            "full_gate_recurrence": True,
            "bidirectional": True,
        },
    ],
    "gru": [*SHARED, {"reset_after": False}, {"reset_after": False, "recurrent_dropout": 0.3}],
    "rnn": [*SHARED, {"nonlinearity": "relu"}, {"init": "identity"}],
}
CASES = [(name, options) for name in CELLS for options in OPTIONS[name]]
T, B, I, H = 4, 3, 2, 3
LENGTHS = torch.tensor([4, 0, 2])


def build(name: str, options: dict) -> nn.Module:
    torch.manual_seed(1)
    layer = LAYERS[name](I, H, dtype=torch.float64, **options)
    for parameter in layer.parameters():  # gains of one and shifts of zero hide mistakes
        nn.init.normal_(parameter, std=0.6)
    return layer.eval()


def draw(*shape: int, seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def states(layer, batch: int = B, seed: int = 5) -> tuple[Tensor, ...]:
    count = layer.num_layers * layer.num_directions
    sizes = layer.cell.state_sizes(H)
    return tuple(draw(count, batch, size, seed=seed + k) for k, size in enumerate(sizes))


def hx_of(values) -> object:
    return tuple(values) if len(values) > 1 else values[0]


def flat(result) -> list[Tensor]:
    output, state = result
    return [output, *(state if isinstance(state, tuple) else (state,))]


def identifier(case) -> str:
    return "-".join([case[0], *(f"{k}={v}" for k, v in case[1].items())])


def resets() -> Tensor:
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[2, 0] = reset[0, 1] = reset[1, 2] = True
    return reset


def as_function(layer, training: bool):
    """The layer as a function of all it depends on, with the same random masks at each call."""
    names = [name for name, _ in layer.named_parameters()]
    buffers = {name: b.clone() for name, b in layer.named_buffers()}

    def function(x, *rest):
        layer.train(training)
        torch.manual_seed(3)
        count = len(layer.cell.states)
        tensors = {**dict(zip(names, rest[count:], strict=True)), **buffers}
        given = {"lengths": LENGTHS, "reset": resets()}
        result = torch.func.functional_call(layer, tensors, (x, hx_of(rest[:count])), given)
        return tuple(flat(result))

    leaves = [draw(T, B, I), *states(layer), *(p.detach() for p in layer.parameters())]
    return function, tuple(leaf.clone().requires_grad_() for leaf in leaves)


@pytest.mark.parametrize("case", CASES, ids=identifier)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_first_and_second_derivatives(case, training):
    function, leaves = as_function(build(*case), training)
    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves, fast_mode=True, atol=1e-4)


@pytest.mark.parametrize("case", CASES, ids=identifier)
def test_row_is_independent_of_batch_and_padding(case):
    """Even NaN in the padding, or in another row, reaches neither values nor gradients."""
    layer = build(*case)
    x, state = draw(T, B, I), states(layer)
    padded = torch.full((T + 3, B, I), torch.nan, dtype=torch.float64)
    for row, length in enumerate(LENGTHS):
        padded[:length, row] = x[:length, row]
    padded.requires_grad_()
    batch = flat(layer(padded, hx_of(state), lengths=LENGTHS))
    sum(b.square().sum() for b in batch).backward()
    gradients = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    for row, length in enumerate(LENGTHS.tolist()):
        own = x[:length, row : row + 1].clone().requires_grad_()
        alone = flat(layer(own, hx_of([s[:, row : row + 1] for s in state])))
        torch.testing.assert_close(batch[0][:length, row : row + 1], alone[0])
        assert not batch[0][length:, row].any()
        for b, a in zip(batch[1:], alone[1:], strict=True):
            torch.testing.assert_close(b[:, row : row + 1], a)
        if not length:
            continue
        sum(a.square().sum() for a in alone).backward()
        torch.testing.assert_close(padded.grad[:length, row : row + 1], own.grad)
    assert not padded.grad.isnan().any()
    for p, gradient in zip(layer.parameters(), gradients, strict=True):
        torch.testing.assert_close(p.grad, gradient)


@pytest.mark.parametrize("case", CASES, ids=identifier)
def test_empty_row_returns_its_state_and_zeros(case):
    layer = build(*case)
    state = states(layer)
    output, *final = flat(layer(draw(T, B, I), hx_of(state), lengths=[0] * B))
    assert not output.any()
    for f, s in zip(final, state, strict=True):
        torch.testing.assert_close(f, s)


@pytest.mark.parametrize("case", CASES, ids=identifier)
def test_reset_in_the_padding_does_nothing(case):
    """Nor does it in an empty row, whose state stays the one given."""
    layer = build(*case)
    x, state = draw(T, B, I), hx_of(states(layer))
    beyond = torch.arange(T)[:, None] >= LENGTHS
    plain = flat(layer(x, state, lengths=LENGTHS))
    reset = flat(layer(x, state, lengths=LENGTHS, reset=beyond))
    for p, r in zip(plain, reset, strict=True):
        assert torch.equal(p, r)


@pytest.mark.parametrize("case", CASES, ids=identifier)
def test_reset_equals_two_sequences(case):
    layer = build(*case)
    if case[1].get("batch_norm") == "recurrent":
        return  # statistics per time step: a later sequence is normalised by other ones
    state, cut = states(layer), 2
    x = draw(T, B, I).requires_grad_()
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[cut] = True
    whole = layer(x, hx_of(state), reset=reset)[0]
    (whole.square().sum()).backward()
    together = [x.grad.clone(), *(p.grad.clone() for p in layer.parameters())]
    layer.zero_grad()
    x.grad = None
    zero = [torch.zeros_like(s) for s in state]
    first_state, second_state = [s.clone() for s in state], list(zero)
    if layer.bidirectional:  # the reverse network enters at the end: there it has the state
        for k, s in enumerate(state):
            first_state[k][1::2], second_state[k] = 0.0, s.clone()
            second_state[k][0::2] = 0.0
    parts = [
        layer(x[:cut], hx_of(first_state))[0],
        layer(x[cut:], hx_of(second_state))[0],
    ]
    torch.testing.assert_close(whole, torch.cat(parts))
    sum(p.square().sum() for p in parts).backward()
    apart = [x.grad, *(p.grad for p in layer.parameters())]
    for a, b in zip(together, apart, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("case", CASES, ids=identifier)
def test_chunks_with_carried_state_equal_the_whole(case):
    layer = build(*case)
    if layer.bidirectional or case[1].get("batch_norm") == "recurrent":
        return
    x, state = draw(T, B, I), hx_of(states(layer))
    whole = flat(layer(x, state))
    outputs = []
    for chunk in (x[:1], x[1:3], x[3:]):
        output, state = layer(chunk, state)
        outputs.append(output)
    torch.testing.assert_close(whole[0], torch.cat(outputs))
    last = state if isinstance(state, tuple) else (state,)
    for w, s in zip(whole[1:], last, strict=True):
        torch.testing.assert_close(w, s)


@pytest.mark.parametrize("case", CASES, ids=identifier)
def test_gates_are_recorded_for_every_step(case):
    layer = build(*case)
    output, state = layer(draw(T, B, I), lengths=LENGTHS)[:2]
    again, _, gates = layer(draw(T, B, I), lengths=LENGTHS, return_gates=True)
    torch.testing.assert_close(output, again)
    assert len(gates) == layer.num_layers * layer.num_directions
    for each in gates:
        assert set(layer.cell.gates) <= set(each)
        for values in each.values():
            assert values.shape == (T, B, H)
            assert not values[2:, 2].any()
    if case[0] == "lstm" and not layer.bidirectional:
        torch.testing.assert_close(gates[-1]["c"][-1, 0], state[1][-1, 0])


@pytest.mark.parametrize("case", CASES, ids=identifier)
@pytest.mark.parametrize("shape", [(0, B), (T, 0), (1, 1)], ids=str)
def test_empty_and_smallest_batches(case, shape):
    layer = build(*case)
    output, *final = flat(layer(draw(*shape, I)))
    assert output.shape == (*shape, layer.output_size * layer.num_directions)
    if shape[0] == 0:
        assert not any(f.any() for f in final)


@pytest.mark.parametrize("name", list(CELLS))
def test_vendor_equals_reference_and_second_derivatives_in_float32(name):
    torch.manual_seed(0)
    layer = LAYERS[name](5, 7, num_layers=2, bidirectional=True)
    x = torch.randn(9, 4, 5, requires_grad=True)
    results = {}
    for kernel in ("vendor", "reference"):
        with kernels.force(kernel):
            output = layer(x)[0].square().sum()
            (gradient,) = torch.autograd.grad(output, x, create_graph=True)
            second = torch.autograd.grad(gradient.square().sum(), [x, *layer.parameters()])
            results[kernel] = [output, gradient, *second]
    for v, r in zip(*results.values(), strict=True):
        torch.testing.assert_close(v, r, rtol=1e-4, atol=1e-5)
