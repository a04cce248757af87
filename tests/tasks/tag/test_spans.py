"""Spans and their scores, against the rules of conlleval worked out by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longspan.errors import InputError
from longspan.tasks.tag.metrics import (
    label_accuracy,
    sequence_accuracy,
    span_scores,
    total,
)
from longspan.tasks.tag.spans import (
    SCHEMES,
    Span,
    allowed_transitions,
    convert,
    detect_scheme,
    labels_of,
    read_spans,
    write_spans,
)

#: Labels, and the spans that conlleval's rules make of them: well formed, then malformed.
READ = {
    "": [],
    "O O": [],
    "B-A I-A O": [(0, 2, "A")],
    "B-A B-A I-A": [(0, 1, "A"), (1, 3, "A")],
    "I-A I-A O I-B": [(0, 2, "A"), (3, 4, "B")],  # IOB1
    "I-A B-A I-A": [(0, 1, "A"), (1, 3, "A")],  # IOB1, two neighbours of one type
    "I-A I-B": [(0, 1, "A"), (1, 2, "B")],
    "B-A I-B I-B": [(0, 1, "A"), (1, 3, "B")],
    "O I-A": [(1, 2, "A")],
    "B-A O I-A": [(0, 1, "A"), (2, 3, "A")],
    "S-A B-A I-A E-A": [(0, 1, "A"), (1, 4, "A")],  # BIOES
    "S-A S-A": [(0, 1, "A"), (1, 2, "A")],
    "B-A E-A E-A": [(0, 2, "A"), (2, 3, "A")],
    "E-A I-A": [(0, 1, "A"), (1, 2, "A")],
    "S-A I-A": [(0, 1, "A"), (1, 2, "A")],
    "S-A E-A": [(0, 1, "A"), (1, 2, "A")],
    "O E-A O": [(1, 2, "A")],
    "B-A E-B": [(0, 1, "A"), (1, 2, "B")],
    "B-A I-A S-A": [(0, 2, "A"), (2, 3, "A")],
    "B-A B-B": [(0, 1, "A"), (1, 2, "B")],
    "B-A I-A": [(0, 2, "A")],  # never ended by E: it ends where the sequence does
    "B I O B": [(0, 2, ""), (3, 4, "")],  # prefixes alone
    "B-a.b-c I-a.b-c": [(0, 2, "a.b-c")],
}


@pytest.mark.parametrize("labels", READ)
def test_reading_follows_conlleval(labels):
    assert read_spans(labels.split()) == [Span(*s) for s in READ[labels]]


def conlleval(gold, found):
    """Count spans as conlleval does: a machine that walks along both sequences at once."""

    def begins(before, kind_before, prefix, kind):
        return (
            (before == "B" and prefix == "B") or (before == "I" and prefix == "B")
            or (before == "O" and prefix in "BIES") or (before == "E" and prefix in "EIBS")
            or (before == "S" and prefix in "EIBS") or (prefix == "S")
            or (prefix != "O" and kind_before != kind)
        )  # fmt: skip

    def ends(before, kind_before, prefix, kind):
        return (
            (before == "B" and prefix in "BSO") or (before == "I" and prefix in "BSO")
            or before in "ES" or (before != "O" and kind_before != kind)
        )  # fmt: skip

    counts, inside = {}, False
    last = [("O", ""), ("O", "")]
    for pair in [
        *(
            p
            for g, f in zip(gold, found, strict=True)
            for p in [*zip(g, f, strict=True), ("O",) * 2]
        )
    ]:
        now = [(label[0], label[2:]) for label in pair]
        end = [ends(*last[k], *now[k]) for k in (0, 1)]
        begin = [begins(*last[k], *now[k]) for k in (0, 1)]
        if inside:
            if all(end) and last[0][1] == last[1][1]:
                inside = False
                counts.setdefault(last[0][1], [0, 0, 0])[2] += 1
            elif end[0] != end[1] or now[0][1] != now[1][1]:
                inside = False
        if all(begin) and now[0][1] == now[1][1]:
            inside = True
        for k in (0, 1):
            if begin[k]:
                counts.setdefault(now[k][1], [0, 0, 0])[k] += 1
        last = now
    return counts


LABELS = [f"{p}-{t}" for p in "BIES" for t in "AB"] + ["O", "O"]


@given(st.lists(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), max_size=9)))
def test_counts_equal_those_of_the_machine(pairs):
    gold, found = ([[p[k] for p in s] for s in pairs] for k in (0, 1))
    scores = span_scores(gold, found)
    assert {t: [s.gold, s.found, s.right] for t, s in scores.items()} == conlleval(gold, found)


def test_scores_of_a_worked_example():
    gold = [["B-NP", "I-NP", "O", "B-NP", "B-VP"], ["B-PP", "B-NP", "I-NP"], []]
    found = [["B-NP", "I-NP", "O", "I-NP", "I-VP"], ["B-PP", "I-NP", "B-NP"], []]
    scores = span_scores(gold, found)
    # NP: of 3, two are found among 4 (the last was cut in two); VP and PP are right.
    assert (scores["NP"].gold, scores["NP"].found, scores["NP"].right) == (3, 4, 2)
    assert scores["NP"].precision == 0.5
    assert scores["NP"].recall == pytest.approx(2 / 3)
    assert scores["NP"].f1 == pytest.approx(4 / 7)
    assert (scores["VP"].f1, scores["PP"].f1) == (1.0, 1.0)
    overall = total(scores)
    assert (overall.gold, overall.found, overall.right) == (5, 6, 4)
    assert overall.f1 == pytest.approx(8 / 11)
    assert label_accuracy(gold, found) == pytest.approx(4 / 8)
    assert sequence_accuracy(gold, found) == pytest.approx(1 / 3)


def test_nothing_to_score():
    assert total(span_scores([["O"]], [["O"]])).f1 == 0.0
    missed = span_scores([["B-A"]], [["O"]])["A"]
    assert (missed.precision, missed.recall, missed.f1) == (0.0, 0.0, 0.0)
    assert np.isnan(label_accuracy([], []))
    assert np.isnan(sequence_accuracy([], []))


@st.composite
def spans(draw):
    found, at = [], 0
    for gap, size in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=5)):
        found.append(Span(at + gap, at + gap + size, draw(st.sampled_from(["A", "B"]))))
        at += gap + size
    return found, at + draw(st.integers(0, 2))


@given(spans(), st.sampled_from(SCHEMES), st.sampled_from(SCHEMES))
def test_schemes_say_the_same(case, one, other):
    found, length = case
    labels = write_spans(found, length, one)
    assert read_spans(labels) == found
    assert convert(labels, other) == write_spans(found, length, other)
    assert convert(convert(labels, other), one) == labels


@given(spans(), st.sampled_from(["bio", "bioes"]))
def test_what_is_written_is_allowed(case, scheme):
    found, length = case
    labels = write_spans(found, length, scheme)
    known = labels_of("AB", scheme)
    starts, transitions, ends = allowed_transitions(known)
    code = [known.index(label) for label in labels]
    assert all(starts[k] for k in code[:1])
    assert all(ends[k] for k in code[-1:])
    assert all(transitions[i, j] for i, j in pairwise(code))


@given(st.lists(st.sampled_from(labels_of("AB", "bioes")), min_size=1, max_size=6))
def test_what_is_malformed_is_forbidden(labels):
    """A sequence is allowed exactly if reading and writing it again changes nothing."""
    known = labels_of("AB", "bioes")
    starts, transitions, ends = allowed_transitions(known)
    code = [known.index(label) for label in labels]
    allowed = starts[code[0]] and ends[code[-1]]
    allowed = allowed and all(transitions[i, j] for i, j in pairwise(code))
    assert allowed == (convert(labels, "bioes") == labels)


def test_the_scheme_is_found():
    cases = {
        "bio": ["O B-A I-A", "B-B"], "iob1": ["O I-A I-A", "I-A B-A"], "bioes": ["O S-A"],
    }  # fmt: skip
    for scheme, texts in cases.items():
        assert detect_scheme(text.split() for text in texts) == scheme
    assert detect_scheme([["B-A", "B-A"], ["O"]]) == "bio"
    assert detect_scheme([["O", "I-A"], ["O", "B-A"]]) == "bio"  # malformed in one place
    for plain in (["NOUN", "VERB"], ["O", "O"], [], ["-LRB-", "O"], ["B", "I", "O"]):
        assert detect_scheme([plain]) is None


def test_bad_input():
    cases = {
        "'X-A' is not one of a span": lambda: read_spans(["X-A"]),
        "Did you mean 'bioes'": lambda: write_spans([], 1, "boes"),
        "Unknown scheme": lambda: labels_of("A", "none"),
        "There are 1 sequences of right labels and 0": lambda: span_scores([["O"]], []),
        "Sequence 0 has 1 right labels and 2": lambda: label_accuracy([["O"]], [["O", "O"]]),
    }
    for message, call in cases.items():
        with pytest.raises(InputError) as caught:
            call()
        assert message in str(caught.value)
