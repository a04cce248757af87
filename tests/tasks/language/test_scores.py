"""One probability of a text, told in several units."""

from __future__ import annotations

import math

import numpy as np
import pytest

from longspan.tasks.language.scores import Size, bands, score


def test_sizes():
    assert Size.of("to be\nor not\n", 7, 1) == Size(tokens=7, characters=13, words=6, unknown=1)
    assert Size.of("", 0, 0) == Size(0, 0, 0, 0)


def test_scores_of_a_text_without_words_or_beyond_numbers():
    found = score(np.full(3, 1.0), Size(tokens=3, characters=3, words=0))
    assert found["word_perplexity"] == pytest.approx(math.exp(3.0))
    assert score(np.full(2, 900.0), Size(2, 2, 1))["perplexity"] == math.inf


def test_bands_by_frequency():
    tokens = np.array([0, 5, 10, 11, 5000])
    nats = {"model": np.log(2.0) * np.array([1.0, 3.0, 4.0, 6.0, 9.0])}
    found = bands(tokens, nats, [0, 10, 100, 1000])
    assert [band.title for band in found] == ["1 to 10", "11 to 100", "1,001 on"]
    assert [band.share for band in found] == [0.4, 0.4, 0.2]
    assert [band.bits["model"] for band in found] == pytest.approx([2.0, 5.0, 9.0])
