"""``longspan fit translate`` and ``longspan chat``, and what the others do with a translator."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from longspan.cli.application import app, fit
from longspan.cli.run import RunFlags, finish, print_table
from longspan.cli.saved import SAVED, Saved, write_whole
from longspan.errors import InputError
from longspan.tasks.translate.config import TranslateConfig

if TYPE_CHECKING:
    from longspan.tasks.translate.scores import Evaluation


@fit.command(name="translate")
def fit_translate(
    data: Path,
    target: Path | None = None,
    /,
    *,
    options: Annotated[TranslateConfig, Parameter(name="*")] = TranslateConfig(),  # noqa: B008
    run: Annotated[RunFlags, Parameter(name="*")] = RunFlags(),  # noqa: B008
    validation: list[Path] | None = None,
    test: list[Path] | None = None,
    test_share: float = 0.05,
    encoding: str = "utf-8",
) -> None:
    """Train a translator on pairs of texts or on dialogues, score it on some, and save it.

    Parameters
    ----------
    data
        With `target`, a file of texts, one a line; without, pairs or dialogues: .tsv, .jsonl,
        .json or .yaml, or a directory of such files. Plain or compressed (.gz).
    target
        The file of the translations, line by line.
    validation
        One file or two, as above, for early stopping; by default a share of the pairs.
    test
        The same, to score the model on.
    test_share
        Share of the pairs to score the model on, if there are no files for it; 0 for none.
    encoding
        Of all files.
    """
    from longspan.tasks.translate import Translator

    directory = run.directory(data)
    model = Translator(**dict(options)).fit(
        data, target, validation=part("validation", validation), test=part("test", test),
        test_share=0.0 if test else test_share, encoding=encoding, **run.for_fit(),
    )  # fmt: skip
    finish(model, directory, _page if run.report else None, print_translate_scores)


@app.command
def chat(
    model: Path,
    /,
    *,
    beam_size: int | None = None,
    length_penalty: float | None = None,
    max_length: int | None = None,
) -> None:
    """Talk to a saved translator that was trained on dialogues; the end of the input ends it.

    What was said before is kept, and as much of it is read as the model was trained to read.

    Parameters
    ----------
    model
        The model directory.
    beam_size
        Answers that are followed at once; by default that of the model, and so are the others.
    length_penalty
        Above 0, longer answers have no disadvantage.
    max_length
        Tokens of an answer at most.
    """
    from longspan.tasks import load
    from longspan.tasks.translate import Translator

    loaded = load(model)
    if not isinstance(loaded, Translator):
        raise InputError(
            f"The model in {model} is a {type(loaded).__name__}, and only a Translator answers."
        )
    options = {"beam_size": beam_size, "length_penalty": length_penalty, "max_length": max_length}
    talk = loaded.conversation(**options)
    prompt = "> " if sys.stdin.isatty() else ""
    while True:
        try:
            said = input(prompt)
        except EOFError:
            return
        except UnicodeDecodeError:
            raise InputError("What was typed is not in the terminal's encoding.") from None
        if said.strip():
            print(talk.reply(said), flush=True)


def part(name: str, files: list[Path] | None) -> Any:
    """Return what `Translator.fit` takes: a file, or a tuple of two."""
    if not files:
        return None
    if len(files) > 2:
        raise InputError(f"--{name} takes one file, or source and target, got {len(files)}.")
    return tuple(files) if len(files) == 2 else files[0]


def _page(made: Any) -> str:
    from longspan.insight import translate_html

    return translate_html(made)


def print_translate_scores(evaluation: Evaluation) -> None:
    """Print the scores of a model and its baselines, the best of each column in bold."""
    from longspan.tasks.translate.scores import METRICS, best

    columns = {
        name: f"{metric.title} {'↑' if metric.higher else '↓'}" for name, metric in METRICS.items()
    }
    top = best(evaluation.scores)
    scores: dict[str, dict[str, str]] = {}
    for who, found in evaluation.scores.items():
        scores[who] = {}
        for name, value in found.items():
            text = "–" if math.isnan(value) else f"{value:.4g}"
            scores[who][name] = f"[bold]{text}[/]" if value == top[name] else text
    print_table(f"Scores on {evaluation.pairs:,} pairs", "model", columns, scores)
    print(f"BLEU: {evaluation.signature}")
    if evaluation.unknown:
        print(f"Note: {evaluation.unknown} tokens of these pairs are unknown ones.")


def _evaluate(
    model: Any, data: Path, *, reference: Path | None = None, encoding: str = "utf-8"
) -> None:
    print_translate_scores(model.evaluate(data, reference, encoding=encoding))


def _predict(
    model: Any, data: Path | None, *, output: Path | None = None, encoding: str = "utf-8"
) -> None:
    from longspan.data.pairs import read_lines

    if data is None:
        try:
            lines = [line.rstrip("\r\n") for line in sys.stdin]
        except UnicodeDecodeError:
            raise InputError("Standard input is not in the terminal's encoding.") from None
    else:
        lines = read_lines(data, encoding)
    text = "".join(line + "\n" for line in model.predict(lines))
    if output is None:
        sys.stdout.write(text)
        return
    write_whole(output, lambda path: path.write_text(text, "utf-8"))
    print(f"Translations: {output}")


SAVED["Translator"] = Saved(
    "translators", _evaluate, _predict,
    {
        "evaluate": ("reference", "encoding"), "predict": ("output", "encoding"),
        "inspect": ("reference", "encoding"),
    },
)  # fmt: skip
