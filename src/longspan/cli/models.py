"""Commands on saved models of any task: ``longspan evaluate`` and ``longspan predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from longspan.cli import saved
from longspan.cli.application import app
from longspan.cli.data import (
    CLASSIFIERS,
    FORECASTERS,
    TAGGERS,
    ClassifyAnswer,
    ClassifyColumns,
    Encoding,
    Flat,
    ForecastEnd,
    ReferenceFile,
    TagColumns,
    WordColumn,
)
from longspan.files import check_place


@app.command
def evaluate(
    model: Path,
    data: Path,
    reference: ReferenceFile = None,
    /,
    *,
    end: Annotated[Flat[ForecastEnd], FORECASTERS] = ForecastEnd(),
    tags: Annotated[Flat[TagColumns], TAGGERS] = TagColumns(),
    classes: Annotated[Flat[ClassifyColumns], CLASSIFIERS] = ClassifyColumns(),
    text: Flat[Encoding] = Encoding(),
) -> None:
    """Score a saved model on a file: a forecaster on the last horizons of it.

    Parameters
    ----------
    model
        The model directory.
    data
        The file: a table with the columns that a forecaster was trained on, a text, or labelled
        sequences.
    """
    given = end.given() | tags.given() | classes.given() | text.given()
    loaded, flags, kind = saved.opened("evaluate", model, {"reference": reference, **given})
    assert kind.evaluate is not None
    kind.evaluate(loaded, data, **flags)


@app.command
def predict(
    model: Path,
    data: Path | None = None,
    /,
    *,
    future: Annotated[Path | None, FORECASTERS] = None,
    output: Path | None = None,
    tags: Annotated[Flat[WordColumn], TAGGERS] = WordColumn(),
    classes: Annotated[Flat[ClassifyAnswer], CLASSIFIERS] = ClassifyAnswer(),
    text: Flat[Encoding] = Encoding(),
) -> None:
    """Forecast, label, classify or translate with a saved model, or write features.

    Parameters
    ----------
    model
        The model directory.
    data
        The series up to now, by default the data that a forecaster was trained on; or sequences;
        or texts to translate, one a line, by default those of standard input.
    future
        A file with the covariates known in advance, for the horizon.
    output
        A file to write in place of printing: .csv or .parquet for forecasts, classes and features;
        .jsonl for labels, or any other name for two columns.
    """
    if output is not None:
        check_place(output)
    given = tags.given() | classes.given() | text.given()
    loaded, flags, kind = saved.opened("predict", model, {"future": future, **given})
    kind.predict(loaded, data, output, **flags)
