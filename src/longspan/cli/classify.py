"""``longspan fit classify``, and what ``evaluate`` and ``predict`` do with a classifier."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from longspan.cli.application import fit
from longspan.cli.run import RunFlags, finish, print_table
from longspan.cli.saved import SAVED, Saved, write_whole
from longspan.errors import InputError
from longspan.tasks.classify.config import ClassifyConfig

if TYPE_CHECKING:
    from longspan.tasks.classify.scores import Evaluation


@fit.command(name="classify")
def fit_classify(
    data: Path,
    /,
    *,
    options: Annotated[ClassifyConfig, Parameter(name="*")] = ClassifyConfig(),  # noqa: B008
    run: Annotated[RunFlags, Parameter(name="*")] = RunFlags(),  # noqa: B008
    validation: Path | None = None,
    test: Path | None = None,
    test_share: float = 0.2,
    text: str | None = None,
    label: str | None = None,
    id: str | None = None,
    time: str | None = None,
    values: list[str] | None = None,
    encoding: str = "utf-8",
) -> None:
    """Train a classifier on labelled sequences or texts, score it on a part of them, and save it.

    Parameters
    ----------
    data
        The file: .ts of the UEA/UCR archive; .tsv with a label and then values in each line; a
        table (.csv, .tsv, .parquet) with a row for each text, or for each step of a sequence; or
        .jsonl with a text and a label in each line.
    validation
        The same, to judge each epoch; by default a share of the data.
    test
        The same, to score the model on.
    test_share
        Share of each class to score the model on, if there is no file for it; 0 for none.
    text
        Column of the texts; found by its name, such as text.
    label
        Column of the labels; found by its name, such as label.
    id
        Column that names the sequence of a row; id by default.
    time
        Column by which the steps of a sequence are put in order; time where there is one.
    values
        Columns of the channels; by default all numeric ones that are none of the others.
    encoding
        Of all files.
    """
    from longspan.tasks.classify import Classifier

    directory = run.directory(data)
    model = Classifier(**dict(options)).fit(
        data, validation=validation, test=test, test_share=test_share, text=text, label=label,
        id=id, time=time, values=values, encoding=encoding, **run.for_fit(),
    )  # fmt: skip
    finish(model, directory, _page if run.report else None, print_class_scores)


def _page(made: Any) -> str:
    from longspan.insight import classify_html

    return classify_html(made)


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
    rows = {
        str(name): {
            key: str(value)
            if isinstance(value := getattr(each, key), int)
            else f"{100 * value:.1f}"
            for key in headings
        }
        for name, each in evaluation.per_class.items()
    }
    print_table("By class", "class", headings, rows)


def _evaluate(model: Any, data: Path, **columns: Any) -> None:
    model.columns_ = model.columns_ | columns
    found = model.evaluate(data)
    for note in found.notes:
        print(f"Note: {note}")
    print_class_scores(found)


def _predict(model: Any, data: Path | None, *, output: Path | None = None, **columns: Any) -> None:
    if data is None:
        raise InputError("A classifier needs sequences to classify: name a file after the model.")
    if output is not None and output.suffix not in (".csv", ".parquet"):
        raise InputError(f"--output must end in .csv or .parquet, got {output}.")
    model.columns_ = model.columns_ | columns
    table = model.answer(data)
    if output is None:
        sys.stdout.write(table.write_csv())
        return
    write = table.write_csv if output.suffix == ".csv" else table.write_parquet
    write_whole(output, write)
    print(f"Classes: {output}")


SAVED["Classifier"] = Saved(
    "classifiers", _evaluate, _predict,
    {
        "evaluate": ("text", "label", "id", "time", "values", "encoding"),
        "inspect": ("text", "label", "id", "time", "values", "encoding"),
        "predict": ("output", "text", "id", "time", "values", "encoding"),
    },
)  # fmt: skip
