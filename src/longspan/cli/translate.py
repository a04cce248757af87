"""``longspan fit translate`` and ``longspan chat``, and what the others do with a translator."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.cli.application import app, fit
from longspan.cli.data import Encoding, Flat, PairFile, TargetFile, TranslateData, names
from longspan.cli.run import RunFlags, print_table, train
from longspan.cli.saved import SAVED, Saved, load_only, put_text
from longspan.errors import InputError
from longspan.tasks.translate.config import TranslateConfig

if TYPE_CHECKING:
    from longspan.tasks.translate.scores import Evaluation


@fit.command(name="translate")
def fit_translate(
    data: PairFile,
    target: TargetFile = None,
    /,
    *,
    options: Flat[TranslateConfig] = TranslateConfig(),
    run: Flat[RunFlags] = RunFlags(),
    reading: Flat[TranslateData] = TranslateData(),
) -> None:
    """Train a translator on pairs of texts or on dialogues, score it on some, and save it."""
    given = reading.given() | {"target": target}
    train("translate", data, options, run, given, print_translate_scores)


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
    from longspan.tasks.translate import Translator

    _check_open()
    talk = load_only(model, Translator, "answers").conversation(
        beam_size=beam_size, length_penalty=length_penalty, max_length=max_length
    )
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


def _evaluate(model: Any, data: Path, *, reference: Path | None = None, **reading: Any) -> None:
    print_translate_scores(model.evaluate(data, reference, **reading))


def _predict(model: Any, data: Path | None, output: Path | None, **reading: Any) -> None:
    from longspan.data.pairs import read_lines

    lines = _piped(**reading) if data is None else read_lines(data, **reading)
    put_text((line + "\n" for line in model.predict(lines)), output, "Translations")


def _piped(encoding: str = "utf-8") -> list[str]:
    """Return the lines of standard input, read as a file would be."""
    from longspan.data.files import decode, lines_of
    from longspan.data.text import normalise

    _check_open()
    return lines_of(normalise(decode(sys.stdin.buffer.read(), "Standard input", encoding)))


def _check_open() -> None:
    if sys.stdin is None:
        raise InputError("Standard input is closed, so there is nothing to read. Leave it open.")


SAVED["Translator"] = Saved(
    "translators", _evaluate, _predict,
    {
        "evaluate": ("reference", *names(Encoding)),
        "predict": names(Encoding),
        "inspect": ("reference", *names(Encoding)),
    },
)  # fmt: skip
