"""What the reports of a classifier and of features show: plain values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from longspan.tasks.classify.reconstruction import Picture, Reconstruction
from longspan.tasks.classify.scores import Evaluation
from longspan.tasks.running import Run


@dataclass(frozen=True, kw_only=True)
class ClassifyRun(Run):
    """Everything a classifier's report shows of one training and its evaluation.

    Attributes:
        kind: ``"text"``, ``"series"`` or ``"image"``.
        image: Rows, columns and colours of an image, or None.
        classes: Sequences of each class in the training part.
    """

    evaluation: Evaluation | None = None
    kind: str
    image: tuple[int, int, int] | None
    classes: dict[Any, int]


@dataclass(frozen=True, kw_only=True)
class FeaturesRun(Run):
    """Everything the report of features shows of a training without labels.

    Attributes:
        kind: ``"text"``, ``"series"`` or ``"image"``.
        picture: The vectors of the training part.
    """

    evaluation: Reconstruction | None = None
    kind: str
    picture: Picture
