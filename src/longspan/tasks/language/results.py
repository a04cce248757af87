"""What a language model's report shows: plain values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from longspan.tasks.language.scores import Evaluation


@dataclass(frozen=True)
class LanguageRun:
    """Everything a report shows of one training and its evaluation.

    Attributes:
        title: What was learnt from, the file's name for example.
        evaluation: Scores on text that the model did not see, or None.
        steps: A record for each optimiser step: ``step``, ``loss``, ``grad_norm``, ``clipped``
            (share of the gradient's norm removed, 0 to 1), ``learning_rate``.
        epochs: A record for each epoch: ``epoch``, ``step``, ``train_loss``, ``validation_loss``.
        best_epoch: The epoch whose weights were kept, or None.
        samples: Texts that the model wrote, by how they were drawn.
        settings: The resolved options.
        facts: Sizes and counts: parameters, tokens, seconds of training, threads.
        versions: Package versions by name.
        notes: What was found in the text and done about it.
    """

    title: str
    evaluation: Evaluation | None
    steps: list[dict[str, float]]
    epochs: list[dict[str, float]]
    best_epoch: int | None
    samples: dict[str, str]
    settings: dict[str, Any]
    facts: dict[str, Any]
    versions: dict[str, str]
    notes: list[str] = field(default_factory=list)
