"""What a classifier's report shows: plain values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from longspan.tasks.classify.scores import Evaluation


@dataclass(frozen=True)
class ClassifyRun:
    """Everything a report shows of one training and its evaluation.

    Attributes:
        title: What was learnt from, the file's name for example.
        kind: ``"text"``, ``"series"`` or ``"image"``.
        image: Rows, columns and colours of an image, or None.
        evaluation: Scores on sequences that the model did not see, or None.
        steps: A record for each optimiser step: ``step``, ``loss``, ``grad_norm``, ``clipped``
            (share of the gradient's norm removed, 0 to 1), ``learning_rate``.
        epochs: A record for each epoch: ``epoch``, ``step``, ``train_loss``, and where there is a
            validation part ``validation_loss`` and maybe ``validation_error``.
        best_epoch: The epoch whose weights were kept, or None.
        classes: Sequences of each class in the training part.
        settings: The resolved options.
        facts: Sizes and counts: parameters, sequences, seconds of training, threads.
        versions: Package versions by name.
        notes: What was found in the data and done about it.
    """

    title: str
    kind: str
    image: tuple[int, int, int] | None
    evaluation: Evaluation | None
    steps: list[dict[str, float]]
    epochs: list[dict[str, float]]
    best_epoch: int | None
    classes: dict[Any, int]
    settings: dict[str, Any]
    facts: dict[str, Any]
    versions: dict[str, str]
    notes: list[str] = field(default_factory=list)
