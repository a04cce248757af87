"""``longspan fit language`` and ``longspan generate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.cli.application import app, fit
from longspan.cli.data import Encoding, Flat, LanguageData, TextFiles, names
from longspan.cli.run import RunFlags, print_table, train
from longspan.cli.saved import SAVED, Saved, load_only
from longspan.errors import InputError
from longspan.tasks.language.config import LanguageConfig

if TYPE_CHECKING:
    from longspan.tasks.language.scores import Evaluation


@fit.command(name="language")
def fit_language(
    data: TextFiles,
    /,
    *,
    options: Flat[LanguageConfig] = LanguageConfig(),
    run: Flat[RunFlags] = RunFlags(),
    reading: Flat[LanguageData] = LanguageData(),
) -> None:
    """Train a language model on text files, score it on the end of them, and save it."""
    train("language", data, options, run, reading.given(), print_language_scores)


@app.command
def generate(
    model: Path,
    prompt: str = "",
    /,
    *,
    max_tokens: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    stop: str | None = None,
) -> None:
    """Write on after a prompt with a saved language model, printing as it goes.

    Parameters
    ----------
    model
        The model directory.
    prompt
        What the text begins with.
    max_tokens
        Characters, words or subwords to write at most.
    temperature
        Below 1 likely tokens become likelier still, above 1 less so; 0 takes the likeliest.
    top_k
        Draw from so many of the likeliest tokens alone.
    top_p
        Draw from the fewest likeliest tokens that have this probability together.
    seed
        Of the draws; by default that of the model.
    stop
        Text before which to end.
    """
    from longspan.tasks.language import LanguageModel

    parts = load_only(model, LanguageModel, "writes text").stream(
        prompt, max_tokens=max_tokens, temperature=temperature, top_k=top_k, top_p=top_p,
        seed=seed, stop=stop,
    )  # fmt: skip
    sys.stdout.write(prompt)
    for part in parts:
        sys.stdout.write(part)
        sys.stdout.flush()
    print()


def print_language_scores(evaluation: Evaluation) -> None:
    """Print the scores of a model and its baselines, the best of each column in bold."""
    from longspan.tasks.language.scores import METRICS

    size = evaluation.size
    title = f"Scores on {size.tokens:,} tokens of text (lower is better)"
    columns = {name: heading for name, (heading, _) in METRICS.items()}
    print_table(title, "model", columns, evaluation.scores)
    if size.unknown:
        print(f"Note: {100 * size.unknown / size.tokens:.2g} % of the tokens are unknown ones.")


def _evaluate(model: Any, data: Path, **reading: Any) -> None:
    print_language_scores(model.evaluate(data, **reading))


def _predict(model: Any, data: Path | None, output: Path | None) -> None:
    raise InputError("The model is a LanguageModel, which writes text: use longspan generate.")


SAVED["LanguageModel"] = Saved(
    "language models", _evaluate, _predict,
    {"evaluate": names(Encoding), "predict": (), "inspect": names(Encoding)},
)  # fmt: skip
