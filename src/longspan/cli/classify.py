"""``longspan fit classify``, and what ``evaluate`` and ``predict`` do with a classifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.cli.application import fit
from longspan.cli.data import (
    ClassFile,
    ClassifyAnswer,
    ClassifyColumns,
    ClassifyData,
    Encoding,
    Flat,
    names,
)
from longspan.cli.run import RunFlags, per_cent, print_table, train
from longspan.cli.saved import SAVED, Saved, check_table, put_table
from longspan.errors import InputError
from longspan.tasks.classify.config import ClassifyConfig

if TYPE_CHECKING:
    from longspan.tasks.classify.scores import Evaluation


@fit.command(name="classify")
def fit_classify(
    data: ClassFile,
    /,
    *,
    options: Flat[ClassifyConfig] = ClassifyConfig(),
    run: Flat[RunFlags] = RunFlags(),
    reading: Flat[ClassifyData] = ClassifyData(),
) -> None:
    """Train a classifier on labelled sequences or texts, score it on part of them, and save it."""
    train("classify", data, options, run, reading.given(), print_class_scores)


def print_class_scores(evaluation: Evaluation) -> None:
    """Print the scores of a model and its baseline, and those of each class."""
    from longspan.tasks.classify.scores import METRICS

    total = int(evaluation.confusion.sum())
    for higher, best in ((True, max), (False, min)):
        columns = {
            name: heading
            for name, (heading, _, rises) in METRICS.items()
            if rises == higher and name in evaluation.scores["model"]
        }
        word = "higher" if higher else "lower"
        title = f"Scores on {total:,} sequences ({word} is better)"
        print_table(title, "model", columns, evaluation.scores, best)
    headings = {"precision": "precision %", "recall": "recall %", "f1": "F1 %",
                "support": "sequences"}  # fmt: skip
    rows = {str(n): per_cent(found, headings, 1) for n, found in evaluation.per_class.items()}
    print_table("By class", "class", headings, rows)


def _evaluate(model: Any, data: Path, **columns: Any) -> None:
    model.columns_ = model.columns_ | columns
    found = model.evaluate(data)
    for note in found.notes:
        print(f"Note: {note}")
    print_class_scores(found)


def _predict(
    model: Any, data: Path | None, output: Path | None, features: bool = False, **columns: Any
) -> None:
    if features:
        answer(model, model.answer_features, data, output, "Features", columns)
    else:
        answer(model, model.answer, data, output, "Classes", columns)


def answer(
    model: Any, table: Callable[[Path], Any], data: Path | None, output: Path | None, title: str,
    columns: dict[str, Any],
) -> None:  # fmt: skip
    """Write what a model says of the sequences of a file.

    Args:
        model: It remembers the columns of its training.
        table: Its method that makes a table.
        data: The file.
        output: Where the table goes, or None for standard output.
        title: What it holds.
        columns: Those that were named.

    Raises:
        InputError: If there is no file, or no table can be written.
    """
    if data is None:
        raise InputError("There must be sequences to read: name a file after the model.")
    check_table(output)
    model.columns_ = model.columns_ | columns
    put_table(table(data), output, title)


SAVED["Classifier"] = Saved(
    "classifiers", _evaluate, _predict,
    {
        "evaluate": names(ClassifyColumns, Encoding),
        "predict": names(ClassifyAnswer, Encoding),
        "inspect": names(ClassifyColumns, Encoding),
    },
)  # fmt: skip
