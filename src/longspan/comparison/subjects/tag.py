"""Comparing taggers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from longspan.comparison.subjects.subject import Metric, Subject, contents, need
from longspan.tasks.tag.config import TagConfig
from longspan.tasks.tag.parts import Reading, as_text, divide, given_part
from longspan.tasks.tag.scores import METRICS, main_metric

#: Sequences whose labels are timed.
TIMED = 20


class Tags(Subject):
    """Labels of words; all cells run in both directions."""

    task = "tag"
    answer = "a sequence"
    scores = tuple(METRICS)
    always_both = True
    shared = (
        "scheme", "validation_share", "lowercase", "digits", "min_count", "vectors",
        "vectors_limit",
    )  # fmt: skip
    config: TagConfig

    def prepare(
        self, data: Any, *, validation: Any = None, test: Any = None, test_share: float = 0.1,
        word_column: Any = None, label_column: Any = None, encoding: str = "utf-8",
    ) -> None:  # fmt: skip
        """Read labelled sequences; see `longspan.Tagger.fit` for the arguments.

        A tuple is words, labels and perhaps intents.
        """
        reading = Reading(word_column, label_column, encoding)
        own = data if isinstance(data, tuple) else (data,)
        self.divided = divide(
            as_text(*own, reading=reading), given_part(validation, reading),
            given_part(test, reading), validation_share=self.config.validation_share,
            test_share=test_share, seed=self.config.seed,
        )  # fmt: skip
        need(self.divided.test, "test", "a test_share above 0 (--test-share), or a test file")
        need(
            self.divided.validation, "validation", "a validation_share above 0 (--validation-share)"
        )

    @property
    def parts(self) -> dict[str, Any]:
        """The three parts, and what a file of vectors holds."""
        return {"parts": self.divided, **contents(self.config)}

    @property
    def sizes(self) -> dict[str, int]:
        """Sequences of each part."""
        parts = self.divided
        every = {"training": parts.train, "validation": parts.validation, "test": parts.test}
        return {f"sequences, {n}": len(part) for n, part in every.items() if part is not None}

    def metrics(self, scores: Mapping[str, float]) -> dict[str, Metric]:
        """Return the F1 of spans, or the accuracy, and the others."""
        found = {
            name: Metric(f"{title}, %", meaning, True, 100.0)
            for name, (title, meaning) in METRICS.items()
            if name in scores
        }
        first = main_metric(dict(scores))
        return {first: found.pop(first), **found}

    def train(self, model: Any, tested: bool) -> dict[str, dict[str, float]]:
        """Fit a tagger; the baseline is the most frequent label of each word."""
        model.fit(self.divided.train, validation=self.divided.validation)
        return model.evaluate(self.divided.test).scores if tested else {}

    def answers(self, model: Any) -> Sequence[Callable[[], object]]:
        """Return calls that label one sequence each."""
        assert self.divided.test is not None
        some = [words for words in self.divided.test.words if words][:TIMED]
        return [lambda own=own: model.predict([own]) for own in some]

    @property
    def looked_into(self) -> tuple[Any, dict[str, Any]]:
        """The test part."""
        return self.divided.test, {}
