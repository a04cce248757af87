"""What a translator hands out, and what its report shows: plain values, little behaviour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longspan.tasks.running import Run
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


@dataclass(frozen=True, kw_only=True)
class TranslateRun(Run):
    """Everything a translator's report shows of one training and its evaluation.

    Attributes:
        alignments: Where the decoder looked, for some outputs, by their source.
    """

    evaluation: Evaluation | None = None
    alignments: dict[str, Alignment]
