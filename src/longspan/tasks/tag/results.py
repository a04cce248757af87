"""What a tagger's report shows: plain values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longspan.tasks.running import Run
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


@dataclass(frozen=True, kw_only=True)
class TagRun(Run):
    """Everything a tagger's report shows of one training and its evaluation.

    Attributes:
        transitions: What follows what, or None without a conditional random field.
    """

    evaluation: Evaluation | None = None
    transitions: Transitions | None
