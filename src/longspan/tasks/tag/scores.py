"""How well sequences were labelled, and where it went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from longspan.data.tagged import TaggedText
from longspan.tasks.tag.metrics import (
    SpanScore,
    label_accuracy,
    sequence_accuracy,
    span_scores,
    total,
)
from longspan.tasks.tag.spans import split_label

#: Metrics: title, explanation. Higher is better in all of them; all are from 0 to 1.
METRICS = {
    "f1": ("span F1", "harmonic mean of precision and recall, by the definition of conlleval"),
    "precision": ("precision", "share of the spans found that are right: start, end and type"),
    "recall": ("recall", "share of the spans there that were found"),
    "accuracy": ("accuracy", "share of words with the right label"),
    "unknown_accuracy": ("new words", "accuracy over words not seen in training"),
    "sequence_accuracy": ("sequences", "share of sequences all of whose labels are right"),
    "intent_accuracy": ("intents", "share of sequences with the right intent"),
    "frame_accuracy": ("all right", "share of sequences with all labels and the intent right"),
}
#: Of the sequences with mistakes, so many are kept to be shown, in each of two orders.
SHOWN = 10


@dataclass(frozen=True)
class Mistake:
    """A sequence that was labelled wrongly.

    Attributes:
        words: Its words.
        gold: The right label of each.
        found: The label that the model gave.
        probability: Of all its labels together, by the model.
        intents: The right intent and the one found, or None.
    """

    words: tuple[str, ...]
    gold: tuple[str, ...]
    found: tuple[str, ...]
    probability: float
    intents: tuple[str, str] | None = None

    @property
    def wrong(self) -> int:
        """Words with a wrong label."""
        return sum(g != f for g, f in zip(self.gold, self.found, strict=True))


@dataclass(frozen=True)
class Evaluation:
    """How well sequences were labelled by the model and by its baseline.

    Attributes:
        scores: Metric by predictor: ``scores["model"]["accuracy"]``; see `METRICS`. Those that
            the data have no use for are not there.
        sequences: How many.
        words: Words in them.
        unknown: Words that training did not see.
        types: Score of each type of span by the model; empty for plain labels.
        confusions: How often a label (of spans: a type, O is none) was taken for another, over
            words, by right and found one.
        intent_confusions: The same of intents.
        labels: How often each label (or type) is right, over words.
        worst: Sequences with the most wrong labels.
        surest: Wrong sequences of which the model was surest.
    """

    scores: dict[str, dict[str, float]]
    sequences: int
    words: int
    unknown: int
    types: dict[str, SpanScore] = field(default_factory=dict)
    confusions: dict[tuple[str, str], int] = field(default_factory=dict)
    intent_confusions: dict[tuple[str, str], int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    worst: tuple[Mistake, ...] = ()
    surest: tuple[Mistake, ...] = ()


@dataclass(frozen=True)
class Answers:
    """What was said of sequences.

    Attributes:
        labels: A label for each word.
        intents: An intent for each sequence, or None.
        probability: Of all labels of a sequence together, or None.
    """

    labels: list[list[str]]
    intents: list[str] | None = None
    probability: list[float] | None = None


def score(
    text: TaggedText, answers: Answers, spans: bool, knows: Callable[[str], bool]
) -> dict[str, float]:
    """Return all metrics that the data have a use for.

    Args:
        text: Sequences with their right labels.
        answers: What to judge.
        spans: Whether labels are those of spans.
        knows: Whether training saw a word.
    """
    assert text.labels is not None
    gold, found = text.labels, answers.labels
    scores: dict[str, float] = {}
    if spans:
        whole = total(span_scores(gold, found))
        scores |= {"f1": whole.f1, "precision": whole.precision, "recall": whole.recall}
    scores["accuracy"] = label_accuracy(gold, found)
    new = [
        g == f
        for words, own, theirs in zip(text.words, gold, found, strict=True)
        for w, g, f in zip(words, own, theirs, strict=True)
        if not knows(w)
    ]
    if new:
        scores["unknown_accuracy"] = sum(new) / len(new)
    scores["sequence_accuracy"] = sequence_accuracy(gold, found)
    if text.intents is not None and answers.intents is not None:
        hits = [a == b for a, b in zip(text.intents, answers.intents, strict=True)]
        both = [h and list(g) == list(f) for h, g, f in zip(hits, gold, found, strict=True)]
        scores["intent_accuracy"] = sum(hits) / len(hits)
        scores["frame_accuracy"] = sum(both) / len(both)
    return scores


def evaluate(
    text: TaggedText, answers: dict[str, Answers], spans: bool, knows: Callable[[str], bool]
) -> Evaluation:
    """Return scores of all predictors, and the mistakes of the one that is called ``model``.

    Args:
        text: At least one sequence, with right labels.
        answers: What was said, by predictor.
        spans: Whether labels are those of spans.
        knows: Whether training saw a word.
    """
    assert text.labels is not None
    own = answers["model"]
    pairs = Counter(
        (_shown(g, spans), _shown(f, spans))
        for gold, found in zip(text.labels, own.labels, strict=True)
        for g, f in zip(gold, found, strict=True)
    )
    there: Counter[str] = Counter()
    for (label, _), count in pairs.items():
        there[label] += count
    intents: Counter[tuple[str, str]] = Counter()
    if text.intents is not None and own.intents is not None:
        intents = Counter(zip(text.intents, own.intents, strict=True))
    mistakes = _mistakes(text, own)
    return Evaluation(
        scores={name: score(text, each, spans, knows) for name, each in answers.items()},
        sequences=len(text),
        words=sum(map(len, text.words)),
        unknown=sum(not knows(w) for words in text.words for w in words),
        types=span_scores(text.labels, own.labels) if spans else {},
        confusions={pair: n for pair, n in pairs.most_common() if pair[0] != pair[1]},
        intent_confusions={pair: n for pair, n in intents.most_common() if pair[0] != pair[1]},
        labels=dict(there.most_common()),
        worst=tuple(sorted(mistakes, key=lambda m: -m.wrong)[:SHOWN]),
        surest=tuple(sorted(mistakes, key=lambda m: -m.probability)[:SHOWN]),
    )


def main_metric(scores: dict[str, float]) -> str:
    """Return the metric that says most: the F1 of spans, or the accuracy."""
    return "f1" if "f1" in scores else "accuracy"


def _shown(label: str, spans: bool) -> str:
    """Return what a table of confusions calls a label: of spans their type."""
    if not spans or label == "O":
        return label
    return split_label(label)[1] or "span"


def _mistakes(text: TaggedText, answers: Answers) -> list[Mistake]:
    assert text.labels is not None
    found = []
    certainty = answers.probability or [0.0] * len(text)
    for k, (words, gold, own) in enumerate(
        zip(text.words, text.labels, answers.labels, strict=True)
    ):
        intents = None
        if text.intents is not None and answers.intents is not None:
            intents = (text.intents[k], answers.intents[k])
        if gold != own or (intents is not None and intents[0] != intents[1]):
            mistake = Mistake(tuple(words), tuple(gold), tuple(own), certainty[k], intents)
            found.append(mistake)
    return found
