"""Baselines of a translator that need no learning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

#: Texts that are compared at once.
CHUNK = 256


class NearestPair:
    """The target of the training pair whose source has most words in common.

    Texts are bags of words, weighted by ln(N / number of texts with the word) + 1 and compared by
    the cosine; of equals the first is taken. A text without any known word gets the most frequent
    target.

    >>> NearestPair(["a b c", "d e"], ["first", "second"]).translate(["e f", "c b a a"])
    ['second', 'first']

    Args:
        sources: Of the training pairs, at least one.
        targets: As many.
    """

    def __init__(self, sources: Sequence[str], targets: Sequence[str]) -> None:
        self._targets = list(targets)
        self._numbers: dict[str, int] = {}
        for text in sources:
            for word in text.split():
                self._numbers.setdefault(word, len(self._numbers))
        counts = self._counts(sources)
        texts = np.bincount(counts.indices, minlength=max(len(self._numbers), 1))
        self._weights = np.log(len(sources) / np.maximum(texts, 1)) + 1.0
        self._known = self._unit(counts)
        self._usual = Counter(self._targets).most_common(1)[0][0]

    def translate(self, sources: Sequence[str]) -> list[str]:
        """Return a target for each source."""
        found = []
        for begin in range(0, len(sources), CHUNK):
            asked = self._unit(self._counts(sources[begin : begin + CHUNK]))
            likeness = (asked @ self._known.T).toarray()
            for row, best in zip(likeness, likeness.argmax(1).tolist(), strict=True):
                found.append(self._targets[best] if row[best] > 0.0 else self._usual)
        return found

    def _counts(self, texts: Sequence[str]) -> csr_matrix:
        """Return how often each known word is in each text; each word stands once a row."""
        rows = [
            Counter(self._numbers[word] for word in text.split() if word in self._numbers)
            for text in texts
        ]
        starts = np.cumsum([0, *map(len, rows)])
        columns = [column for row in rows for column in row]
        values = [float(count) for row in rows for count in row.values()]
        shape = (len(rows), max(len(self._numbers), 1))
        return csr_matrix((values, np.array(columns, np.int64), starts), shape=shape)

    def _unit(self, counts: csr_matrix) -> csr_matrix:
        weighted = csr_matrix(counts.multiply(self._weights[None]))
        norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(1)).ravel())
        scale = 1.0 / np.where(norms > 0.0, norms, 1.0)
        return csr_matrix(weighted.multiply(scale[:, None]))
