"""Word vectors from text without labels: those of IMDb's training reviews, by word2vec."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.data import need
from longspan.data.text import normalise
from longspan.files import write_whole
from longspan.tasks.classify.inputs import words

#: Where a sentence ends.
END = re.compile(r"(?<=[.!?])\s+|\n|<br />")


def own_vectors(state: Path) -> Path:
    """Return a file with vectors of 100 numbers, made in `state` if it is not there yet.

    Skip-grams with negative sampling (Mikolov et al. 2013), five passes over seven million words.
    """
    path = state / "reviews.vec"
    if not path.exists():
        from gensim.models import Word2Vec

        model = Word2Vec(
            list(_sentences()), vector_size=100, window=5, min_count=5, sg=1, negative=5,
            epochs=5, workers=1, seed=0,
        )  # fmt: skip
        write_whole(path, lambda beside: model.wv.save_word2vec_format(str(beside)))
    return path


def _sentences() -> Iterator[list[str]]:
    for label in ("neg", "pos"):
        for number in range(3):
            with gzip.open(need("sentiment", "imdb", f"train_{label}_{number}.jsonl.gz")) as file:
                for line in file:
                    for sentence in END.split(json.loads(line)["text"]):
                        if found := words(normalise(sentence, lowercase=True)).split():
                            yield found
