"""Small travel requests: slots that context and letters give away, and an intent for each."""

from __future__ import annotations

import numpy as np
import pytest

from longspan import Tagger
from longspan.data import tagged_text
from longspan.tasks.tag.spans import convert

SMALL = {
    "hidden_size": 8, "word_size": 8, "character_size": 6, "character_embedding_size": 4,
    "max_epochs": 2, "batch_size": 8,
}  # fmt: skip


def requests(count, seed=0, scheme="bio"):
    """Return words, labels and intents of requests; towns are made up."""
    rng = np.random.default_rng(seed)

    def town():
        name = "".join(rng.choice(list("aeioulmnrst"), 4)).capitalize() + "ville"
        return ["New", name] if rng.random() < 0.4 else [name]

    words, labels, intents = [], [], []
    for _ in range(count):
        own, tags = (["book"], ["O"]) if rng.random() < 0.5 else (["show", "me"], ["O", "O"])
        intents.append("book" if own == ["book"] else "list")
        for preposition in rng.permutation(["from", "to"])[: rng.integers(1, 3)]:
            place = town()
            own = [*own, str(preposition), *place]
            tags = [*tags, "O", f"B-{preposition}", *[f"I-{preposition}"] * (len(place) - 1)]
        words.append(own)
        labels.append(convert(tags, scheme))
    return words, labels, intents


def small(**options):
    return Tagger(**(SMALL | options))


@pytest.fixture(scope="session")
def data():
    return requests(60)


@pytest.fixture(scope="session")
def fitted(data):
    return small(dropout=0.1).fit(*data, test=requests(20, seed=1))


@pytest.fixture(scope="session")
def plain():
    """Return a tagger of plain labels, without intents."""
    words = [["a", "cat", "sat"], ["the", "dog", "ran"], ["dogs", "sat"]] * 8
    labels = [["DET", "NOUN", "VERB"], ["DET", "NOUN", "VERB"], ["NOUN", "VERB"]] * 8
    return small().fit(tagged_text(words, labels), test=(words[:3], labels[:3]))
