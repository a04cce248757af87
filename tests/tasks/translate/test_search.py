"""Beam search against greedy decoding and against all translations there are."""

from __future__ import annotations

import itertools

import pytest
import torch
from tests.tasks.translate.test_network import SOURCE, SYMBOL

from longspan.errors import InputError
from longspan.tasks.translate.network import PairBatch, TranslateNetwork
from longspan.tasks.translate.search import Beam, search

LENGTHS = torch.tensor([7, 3, 0, 5])
FEW = 4  # tokens of a target vocabulary small enough to try all


def network(target=FEW, seed=0, **options):
    torch.manual_seed(seed)
    made = TranslateNetwork(SOURCE, target, embedding_size=6, hidden_size=8, **options).eval()
    with torch.no_grad():
        for p in made.parameters():
            p.mul_(4.0)
    return made


def sources():
    generator = torch.Generator().manual_seed(1)
    values = torch.randint(0, SOURCE, (7, len(LENGTHS)), generator=generator)
    return torch.where(torch.arange(7)[:, None] < LENGTHS, values, 0)


def run(model, beam, limits=None, rows=slice(None), more=0):
    given = torch.cat([sources()[:, rows], torch.zeros(more, len(LENGTHS[rows]), dtype=int)])
    limits = torch.tensor([3, 3, 2, 0]) if limits is None else limits
    return search(model, given, LENGTHS[rows], limits[rows], beam, symbol=SYMBOL)


def log_prob(model, row, tokens):
    targets = torch.tensor([*tokens, SYMBOL])[:, None]
    inputs = torch.cat([torch.tensor([[SYMBOL]]), targets[:-1]])
    batch = PairBatch(
        sources()[:, row : row + 1], LENGTHS[row : row + 1], inputs, targets,
        torch.tensor([len(targets)]),
    )  # fmt: skip
    return -float(model.nll(batch)[0])


@pytest.mark.parametrize("options", [{}, {"input_feeding": True}, {"attention": "none"}])
@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
def test_a_large_beam_finds_what_trying_all_finds(options, penalty):
    model, limits = network(**options), [3, 3, 2, 0]
    letters = [k for k in range(FEW) if k != SYMBOL]
    found = run(model, Beam(200, penalty, n_best=5))
    for row, limit in enumerate(limits):
        every = [
            tokens for n in range(limit + 1) for tokens in itertools.product(letters, repeat=n)
        ]
        score = {t: log_prob(model, row, t) / ((6 + len(t)) / 6) ** penalty for t in every}
        best = sorted(every, key=lambda t: -score[t])[:5]
        assert [f.tokens for f in found[row]] == best
        for f in found[row]:
            assert f.score == pytest.approx(score[f.tokens], rel=1e-4, abs=1e-5)
            assert f.log_prob == pytest.approx(log_prob(model, row, f.tokens), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_of_one_is_greedy(seed):
    model = network(target=15, seed=seed)
    limits = torch.tensor([9, 9, 9, 9])
    found = run(model, Beam(1, 0.6), limits)
    for row in range(len(LENGTHS)):
        memory, state = model.encode(sources()[:, row : row + 1], LENGTHS[row : row + 1])
        token, expected = SYMBOL, []
        with torch.no_grad():
            while len(expected) < 9:
                features, state, _ = model.step(torch.tensor([token]), state, memory)
                token = int(model.head.log_probs(features).argmax())
                if token == SYMBOL:
                    break
                expected.append(token)
        assert found[row][0].tokens == tuple(expected)
        assert found[row][0].log_prob == pytest.approx(
            log_prob(model, row, expected), rel=1e-4, abs=1e-5
        )


@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_row_does_not_depend_on_others_or_on_padding(size):
    model, limits = network(target=15), torch.tensor([9, 4, 6, 9])
    beam = Beam(size, 0.6, n_best=size)
    together, padded = run(model, beam, limits), run(model, beam, limits, more=5)
    for row in range(len(LENGTHS)):
        alone = run(model, beam, limits, slice(row, row + 1))[0]
        for other in (alone, padded[row]):
            assert [f.tokens for f in together[row]] == [f.tokens for f in other]
            assert [f.score for f in together[row]] == pytest.approx([f.score for f in other])


def test_a_wider_beam_never_ends_worse_here_and_ranks_by_score():
    model, limits = network(target=15), torch.tensor([9, 9, 9, 9])
    narrow, wide = (run(model, Beam(k, 0.6, n_best=k), limits) for k in (1, 30))
    for a, b in zip(narrow, wide, strict=True):
        assert b[0].score >= a[0].score - 1e-6
        scores = [f.score for f in b]
        assert scores == sorted(scores, reverse=True)
        assert len({f.tokens for f in b}) == len(b)


def test_limits_end_translations_by_force():
    model = network(target=15)
    with torch.no_grad():
        model.head.bias[SYMBOL] = -30.0  # it never wants to end
    found = run(model, Beam(3), torch.tensor([4, 1, 0, 7]))
    assert [len(each[0].tokens) for each in found] == [4, 1, 0, 7]
    assert found[2][0].log_prob == pytest.approx(log_prob(model, 2, []), rel=1e-4)


def test_no_rows():
    model = network()
    assert search(model, torch.zeros(0, 0, dtype=int), LENGTHS[:0], LENGTHS[:0], Beam(),
                  symbol=SYMBOL) == []  # fmt: skip


@pytest.mark.parametrize(
    ("message", "bad"),
    [
        ("beam_size", {"size": 0}), ("length_penalty", {"length_penalty": -0.1}),
        ("length_penalty", {"length_penalty": float("nan")}), ("n_best", {"n_best": 6}),
        ("n_best", {"n_best": 0}),
    ],
)  # fmt: skip
def test_options_out_of_range(message, bad):
    with pytest.raises(InputError, match=message):
        Beam(**bad)
