"""Comparing translators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from longspan.comparison.subjects.subject import Metric, Subject, need
from longspan.data.pairs import Pairs
from longspan.tasks.translate.config import TranslateConfig
from longspan.tasks.translate.encoding import divide
from longspan.tasks.translate.scores import METRICS, tools

#: Texts whose translations are timed.
TIMED = 20


class Translations(Subject):
    """Pairs of texts; those with one source stay in one part."""

    task = "translate"
    answer = "a text"
    scores = tuple(METRICS)
    # A bidirectional encoder has half of the units in each direction.
    size_step = 2
    shared = (
        "tokens", "target_tokens", "lowercase", "min_count", "vocab_size", "context_turns",
        "validation_share", "bleu_tokens",
    )  # fmt: skip
    config: TranslateConfig

    def prepare(
        self, data: Any, *, target: Any = None, validation: Any = None, test: Any = None,
        test_share: float = 0.05, encoding: str = "utf-8",
    ) -> None:  # fmt: skip
        """Read pairs; see `longspan.Translator.fit`; a tuple of two is source and target."""
        tools()
        if target is None and isinstance(data, tuple) and len(data) == 2:
            data, target = data
        found = divide(self.config, data, target, validation, test, test_share, encoding)
        self.training = found.train
        self.validation: Pairs = need(
            found.validation, "validation", "a validation_share above 0 (--validation-share)"
        )
        self.test: Pairs = need(
            found.test, "test", "a test_share above 0 (--test-share), or a test file"
        )

    @property
    def parts(self) -> dict[str, Any]:
        """The three parts."""
        return {"training": self.training, "validation": self.validation, "test": self.test}

    @property
    def sizes(self) -> dict[str, int]:
        """Pairs of each part."""
        return {f"pairs, {name}": len(part) for name, part in self.parts.items()}

    def metrics(self, scores: Mapping[str, float]) -> dict[str, Metric]:
        """Return BLEU and the others."""
        return {n: Metric(m.title, m.meaning, m.higher) for n, m in METRICS.items() if n in scores}

    def train(self, model: Any, tested: bool) -> dict[str, dict[str, float]]:
        """Fit a translator; the baseline is a copy of the source."""
        model.fit(*_sides(self.training), validation=_sides(self.validation))
        return model.evaluate(*_sides(self.test)).scores if tested else {}

    def answers(self, model: Any) -> Sequence[Callable[[], object]]:
        """Return calls that translate one text each."""
        return [lambda own=own: model.predict(own) for own in self.test.sources[:TIMED]]

    @property
    def looked_into(self) -> tuple[Any, dict[str, Any]]:
        """The test part."""
        sources, targets = _sides(self.test)
        return sources, {"target": targets}

    def no_memory(self, model: Any) -> str | None:
        """Return that only the encoder could be looked into, if so: see `longspan.insight`."""
        if not model.engine_.network.input_feeding:
            return None
        return (
            "with input feeding only the encoder is looked into, and attention looks at all tokens "
            "of the source, which needs no memory"
        )


def _sides(pairs: Pairs) -> tuple[list[str], list[str]]:
    return list(pairs.sources), list(pairs.targets)
