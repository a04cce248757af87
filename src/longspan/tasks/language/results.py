"""What a language model's report shows: plain values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

from longspan.tasks.language.scores import Evaluation
from longspan.tasks.running import Run


@dataclass(frozen=True, kw_only=True)
class LanguageRun(Run):
    """Everything a language model's report shows of one training and its evaluation.

    Attributes:
        samples: Texts that the model wrote, by how they were drawn.
    """

    evaluation: Evaluation | None = None
    samples: dict[str, str]
