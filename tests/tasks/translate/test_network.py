"""All at once against step by step, padding, and what a loss is."""

from __future__ import annotations

import pytest
import torch

from longspan.nn.attention import KINDS
from longspan.tasks.translate.network import PairBatch, TranslateNetwork

SOURCE, TARGET, SYMBOL = 20, 15, 1


def network(**options):
    torch.manual_seed(0)
    small = {"embedding_size": 6, "hidden_size": 8, "encoder_layers": 2, "decoder_layers": 2}
    made = TranslateNetwork(SOURCE, TARGET, **(small | options)).eval()
    with torch.no_grad():
        for p in made.parameters():
            p.mul_(3.0)  # so that differences show
    return made


def batch(lengths=(7, 3, 0), targets=(5, 2, 1), padding=(0, 0), fill=0):
    generator = torch.Generator().manual_seed(1)
    sources, wanted = torch.tensor(lengths), torch.tensor(targets)

    def side(size, lengths, more):
        longest = int(lengths.max())
        values = torch.randint(0, size, (longest, len(lengths)), generator=generator)
        values = torch.cat([values, torch.zeros(more, len(lengths), dtype=torch.int64)])
        inside = torch.arange(len(values))[:, None] < lengths
        return torch.where(inside, values, fill)

    source, target = side(SOURCE, sources, padding[0]), side(TARGET, wanted, padding[1])
    first = torch.full((1, len(lengths)), SYMBOL)
    return PairBatch(source, sources, torch.cat([first, target[:-1]]), target, wanted)


def inside(given):
    return torch.arange(len(given.targets))[:, None] < given.lengths


@pytest.mark.parametrize("attention", [*KINDS, "none"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize("learning", [False, True])
def test_steps_equal_the_whole_target(attention, cell, feeding, learning):
    model, given = network(attention=attention, cell=cell, input_feeding=feeding), batch()
    with torch.set_grad_enabled(learning):
        whole, weights = model.features(given)
        memory, state = model.encode(given.source, given.source_lengths)
        for t, tokens in enumerate(given.inputs):
            features, state, seen = model.step(tokens, state, memory)
            rows = inside(given)[t]
            torch.testing.assert_close(features[rows], whole[t][rows])
            if attention != "none":
                torch.testing.assert_close(seen[rows], weights[t][rows])


def test_input_feeding_matters_and_is_read_from_the_step_before():
    model, given = network(input_feeding=True), batch()
    with torch.no_grad():
        memory, state = model.encode(given.source, given.source_lengths)
        first, after, _ = model.step(given.inputs[0], state, memory)
        assert torch.equal(after.fed, first)
        fed = model.step(given.inputs[1], after, memory)[0]
        other = model.step(given.inputs[1], after._replace(fed=torch.zeros_like(first)), memory)[0]
    assert not torch.allclose(fed, other)


@pytest.mark.parametrize("feeding", [False, True])
def test_the_gradients_of_both_ways_are_equal(feeding):
    """The loop over steps is written with plain cells, the other way with kernels."""
    model, given = network(input_feeding=feeding), batch()
    gradients = []
    for way in ("features", "steps"):
        if way == "features":
            features = model.features(given)[0]
        else:
            features = model._one_by_one(
                given.inputs, *model.encode(given.source, given.source_lengths)
            )[0]
        loss = model.head.loss(features[inside(given)], given.targets[inside(given)])
        gradients.append(torch.autograd.grad(loss, list(model.parameters())))
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("attention", ["general", "additive", "none"])
@pytest.mark.parametrize("feeding", [False, True])
def test_padding_changes_nothing(attention, feeding):
    model = network(attention=attention, input_feeding=feeding)
    first, second = batch(), batch(padding=(4, 3), fill=2)
    losses, gradients = [], []
    for given in (first, second):
        loss = model(given)
        losses.append(loss)
        gradients.append(torch.autograd.grad(loss.total, list(model.parameters())))
    assert losses[0].weight == losses[1].weight == 8
    torch.testing.assert_close(losses[0].total, losses[1].total)
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.nll(first), model.nll(second))


def test_rows_do_not_depend_on_each_other():
    model, given = network(), batch()
    together = model.nll(given)
    for row in range(3):
        s, t = int(given.source_lengths[row]), int(given.lengths[row])
        alone = PairBatch(
            given.source[:s, row : row + 1], given.source_lengths[row : row + 1],
            given.inputs[:t, row : row + 1], given.targets[:t, row : row + 1],
            given.lengths[row : row + 1],
        )  # fmt: skip
        torch.testing.assert_close(model.nll(alone)[0], together[row])


def test_the_future_does_not_matter():
    model, given = network(), batch(targets=(5, 5, 5))
    other = given.inputs.clone()
    other[3:] = 4
    with torch.no_grad():
        first, second = (model.features(given._replace(inputs=x))[0] for x in (given.inputs, other))
    assert torch.equal(first[:3], second[:3])
    assert not torch.equal(first[3:], second[3:])


def test_the_loss_is_the_sum_of_the_rows_and_smoothed_in_training_alone():
    model, given = network(label_smoothing=0.3, dropout=0.0), batch()
    plain = model(given)
    torch.testing.assert_close(plain.total, model.nll(given).sum())
    model.train()
    scores = torch.nn.functional.linear(
        model.features(given)[0][inside(given)], model.head.weight, model.head.bias
    )
    expected = torch.nn.functional.cross_entropy(
        scores, given.targets[inside(given)], reduction="sum", label_smoothing=0.3
    )
    torch.testing.assert_close(model(given).total, expected)


def test_scheduled_sampling_rises_and_draws_from_the_network():
    model = network(sampling=0.5, dropout=0.0)
    model.sampling_steps = 4
    given = batch()
    model.train()
    shares = []
    for _ in range(6):
        shares.append(model.sampling_share())
        model(given)
    assert shares == [0.0, 0.125, 0.25, 0.375, 0.5, 0.5]
    torch.manual_seed(0)
    with torch.no_grad():
        model.head.bias.fill_(-50.0)[7] = 50.0  # then only token 7 can be drawn
    drawn = torch.stack([model._sampled(torch.zeros(1000, dtype=torch.int64),
                                        torch.zeros(1000, 6), 0.3)])  # fmt: skip
    assert set(drawn.unique().tolist()) == {0, 7}
    assert abs(float((drawn == 7).float().mean()) - 0.3) < 4 * (0.21 / 1000) ** 0.5
    model.eval()
    again = network(sampling=0.0)
    again.load_state_dict(model.state_dict())
    assert torch.equal(model(given).total, again(given).total)


def test_every_parameter_takes_part():
    for options in ({"shared": False}, {"attention": "additive", "tied": False},
                    {"attention": "none", "cell": "gru", "bidirectional": False}):  # fmt: skip
        model = network(**options).train()
        model(batch()).total.backward()
        assert all(p.grad is not None for p in model.parameters())
