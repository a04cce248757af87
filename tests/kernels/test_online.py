"""The online learner equals autograd where the paper lets errors flow, and counts weights as it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.kernels.truncated import NAMES, Truncated

from longspan.errors import InputError
from longspan.kernels.loader import native
from longspan.kernels.online import GATES, SQUASHES, OnlineLearner, OnlineNetwork

pytestmark = pytest.mark.skipif(native is None, reason="needs the compiled kernels")


@st.composite
def networks(draw):
    recurrent = draw(st.booleans())
    gates = tuple(gate for gate in GATES if draw(st.booleans()))
    biased = tuple(name for name in ("cells", "gates", "outputs") if draw(st.booleans()))
    return OnlineNetwork(
        input_size=draw(st.integers(1, 9)),
        output_size=draw(st.integers(1, 9)),
        blocks=draw(st.integers(1, 3)),
        cells=draw(st.integers(1, 3)),
        gates=gates,
        peephole=bool(gates) and draw(st.booleans()),
        recurrent=recurrent,
        gate_recurrence=recurrent and draw(st.booleans()),
        direct=draw(st.booleans()),
        biased=biased,
        g=draw(st.sampled_from(list(SQUASHES))),
        h=draw(st.sampled_from(list(SQUASHES))),
        f=draw(st.sampled_from(["logistic", "identity"])),
    )


def problem(network, seed, symbols=False, every_step=False):
    """A few sequences, one of them empty, one of a single step."""
    generator = np.random.default_rng(seed)
    lengths = np.array([4, 0, 1, generator.integers(2, 9)])
    steps = lengths.sum()
    mask = generator.random(steps) < (1.0 if every_step else 0.4)
    targets = generator.random((mask.sum(), network.output_size))
    if symbols:
        return generator.integers(0, network.input_size, steps), lengths, mask, targets
    return generator.normal(size=(steps, network.input_size)), lengths, mask, targets


def weights_of(learner):
    return {
        name: torch.tensor(getattr(learner, name).copy())
        for name in NAMES
        if getattr(learner, name).size
    }


def both(network, seed):
    learner = OnlineLearner(network, np.random.default_rng(seed), 0.7)
    return learner, Truncated(network, weights_of(learner))


def assert_same(learner, reference, found, expected):
    np.testing.assert_allclose(found.outputs, expected.numpy(), rtol=1e-9, atol=1e-10)
    for name, value in weights_of(learner).items():
        np.testing.assert_allclose(
            value, reference.weights[name], rtol=1e-9, atol=1e-10, err_msg=name
        )


@settings(max_examples=80, deadline=None, derandomize=True)
@given(networks(), st.integers(0, 10**6), st.booleans(), st.sampled_from([0.0, 0.9]), st.booleans())
def test_outputs_and_every_weight_follow_autograd(network, seed, symbols, momentum, continued):
    learner, reference = both(network, seed)
    for part in range(3):
        cells = part != 1 or momentum > 0
        x, lengths, mask, targets = problem(network, seed + part, symbols)
        found = learner.run(
            x, lengths, mask, targets, 0.1, decay=0.9, momentum=momentum, continued=continued,
            cells=cells,
        )  # fmt: skip
        dense = np.eye(network.input_size)[x] if symbols else x
        expected = reference.run(
            torch.tensor(dense), lengths, mask, torch.tensor(targets), 0.1, 0.9, momentum,
            continued, cells,
        )  # fmt: skip
        # Identities all the way may explode, and then there are no digits to compare.
        assume(all((w.abs() < 1e3).all() for w in reference.weights.values()))
        assert found.steps == lengths.sum()
        assert_same(learner, reference, found, expected)


@pytest.mark.parametrize("peephole", [False, True])
def test_without_recurrence_the_gradient_is_complete(peephole):
    # Nothing is cut where nothing leads back, so that this is the derivative of the squared error.
    network = OnlineNetwork(
        2, 3, blocks=2, cells=2, gates=GATES, recurrent=False, gate_recurrence=False
    )
    x, lengths = np.random.default_rng(1).normal(size=(6, 2)), np.array([6])
    mask, target = np.arange(6) == 5, np.full((1, 3), 0.7)

    def loss(learner):
        return ((learner.run(x, lengths, mask, target).outputs - target) ** 2).sum() / 2

    learner = OnlineLearner(network, np.random.default_rng(0), 1.0)
    before = {name: getattr(learner, name).copy() for name in ("hidden", "output")}
    learner.run(x, lengths, mask, target, 1.0)
    for name, start in before.items():
        stepped = getattr(learner, name).copy()
        for place in np.ndindex(start.shape):
            sides = []
            for shift in (1e-5, -1e-5):
                probe = OnlineLearner(network, np.random.default_rng(0), 1.0)
                getattr(probe, name)[place] += shift
                sides.append(loss(probe))
            slope = (sides[0] - sides[1]) / 2e-5
            assert start[place] - stepped[place] == pytest.approx(slope, abs=1e-9), (name, place)


def test_a_state_is_carried_from_call_to_call():
    network = OnlineNetwork(2, 2, blocks=2, cells=2, gates=GATES, peephole=True)
    whole, parts = (OnlineLearner(network, np.random.default_rng(3), 0.5) for _ in range(2))
    x = np.random.default_rng(4).normal(size=(50, 2))
    mask, targets = np.ones(50, bool), np.random.default_rng(5).random((50, 2))
    at_once = whole.run(x, [50], mask, targets, 0.3, momentum=0.5)
    first = parts.run(x[:20], [20], mask[:20], targets[:20], 0.3, momentum=0.5)
    second = parts.run(x[20:], [30], mask[20:], targets[20:], 0.3, momentum=0.5, continued=True)
    assert np.array_equal(at_once.outputs, np.concatenate([first.outputs, second.outputs]))
    assert np.array_equal(whole.hidden, parts.hidden)


def test_it_stops_behind_the_first_large_error_having_learnt_from_it():
    network = OnlineNetwork(1, 1, blocks=1)
    learner, other = (OnlineLearner(network, np.random.default_rng(3), 0.1) for _ in range(2))
    x, targets = np.ones((9, 1)), np.full((9, 1), 0.5)
    targets[5] = 1.5
    found = learner.run(x, [9], np.ones(9, bool), targets, 0.1, stop=0.7)
    assert found.steps == len(found.outputs) == 6
    other.run(x[:6], [6], np.ones(6, bool), targets[:6], 0.1)
    assert np.array_equal(learner.hidden, other.hidden)


def test_nothing_is_learnt_at_rate_zero_and_nothing_happens_without_sequences():
    network = OnlineNetwork(3, 2, blocks=1)
    learner = OnlineLearner(network, np.random.default_rng(0), 1.0)
    before = weights_of(learner)
    learner.run(*problem(network, 0), 0.0)
    empty = learner.run(np.zeros((0, 3)), [], np.zeros(0, bool), np.zeros((0, 2)), 1.0)
    assert empty.outputs.shape == (0, 2)
    assert empty.steps == 0
    assert all(torch.equal(before[name], value) for name, value in weights_of(learner).items())


@pytest.mark.parametrize("size", [-800.0, 800.0, 1e300])
def test_large_inputs_saturate(size):
    network = OnlineNetwork(1, 1, blocks=1, g="logistic", h="identity", f="identity")
    learner = OnlineLearner(network, np.random.default_rng(0), 1.0)
    found = learner.run(np.full((2, 1), size), [2], np.ones(2, bool), np.zeros((2, 1)), 0.1)
    assert np.isfinite(found.outputs).all()
    assert np.isfinite(learner.hidden).all()


@pytest.mark.parametrize(
    ("network", "weights"),
    [
        (OnlineNetwork(7, 7, 4, 1, biased=("gates",)), 264),
        (OnlineNetwork(7, 7, 3, 2, biased=("gates",)), 276),
        (OnlineNetwork(54, 2, 2, biased=()), 364),
        (OnlineNetwork(1, 1, 3, biased=("cells", "gates")), 102),
        (OnlineNetwork(2, 1, 2, 2), 93),
        (OnlineNetwork(8, 4, 2, 2), 156),
        (OnlineNetwork(8, 8, 3, 2), 308),
    ],
)
def test_weights_are_as_many_as_in_the_paper(network, weights):
    learner = OnlineLearner(network, np.random.default_rng(0), 1.0)
    assert (
        network.parameters == weights == sum((w != 0).sum() for w in weights_of(learner).values())
    )


def test_every_weight_is_learnt_and_counted():
    network = OnlineNetwork(3, 2, 2, 2, gates=GATES, peephole=True, direct=True)
    learner = OnlineLearner(network, np.random.default_rng(0), 0.5)
    before = weights_of(learner)
    learner.run(*problem(network, 0, every_step=True), 0.5)
    changed = sum((before[name] != value).sum() for name, value in weights_of(learner).items())
    assert changed == network.parameters


def test_biases_are_set_block_by_block():
    learner = OnlineLearner(OnlineNetwork(1, 1, blocks=2), np.random.default_rng(0), 0.1)
    learner.set_bias("output", (-2.0, -4.0))
    learner.set_bias("input", 3.0)
    assert learner.hidden[-1, 2:].tolist() == [3.0, 3.0, -2.0, -4.0]
    with pytest.raises(InputError, match="2, one a block, got 3"):
        learner.set_bias("input", (1.0, 2.0, 3.0))
    with pytest.raises(InputError, match="no 'forget' gates"):
        learner.set_bias("forget", 1.0)


SCRIPT = """
import hashlib, numpy as np
from longspan.kernels.online import OnlineLearner, OnlineNetwork
network = OnlineNetwork(4, 3, 2, 2, gates=("input", "forget", "output"), peephole=True)
learner = OnlineLearner(network, np.random.default_rng(0), 0.5)
draw = np.random.default_rng(1)
x, targets = draw.normal(size=(3000, 4)), draw.random((3000, 3))
found = learner.run(x, [1000] * 3, np.ones(3000, bool), targets, 0.5)
print(hashlib.sha256(found.outputs.tobytes() + learner.hidden.tobytes()).hexdigest())
"""


def test_every_build_gives_the_same_bits(monkeypatch):
    found = set()
    for build in native.builds():
        monkeypatch.setenv("LONGSPAN_ISA", build)
        run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        found.add(run.stdout)
    assert len(found) == 1


FINE = (np.zeros((3, 2)), [1, 2], np.array([True, False, True]), np.zeros((2, 1)))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, np.zeros((3, 4)), r"shape \(steps, 2\)"),
        (0, np.array([0, 1, 2]), "0 to 1, got 0 to 2"),
        (0, np.array([0, 1, -1]), "0 to 1, got -1 to 1"),
        (0, np.array([0.0, 1.0, 0.0]), "int64 numbers, got float64"),
        (0, np.full((3, 2), np.nan), "finite"),
        (1, [1, 1], "3 in all"),
        (1, [-1, 4], "3 in all"),
        (2, np.array([True]), r"shape \(3,\)"),
        (3, np.zeros((3, 1)), r"shape \(2, 1\)"),
        (3, np.array([["a"], ["b"]]), "float64 numbers"),
    ],
)
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_what_does_not_fit_is_refused(place, value, message, momentum):
    learner = OnlineLearner(OnlineNetwork(2, 1, blocks=1), np.random.default_rng(0), 0.1)
    given = list(FINE)
    learner.run(*given)
    given[place] = value
    with pytest.raises(InputError, match=message):
        learner.run(*given, 0.1, momentum=momentum)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 0}, "`blocks` must be at least 1"),
        ({"gates": ("inptu",)}, "Did you mean 'input'"),
        ({"gates": ("input", "input")}, "each once"),
        ({"g": "tanh"}, "Unknown name 'tanh'"),
        ({"recurrent": False}, "`gate_recurrence` needs `recurrent`"),
        ({"gates": (), "peephole": True}, "`peephole` needs gates"),
    ],
)
def test_networks_that_cannot_be_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        OnlineNetwork(**({"input_size": 1, "output_size": 1, "blocks": 1} | options))


def test_momentum_must_be_below_one():
    learner = OnlineLearner(OnlineNetwork(2, 1, blocks=1), np.random.default_rng(0), 0.1)
    with pytest.raises(InputError, match="below 1"):
        learner.run(*FINE, 0.1, momentum=1.0)
    with pytest.raises(InputError, match="cells=False"):
        learner.run(*FINE, 0.1, momentum=0.5, cells=False)
