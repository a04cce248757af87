"""Comparing classifiers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from longspan.comparison.subjects.subject import Metric, Subject, contents, need
from longspan.tasks.classify.config import ClassifyConfig
from longspan.tasks.classify.given import Given, given, remembered, without
from longspan.tasks.classify.scores import METRICS

#: Share of the sequences that is held out to tune by where the options hold out none.
HELD_OUT = 0.2
#: Sequences whose answers are timed.
TIMED = 20


class Classes(Subject):
    """Classes of series, texts or images.

    Where the options hold out no validation part, for the sequences are few, a fifth is held out
    from the trials, which are judged by its Brier score: the log loss of so few would be that of
    the surest mistake. The last trainings have all sequences, as `longspan.Classifier.fit` would.
    """

    task = "classify"
    answer = "a sequence"
    scores = tuple(METRICS)
    shared = (
        "input", "tokens", "lowercase", "min_count", "vocab_size", "max_length", "validation_share",
        "vectors", "vectors_limit",
    )  # fmt: skip
    config: ClassifyConfig

    def prepare(
        self, data: Any, *, y: Any = None, validation: Any = None, test: Any = None,
        test_share: float = 0.2, **columns: Any,
    ) -> None:  # fmt: skip
        """Read sequences with labels; see `longspan.Classifier.fit` for the arguments."""
        columns = {name: value for name, value in columns.items() if value is not None}
        config = self.config
        whole = given(data, y, kind=config.input, **columns)
        columns = remembered(columns, whole)  # of other files the same channels are read
        self._kind = whole.kind

        def read(part: Any) -> Given:
            return given(part, kind=whole.kind, **columns)

        if test is None:
            whole, drawn = without(whole, test_share, config.seed + 1)
            self.test = need(drawn, "test", "a test_share above 0 (--test-share), or a test file")
        else:
            self.test = read(test)
        #: Whether the last trainings have the validation part too.
        self.whole = validation is None and not config.share_of(len(whole))
        if validation is None:
            share = config.share_of(len(whole)) or HELD_OUT
            whole, drawn = without(whole, share, config.seed)
            self.validation = need(drawn, "validation", "more sequences")
        else:
            self.validation = read(validation)
        self.training = whole

    @property
    def parts(self) -> dict[str, Any]:
        """The three parts, and what a file of vectors holds."""
        every = {"training": self.training, "validation": self.validation, "test": self.test}
        own = {name: (part.data, part.labels) for name, part in every.items()}
        return {**own, **contents(self.config)}

    @property
    def sizes(self) -> dict[str, int]:
        """Sequences of each part."""
        every = {"training": self.training, "validation": self.validation, "test": self.test}
        return {f"sequences, {name}": len(part) for name, part in every.items()}

    def metrics(self, scores: Mapping[str, float]) -> dict[str, Metric]:
        """Return accuracy and the others."""
        return {
            name: Metric(title, meaning, higher)
            for name, (title, meaning, higher) in METRICS.items()
            if name in scores
        }

    def train(self, model: Any, tested: bool) -> dict[str, dict[str, float]]:
        """Fit a classifier; the baseline is the most frequent class."""
        held = self.validation
        if self.whole:
            model.fit(*(_joined(self.training, held) if tested else _pair(self.training)))
        else:
            model.fit(*_pair(self.training), validation=_pair(held))
        return model.evaluate(self.test.data, self.test.labels).scores if tested else {}

    def judged(self, model: Any, tested: bool) -> float:
        """Return the loss (or error) of the epoch that was kept, or the Brier score: see above."""
        if not self.whole:
            return super().judged(model, tested)
        if tested:
            return math.nan
        return model.evaluate(*_pair(self.validation)).scores["model"]["brier"]

    def estimator(self, options: Mapping[str, Any]) -> Any:
        """Return a classifier of this kind of sequences."""
        return super().estimator({**options, "input": self._kind})

    def hidden_size(self, config: ClassifyConfig) -> int:
        """Return what `units` says, for the default depends on the front."""
        return config.units

    def answers(self, model: Any) -> Sequence[Callable[[], object]]:
        """Return calls that classify one sequence each."""
        some = [self.test.data[k : k + 1] for k in range(min(TIMED, len(self.test)))]
        return [lambda own=own: model.predict(own) for own in some]

    @property
    def looked_into(self) -> tuple[Any, dict[str, Any]]:
        """The test part."""
        return self.test.data, {"labels": self.test.labels}

    def no_memory(self, model: Any) -> str | None:
        """Return that other states than the last are looked at, if they are.

        Lags count from the end, where a state that is read backwards has just begun.
        """
        encoder = model.network_.encoder
        if encoder.recurrent.bidirectional:
            how = "it reads in both directions"
        elif encoder.pooling.kind != "last":
            how = f"its {encoder.pooling.kind} pooling looks at all states"
        else:
            return None
        return f"{how}, so a step far from the end reaches the output without being remembered"


def _pair(part: Given) -> tuple[Any, np.ndarray]:
    """Return sequences and labels."""
    assert part.labels is not None
    return part.data, part.labels


def _joined(first: Given, second: Given) -> tuple[Any, np.ndarray]:
    """Return the sequences and labels of both."""
    (a, own), (b, other) = _pair(first), _pair(second)
    data = np.concatenate([a, b]) if isinstance(a, np.ndarray) else [*a, *b]
    return data, np.concatenate([own, other])
