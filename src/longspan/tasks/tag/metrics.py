"""How good labels are: by step, by span as conlleval counts them, by sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longspan.errors import InputError
from longspan.tasks.tag.spans import SpanLabels


@dataclass(frozen=True)
class SpanScore:
    """Precision, recall and F1 of spans, from 0 to 1; 0 where nothing can be divided by.

    Attributes:
        gold: Spans that are there.
        found: Spans that were found.
        right: Spans that were found with their exact start, end and type.
    """

    gold: int
    found: int
    right: int

    @property
    def precision(self) -> float:
        """Share of those found that are right."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of those there that were found."""
        return self.right / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two: 2 right / (gold + found)."""
        both = self.gold + self.found
        return 2.0 * self.right / both if both else 0.0


def span_scores(
    gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]]
) -> dict[str, SpanScore]:
    """Return the score of each type of span, by the definition of conlleval.

    >>> scores = span_scores([["B-LOC", "I-LOC", "O"]], [["B-LOC", "I-LOC", "B-PER"]])
    >>> {name: (score.gold, score.found, score.right) for name, score in scores.items()}
    {'LOC': (1, 1, 1), 'PER': (0, 1, 0)}

    Args:
        gold: The right labels of each sequence.
        found: The labels to judge.

    Raises:
        InputError: If the two do not have the same lengths, or a label is not one of a span.
    """
    check_lengths(gold, found)
    known = sorted({label for part in (gold, found) for labels in part for label in labels})
    table, code = SpanLabels(known), {label: k for k, label in enumerate(known)}

    def flat(part: Sequence[Sequence[str]]) -> np.ndarray:
        return np.array([code[label] for labels in part for label in labels], np.int64)

    right = flat(gold)
    first = np.zeros(len(right), bool)
    lengths = np.array([len(labels) for labels in gold], np.int64)
    first[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    counts = table.count(right, flat(found), first).tolist()
    return {name: SpanScore(*c) for name, c in zip(table.types, counts, strict=True) if any(c)}


def total(scores: dict[str, SpanScore]) -> SpanScore:
    """Return the score over all types together (micro average), which conlleval calls overall."""
    every = scores.values()
    return SpanScore(
        sum(s.gold for s in every), sum(s.found for s in every), sum(s.right for s in every)
    )


def label_accuracy(gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> float:
    """Return the share of steps with the right label; NaN if there are none."""
    check_lengths(gold, found)
    right = [a == b for g, f in zip(gold, found, strict=True) for a, b in zip(g, f, strict=True)]
    return float(np.mean(right)) if right else float("nan")


def sequence_accuracy(gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> float:
    """Return the share of sequences all of whose labels are right; NaN if there are none."""
    check_lengths(gold, found)
    right = [list(g) == list(f) for g, f in zip(gold, found, strict=True)]
    return float(np.mean(right)) if right else float("nan")


def check_lengths(gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> None:
    """Refuse labels that do not belong to the same steps.

    Raises:
        InputError: If there are more of one than of the other.
    """
    if len(gold) != len(found):
        raise InputError(
            f"There are {len(gold)} sequences of right labels and {len(found)} to judge. Give one "
            "for each."
        )
    for k, (g, f) in enumerate(zip(gold, found, strict=True)):
        if len(g) != len(f):
            raise InputError(
                f"Sequence {k} has {len(g)} right labels and {len(f)} to judge. Give one for each "
                "step."
            )
