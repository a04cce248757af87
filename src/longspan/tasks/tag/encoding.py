"""From words and labels to numbers, by what the training part holds."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from longspan.data.ragged import Ragged
from longspan.data.tagged import TaggedText
from longspan.data.vectors import Aligned, VectorShape, align, read_vectors
from longspan.errors import InputError
from longspan.tasks.tag.config import TagConfig
from longspan.tasks.tag.network import UNKNOWN, TagInputs
from longspan.tasks.tag.spans import SCHEMES, allowed_transitions, convert, detect_scheme

#: Number of the first word or character, after padding and the unknown one.
FIRST = 2


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

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.words)

    def gather(self, numbers: Tensor) -> TagInputs:
        """Return a batch of these sequences."""
        offsets, lengths = self.words.offsets, self.words.lengths[numbers]
        forms = Ragged(self.forms, offsets).padded(numbers)
        inside = torch.arange(len(forms))[:, None] < lengths
        # Padding takes some form that is there, and is never read.
        filler = forms[inside][:1] if len(forms) else forms.new_zeros(1)
        different, own = torch.where(inside, forms, filler).unique(return_inverse=True)
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
        rare: Numbers of the words that training saw once and no file knows.
        vectors: How the words are made up where their vectors come from a file; those of training
            come first.
    """

    #: Vectors of the words, from `fit` alone: they are the network's once it is built.
    given: Aligned | None = None

    def __init__(
        self,
        config: TagConfig,
        words: list[str],
        characters: list[str],
        labels: list[str],
        intents: list[str],
        scheme: str | None,
        rare: Sequence[int] = (),
        vectors: VectorShape | None = None,
    ) -> None:
        self.config, self.scheme, self.vectors = config, scheme, vectors
        self.words, self.characters, self.labels = words, characters, labels
        self.intents, self.rare = intents, rare
        self.inner = None
        if scheme is not None:
            self.inner = "bioes" if config.scheme == "auto" else config.scheme
        self._word = {w: k for k, w in enumerate(words, FIRST)}
        self._character = {c: k for k, c in enumerate(characters, FIRST)}
        self._label = {w: k for k, w in enumerate(labels)}
        self._intent = {w: k for k, w in enumerate(intents)}

    @classmethod
    def fit(cls, config: TagConfig, text: TaggedText) -> Encoder:
        """Return what a training part teaches; it must have labels.

        Raises:
            InputError: If a scheme of spans is asked for, and labels are not those of spans.
        """
        assert text.labels is not None
        scheme = None if config.scheme == "none" else detect_scheme(text.labels)
        if scheme is None and config.scheme in SCHEMES:
            raise InputError(
                f"scheme={config.scheme!r} needs labels of spans, such as B-LOC, I-LOC and O, in "
                "the training part. For other labels use scheme='none'."
            )
        empty = cls(config, [], [], [], [], scheme)
        counts = Counter(empty.normal(w) for words in text.words for w in words)
        characters = Counter(c for words in text.words for w in words for c in _composed(w))
        words = [w for w, n in counts.most_common() if n >= config.min_count]
        labels = {label for own in text.labels for label in empty.inward(own)}
        if scheme is not None:
            labels.add("O")  # or there might be no well-formed labels for sequences of some length
        given = None
        if config.vectors is not None:
            given = align(
                read_vectors(config.vectors), [""] * FIRST + words, empty.normal,
                config.vectors_limit,
            )  # fmt: skip
        rare = [
            k for k, w in enumerate(words, FIRST)
            if counts[w] == 1 and (given is None or not given.found[k])
        ]  # fmt: skip
        words += [] if given is None else given.more
        # Those seen once stay unknown, so that training meets an unknown character.
        known = [c for c, n in characters.most_common() if n > 1]
        found = cls(config, words, known, sorted(labels), sorted(set(text.intents or ())), scheme,
                    rare, None if given is None else given.shape)  # fmt: skip
        found.given = given
        return found

    @property
    def num_words(self) -> int:
        """Words with padding and the unknown one."""
        return len(self.words) + FIRST

    @property
    def word_size(self) -> int:
        """Width of the word vectors."""
        return self.vectors.width if self.vectors is not None else self.config.word_size or 100

    @property
    def num_characters(self) -> int:
        """Characters with padding and the unknown one."""
        return len(self.characters) + FIRST

    def rare_mask(self) -> Tensor:
        """Return whether each word was seen once in training, bool (words,)."""
        found = torch.zeros(self.num_words, dtype=torch.bool)
        found[torch.tensor(self.rare, dtype=torch.int64)] = True
        return found

    def knows(self, word: str) -> bool:
        """Return whether training saw this word, as it is looked up."""
        number = self._word.get(self.normal(word))
        return number is not None and (self.vectors is None or number < self.vectors.learnt)

    def normal(self, word: str) -> str:
        """Return the form under which a word is looked up."""
        word = _composed(word)
        if self.config.lowercase:
            word = word.lower()
        if self.config.digits:
            word = "".join("0" if c.isdigit() else c for c in word)
        return word

    def inward(self, labels: Sequence[str]) -> list[str]:
        """Return labels as the network writes them."""
        return list(labels) if self.inner is None else convert(labels, self.inner)

    def outward(self, labels: Sequence[str]) -> list[str]:
        """Return the network's labels as the training data write them."""
        return list(labels) if self.scheme is None else convert(labels, self.scheme)

    def respelled(self, text: TaggedText) -> TaggedText:
        """Return sequences whose spans are written as predictions are, to compare both."""
        if text.labels is None:
            return text
        return TaggedText(text.words, [self.outward(own) for own in text.labels], text.intents)

    def constraints(self) -> dict[str, Tensor] | None:
        """Return which of the network's labels may be where; None if all may be anywhere."""
        if self.inner is None:
            return None
        starts, transitions, ends = map(torch.from_numpy, allowed_transitions(self.labels))
        return {"starts": starts, "transitions": transitions, "ends": ends}

    def classes(self) -> tuple[list[str], Tensor]:
        """Return the labels that have probabilities, and which of the network's belong to each.

        Where the network writes BIOES and the data BIO or IOB1 these are the labels of BIO; else
        the network's own.

        Returns:
            C labels, and 0 or 1, float64 (K, C).
        """
        outer = list(self.labels)
        if self.inner == "bioes" and self.scheme != "bioes":
            outer = [{"S": "B", "E": "I"}.get(x[0], x[0]) + x[1:] for x in self.labels]
        names = sorted(set(outer))
        number = {name: k for k, name in enumerate(names)}
        belongs = torch.zeros(len(outer), len(names), dtype=torch.float64)
        belongs[torch.arange(len(outer)), torch.tensor([number[x] for x in outer])] = 1.0
        return names, belongs

    def encode(self, text: TaggedText) -> EncodedText:
        """Return sequences as numbers, whether or not their words and labels are known.

        Raises:
            InputError: If labels cannot be those of spans, and the network's are.
        """
        forms: dict[str, int] = {}
        ids = [[forms.setdefault(w, len(forms)) for w in own] for own in text.words]
        number = torch.tensor(
            [self._word.get(self.normal(w), UNKNOWN) for w in forms], dtype=torch.int64
        )
        characters = Ragged.of(
            [self._character.get(c, UNKNOWN) for c in _composed(w)] for w in forms
        )
        flat = Ragged.of(ids)
        words = Ragged(number[flat.values], flat.offsets)
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


def _composed(word: str) -> str:
    """Return a word in Unicode's form NFC, as `longspan.data.text.normalise` does."""
    return unicodedata.normalize("NFC", word)
