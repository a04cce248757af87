"""Attention against plain torch, and its edges."""

from __future__ import annotations

import pytest
import torch

from longspan.errors import InputError
from longspan.nn import Attention, smoothing_penalty
from longspan.nn.attention import KINDS, additive_scores

T, S, B, Q, M = 4, 6, 3, 5, 5
LENGTHS = torch.tensor([6, 2, 0])


def make(kind):
    torch.manual_seed(0)
    attention = Attention(Q, M, kind=kind, size=7 if kind == "additive" else None)
    return attention.double(), torch.randn(T, B, Q).double(), torch.randn(S, B, M).double()


def plainly(attention, query, memory, lengths):
    """The definition, for one query and one row at a time."""
    contexts, weights = torch.zeros(T, B, M).double(), torch.zeros(T, B, S).double()
    for b, length in enumerate(lengths.tolist()):
        for t in range(T):
            scores = []
            for m in memory[:length, b]:
                q = query[t, b]
                if attention.kind == "dot":
                    scores.append(q @ m)
                elif attention.kind == "general":
                    scores.append(q @ (attention.key.weight @ m))
                else:
                    inner = attention.query.weight @ q + attention.key.weight @ m
                    if attention.kind == "additive":
                        inner = inner + attention.key.bias
                    scores.append(attention.weight @ torch.tanh(inner))
            if scores:
                own = torch.stack(scores).softmax(0)
                weights[t, b, :length] = own
                contexts[t, b] = own @ memory[:length, b]
    return contexts, weights


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_those_of_the_definition(kind):
    attention, query, memory = make(kind)
    leaves = [query.requires_grad_(), memory.requires_grad_(), *attention.parameters()]
    found = attention(query, attention.prepare(memory, LENGTHS))
    expected = plainly(attention, query, memory, LENGTHS)
    factors = [torch.randn_like(f) for f in found]
    gradients = [
        torch.autograd.grad(sum((f * w).sum() for f, w in zip(each, factors, strict=True)), leaves)
        for each in (found, expected)
    ]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
    for a, b in zip(*gradients, strict=True):
        assert a.abs().sum() > 0
        torch.testing.assert_close(a, b)


def test_additive_scores_have_the_right_gradients():
    query, keys, weight = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 3, 4), (2, 5, 4), (4,))
    )
    assert torch.autograd.gradcheck(additive_scores, (query, keys, weight))
    plain = torch.tanh(query[:, :, None] + keys[:, None]) @ weight
    torch.testing.assert_close(additive_scores(query, keys, weight), plain)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_is_never_read(kind):
    attention, query, memory = make(kind)
    longer = torch.cat([memory, torch.full((3, B, M), torch.nan).double()])
    longer[2:, 1] = torch.nan
    longer[:, 2] = torch.inf
    first = attention(query, attention.prepare(memory, LENGTHS))
    second = attention(query, attention.prepare(longer, LENGTHS))
    torch.testing.assert_close(first[0], second[0])
    torch.testing.assert_close(first[1], second[1][..., :S])
    assert not second[1][..., S:].any()
    assert not second[1][:, 2].any()
    sums = first[1].sum(-1)[:, :2]
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_lengths_are_checked_and_may_be_a_list():
    attention, memory = Attention(3, 3), torch.zeros(5, 2, 3)
    inside = attention.prepare(memory, [5, 2]).inside
    assert inside.sum(2).flatten().tolist() == [5, 2]
    for bad in ([6, 1], [-1, 1], [3]):
        with pytest.raises(InputError, match="`lengths` must"):
            attention.prepare(memory, bad)


def test_without_lengths_all_steps_are_valid():
    attention, query, memory = make("general")
    full = attention(query, attention.prepare(memory, torch.full((B,), S)))
    for a, b in zip(full, attention(query, attention.prepare(memory)), strict=True):
        torch.testing.assert_close(a, b)
    rows = attention.prepare(memory, LENGTHS).rows(torch.tensor([1]))
    some = attention(query[:, 1:2], rows)[0]
    torch.testing.assert_close(
        some, attention(query, attention.prepare(memory, LENGTHS))[0][:, 1:2]
    )


@pytest.mark.parametrize(
    ("message", "sizes", "options"),
    [
        ("Unknown attention 'dots'", (3, 3), {"kind": "dots"}),
        ("one width, got 3 and 4", (3, 4), {"kind": "dot"}),
        ("for additive attention", (3, 3), {"kind": "dot", "size": 3}),
    ],
)
def test_bad_options(message, sizes, options):
    with pytest.raises(InputError, match=message):
        Attention(*sizes, **options)


def test_smoothing_is_torchs():
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(*s, requires_grad=True) for s in ((7, 4), (9, 4), (9,)))
    targets = torch.randint(0, 9, (7,))
    for b in (bias, None):
        scores = torch.nn.functional.linear(x, weight, b)
        plain = torch.nn.functional.cross_entropy(scores, targets, reduction="sum")
        whole = torch.nn.functional.cross_entropy(
            scores, targets, reduction="sum", label_smoothing=0.2
        )
        found = plain + 0.2 * smoothing_penalty(x, weight, b, targets)
        torch.testing.assert_close(found, whole)
        ours, theirs = (torch.autograd.grad(v, [x, weight], retain_graph=True)
                        for v in (found, whole))  # fmt: skip
        for a, c in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, c)
