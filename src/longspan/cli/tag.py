"""``longspan fit tag``, and what ``evaluate`` and ``predict`` do with a tagger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.cli.application import fit
from longspan.cli.data import Encoding, Flat, TagColumns, TagData, TagFile, WordColumn, names
from longspan.cli.run import RunFlags, per_cent, print_table, train
from longspan.cli.saved import SAVED, Saved, put_text
from longspan.errors import InputError
from longspan.tasks.tag.config import TagConfig

if TYPE_CHECKING:
    from longspan.tasks.tag.scores import Evaluation

#: Metrics that are printed; see `longspan.tasks.tag.scores.METRICS`.
COLUMNS = (
    "f1", "accuracy", "unknown_accuracy", "sequence_accuracy", "intent_accuracy", "frame_accuracy",
)  # fmt: skip
#: Types of spans that are printed at most; the report has more.
TYPES = 20


@fit.command(name="tag")
def fit_tag(
    data: TagFile,
    /,
    *,
    options: Flat[TagConfig] = TagConfig(),
    run: Flat[RunFlags] = RunFlags(),
    reading: Flat[TagData] = TagData(),
) -> None:
    """Train a tagger on labelled sequences, score it on a part of them, and save it."""
    train("tag", data, options, run, reading.given(), print_tag_scores)


def print_tag_scores(evaluation: Evaluation) -> None:
    """Print the scores of a model and its baseline in per cent, and those of types of spans."""
    from longspan.tasks.tag.metrics import total
    from longspan.tasks.tag.scores import METRICS

    own = evaluation.scores["model"]
    columns = {name: METRICS[name][0] for name in COLUMNS if name in own}
    scores = {
        who: {name: 100 * found.get(name, 0.0) for name in columns}
        for who, found in evaluation.scores.items()
    }
    title = f"Scores in % on {evaluation.sequences:,} sequences (higher is better)"
    print_table(title, "model", columns, scores, max)
    if not evaluation.types:
        return
    headings = {"precision": "precision %", "recall": "recall %", "f1": "F1 %", "gold": "spans",
                "found": "found"}  # fmt: skip
    common = sorted(evaluation.types.items(), key=lambda item: -item[1].gold)[:TYPES]
    every = {**dict(common), f"all {len(evaluation.types)} types": total(evaluation.types)}
    rows = {name: per_cent(found, headings, 2) for name, found in every.items()}
    print_table("The most frequent spans, as conlleval counts them", "type", headings, rows)


def _evaluate(model: Any, data: Path, **reading: Any) -> None:
    print_tag_scores(model.evaluate(data, **reading))


def _predict(model: Any, data: Path | None, output: Path | None, **reading: Any) -> None:
    if data is None:
        raise InputError("A tagger needs sequences to label: name a file after the model.")
    text = model.answer(data, **reading)
    in_json = bool(model.intents_) if output is None else output.suffix == ".jsonl"
    put_text(_json_lines(*text) if in_json else _columns(*text), output, "Labels")


def _json_lines(words: list[list[str]], answers: Any) -> Iterator[str]:
    """Yield an object for each sequence, as `longspan.data.read_tagged` reads them."""
    intents = answers.intents or [None] * len(words)
    for own, labels, intent, p in zip(
        words, answers.labels, intents, answers.probability, strict=True
    ):
        found = {"tokens": own, "tags": labels, "intent": intent, "probability": round(p, 6)}
        kept = {name: value for name, value in found.items() if value is not None}
        yield json.dumps(kept, ensure_ascii=False) + "\n"


def _columns(words: list[list[str]], answers: Any) -> Iterator[str]:
    """Yield a line for each word: the word, a tab, its label; an empty line after each sequence."""
    for own, labels in zip(words, answers.labels, strict=True):
        for word, label in zip(own, labels, strict=True):
            yield f"{word}\t{label}\n"
        yield "\n"


SAVED["Tagger"] = Saved(
    "taggers", _evaluate, _predict,
    {
        "evaluate": names(TagColumns, Encoding),
        "predict": names(WordColumn, Encoding),
        "inspect": names(TagColumns, Encoding),
    },
)  # fmt: skip
