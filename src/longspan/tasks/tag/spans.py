"""Spans written as a label for each step, and read as conlleval reads them.

A label is ``O`` or a prefix and a type, ``B-LOC``. The schemes differ in their prefixes: ``bio``
begins every span with B; ``iob1`` only those that follow a span of their own type at once;
``bioes`` also ends spans of several steps with E and writes single steps as S.

Reading takes any sequence, well formed or not, by the rules of conlleval (Tjong Kim Sang &
Buchholz 2000) with their usual extension to E and S: a span begins at a label that is not O if the
label before is O, has another type, or ends a span (E, S), or if the label itself is B or S; it
goes on to the next begin or O. So an I after O begins a span, as does an I of another type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from longspan.errors import InputError, unknown_name

SCHEMES = ("bio", "iob1", "bioes")
#: Prefixes by code.
PREFIXES = "OBIES"
O, B, I, E, S = range(len(PREFIXES))

_LABEL = re.compile(r"([BIES])(?:-(.*))?", re.DOTALL)


class Span(NamedTuple):
    """Steps `start` to `stop` (not included) of a type."""

    start: int
    stop: int
    type: str


class SpanLabels:
    """Labels of spans, with their prefixes and types as numbers.

    Args:
        labels: Each ``O``, or a prefix B, I, E or S, alone or with a type: ``B-LOC``.

    Raises:
        InputError: If one is none of these.

    Attributes:
        types: Types in order of their codes; bare prefixes have the type "".
        prefix: Code of each label's prefix in `PREFIXES`, (K,).
        kind: Code of each label's type, (K,); 0 for O.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        parts = [split_label(label) for label in labels]
        self.types = sorted({kind for prefix, kind in parts if prefix != "O"})
        code = {kind: k for k, kind in enumerate(self.types)}
        self.prefix = np.array([PREFIXES.index(prefix) for prefix, _ in parts], np.int8)
        self.kind = np.array([code.get(kind, 0) for _, kind in parts], np.int32)

    def find(self, labels: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return starts, stops and types (as codes) of the spans of many sequences at once.

        Args:
            labels: Numbers of the labels of all sequences, one after the other, (N,).
            first: Whether each step is the first of a sequence, bool (N,).
        """
        prefix, kind = self.prefix[labels], self.kind[labels]
        before, kind_before = np.roll(prefix, 1), np.roll(kind, 1)
        before[first] = O
        inside = prefix != O
        begins = (before == O) | (before == E) | (before == S) | (kind != kind_before)
        begins = inside & (begins | (prefix == B) | (prefix == S))
        starts = np.flatnonzero(begins)
        edges = np.append(np.flatnonzero(begins | ~inside), len(labels))
        stops = edges[np.searchsorted(edges, starts, side="right")]
        return starts, stops, kind[starts]

    def count(self, gold: np.ndarray, found: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Return how many spans are there, were found, and were found rightly, (types, 3).

        Args:
            gold: Numbers of the right labels, (N,) as in `find`.
            found: Numbers of the labels to judge, (N,).
            first: Whether each step is the first of a sequence, bool (N,).
        """
        starts, stops, kinds = self.find(gold, first)
        ends, types = np.full(len(gold), -1), np.full(len(gold), -1)
        ends[starts], types[starts] = stops, kinds
        own_starts, own_stops, own_kinds = self.find(found, first)
        right = (ends[own_starts] == own_stops) & (types[own_starts] == own_kinds)
        size = len(self.types)
        counts = [np.bincount(k, minlength=size) for k in (kinds, own_kinds, own_kinds[right])]
        return np.stack(counts, 1)


def split_label(label: str) -> tuple[str, str]:
    """Return prefix and type of a label; O has the type "".

    Raises:
        InputError: If it is not the label of a span.
    """
    if label == "O":
        return "O", ""
    found = _LABEL.fullmatch(label)
    if found is None:
        raise InputError(
            f"The label {label!r} is not one of a span: O, or B, I, E or S, alone or with a type "
            "(B-LOC), are expected. For plain labels use scheme='none'."
        )
    return found[1], found[2] or ""


def read_spans(labels: Sequence[str]) -> list[Span]:
    """Return the spans of one sequence of labels, by the rules of conlleval.

    >>> read_spans(["I-LOC", "I-LOC", "O", "B-PER", "B-PER"])
    [Span(start=0, stop=2, type='LOC'), Span(start=3, stop=4, type='PER'),
     Span(start=4, stop=5, type='PER')]
    """
    table = SpanLabels(labels)
    first = np.zeros(len(labels), bool)
    first[:1] = True
    found = table.find(np.arange(len(labels)), first)
    return [
        Span(start, stop, table.types[kind])
        for start, stop, kind in zip(*(v.tolist() for v in found), strict=True)
    ]


def write_spans(spans: Iterable[Span], length: int, scheme: str = "bio") -> list[str]:
    """Return the labels of spans that do not overlap, in one of `SCHEMES`.

    >>> write_spans([Span(0, 1, "PER"), Span(1, 3, "LOC")], 4, "bioes")
    ['S-PER', 'B-LOC', 'E-LOC', 'O']

    Raises:
        InputError: If there is no such scheme.
    """
    if scheme not in SCHEMES:
        raise InputError(unknown_name("scheme", scheme, SCHEMES))
    labels = ["O"] * length
    last = Span(0, -1, "")
    for span in sorted(spans):
        prefixes = ["I"] * (span.stop - span.start)
        if scheme != "iob1" or (last.stop == span.start and last.type == span.type):
            prefixes[0] = "B"
        if scheme == "bioes":
            prefixes[-1] = "S" if len(prefixes) == 1 else "E"
        for at, prefix in enumerate(prefixes, span.start):
            labels[at] = f"{prefix}-{span.type}" if span.type else prefix
        last = span
    return labels


def convert(labels: Sequence[str], scheme: str) -> list[str]:
    """Return the same spans in another scheme; a malformed sequence is put right on the way.

    >>> convert(["O", "I-LOC", "I-LOC"], "bio")
    ['O', 'B-LOC', 'I-LOC']
    """
    return write_spans(read_spans(labels), len(labels), scheme)


def labels_of(types: Iterable[str], scheme: str) -> list[str]:
    """Return every label of a scheme for these types, O first."""
    if scheme not in SCHEMES:
        raise InputError(unknown_name("scheme", scheme, SCHEMES))
    prefixes = "BIES" if scheme == "bioes" else "BI"
    return ["O", *(f"{p}-{t}" if t else p for t in sorted(set(types)) for p in prefixes)]


def detect_scheme(sequences: Iterable[Sequence[str]]) -> str | None:
    """Return the scheme that sequences of labels are written in; None if they are plain labels.

    Labels are those of spans if every one can be and at least one has a type. E or S anywhere means
    ``bioes``; an I that begins a span means ``iob1`` if no B would have to be missing elsewhere:
    that is, if every B follows a span of its own type at once.
    """
    sequences = [s for s in sequences if len(s)]
    known = {label for labels in sequences for label in labels}
    if not all(label == "O" or _LABEL.fullmatch(label) for label in known):
        return None
    if not any(len(label) > 1 for label in known):
        return None
    if {label[0] for label in known} & {"E", "S"}:
        return "bioes"
    as_iob1 = all(_follows_its_own_kind(labels) for labels in sequences)
    return "iob1" if as_iob1 and any(label[0] == "I" for label in known) else "bio"


def _follows_its_own_kind(labels: Sequence[str]) -> bool:
    """Return whether every B comes right after a label of its own type."""
    before = ["O", *labels]
    return all(
        previous[1:] == label[1:] and previous != "O"
        for previous, label in zip(before, labels, strict=False)
        if label[0] == "B"
    )


def allowed_transitions(labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what well-formed sequences of these labels do, for a scheme that has B.

    I and E continue a span of their own type. Where there are E or S, a span that was begun by B
    must be ended by E.

    Returns:
        Which labels may be first (K,), which may follow which (K, K), which may be last (K,).
    """
    table = SpanLabels(labels)
    prefix, kind = table.prefix, table.kind
    closing = bool(np.isin(prefix, (E, S)).any())
    goes_on = np.isin(prefix, (I, E))
    open_ = np.isin(prefix, (B, I))
    same = kind[:, None] == kind[None]
    transitions = np.where(goes_on[None], open_[:, None] & same, True)
    if closing:
        transitions &= ~open_[:, None] | goes_on[None]
    last = ~open_ if closing else np.ones(len(labels), bool)
    return ~goes_on, transitions, last
