"""Random masks: how often, how independent, and from what they are drawn."""

from __future__ import annotations

import pytest
import torch

import longspan.nn
from longspan.errors import InputError
from longspan.kernels import native, random_mask

_native = pytest.importorskip("longspan.kernels._native", reason="built without a compiler")

BUILDS = _native.builds()
SIZE = (60, 70, 100)


@pytest.fixture(params=["kernels", "torch"])
def like(request):
    """Double precision is drawn by torch."""
    return torch.zeros(1, dtype=torch.float32 if request.param == "kernels" else torch.float64)


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.1, 0.5, 0.9, 1.0])
def test_a_mask_has_its_rate_and_no_pattern(like, rate):
    """Within five standard deviations: in all, in each half of an axis, and of neighbours."""
    torch.manual_seed(0)
    mask = random_mask(rate, SIZE, like, 2.0)
    assert mask.shape == SIZE
    assert mask.dtype == like.dtype
    hits = mask.double() / 2.0
    assert set(hits.unique().tolist()) <= {0.0, 1.0}

    def near(values, expected):
        error = (expected * (1 - expected) / values.numel()) ** 0.5
        assert abs(float(values.mean()) - expected) <= 5 * error

    for part in (
        hits,
        hits[:30],
        hits[:, :35],
        hits[..., :50],
        hits[..., ::2],
        hits.flatten()[::16],
    ):
        near(part, rate)
    flat = hits.flatten()
    for lag in (1, 2, 4, 16, 100, 7000):
        near(flat[:-lag:2] * flat[lag::2][: len(flat[:-lag:2])], rate**2)


def test_masks_of_different_seeds_are_independent(like):
    masks = []
    for seed in range(6):
        torch.manual_seed(seed)
        masks += [random_mask(0.5, SIZE, like).double() for _ in range(2)]
    stacked = torch.stack(masks).flatten(1) - 0.5
    correlations = (stacked @ stacked.T) / stacked[0].square().sum()
    off = correlations - torch.eye(len(masks), dtype=torch.float64)
    assert off.abs().max() < 5 / stacked.shape[1] ** 0.5


@pytest.mark.parametrize("count", [1, 3, 17, 100_003])
def test_a_seed_gives_the_same_mask_on_every_build_and_number_of_threads(count):
    expected = None
    for build in BUILDS:
        assert _native.choose(build)
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(5)
            mask = native.random_mask(0.3, (count,), 1.0)
            expected = mask if expected is None else expected
            assert torch.equal(mask, expected)


def test_a_layer_draws_new_masks_at_each_call_and_the_same_from_a_seed():
    layer, x = longspan.nn.LSTM(3, 8, zoneout=0.3, recurrent_dropout=0.2), torch.randn(9, 4, 3)

    def run(seed):
        torch.manual_seed(seed)
        return layer(x)[0], layer(x)[0]

    first, second = run(0)
    assert not torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip(run(0), (first, second), strict=True))


def test_torch_s_default_dtype_does_not_matter():
    torch.manual_seed(5)
    expected = native.random_mask(0.3, (3, 5), 1.0)
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(5)
        found = native.random_mask(0.3, (3, 5), 1.0)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


NOISY = {"zoneout": 0.3, "recurrent_dropout": 0.2, "update_dropout": 0.2}


@pytest.mark.filterwarnings("ignore")  # of the compiler's own parts
def test_masks_do_not_break_a_graph():
    torch._dynamo.reset()
    draw = torch.compile(
        lambda like: random_mask(0.3, (400, 100), like), backend="aot_eager", fullgraph=True
    )
    places = draw(torch.zeros(1)).view(-1, 4).mean(0)  # one number makes four values
    assert (places - 0.3).abs().max() < 5 * (0.21 / 10_000) ** 0.5
    layer, x = longspan.nn.LSTM(3, 8, **NOISY), torch.randn(9, 4, 3)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    first, second = compiled(x)[0], compiled(x)[0]
    assert not torch.equal(first, second)


def test_vmap_draws_the_same_masks_or_others_as_it_is_told():
    layer, x = longspan.nn.LSTM(3, 8, **NOISY), torch.randn(9, 4, 3)
    for randomness in ("different", "same"):
        run = torch.vmap(lambda x: layer(x)[0], randomness=randomness)
        first, second = run(x.expand(2, 9, 4, 3))
        assert torch.equal(first, second) == (randomness == "same")


@pytest.mark.parametrize("rate", [-0.5, 1.5, float("nan")])
def test_a_rate_is_a_probability(like, rate):
    with pytest.raises(InputError, match="`rate` must be a probability"):
        random_mask(rate, (2, 3), like)
