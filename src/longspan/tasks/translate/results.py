"""What a translator hands out, and what its report shows: plain values, little behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from longspan.tasks.translate.scores import Evaluation


@dataclass(frozen=True)
class Translation:
    """One of the best translations of a source.

    Attributes:
        text: What it says.
        log_prob: ln p(text and its end | source).
        score: `log_prob` divided by the penalty of the length; what translations are ranked by.
    """

    text: str
    log_prob: float
    score: float


@dataclass(frozen=True)
class Alignment:
    """Where the decoder looked while it wrote a target.

    Attributes:
        source: Tokens as they are written, S, the last of them the end.
        target: The same, T.
        weights: (T, S); each row adds up to 1.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: np.ndarray


@dataclass(frozen=True)
class TranslateRun:
    """Everything a report shows of one training and its evaluation.

    Attributes:
        title: What was learnt from, the file's name for example.
        evaluation: Scores on pairs that the model did not see, or None.
        steps: A record for each optimiser step: ``step``, ``loss``, ``grad_norm``, ``clipped``
            (share of the gradient's norm removed, 0 to 1), ``learning_rate``.
        epochs: A record for each epoch: ``epoch``, ``step``, ``train_loss``, ``validation_loss``.
        best_epoch: The epoch whose weights were kept, or None.
        alignments: Where the decoder looked, for some outputs, by their source.
        settings: The resolved options.
        facts: Sizes and counts: parameters, pairs, seconds of training, threads.
        versions: Package versions by name.
        notes: What was found in the data and done about it.
    """

    title: str
    evaluation: Evaluation | None
    steps: list[dict[str, float]]
    epochs: list[dict[str, float]]
    best_epoch: int | None
    alignments: dict[str, Alignment]
    settings: dict[str, Any]
    facts: dict[str, Any]
    versions: dict[str, str]
    notes: list[str] = field(default_factory=list)
