"""Commands on saved models of any task: ``longspan evaluate`` and ``longspan predict``."""

from __future__ import annotations

from pathlib import Path

from longspan.cli import saved
from longspan.cli.application import app


@app.command
def evaluate(
    model: Path,
    data: Path,
    /,
    *,
    windows: int | None = None,
    allow_seen: bool | None = None,
    word_column: str | None = None,
    label_column: str | None = None,
    text: str | None = None,
    label: str | None = None,
    id: str | None = None,
    time: str | None = None,
    values: list[str] | None = None,
    encoding: str | None = None,
) -> None:
    """Score a saved model on a file: a forecaster on the last horizons of it.

    Parameters
    ----------
    model
        The model directory.
    data
        The file: a table with the columns that a forecaster was trained on, a text, or labelled
        sequences.
    windows
        For forecasters: horizons at the end of each series to forecast; 4 by default.
    allow_seen
        For forecasters: score also on steps that it was trained on.
    word_column
        For taggers: column of the words.
    label_column
        For taggers: column of the labels.
    text
        For classifiers: column of the texts; for this and the next, that of training by default.
    label
        For classifiers: column of the labels.
    id
        For classifiers: column that names the sequence of a row.
    time
        For classifiers: column by which the steps of a sequence are put in order.
    values
        For classifiers: columns of the channels.
    encoding
        Of a file of text; utf-8 by default.
    """
    flags = {
        "windows": windows, "allow_seen": allow_seen or None, "word_column": word_column,
        "label_column": label_column, "text": text, "label": label, "id": id, "time": time,
        "values": values, "encoding": encoding,
    }  # fmt: skip
    saved.run("evaluate", model, data, flags)


@app.command
def predict(
    model: Path,
    data: Path | None = None,
    /,
    *,
    future: Path | None = None,
    output: Path | None = None,
    word_column: str | None = None,
    text: str | None = None,
    id: str | None = None,
    time: str | None = None,
    values: list[str] | None = None,
    encoding: str | None = None,
) -> None:
    """Forecast with a saved forecaster, label sequences with a tagger, or classify them.

    Parameters
    ----------
    model
        The model directory.
    data
        The series up to now, by default the data that a forecaster was trained on; or sequences.
    future
        For forecasters: a file with the covariates known in advance, for the horizon.
    output
        A file to write in place of printing: .csv or .parquet for forecasts and classes;
        .jsonl for labels, or any other name for two columns.
    word_column
        For taggers: column of the words.
    text
        For classifiers: column of the texts; for this and the next, that of training by default.
    id
        For classifiers: column that names the sequence of a row.
    time
        For classifiers: column by which the steps of a sequence are put in order.
    values
        For classifiers: columns of the channels.
    encoding
        For taggers and classifiers: of the file; utf-8 by default.
    """
    flags = {
        "future": future, "output": output, "word_column": word_column, "text": text, "id": id,
        "time": time, "values": values, "encoding": encoding,
    }  # fmt: skip
    saved.run("predict", model, data, flags)
