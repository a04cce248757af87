"""How well a text is predicted: one number for tokens, characters and words alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

#: Metrics: title, explanation. Lower is better in all of them.
METRICS = {
    "cross_entropy": ("nats a token", "mean of -ln p over all tokens"),
    "perplexity": ("perplexity", "exp of it: as unsure as between so many equally likely tokens"),
    "bits_per_character": ("bits a character", "-log₂ p of the whole text by its characters"),
    "word_perplexity": ("perplexity a word", "the same by its words and ends of lines"),
}


@dataclass(frozen=True)
class Size:
    """How long a text is in three units; its probability can be shared out by each.

    Attributes:
        tokens: Tokens that were predicted.
        characters: Characters of the normalised text, ends of lines included.
        words: What stands between spaces, and ends of lines.
        unknown: Tokens that the vocabulary does not have.
    """

    tokens: int
    characters: int
    words: int
    unknown: int = 0

    @staticmethod
    def of(text: str, tokens: int, unknown: int) -> Size:
        """Return the size of a text that became so many tokens."""
        return Size(tokens, len(text), len(text.split()) + text.count("\n"), unknown)


@dataclass(frozen=True)
class Evaluation:
    """How well a text was predicted by the model and by its baselines.

    Attributes:
        scores: Metric by predictor: ``scores["model"]["perplexity"]``; see `METRICS`.
        size: Of the text.
        passage: Tokens of its beginning, as they are written.
        bits: -log₂ p of each of them, by the model.
        bands: The same by the frequency of the tokens, frequent ones first.
    """

    scores: dict[str, dict[str, float]]
    size: Size
    passage: tuple[str, ...] = ()
    bits: np.ndarray = field(default_factory=lambda: np.zeros(0))
    bands: tuple[Band, ...] = ()


@dataclass(frozen=True)
class Band:
    """Tokens of like frequency.

    Attributes:
        title: Their places in the order of frequency.
        share: Share of the text that they are.
        bits: Mean of -log₂ p over them, by predictor.
    """

    title: str
    share: float
    bits: dict[str, float]


def bands(tokens: np.ndarray, nats: dict[str, np.ndarray], edges: Sequence[int]) -> list[Band]:
    """Return the mean loss by the number of a token, which tells its frequency.

    Args:
        tokens: What was predicted, (N,).
        nats: -ln p of each token by predictor, each (N,).
        edges: Where bands begin, rising from 0; the last is open. Bands without tokens are left
            out.
    """
    found = []
    for begin, end in pairwise([*edges, np.inf]):
        own = (tokens >= begin) & (tokens < end)
        if own.any():
            title = f"{begin + 1:,} on" if end == np.inf else f"{begin + 1:,} to {end:,}"
            bits = {name: float(each[own].mean() / np.log(2.0)) for name, each in nats.items()}
            found.append(Band(title, float(own.mean()), bits))
    return found


def score(nats: np.ndarray, size: Size) -> dict[str, float]:
    """Return all metrics of a text.

    >>> found = score(np.full(4, math.log(8.0)), Size(tokens=4, characters=12, words=2))
    >>> {name: round(value, 3) for name, value in found.items()}
    {'cross_entropy': 2.079, 'perplexity': 8.0, 'bits_per_character': 1.0, 'word_perplexity': 64.0}

    Args:
        nats: -ln p of each token, (N,).
        size: Of the text.
    """
    total = float(nats.sum())
    return {
        "cross_entropy": total / size.tokens,
        "perplexity": _exp(total / size.tokens),
        "bits_per_character": total / math.log(2.0) / size.characters,
        "word_perplexity": _exp(total / max(size.words, 1)),
    }


def _exp(value: float) -> float:
    """Return exp, infinite where a number cannot hold it."""
    return math.exp(value) if value < 700.0 else math.inf
