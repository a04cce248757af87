"""Today's recipe: it learns, stops where it should, repeats itself, and fails in words."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from longspan.errors import InputError
from longspan.experiments import EXPERIMENTS, Criterion, Experiment, Sequences, Settings
from longspan.experiments.modern import judge, run_modern, test
from longspan.experiments.network import CELLS, VARIANTS, Network
from longspan.experiments.problem import within
from longspan.experiments.problems import Adding, EmbeddedReber, LongLag, TwoSequences

test.__test__ = False

SHORT = Experiment(
    "short", "2016", LongLag(2, 3), Criterion(200, before=True),
    modern=Settings(hidden_size=8, batch_size=20, learning_rate=0.05, longest=10.0,
                    max_sequences=6000), tested=300,
)  # fmt: skip


def same(one, other):
    return replace(one, seconds=0.0) == replace(other, seconds=0.0)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_short_problem_is_solved_the_same_way_each_time(cell):
    first, again = (run_modern("short", SHORT, cell, 1) for _ in range(2))
    assert first.success
    assert 0 <= first.sequences < 6000 - 200
    assert first.wrong == 0
    assert first.tested == 300
    assert first.error < 0.2
    assert same(first, again)
    assert not same(first, replace(run_modern("short", SHORT, cell, 2), seed=1))


def test_it_gives_up_at_the_limit():
    seen = []
    record = run_modern("short", SHORT, "rnn", 0, max_sequences=190, watch=seen.append)
    assert record.success is False
    assert record.sequences == record.limit == 190
    assert 0 < record.wrong <= 300
    assert not seen  # too soon


def test_it_tells_how_far_it_is():
    seen, chatty = [], replace(SHORT, modern=replace(SHORT.modern, judge_every=40))
    run_modern("short", chatty, "rnn", 0, max_sequences=200, watch=seen.append)
    assert [now.sequences for now in seen] == [40, 80, 120, 160, 200]
    assert all(now.limit == 200 and 0 <= now.right <= 1 and now.error > 0 for now in seen)


def test_a_criterion_on_test_sequences():
    experiment = Experiment(
        "two", "1997", TwoSequences(20, 3), Criterion(64, mean_error=0.05, on="test"),
        modern=Settings(hidden_size=8, learning_rate=0.03, longest=20.0, judge_every=100),
        tested=200,
    )  # fmt: skip
    record = run_modern("two", experiment, "lstm", 0)
    assert record.success
    assert record.sequences % 100 == 0
    assert record.wrong <= 10


def test_a_criterion_on_a_training_set_learns_from_nothing_else():
    drawn = []

    @dataclass(frozen=True)
    class Counted(EmbeddedReber):
        def draw(self, generator, count):
            drawn.append(count)
            return super().draw(generator, count)

    experiment = replace(
        EXPERIMENTS["reber"], problem=Counted(), criterion=Criterion(30, on="both"), tested=10
    )
    run_modern("reber", experiment, "lstm", 0, max_sequences=1530)
    assert drawn == [30] + [30] * 3 + [10]  # training set, three looks, the test


def test_reber_is_solved():
    experiment = replace(EXPERIMENTS["reber"], tested=256)
    record = run_modern("reber", experiment, "lstm", 0)
    assert record.success
    assert record.sequences < 20_000
    assert record.wrong <= 5


def test_divergence_is_a_failure():
    @dataclass(frozen=True)
    class Infinite(Adding):
        def draw(self, generator, count):
            found = super().draw(generator, count)
            return replace(found, targets=found.targets * np.inf, truth=None)

    experiment = replace(SHORT, problem=Infinite(20), tested=0)
    record = run_modern("bad", experiment, "lstm", 0)
    assert record.success is False
    assert record.settings["diverged"] is True
    assert record.wrong == record.tested == 0


def test_unknown_cell():
    with pytest.raises(InputError, match="Did you mean 'lstm'"):
        run_modern("short", SHORT, "lsmt", 0)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_has_gradients_and_ignores_padding(cell):
    problem = Adding(20)
    network = Network(problem, cell, Settings(hidden_size=4))
    found = problem.draw(np.random.default_rng(0), 5)
    other = found.inputs.copy()
    other[~found.steps] = 9.0
    outputs = network(found)
    torch.testing.assert_close(network(replace(found, inputs=other)), outputs, rtol=0, atol=0)
    network.loss(outputs, found).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_the_variants_are_those_of_greff():
    sizes = {
        name: sum(
            p.numel() for p in Network(Adding(20), name, Settings(hidden_size=4)).parameters()
        )
        for name in VARIANTS
    }
    gate, peephole = 4 * (2 + 4) + 2 * 4, 4
    assert sizes["vanilla"] == 4 * gate + 3 * peephole + 5
    for name in ("nig", "nfg", "nog", "cifg"):  # one gate and its peephole less
        assert sizes[name] == sizes["vanilla"] - gate - peephole
    for name in ("niaf", "noaf"):
        assert sizes[name] == sizes["vanilla"]
    assert sizes["np"] == sizes["vanilla"] - 3 * peephole
    assert sizes["fgr"] == sizes["vanilla"] + 9 * 4 * 4


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("bias", [5.0, "chrono"])
def test_initial_biases(cell, bias):
    torch.manual_seed(0)
    network = Network(Adding(20), cell, Settings(hidden_size=64, forget_bias=bias, longest=100.0))
    layer = network.layer
    whole = dict(zip(layer.cell.gates, (layer.bias_ih_l0 + layer.bias_hh_l0).chunk(
        len(layer.cell.gates)), strict=True))  # fmt: skip
    if cell == "lstm" and bias == 5.0:
        assert (whole["f"] == 5.0).all()
    elif cell != "rnn" and bias == "chrono":
        kept = whole["f" if cell == "lstm" else "z"].exp()
        assert kept.min() > 1.0 - 1e-5
        assert 60.0 < kept.max() < 99.0
    for block in layer.weight_hh_l0.chunk(len(layer.cell.gates)):
        torch.testing.assert_close(block @ block.T, torch.eye(64), atol=1e-5, rtol=0)


def test_many_symbols_are_embedded_and_few_are_not():
    assert Network(LongLag(5, 100), "lstm", Settings()).embedding is not None
    assert Network(LongLag(5, 10), "lstm", Settings()).embedding is None


def test_judge_leaves_the_network_as_it_was():
    network = Network(Adding(20), "lstm", Settings(hidden_size=4))
    found = Adding(20).draw(np.random.default_rng(0), 3)
    correct, errors = judge(Adding(20), network, found)
    assert network.training
    outputs = network.answers(network(found))
    np.testing.assert_array_equal(errors, np.abs(outputs - found.truth)[:, 0])
    np.testing.assert_array_equal(correct, within(0.04, outputs, found))


def test_answers_are_probabilities():
    for problem in (LongLag(2, 3), EXPERIMENTS["anbn"].problem):
        network = Network(problem, "lstm", Settings(hidden_size=4))
        found = problem.draw(np.random.default_rng(0), 3)
        answers = network.answers(network(found))
        assert isinstance(found, Sequences)
        assert ((answers > 0) & (answers < 1)).all()
        if problem.kind == "classes":
            np.testing.assert_allclose(answers.sum(1), 1.0, rtol=1e-5)
