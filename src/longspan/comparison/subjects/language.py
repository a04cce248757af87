"""Comparing language models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from longspan.comparison.subjects.subject import Metric, Subject, need
from longspan.errors import InputError
from longspan.tasks.language.config import LanguageConfig
from longspan.tasks.language.corpus import divide
from longspan.tasks.language.scores import METRICS

#: Tokens that are written to be timed.
WRITTEN = 32


class Texts(Subject):
    """Texts, whose parts follow one another."""

    task = "language"
    answer = "a token written"
    scores = tuple(METRICS)
    shared = ("tokens", "lowercase", "min_count", "vocab_size", "validation_share", "ngram_order")
    config: LanguageConfig

    def prepare(
        self, data: Any, *, validation: Any = None, test: Any = None, test_share: float = 0.05,
        encoding: str = "utf-8",
    ) -> None:  # fmt: skip
        """Read a text; see `longspan.LanguageModel.fit` for the arguments."""
        found = divide(
            data, validation, test, validation_share=self.config.validation_share,
            test_share=test_share, lowercase=self.config.lowercase, encoding=encoding,
        )  # fmt: skip
        need(found.test, "test", "a test_share above 0 (--test-share), or a test file")
        need(found.validation, "validation", "a validation_share above 0 (--validation-share)")
        self.texts, self._counted = found, False

    @property
    def parts(self) -> dict[str, Any]:
        """The three texts."""
        return dict(self.texts.named())

    @property
    def sizes(self) -> dict[str, int]:
        """Characters of each part."""
        return {f"characters, {name}": len(text) for name, text in self.texts.named().items()}

    def metrics(self, scores: Mapping[str, float]) -> dict[str, Metric]:
        """Return bits a character, or perplexity where tokens are longer, and the others."""
        del scores
        first = "bits_per_character" if self.config.tokens == "characters" else "perplexity"
        found = {name: Metric(title, meaning) for name, (title, meaning) in METRICS.items()}
        return {first: found.pop(first), **found}

    def train(self, model: Any, tested: bool) -> dict[str, dict[str, float]]:
        """Fit a language model; what is counted as a baseline is counted once."""
        whole = {"test": self.texts.test} if tested and not self._counted else {}
        model.fit(self.texts.train, validation=self.texts.validation, **whole)
        if whole:
            self._counted = True
            return model.evaluation_.scores
        return model.evaluate(self.texts.test).scores if tested else {}

    def answers(self, model: Any) -> Sequence[Callable[[], object]]:
        """Return a call that writes some tokens."""
        return [lambda: model.generate("", max_tokens=WRITTEN, seed=0)]

    @property
    def looked_into(self) -> tuple[Any, dict[str, Any]]:
        """The test part."""
        return self.texts.test, {}

    @property
    def answers_in_a_call(self) -> int:
        """Tokens that such a call writes."""
        return WRITTEN

    def learning_rate(self, config: Any) -> float:
        """Return the learning rate, or the optimiser's own."""
        return config.rate

    def check_sizes(self, config: Any) -> None:
        """Refuse layers whose sizes are given one by one."""
        if config.layer_sizes is not None:
            raise InputError(
                "layer_sizes says the size of each layer, and a comparison chooses hidden_size. "
                "Leave layer_sizes out, or match nothing (match='none', --match none)."
            )
