"""The drop-ins equal torch.nn: outputs, final states, and every gradient."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import longspan.nn
from longspan import kernels

PAIRS = {
    "lstm": (nn.LSTM, longspan.nn.LSTM),
    "gru": (nn.GRU, longspan.nn.GRU),
    "rnn": (nn.RNN, longspan.nn.RNN),
}


@st.composite
def configurations(draw):
    kind = draw(st.sampled_from(sorted(PAIRS)))
    hidden = draw(st.integers(1, 70))
    options = {
        "num_layers": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
    }
    if kind == "lstm" and hidden > 1 and draw(st.booleans()):
        options["proj_size"] = draw(st.integers(1, hidden - 1))
    if kind == "rnn":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    steps, batch = draw(st.integers(1, 12)), draw(st.integers(1, 6))
    lengths = draw(st.lists(st.integers(1, steps), min_size=batch, max_size=batch))
    sizes = (draw(st.integers(1, 70)), hidden)
    layout = draw(st.sampled_from(["padded", "packed", "lengths"]))
    return kind, sizes, options, steps, lengths, layout, draw(st.integers(0, 2**31))


def relative(a: torch.Tensor, b: torch.Tensor, unit: float = 1.0) -> float:
    """Return the error beside the value, or beside 0.05 units where the value is smaller.

    Inputs and weights are of order one: where their products cancel, four units in the last place
    of 1 are left (1e-5 · 0.05 in float32), however small the sum is. Gradients are as large as what
    flows in, `unit`: where h is near 1, the last places of 1 - h² times that are left.
    """
    least = 0.05 * unit * max(b.numel(), 1) ** 0.5
    return float(((a - b).norm() / b.norm().clamp(min=least)).detach())


def run(layer, x, hx, lengths, layout, ours):
    batch_first = layer.batch_first
    if layout == "padded":
        output, state = layer(x, hx)
    elif layout == "lengths" and ours:
        output, state = layer(x, hx, lengths=lengths)
    else:
        packed = pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
        output, state = layer(packed, hx)
        assert isinstance(output, PackedSequence)
        output, _ = nn.utils.rnn.pad_packed_sequence(
            output, batch_first, total_length=x.shape[1 if batch_first else 0]
        )
    return [output, *(state if isinstance(state, tuple) else (state,))]


# Torch says so once whenever a projected LSTM runs on a processor, whoever calls it.
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@settings(deadline=None, max_examples=80)
@given(configurations(), st.sampled_from([torch.float32, torch.float64]))
def test_equals_torch(configuration, dtype):
    kind, (input_size, hidden_size), options, steps, lengths, layout, seed = configuration
    torch.manual_seed(seed)
    theirs, ours = (layer(input_size, hidden_size, dtype=dtype, **options) for layer in PAIRS[kind])
    assert list(theirs.state_dict()) == list(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    shape = (len(lengths), steps) if options["batch_first"] else (steps, len(lengths))
    x = torch.randn(*shape, input_size, dtype=dtype)
    count = options["num_layers"] * (1 + options["bidirectional"])
    state = [
        torch.randn(count, len(lengths), size, dtype=dtype)
        for size in ours.cell.state_sizes(hidden_size)
    ]
    found, unit = [], 1.0
    for layer, own in ((theirs, False), (ours, True)):
        leaves = [x.clone().requires_grad_(), *(s.clone().requires_grad_() for s in state)]
        hx = tuple(leaves[1:]) if kind == "lstm" else leaves[1]
        outputs = run(layer, leaves[0], hx, torch.tensor(lengths), layout, own)
        torch.manual_seed(seed)
        incoming = [torch.randn(o.shape, dtype=dtype) for o in outputs]
        unit = max(unit, *(float(g.abs().max()) for g in incoming))
        torch.autograd.backward(outputs, incoming)
        gradients = [leaf.grad for leaf in leaves] + [p.grad for p in layer.parameters()]
        found.append((outputs, gradients))
    limit = 1e-5 if dtype == torch.float32 else 1e-10
    for values, one in zip(zip(*found, strict=True), (1.0, unit), strict=True):
        for theirs_value, ours_value in zip(*values, strict=True):
            assert relative(ours_value, theirs_value, one) < limit


@pytest.mark.parametrize("kind", PAIRS)
def test_positional_constructor_and_forward_without_batch(kind):
    theirs, ours = PAIRS[kind]
    positional = (3, 4, 2, "relu", True, True) if kind == "rnn" else (3, 4, 2, True, True)
    a, b = theirs(*positional), ours(*positional)
    b.load_state_dict(a.state_dict())
    x = torch.randn(6, 3)
    for left, right in zip(flat(a(x)), flat(b(x)), strict=True):
        torch.testing.assert_close(left, right)
        assert left.shape == right.shape


def flat(result):
    return [result[0], *(result[1] if isinstance(result[1], tuple) else (result[1],))]


@pytest.mark.parametrize("kind", PAIRS)
def test_same_seed_gives_torchs_weights(kind):
    torch.manual_seed(4)
    theirs = PAIRS[kind][0](3, 5, 2, bidirectional=True).state_dict()
    torch.manual_seed(4)
    ours = PAIRS[kind][1](3, 5, 2, bidirectional=True).state_dict()
    for name, value in theirs.items():
        assert torch.equal(value, ours[name]), name


def test_copies_pickles_and_converts():
    layer = longspan.nn.LSTM(3, 5, 2, peephole=True, layer_norm=True, bidirectional=True)
    x = torch.randn(4, 2, 3)
    expected = layer(x)[0]
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x)[0], expected)
    torch.testing.assert_close(layer.double()(x.double())[0].float(), expected)
    assert "peephole=True" in repr(layer)
    layer.flatten_parameters()


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's tracer looks at everything
def test_all_weights_are_those_of_torch():
    options = {"num_layers": 2, "bidirectional": True, "proj_size": 2}
    own, theirs = longspan.nn.LSTM(3, 4, **options), nn.LSTM(3, 4, **options)
    names = {id(p): name for layer in (own, theirs) for name, p in layer.named_parameters()}
    found, expected = (
        [[names[id(p)] for p in each] for each in layer.all_weights] for layer in (own, theirs)
    )
    assert found == expected


def test_resets_may_be_lists():
    layer, x = longspan.nn.GRU(2, 3), torch.randn(4, 2, 2)
    reset = [[False, False], [True, False], [False, False], [False, True]]
    assert torch.equal(layer(x, reset=reset)[0], layer(x, reset=torch.tensor(reset))[0])


def test_compiled_it_computes_the_same():
    layer, x = longspan.nn.LSTM(3, 5, 2), torch.randn(4, 2, 3, requires_grad=True)
    compiled = torch.compile(layer, backend="aot_eager")
    for options in ({}, {"lengths": torch.tensor([4, 2])}):
        expected, found = layer(x, **options)[0], compiled(x, **options)[0]
        torch.testing.assert_close(found, expected)
        gradients = [torch.autograd.grad(o.sum(), x)[0] for o in (expected, found)]
        torch.testing.assert_close(*gradients)


def test_dropout_between_layers_acts_in_training_alone():
    torch.manual_seed(0)
    layer = longspan.nn.GRU(3, 5, 2, dropout=0.5)
    x = torch.randn(4, 2, 3)
    assert not torch.equal(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    one = longspan.nn.GRU(3, 5, 1, dropout=0.5)
    assert torch.equal(one(x)[0], one(x)[0])


def test_layers_take_the_native_path_and_forcing_is_checked():
    layer, x = longspan.nn.LSTM(3, 5), torch.randn(4, 2, 3)
    assert kernels.explain(layer, x) == "layer 0: native"
    assert kernels.explain(layer, x, lengths=[4, 3]) == "layer 0: native"
    with kernels.force("vendor"):
        assert kernels.explain(layer, x, lengths=[4, 4]) == "layer 0: vendor"
        with pytest.raises(ValueError, match="forced, but the batch is"):
            layer(x, lengths=[4, 3])
    with pytest.raises(ValueError, match="Did you mean 'vendor'"), kernels.force("vender"):
        pass


BAD = {
    "`input` must be a tensor or a PackedSequence, got ndarray": lambda layer: layer(
        torch.zeros(4, 2, 3).numpy()
    ),
    "`input` must have 3 axes": lambda layer: layer(torch.zeros(3)),
    "input_size = 3": lambda layer: layer(torch.zeros(4, 2, 5)),
    "dtype": lambda layer: layer(torch.zeros(4, 2, 3, dtype=torch.float64)),
    r"`lengths` must have shape \(B,\) = \(2,\), got \(3,\)": lambda layer: layer(
        torch.zeros(4, 2, 3), lengths=[1, 2, 3]
    ),
    "between 0 and the number of steps, 4": lambda layer: layer(
        torch.zeros(4, 2, 3), lengths=[5, 1]
    ),
    "whole numbers": lambda layer: layer(torch.zeros(4, 2, 3), lengths=[1.0, 2.0]),
    "`reset` must have the input's shape": lambda layer: layer(
        torch.zeros(4, 2, 3), reset=torch.zeros(2, 4, dtype=torch.bool)
    ),
    "`reset` must be boolean": lambda layer: layer(torch.zeros(4, 2, 3), reset=torch.zeros(4, 2)),
    r"`hx` \(h\) must be torch.float32 on cpu as the input, got torch.float64": lambda layer: layer(
        torch.zeros(4, 2, 3), (torch.zeros(1, 2, 5).double(), torch.zeros(1, 2, 5))
    ),
    r"`hx` \(c\) must be a tensor, got NoneType": lambda layer: layer(
        torch.zeros(4, 2, 3), (torch.zeros(1, 2, 5), None)
    ),
    "must hold 2 tensors": lambda layer: layer(torch.zeros(4, 2, 3), torch.zeros(1, 2, 5)),
    r"`hx` \(c\) must have shape": lambda layer: layer(
        torch.zeros(4, 2, 3), (torch.zeros(1, 2, 5), torch.zeros(1, 3, 5))
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_calls_say_what_was_expected(message):
    with pytest.raises(longspan.errors.InputError, match=message):
        BAD[message](longspan.nn.LSTM(3, 5))


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_size": 0},
        {"input_size": 0},
        {"input_size": -1},
        {"proj_size": 5},
        {"init": "other"},
        {"batch_norm": "other"},
        {"batch_norm": "sequence", "layer_norm": True},
        {"zoneout": 1.5},
        {"zoneout": (0.1, 0.2, 0.3)},
        {"coupled_gates": True, "forget_gate": False},
        {"forget_bias": 1.0, "bias": False},
        {"forget_bias": 1.0, "forget_gate": False},
        {"init": "chrono", "bias": False},
    ],
    ids=str,
)
def test_bad_options_are_refused(options):
    with pytest.raises(longspan.errors.InputError):
        longspan.nn.LSTM(**{"input_size": 3, "hidden_size": 5, **options})


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (longspan.nn.GRU, {"proj_size": 2}),
        (longspan.nn.GRU, {"forget_bias": 1.0}),
        (longspan.nn.GRU, {"reset_after": False, "layer_norm": True}),
        (longspan.nn.GRU, {"reset_after": False, "batch_norm": "recurrent"}),
        (longspan.nn.RNN, {"proj_size": 2}),
        (longspan.nn.RNN, {"init": "chrono"}),
        (longspan.nn.RNN, {"nonlinearity": "sine"}),
    ],
)
def test_options_that_a_cell_would_ignore_are_refused(layer, options):
    with pytest.raises(longspan.errors.InputError):
        layer(3, 5, **options)


def test_no_rows_take_an_empty_list_of_lengths():
    assert longspan.nn.LSTM(3, 5)(torch.zeros(4, 0, 3), lengths=[])[0].shape == (4, 0, 5)
