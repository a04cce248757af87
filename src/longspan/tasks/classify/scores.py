"""How good classes and their probabilities are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from longspan.errors import InputError

#: Metrics: title, explanation, whether higher is better.
METRICS = {
    "accuracy": ("accuracy", "share of sequences whose likeliest class is right", True),
    "balanced_accuracy": ("balanced accuracy", "mean over the classes of their recall", True),
    "macro_f1": ("macro F1", "mean over the classes of their F1", True),
    "log_loss": ("log loss", "mean of -ln p of the right class", False),
    "brier": ("Brier score", "mean of Σ (p - is)² over all classes, 0 to 2", False),
    "ece": ("calibration error", "mean distance of p from the share that is right, in ten bins "
            "of the likeliest class's p (Naeini et al. 2015)", False),
    "roc_auc": ("ROC AUC", "probability that a sequence of the second class scores higher than one "
                "of the first", True),
}  # fmt: skip
#: Bins of probabilities.
BINS = 10


@dataclass(frozen=True)
class ClassScore:
    """One class: how many are of it, how many were taken for it, how many of these rightly.

    Attributes:
        support: Sequences of the class.
        found: Sequences taken for it.
        right: Both.
    """

    support: int
    found: int
    right: int

    @property
    def precision(self) -> float:
        """Share of those taken for it that are of it; 0 if there are none."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of those of it that were found; 0 if there are none."""
        return self.right / self.support if self.support else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two."""
        both = self.support + self.found
        return 2.0 * self.right / both if both else 0.0


@dataclass(frozen=True)
class Mistake:
    """A sequence whose likeliest class is wrong.

    Attributes:
        number: Of the sequence, counted from 0.
        label: What it is.
        predicted: What it was taken for.
        probability: Of what it was taken for.
        shown: A text, or the channels of a series (T, C), to show.
    """

    number: int
    label: Any
    predicted: Any
    probability: float
    shown: Any


@dataclass(frozen=True)
class Evaluation:
    """How well sequences were classified by the model and by the most frequent class.

    Attributes:
        scores: Metric by predictor: ``scores["model"]["accuracy"]``; see `METRICS`; ``roc_auc``
            only where there are two classes.
        labels: Labels by number: the classes of the model first, then those that it does not know.
        confusion: Counts by right label (rows) and predicted one (columns).
        per_class: `ClassScore` by label.
        bins: (lower edge, mean p, share that is right, count) of the likeliest class's p.
        roc: (share of the first class, share of the second class) that score above each of many
            thresholds, (P, 2); empty unless there are two classes.
        mistakes: The surest wrong ones, the surest first.
        notes: What was found in the data and done about it.
    """

    scores: dict[str, dict[str, float]]
    labels: list[Any]
    confusion: np.ndarray
    per_class: dict[Any, ClassScore]
    bins: list[tuple[float, float, float, int]] = field(default_factory=list)
    roc: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def evaluate(
    probabilities: np.ndarray, labels: np.ndarray, known: int, names: list[Any],
    prior: np.ndarray,
) -> Evaluation:  # fmt: skip
    """Return all scores.

    A sequence with a label that the model does not know counts as wrong; the scores of
    probabilities leave it out.

    Args:
        probabilities: (S, K).
        labels: Numbers of the right labels, (S,); K and more for those that are not known.
        known: K.
        names: Labels by number.
        prior: Share of each class in the training part, (K,).
    """
    if len(probabilities) != len(labels) or not len(labels):
        raise InputError(
            f"Scores need a label for each of at least one sequence, got {len(probabilities)} "
            f"sequences and {len(labels)} labels."
        )
    predicted = probabilities.argmax(1)
    confusion = counts(labels, predicted, len(names))
    per_class = class_scores(confusion)
    usual = np.tile(prior, (len(labels), 1))
    notes = []
    strange = labels >= known
    if strange.any():
        listed = ", ".join(repr(name) for name in names[known : known + 5])
        notes.append(
            f"{strange.sum()} of {len(labels)} sequences have labels that training did not have "
            f"({listed}): they count as wrong, and the scores of probabilities leave them out."
        )
    return Evaluation(
        scores={
            "model": metrics(probabilities, labels, confusion, known),
            "most frequent class": metrics(
                usual, labels, counts(labels, usual.argmax(1), len(names)), known
            ),
        },
        labels=names,
        confusion=confusion,
        per_class=dict(zip(names, per_class, strict=True)),
        bins=reliability(probabilities[~strange], labels[~strange]),
        roc=roc_curve(probabilities[:, 1], labels) if known == 2 else np.zeros((0, 2)),
        notes=notes,
    )


def metrics(
    probabilities: np.ndarray, labels: np.ndarray, confusion: np.ndarray, known: int
) -> dict[str, float]:
    """Return each metric of `METRICS`; NaN where no known label leaves anything to score.

    >>> p, y = np.array([[0.8, 0.2], [0.4, 0.6], [0.3, 0.7]]), np.array([0, 1, 0])
    >>> found = metrics(p, y, counts(y, p.argmax(1), 2), 2)
    >>> {name: round(value, 3) for name, value in found.items()}
    {'accuracy': 0.667, 'balanced_accuracy': 0.75, 'macro_f1': 0.667, 'log_loss': 0.646,
     'brier': 0.46, 'ece': 0.433, 'roc_auc': 0.5}
    """
    each = class_scores(confusion)
    there = [s for s in each if s.support]
    seen = [s for s in each if s.support or s.found]
    found = {
        "accuracy": float(np.trace(confusion) / confusion.sum()),
        "balanced_accuracy": float(np.mean([s.recall for s in there])),
        "macro_f1": float(np.mean([s.f1 for s in seen])),
    }
    inside = labels < known
    p, y = probabilities[inside], labels[inside]
    if not len(y):
        return found | dict.fromkeys(("log_loss", "brier", "ece"), float("nan"))
    right = p[np.arange(len(y)), y]
    found["log_loss"] = float(-np.log(np.maximum(right, np.finfo(np.float64).tiny)).mean())
    found["brier"] = float(((p**2).sum(1) - 2 * right + 1).mean())
    gaps = [count * abs(mean - share) for _, mean, share, count in reliability(p, y)]
    found["ece"] = float(sum(gaps) / len(y))
    if known == 2:
        found["roc_auc"] = auc(p[:, 1], y)
    return found


def counts(labels: np.ndarray, predicted: np.ndarray, size: int) -> np.ndarray:
    """Return the confusion matrix, int64 (size, size): right labels by rows."""
    return np.bincount(labels * size + predicted, minlength=size * size).reshape(size, size)


def class_scores(confusion: np.ndarray) -> list[ClassScore]:
    """Return the score of each class."""
    rows, columns, right = confusion.sum(1), confusion.sum(0), np.diag(confusion)
    return [ClassScore(*map(int, each)) for each in zip(rows, columns, right, strict=True)]


def reliability(p: np.ndarray, labels: np.ndarray) -> list[tuple[float, float, float, int]]:
    """Return (lower edge, mean of the likeliest class's p, share right, count) of each bin."""
    if not len(p):
        return []
    surest, right = p.max(1), p.argmax(1) == labels
    places = np.minimum((surest * BINS).astype(int), BINS - 1)
    return [
        (k / BINS, float(surest[own].mean()), float(right[own].mean()), int(own.sum()))
        for k in range(BINS)
        if (own := places == k).any()
    ]


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return P(score of a 1 > score of a 0), equals half; NaN if there are not both."""
    from scipy.stats import rankdata

    ones = labels == 1
    n, m = int(ones.sum()), int((~ones).sum())
    if not n or not m:
        return float("nan")
    return float((rankdata(scores)[ones].sum() - n * (n + 1) / 2) / (n * m))


def roc_curve(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (false positive rate, true positive rate) at all thresholds, (P, 2); maybe empty."""
    inside = labels < 2
    scores, ones = scores[inside], labels[inside] == 1
    if ones.all() or not ones.any():
        return np.zeros((0, 2))
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    true, false = np.cumsum(ones[order])[last], np.cumsum(~ones[order])[last]
    rates = np.stack([false / false[-1], true / true[-1]], 1)
    return np.concatenate([[[0.0, 0.0]], rates])
