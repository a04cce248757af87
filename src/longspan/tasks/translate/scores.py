"""How good translations are, by the field's own tools: sacrebleu and jiwer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from longspan.errors import MissingDependencyError


class Metric(NamedTuple):
    """A metric: its title, what it means, and whether more of it is better."""

    title: str
    meaning: str
    higher: bool = False


METRICS = {
    "bleu": Metric("BLEU", "words and runs of up to four in common, 0 to 100 (sacrebleu)", True),
    "chrf": Metric("chrF", "F-score of runs of characters, 0 to 100 (sacrebleu)", True),
    "exact": Metric("exact, %", "outputs that are equal to the reference", True),
    "token_error_rate": Metric("token errors, %", "edits by the tokens of the reference (jiwer)"),
    "word_error_rate": Metric("word errors, %", "edits by its words (jiwer)"),
    "character_error_rate": Metric("character errors, %", "edits by its characters (jiwer)"),
    "perplexity": Metric("perplexity", "a token of the reference, its end included"),
}


@dataclass(frozen=True)
class Example:
    """One pair, and what was made of it.

    Attributes:
        source: What was read.
        reference: What should come.
        output: What came.
        chrf: Of this output alone, 0 to 100.
    """

    source: str
    reference: str
    output: str
    chrf: float


@dataclass(frozen=True)
class Evaluation:
    """How well pairs were translated by the model and by its baselines.

    Attributes:
        scores: Metric by predictor: ``scores["model"]["bleu"]``; see `METRICS`. NaN where a
            baseline has none.
        pairs: How many.
        tokens: Of the references, their ends included.
        unknown: Tokens of sources and references that the vocabularies do not have.
        signature: How sacrebleu computed BLEU.
        examples: All pairs, in their order.
    """

    scores: dict[str, dict[str, float]]
    pairs: int
    tokens: int
    unknown: int
    signature: str
    examples: tuple[Example, ...] = ()


def tools() -> tuple[Any, Any]:
    """Return the packages sacrebleu (its metrics) and jiwer.

    Raises:
        MissingDependencyError: If one is not installed.
    """
    try:
        import jiwer
        import sacrebleu.metrics
    except ImportError as error:
        raise MissingDependencyError(
            "Scores of translations need the packages sacrebleu and jiwer: pip install "
            "'longspan[translate]'"
        ) from error
    return sacrebleu.metrics, jiwer


def score(
    outputs: Sequence[str],
    references: Sequence[str],
    tokens: tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]],
    bleu_tokens: str = "13a",
) -> tuple[dict[str, float], str]:
    """Return all metrics but perplexity, which is NaN, and sacrebleu's signature.

    Args:
        outputs: Texts.
        references: As many; none is empty.
        tokens: Both as tokens of the target.
        bleu_tokens: How BLEU cuts words.

    Raises:
        MissingDependencyError: If sacrebleu or jiwer is not installed.
    """
    metrics, jiwer = tools()
    bleu = metrics.BLEU(tokenize=bleu_tokens, force=True)
    written = [[" ".join(map(str, each)) for each in side] for side in tokens]
    right = [a == b for a, b in zip(outputs, references, strict=True)]
    found = {
        "bleu": bleu.corpus_score(outputs, [references]).score,
        "chrf": metrics.CHRF().corpus_score(outputs, [references]).score,
        "exact": 100.0 * float(np.mean(right)),
        "token_error_rate": 100.0 * jiwer.wer(written[1], written[0]),
        "word_error_rate": 100.0 * jiwer.wer(list(references), list(outputs)),
        "character_error_rate": 100.0 * jiwer.cer(list(references), list(outputs)),
        "perplexity": math.nan,
    }
    return found, str(bleu.get_signature())


def examples(
    sources: Sequence[str], references: Sequence[str], outputs: Sequence[str]
) -> tuple[Example, ...]:
    """Return every pair with its own chrF."""
    chrf = tools()[0].CHRF()
    return tuple(
        Example(source, reference, output, chrf.sentence_score(output, [reference]).score)
        for source, reference, output in zip(sources, references, outputs, strict=True)
    )


def best(scores: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the best value of each metric over all predictors; NaN is none."""
    found = {}
    for name, metric in METRICS.items():
        values = [each[name] for each in scores.values() if not math.isnan(each[name])]
        found[name] = (max if metric.higher else min)(values, default=math.nan)
    return found
