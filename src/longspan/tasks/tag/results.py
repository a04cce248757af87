"""What a tagger's report shows: plain values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from longspan.tasks.tag.scores import Evaluation


@dataclass(frozen=True)
class Transitions:
    """What the conditional random field learnt of labels that follow one another.

    Attributes:
        labels: The most frequent labels, as the network writes them, K.
        scores: Score of the second after the first, (K, K); NaN where the scheme forbids it.
    """

    labels: list[str]
    scores: np.ndarray


@dataclass(frozen=True)
class TagRun:
    """Everything a report shows of one training and its evaluation.

    Attributes:
        title: What was learnt from, the file's name for example.
        evaluation: Scores on sequences that the model did not see, or None.
        steps: A record for each optimiser step: ``step``, ``loss``, ``grad_norm``, ``clipped``
            (share of the gradient's norm removed, 0 to 1), ``learning_rate``.
        epochs: A record for each epoch: ``epoch``, ``step``, ``train_loss``, ``validation_loss``,
            ``validation_error``.
        best_epoch: The epoch whose weights were kept, or None.
        transitions: What follows what, or None without a conditional random field.
        settings: The resolved options.
        facts: Sizes and counts: parameters, sequences, seconds of training, threads.
        versions: Package versions by name.
        notes: What was found in the data and done about it.
    """

    title: str
    evaluation: Evaluation | None
    steps: list[dict[str, float]]
    epochs: list[dict[str, float]]
    best_epoch: int | None
    transitions: Transitions | None
    settings: dict[str, Any]
    facts: dict[str, Any]
    versions: dict[str, str]
    notes: list[str] = field(default_factory=list)
