"""From words and labels to numbers, by what the training part holds."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from longspan.data.ragged import Ragged
from longspan.data.tagged import TaggedText
from longspan.tasks.tag.config import TagConfig
from longspan.tasks.tag.network import TagInputs
from longspan.tasks.tag.spans import allowed_transitions, convert, detect_scheme


@dataclass(frozen=True)
class EncodedText:
    """Sequences as numbers.

    Attributes:
        words: Number of each word.
        forms: Number of each word among the different ones, (N,).
        characters: The characters of the different words.
        labels: Number of each label, (N,), or None.
        label_names: Labels by number: the known ones first, then those that training did not see.
        intents: Number of each intent, (S,), or None; beyond the known ones where it is not known.
    """

    words: Ragged
    forms: Tensor
    characters: Ragged
    labels: Tensor | None
    label_names: list[str]
    intents: Tensor | None

    def gather(self, numbers: Tensor) -> TagInputs:
        """Return a batch of these sequences."""
        offsets = self.words.offsets
        forms = Ragged(self.forms, offsets).padded(numbers)
        lengths = self.words.lengths[numbers]
        inside = torch.arange(len(forms))[:, None] < lengths
        different, own = torch.where(inside, forms, forms[0, 0]).unique(return_inverse=True)
        labels = None if self.labels is None else Ragged(self.labels, offsets).padded(numbers)
        return TagInputs(
            words=self.words.padded(numbers), forms=own,
            characters=self.characters.padded(different),
            character_lengths=self.characters.lengths[different], lengths=lengths, labels=labels,
            intents=None if self.intents is None else self.intents[numbers],
        )  # fmt: skip


class Encoder:
    """What the training part taught about words, characters, labels and intents.

    Args:
        config: The options.
        words: Words by number, after padding and the unknown word.
        characters: Characters by number, likewise.
        labels: Labels by number, as the network writes them.
        intents: Intents by number.
        scheme: Scheme of the labels that users see; None for plain labels.
        rare: Numbers of the words that training saw once.
    """

    def __init__(
        self,
        config: TagConfig,
        words: list[str],
        characters: list[str],
        labels: list[str],
        intents: list[str],
        scheme: str | None,
        rare: Sequence[int] = (),
    ) -> None:
        self.config, self.scheme = config, scheme
        self.words, self.characters, self.labels = words, characters, labels
        self.intents, self.rare = intents, rare
        self.inner = None
        if scheme is not None:
            self.inner = "bioes" if config.scheme == "auto" else config.scheme
        self._word = {w: k for k, w in enumerate(words, 2)}
        self._character = {c: k for k, c in enumerate(characters, 2)}
        self._label = {w: k for k, w in enumerate(labels)}
        self._intent = {w: k for k, w in enumerate(intents)}

    @classmethod
    def fit(cls, config: TagConfig, text: TaggedText) -> Encoder:
        assert text.labels is not None
        scheme = None
        if config.scheme != "none":
            scheme = detect_scheme(text.labels)
        empty = cls(config, [], [], [], [], scheme)
        counts = Counter(empty.normal(w) for words in text.words for w in words)
        characters = Counter(c for words in text.words for w in words for c in w)
        words = [w for w, n in counts.most_common() if n >= config.min_count]
        labels = Counter(label for own in text.labels for label in empty.inward(own))
        intents = sorted(set(text.intents or ()))
        rare = [k for k, w in enumerate(words, 2) if counts[w] == 1]
        known = [c for c, n in characters.most_common() if n > 1]
        return cls(config, words, known, sorted(labels), intents, scheme, rare)

    def normal(self, word: str) -> str:
        """Return the form under which a word is looked up."""
        word = unicodedata.normalize("NFC", word)
        if self.config.lowercase:
            word = word.lower()
        if self.config.digits:
            word = "".join("0" if c.isdigit() else c for c in word)
        return word

    def inward(self, labels: Sequence[str]) -> list[str]:
        return list(labels) if self.inner is None else convert(labels, self.inner)

    def outward(self, labels: Sequence[str]) -> list[str]:
        return list(labels) if self.scheme is None else convert(labels, self.scheme)

    def constraints(self) -> dict[str, Tensor] | None:
        if self.inner is None:
            return None
        starts, transitions, ends = map(torch.from_numpy, allowed_transitions(self.labels))
        return {"starts": starts, "transitions": transitions, "ends": ends}

    def encode(self, text: TaggedText) -> EncodedText:
        forms: dict[str, int] = {}
        ids = [[forms.setdefault(w, len(forms)) for w in own] for own in text.words]
        number = np.array([self._word.get(self.normal(w), 1) for w in forms] or [1], np.int64)
        characters = Ragged.of(
            [self._character.get(c, 1) for c in unicodedata.normalize("NFC", w)] for w in forms
        )
        flat = Ragged.of(ids)
        words = Ragged(torch.from_numpy(number)[flat.values], flat.offsets)
        names = dict(self._label)
        labels = None
        if text.labels is not None:
            inner = [self.inward(own) for own in text.labels]
            labels = Ragged.of(
                [names.setdefault(x, len(names)) for x in own] for own in inner
            ).values
        intents = None
        if text.intents is not None and self.intents:
            intents = torch.tensor([self._intent.get(i, len(self.intents)) for i in text.intents])
        return EncodedText(words, flat.values, characters, labels, list(names), intents)
