"""What a tagger must beat: the most frequent label of each word."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from longspan.data.tagged import TaggedText

#: Name of the baseline in tables.
MOST_FREQUENT = "most frequent label"


@dataclass(frozen=True)
class MostFrequent:
    """Every word gets its most frequent label; words never seen the most frequent one of all.

    Words are taken as they are written. Labels that are equally frequent are taken in their order.

    Attributes:
        labels: Label by word.
        other: Label of all other words.
        intent: The most frequent intent, or None.
    """

    labels: dict[str, str]
    other: str
    intent: str | None

    @classmethod
    def fit(cls, text: TaggedText) -> MostFrequent:
        """Count a training part, which must have labels and at least one word."""
        assert text.labels is not None
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for words, labels in zip(text.words, text.labels, strict=True):
            for word, label in zip(words, labels, strict=True):
                counts[word][label] += 1
        overall = sum(counts.values(), Counter())
        return cls(
            {word: _most(own) for word, own in counts.items()},
            _most(overall),
            _most(Counter(text.intents)) if text.intents else None,
        )

    def predict(self, words: list[list[str]]) -> list[list[str]]:
        """Return the labels of sequences."""
        return [[self.labels.get(w, self.other) for w in own] for own in words]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: each label once, and its number for each word."""
        names = sorted({self.other, *self.labels.values()})
        number = {name: k for k, name in enumerate(names)}
        return {
            "words": list(self.labels), "labels": [number[x] for x in self.labels.values()],
            "names": names, "other": number[self.other], "intent": self.intent,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> MostFrequent:
        """Return what `to_dict` wrote."""
        names = [str(name) for name in values["names"]]
        pairs = zip(values["words"], values["labels"], strict=True)
        intent = values["intent"]
        return cls(
            {str(word): names[k] for word, k in pairs},
            names[values["other"]],
            None if intent is None else str(intent),
        )


def _most(counts: Counter[str]) -> str:
    return min(counts, key=lambda name: (-counts[name], name))
