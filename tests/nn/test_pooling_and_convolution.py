"""Poolings and convolutions over ragged rows, beside each row alone and plain torch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from longspan.errors import InputError
from longspan.nn.convolution import SequenceConvolutions, SequenceNorm, SequencePool, SqueezeExcite
from longspan.nn.pooling import POOLINGS, Pooling

LENGTHS = torch.tensor([6, 1, 4, 0, 3])


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 5, 4, generator=generator)


def with_garbage(rows):
    inside = torch.arange(len(rows))[:, None] < LENGTHS
    return torch.where(inside[..., None], rows, 1e9)


@pytest.mark.parametrize("kind", POOLINGS)
def test_poolings_equal_each_row_alone(kind, rows):
    torch.manual_seed(0)
    pool = Pooling(kind, 4, bidirectional=kind == "last")
    found = pool(with_garbage(rows), LENGTHS)
    assert found.isfinite().all()
    assert (found[3] == 0).all()
    for row, length in enumerate(LENGTHS.tolist()):
        if length:
            alone = pool(rows[:length, row : row + 1], torch.tensor([length]))
            torch.testing.assert_close(found[row], alone[0])
    assert (pool(rows[:0], 0 * LENGTHS) == 0).all()


def test_poolings_are_what_they_say(rows):
    full = torch.full((5,), 6)
    torch.testing.assert_close(Pooling("mean", 4)(rows, full), rows.mean(0))
    torch.testing.assert_close(Pooling("max", 4)(rows, full), rows.amax(0))
    torch.testing.assert_close(Pooling("last", 4)(rows, full), rows[-1])
    both = Pooling("last", 4, bidirectional=True)(rows, full)
    torch.testing.assert_close(both, torch.cat([rows[-1, :, :2], rows[0, :, 2:]], -1))
    pool = Pooling("attention", 4)
    weights = torch.tanh(rows @ pool.hidden.weight.T + pool.hidden.bias) @ pool.weight.weight.T
    expected = (weights.softmax(0) * rows).sum(0)
    torch.testing.assert_close(pool(rows, full), expected)
    with pytest.raises(InputError, match="Did you mean 'mean'"):
        Pooling("maen", 4)


def with_nan(rows):
    inside = torch.arange(len(rows))[:, None] < LENGTHS
    return torch.where(inside[..., None], rows, torch.nan).requires_grad_()


MODULES = {
    **{kind: lambda kind=kind: Pooling(kind, 4) for kind in POOLINGS},
    "convolutions": lambda: SequenceConvolutions(4, [(3, 5), (5, 4)], squeeze_excite=True),
}


@pytest.mark.parametrize("name", MODULES)
def test_nan_at_padding_reaches_neither_values_nor_gradients(name, rows):
    module, x = MODULES[name](), with_nan(rows)
    found = module(x, LENGTHS)
    found.sum().backward()
    assert found.isfinite().all()
    assert all(leaf.grad.isfinite().all() for leaf in (x, *module.parameters()))


@pytest.mark.parametrize("name", MODULES)
def test_lengths_are_checked_and_may_be_a_list_or_of_any_whole_type(name, rows):
    module = MODULES[name]().eval()
    expected = module(rows, LENGTHS)
    for lengths in (LENGTHS.tolist(), LENGTHS.to(torch.uint8), LENGTHS.int()):
        assert torch.equal(module(rows, lengths), expected)
    assert torch.equal(module(rows), module(rows, torch.full((5,), 6)))
    for bad in ([7, 1, 4, 0, 3], [-1, 1, 4, 0, 3], [6], [6.0, 1.0, 4.0, 0.0, 3.0]):
        with pytest.raises(InputError, match="`lengths` must"):
            module(rows, bad)


@pytest.mark.parametrize("kind", POOLINGS)
def test_poolings_have_the_right_gradients(kind, rows):
    pool = Pooling(kind, 4).double()
    x = rows.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: pool(x, LENGTHS), x)


def test_full_rows_equal_torchs_convolutions(rows):
    torch.manual_seed(0)
    ours = SequenceConvolutions(4, [(3, 8), (5, 3)]).train()
    theirs = nn.Sequential(
        nn.ZeroPad1d((3, 4)), nn.Conv1d(4, 3, 8), nn.BatchNorm1d(3), nn.ReLU(),
        nn.ZeroPad1d((1, 1)), nn.Conv1d(3, 5, 3), nn.BatchNorm1d(5), nn.ReLU(),
    )  # fmt: skip
    for place, convolution in zip((1, 5), ours.convolutions, strict=True):
        theirs[place].load_state_dict(convolution.state_dict())
    for mode in (True, False):
        ours.train(mode)
        theirs.train(mode)
        expected = theirs(rows.permute(1, 2, 0)).permute(2, 0, 1)
        torch.testing.assert_close(ours(rows, torch.full((5,), 6)), expected)
    torch.testing.assert_close(ours.norms[0].var, theirs[2].running_var)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("squeeze", [True, False])
def test_padding_does_not_matter(training, squeeze, rows):
    torch.manual_seed(0)
    net = SequenceConvolutions(4, [(3, 5), (5, 4)], squeeze).train(training)
    found = net(with_garbage(rows), LENGTHS)
    wider = nn.functional.pad(with_garbage(rows), (0, 0, 0, 0, 0, 7), value=3.0)
    again = net(wider, LENGTHS)
    torch.testing.assert_close(again[:6], found)
    assert (again[6:] == 0).all()
    for row, length in enumerate(LENGTHS.tolist()):
        assert (found[length:, row] == 0).all()
        if not training and length:
            alone = net(rows[:length, row : row + 1], torch.tensor([length]))
            torch.testing.assert_close(found[:length, row], alone[:, 0])


def test_the_norm_counts_valid_steps_alone(rows):
    norm, theirs = SequenceNorm(4), nn.BatchNorm1d(4)
    inside = torch.arange(6) < LENGTHS[:, None]
    found = norm(rows.permute(1, 2, 0), inside[:, None].float())
    expected = theirs(rows.transpose(0, 1)[inside])
    torch.testing.assert_close(found.transpose(1, 2)[inside], expected)
    torch.testing.assert_close(norm.mean, theirs.running_mean)
    torch.testing.assert_close(norm.var, theirs.running_var)
    before = norm.mean.clone()
    one = norm(rows[:1, :1].permute(1, 2, 0), torch.ones(1, 1, 1))  # a single step in training
    assert one.isfinite().all()
    assert torch.equal(norm.mean, before)


def test_filters_are_weighed_by_the_means_of_all(rows):
    torch.manual_seed(0)
    weigh = SqueezeExcite(4, reduction=2)
    inside = (torch.arange(6) < LENGTHS[:, None])[:, None].float()
    x = rows.permute(1, 2, 0) * inside
    found = weigh(x, inside)
    for row, length in enumerate(LENGTHS.tolist()):
        mean = x[row, :, :length].mean(1) if length else torch.zeros(4)
        weights = (weigh.excite.weight @ (weigh.squeeze.weight @ mean).clamp(min=0)).sigmoid()
        torch.testing.assert_close(found[row], x[row] * weights[:, None])
    assert SqueezeExcite(5).squeeze.out_features == 1


def test_only_the_last_convolution_has_no_weights():
    layers = [(32, 3), (48, 3), (5, 3)]
    net = SequenceConvolutions(4, layers, squeeze_excite=True)
    assert [each.excite.out_features for each in net.weighing] == [32, 48]
    assert [each.squeeze.out_features for each in net.weighing] == [2, 3]
    assert not SequenceConvolutions(4, layers).weighing


def test_gradients_of_ragged_convolutions(rows):
    torch.manual_seed(0)
    net = SequenceConvolutions(4, [(3, 3), (2, 3)], squeeze_excite=True).double()
    x = rows.double().requires_grad_()
    names = [name for name, _ in net.named_parameters()]

    def of(x, *parameters):
        values = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(net, values, (x, LENGTHS))

    assert torch.autograd.gradcheck(of, (x, *net.parameters()))


def test_pool_of_steps(rows):
    found, lengths = SequencePool(3)(with_garbage(rows), LENGTHS)
    assert lengths.tolist() == [2, 1, 2, 0, 1]
    torch.testing.assert_close(found[0, 0], rows[:3, 0].amax(0))
    torch.testing.assert_close(found[1, 2], rows[3, 2])
    torch.testing.assert_close(found[0, 1], rows[0, 1])
    assert (found[:, 3] == 0).all()
    assert (found[1, 4] == 0).all()
    same, kept = SequencePool(1)(rows, LENGTHS)
    assert same is rows
    assert kept is LENGTHS
