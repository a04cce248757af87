"""The conditional random field, against every label sequence there is."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.errors import InputError
from longspan.nn import CRF, chain

CLOSE = {"rtol": 1e-10, "atol": 1e-10}


def every_labelling(crf, scores, length):
    """All allowed label sequences of one row (T, K), and their scores."""
    found = {}
    for y in itertools.product(range(crf.num_labels), repeat=length):
        allowed = length == 0 or (crf.start_allowed[y[0]] and crf.end_allowed[y[-1]])
        steps = list(itertools.pairwise(y))
        if not allowed or not all(crf.transitions_allowed[i, j] for i, j in steps):
            continue
        total = sum((scores[t, k] for t, k in enumerate(y)), scores.new_zeros(()))
        if length:
            total = total + crf.start[y[0]] + crf.end[y[-1]]
        found[y] = total + sum(crf.transitions[i, j] for i, j in steps)
    return found


@st.composite
def problems(draw):
    """A field, scores and lengths; a constrained one always allows label 0 throughout."""
    size, steps, batch = draw(st.integers(1, 4)), draw(st.integers(0, 5)), draw(st.integers(1, 4))
    lengths = draw(st.lists(st.integers(0, steps), min_size=batch, max_size=batch))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    spread = draw(st.sampled_from([0.0, 1.0, 30.0]))
    constraints = {}
    if draw(st.booleans()):
        shapes = {"transitions": (size, size), "starts": (size,), "ends": (size,)}
        for name, shape in shapes.items():
            allowed = torch.rand(shape, generator=generator) < 0.5
            allowed.view(-1)[0] = True
            constraints[name] = allowed
    crf = CRF(size, dtype=torch.float64, **constraints)
    with torch.no_grad():
        for p in crf.parameters():
            p.copy_(spread * torch.randn(p.shape, generator=generator))
    scores = spread * torch.randn(steps, batch, size, generator=generator, dtype=torch.float64)
    for row, n in enumerate(lengths):
        scores[n:, row] = torch.nan  # padding is never read
    return crf, scores, lengths


def gradients(crf, loss, scores):
    return torch.autograd.grad(loss, [scores, *crf.parameters()], allow_unused=True)


@settings(max_examples=60, deadline=None)
@given(problems())
def test_sums_equal_enumeration(problem):
    crf, scores, lengths = problem
    scores.requires_grad_()
    every = [every_labelling(crf, scores[:, b], n) for b, n in enumerate(lengths)]
    expected = torch.stack([torch.logsumexp(torch.stack([*e.values()]), 0) for e in every])
    found = crf.log_partition(scores, lengths)
    torch.testing.assert_close(found, expected, **CLOSE)

    weight = torch.arange(1.0, len(lengths) + 1.0, dtype=torch.float64)
    if expected.requires_grad:  # not with empty rows alone
        theirs = gradients(crf, (expected * weight).sum(), scores)
        ours = gradients(crf, (found * weight).sum(), scores)
        for a, b in zip(ours, theirs, strict=True):
            assert torch.isfinite(a).all()
            torch.testing.assert_close(a, torch.zeros_like(a) if b is None else b, **CLOSE)

    slow = crf.marginals(scores, lengths)
    for row, (labellings, n) in enumerate(zip(every, lengths, strict=True)):
        share = {y: (v - expected[row]).exp().detach() for y, v in labellings.items()}
        for t in range(len(scores)):
            for k in range(crf.num_labels):
                own = sum(p for y, p in share.items() if t < n and y[t] == k)
                assert float(slow[t, row, k]) == pytest.approx(float(own), abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(1, 5))
def test_best_labellings_equal_enumeration(problem, k):
    crf, scores, lengths = problem
    best, top = crf.viterbi(scores, lengths)
    several, tops = crf.k_best(scores, k, lengths)
    assert several.shape == (k, *scores.shape[:2])
    for row, n in enumerate(lengths):
        every = {y: float(v.detach()) for y, v in every_labelling(crf, scores[:, row], n).items()}
        order = sorted(every.values(), reverse=True)
        assert float(top[row]) == pytest.approx(order[0], abs=1e-10)
        own = tuple(best[:n, row].tolist())
        assert every[own] == pytest.approx(order[0], abs=1e-10)
        expected = [*order[:k], *[-torch.inf] * (k - len(order))]
        assert tops[:, row].tolist() == pytest.approx(expected, abs=1e-10)
        found = [tuple(y[:n, row].tolist()) for y in several[: len(order)]]
        assert len(set(found)) == len(found)
        for y, v in zip(found, expected, strict=False):
            assert every[y] == pytest.approx(v, abs=1e-10)
        assert (several[len(order) :, :, row] == -1).all()
        assert (best[n:, row] == -1).all()
        assert (several[:, n:, row] == -1).all()


@settings(max_examples=40, deadline=None)
@given(problems(), st.randoms(use_true_random=False))
def test_the_loss_is_minus_the_log_probability(problem, random):
    crf, scores, lengths = problem
    labels = torch.full(scores.shape[:2], -100)
    expected = []
    for row, n in enumerate(lengths):
        every = every_labelling(crf, scores[:, row], n)
        y = random.choice(list(every))
        labels[:n, row] = torch.tensor(y, dtype=torch.int64)
        expected.append(torch.logsumexp(torch.stack([*every.values()]), 0) - every[y])
        own = crf.score(scores, labels, lengths)[row] if row + 1 == len(lengths) else None
    torch.testing.assert_close(own, every[y], **CLOSE)
    torch.testing.assert_close(crf(scores, labels, lengths), torch.stack(expected), **CLOSE)


def case(constrained=False, **options):
    torch.manual_seed(0)
    allowed = None
    if constrained:
        allowed = torch.tensor([[True, True, False], [True, False, True], [True, True, True]])
    crf = CRF(3, transitions=allowed, dtype=torch.float64, **options)
    scores = torch.randn(4, 3, 3, dtype=torch.float64, requires_grad=True)
    return crf, scores, [4, 0, 2]


@pytest.mark.parametrize("constrained", [False, True])
def test_derivatives_of_first_and_second_order(constrained):
    crf, scores, lengths = case(constrained)
    labels = torch.zeros(4, 3, dtype=torch.int64)
    inputs = (scores, *crf.parameters())

    def loss(scores, *parameters):
        named = dict(zip(("transitions", "start", "end"), parameters, strict=True))
        return torch.func.functional_call(crf, named, (scores, labels, lengths))

    assert torch.autograd.gradcheck(loss, inputs)
    assert torch.autograd.gradgradcheck(loss, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_far_apart_lose_nothing(dtype):
    """Label 1 is hopeless at every step but the last allows no other: sums in exp would be 0."""
    crf = CRF(2, ends=torch.tensor([False, True]), dtype=dtype,
              transitions=torch.tensor([[True, False], [False, True]]))  # fmt: skip
    scores = torch.zeros(6, 1, 2, dtype=dtype)
    scores[:, 0, 1] = -300.0
    scores.requires_grad_()
    found = crf.log_partition(scores)
    expected = crf.score(scores, torch.ones(6, 1))
    torch.testing.assert_close(found, expected)
    for a, b in zip(*(gradients(crf, v.sum(), scores) for v in (found, expected)), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(crf.marginals(scores)[:, 0, 1], torch.ones(6, dtype=dtype))
    assert crf.viterbi(scores)[0][:, 0].tolist() == [1] * 6


def test_long_rows_in_float32_equal_sums_of_logarithms_in_float64():
    torch.manual_seed(0)
    crf = CRF(9)
    scores, lengths = 5.0 * torch.randn(500, 4, 9), torch.tensor([500, 1, 0, 77])
    double = scores.double()
    p = crf._potentials()
    p64 = chain.Potentials(*(v.detach().double() for v in (p.start, p.transitions, p.end)))
    expected = chain.reference_log_partition(double, chain.Rows.of(double, lengths), p64)
    torch.testing.assert_close(crf.log_partition(scores, lengths).double(), expected, rtol=1e-6,
                               atol=1e-5)  # fmt: skip
    torch.testing.assert_close(crf.marginals(scores, lengths).sum(-1),
                               (torch.arange(500)[:, None] < lengths).float())  # fmt: skip


def test_a_row_does_not_depend_on_its_batch():
    crf, scores, lengths = case(constrained=True)
    labels = torch.zeros(4, 3, dtype=torch.int64)
    loss = crf(scores, labels, lengths)
    best, _ = crf.viterbi(scores, lengths)
    for row, n in enumerate(lengths):
        alone = scores[: max(n, 1), row : row + 1]
        torch.testing.assert_close(crf(alone, labels[: max(n, 1), :1], [n])[0], loss[row])
        assert crf.viterbi(alone, [n])[0][:n, 0].tolist() == best[:n, row].tolist()


def test_nan_is_not_hidden():
    crf, scores, lengths = case()
    with torch.no_grad():
        scores[1, 2, 0] = torch.nan
    assert crf.log_partition(scores, lengths).isnan().tolist() == [False, False, True]


def test_all_rows_empty():
    crf, scores, _ = case()
    loss = crf(scores, torch.zeros(4, 3, dtype=torch.int64), [0, 0, 0])
    assert loss.tolist() == [0.0] * 3
    loss.sum().backward()
    assert float(scores.grad.abs().sum()) == 0.0
    assert (crf.viterbi(scores, [0, 0, 0])[0] == -1).all()
    assert float(crf.marginals(scores, [0, 0, 0]).abs().sum()) == 0.0
    nothing = torch.zeros(0, 2, 3, dtype=torch.float64)
    assert crf.log_partition(nothing).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_lengths_of_any_whole_type(dtype):
    crf, scores, _ = case()
    own = torch.tensor([4, 0, 2])
    labels = torch.zeros(4, 3, dtype=torch.int64)
    for of in (
        lambda lengths: crf(scores, labels, lengths),
        lambda lengths: crf.viterbi(scores, lengths)[0],
        lambda lengths: crf.marginals(scores, lengths),
        lambda lengths: crf.k_best(scores, 2, lengths)[1],
    ):
        assert torch.equal(of(own.to(dtype)), of(own))


def test_bad_input():
    crf, scores, lengths = case(constrained=True)
    labels = torch.zeros(4, 3, dtype=torch.int64)
    bad = labels.clone()
    bad[1, 2] = 2  # 2 may not follow 0
    cases = {
        "must have shape (T, B, K) with K = 3": lambda: crf.viterbi(scores[..., :2]),
        "one length per sequence": lambda: crf.viterbi(scores, [1, 2]),
        "between 0 and the number of steps": lambda: crf.viterbi(scores, [5, 1, 1]),
        "must have shape (T, B) = (4, 3)": lambda: crf(scores, labels[:2]),
        "whole numbers, got 0.75": lambda: crf(scores, labels + 0.75, lengths),
        "whole numbers, got nan": lambda: crf(scores, labels + torch.nan, lengths),
        "must lie between 0 and 2, got 0 to 3": lambda: crf(scores, labels + 3, [1, 0, 0]),
        "of row 2 take a start, transition or end": lambda: crf(scores, bad, lengths),
        "`k` must be at least 1": lambda: crf.k_best(scores, 0),
        "`num_labels` must be at least 1": lambda: CRF(0),
        "must be bool of shape (3, 3)": lambda: CRF(3, transitions=torch.ones(3)),
        "No sequence of 2 labels": lambda: CRF(
            2, transitions=torch.zeros(2, 2, dtype=torch.bool)
        ).log_partition(torch.zeros(2, 1, 2)),
        "No label may be the last": lambda: CRF(
            2, ends=torch.zeros(2, dtype=torch.bool)
        ).viterbi(torch.zeros(2, 1, 2)),
    }  # fmt: skip
    for message, call in cases.items():
        with pytest.raises(InputError) as caught:
            call()
        assert message in str(caught.value)
    crf(scores, bad, [4, 0, 1])  # at padding it does not matter


def test_constraints_are_not_in_the_state_dict_and_parameters_are():
    crf, _, _ = case(constrained=True)
    assert list(crf.state_dict()) == ["transitions", "start", "end"]
