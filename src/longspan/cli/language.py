"""``longspan fit language`` and ``longspan generate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from longspan.cli.application import app, fit
from longspan.cli.run import RunFlags, finish, print_table
from longspan.cli.saved import SAVED, Saved
from longspan.errors import InputError
from longspan.tasks.language.config import LanguageConfig

if TYPE_CHECKING:
    from longspan.tasks.language.scores import Evaluation


@fit.command(name="language")
def fit_language(
    data: list[Path],
    /,
    *,
    options: Annotated[LanguageConfig, Parameter(name="*")] = LanguageConfig(),  # noqa: B008
    run: Annotated[RunFlags, Parameter(name="*")] = RunFlags(),  # noqa: B008
    validation: list[Path] | None = None,
    test: list[Path] | None = None,
    test_share: float = 0.05,
    encoding: str = "utf-8",
) -> None:
    """Train a language model on text files, score it on the end of them, and save it.

    Parameters
    ----------
    data
        The files, plain or compressed (.gz), in their order.
    validation
        Files for early stopping; by default the end of the text before the test part.
    test
        Files to score the model on.
    test_share
        Share of the text, its end, to score the model on, if there are no files for it; 0 for none.
    encoding
        Of all files.
    """
    from longspan.tasks.language import LanguageModel

    directory = run.directory(data[0])
    model = LanguageModel(**dict(options)).fit(
        data, validation=validation, test=test, test_share=test_share, encoding=encoding,
        **run.for_fit(),
    )  # fmt: skip
    finish(model, directory, _page if run.report else None, print_language_scores)


def _page(made: Any) -> str:
    from longspan.insight import language_html

    return language_html(made)


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
    from longspan.tasks import load
    from longspan.tasks.language import LanguageModel

    loaded = load(model)
    if not isinstance(loaded, LanguageModel):
        raise InputError(
            f"The model in {model} is a {type(loaded).__name__}, and only a LanguageModel writes "
            "text."
        )
    parts = loaded.stream(
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


def _evaluate(model: Any, data: Path, *, encoding: str = "utf-8") -> None:
    print_language_scores(model.evaluate(data, encoding=encoding))


def _predict(model: Any, data: Path | None, **_: Any) -> None:
    raise InputError("The model is a LanguageModel, which writes text: use longspan generate.")


SAVED["LanguageModel"] = Saved(
    "language models", _evaluate, _predict,
    {"evaluate": ("encoding",), "predict": ("output",), "inspect": ("encoding",)},
)  # fmt: skip
