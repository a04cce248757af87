"""``longspan compare TASK DATA``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from pydantic import BaseModel

from longspan.cli.application import app
from longspan.cli.saved import as_json
from longspan.comparison.config import CompareConfig
from longspan.files import write_text
from longspan.tasks.classify.config import ClassifyConfig
from longspan.tasks.forecast.config import ForecastConfig
from longspan.tasks.language.config import LanguageConfig
from longspan.tasks.tag.config import TagConfig
from longspan.tasks.translate.config import TranslateConfig

if TYPE_CHECKING:
    from longspan.comparison import Comparison

compare = App(
    name="compare",
    help="Train cells on the same data with the same size and budget, and say which differences "
    "are real.",
)
app.command(compare)


class PlaceFlags(BaseModel):
    """Where results go."""

    output: Path | None = None
    """Directory for compare.html, compare.json and the records with which a comparison that was
    stopped goes on; runs/compare-NAME-OF-THE-FILE by default."""

    report: bool = True
    """Write compare.html."""


How = Annotated[CompareConfig, Parameter(name="*")]
Place = Annotated[PlaceFlags, Parameter(name="*")]


@compare.command(name="forecast")
def compare_forecast(
    data: Path,
    /,
    *,
    how: How = CompareConfig(),  # noqa: B008
    place: Place = PlaceFlags(),  # noqa: B008
    options: Annotated[ForecastConfig, Parameter(name="*")] = ForecastConfig(),  # noqa: B008
    target: list[str] | None = None,
    time: str | None = None,
    id: str | None = None,
    past_covariates: list[str] | None = None,
    future_covariates: list[str] | None = None,
    static_covariates: list[str] | None = None,
    frequency: str | None = None,
    test_windows: int = 4,
) -> None:
    """Compare cells as forecasters; see ``longspan fit forecast`` for the options.

    Parameters
    ----------
    data
        The file: one column a series, or one row for each series and time.
    target
        Column to forecast; several, or none: each (numeric) column is a series.
    time
        Time column; found if there is one.
    id
        Column that names the series of a long table.
    past_covariates
        Columns known up to the present.
    future_covariates
        Columns known in advance.
    static_covariates
        Columns constant within a series.
    frequency
        Distance of two steps, such as 15m, 1h, 1d, 1b or 1mo; inferred by default.
    test_windows
        Horizons at the end of each series that are held out to score.
    """
    _compare(
        "forecast", data, data, how, place, options, target=target, time=time, id=id,
        past_covariates=past_covariates or (), future_covariates=future_covariates or (),
        static_covariates=static_covariates or (), frequency=frequency, test_windows=test_windows,
    )  # fmt: skip


@compare.command(name="language")
def compare_language(
    data: list[Path],
    /,
    *,
    how: How = CompareConfig(),  # noqa: B008
    place: Place = PlaceFlags(),  # noqa: B008
    options: Annotated[LanguageConfig, Parameter(name="*")] = LanguageConfig(),  # noqa: B008
    validation: list[Path] | None = None,
    test: list[Path] | None = None,
    test_share: float = 0.05,
    encoding: str = "utf-8",
) -> None:
    """Compare cells as language models; see ``longspan fit language`` for the options.

    Parameters
    ----------
    data
        The files, plain or compressed (.gz), in their order.
    validation
        Files to choose options and to stop by; by default the end of the text before the test part.
    test
        Files to score on.
    test_share
        Share of the text, its end, to score on, if there are no files for it.
    encoding
        Of all files.
    """
    _compare(
        "language", data, data[0], how, place, options, validation=validation, test=test,
        test_share=test_share, encoding=encoding,
    )  # fmt: skip


@compare.command(name="tag")
def compare_tag(
    data: Path,
    /,
    *,
    how: How = CompareConfig(),  # noqa: B008
    place: Place = PlaceFlags(),  # noqa: B008
    options: Annotated[TagConfig, Parameter(name="*")] = TagConfig(),  # noqa: B008
    validation: Path | None = None,
    test: Path | None = None,
    test_share: float = 0.1,
    word_column: str | None = None,
    label_column: str | None = None,
    encoding: str = "utf-8",
) -> None:
    """Compare cells as taggers; see ``longspan fit tag`` for the options.

    Parameters
    ----------
    data
        The file: columns as in CoNLL, .conllu, or .jsonl; or a directory with seq.in and seq.out.
    validation
        The same, to choose options and to stop by; by default a share of the data.
    test
        The same, to score on.
    test_share
        Share of the data to score on, if there is no file for it.
    word_column
        Column of the words; by default the first, or form.
    label_column
        Column of the labels; by default the last, or upos.
    encoding
        Of all files.
    """
    _compare(
        "tag", data, data, how, place, options, validation=validation, test=test,
        test_share=test_share, word_column=word_column, label_column=label_column,
        encoding=encoding,
    )  # fmt: skip


@compare.command(name="classify")
def compare_classify(
    data: Path,
    /,
    *,
    how: How = CompareConfig(),  # noqa: B008
    place: Place = PlaceFlags(),  # noqa: B008
    options: Annotated[ClassifyConfig, Parameter(name="*")] = ClassifyConfig(),  # noqa: B008
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
    """Compare cells as classifiers; see ``longspan fit classify`` for the options.

    Parameters
    ----------
    data
        The file: .ts or .tsv of the UCR archive, a table, or .jsonl.
    validation
        The same, to choose options and to stop by; by default a share of the data, and a fifth of
        it where training would hold out none.
    test
        The same, to score on.
    test_share
        Share of each class to score on, if there is no file for it.
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
    _compare(
        "classify", data, data, how, place, options, validation=validation, test=test,
        test_share=test_share, text=text, label=label, id=id, time=time, values=values,
        encoding=encoding,
    )  # fmt: skip


@compare.command(name="translate")
def compare_translate(
    data: Path,
    target: Path | None = None,
    /,
    *,
    how: How = CompareConfig(),  # noqa: B008
    place: Place = PlaceFlags(),  # noqa: B008
    options: Annotated[TranslateConfig, Parameter(name="*")] = TranslateConfig(),  # noqa: B008
    validation: list[Path] | None = None,
    test: list[Path] | None = None,
    test_share: float = 0.05,
    encoding: str = "utf-8",
) -> None:
    """Compare cells as translators; see ``longspan fit translate`` for the options.

    Parameters
    ----------
    data
        With `target`, a file of texts, one a line; without, pairs or dialogues.
    target
        The file of the translations, line by line.
    validation
        One file or two, as above, to choose options and to stop by; by default a share of
        the pairs.
    test
        The same, to score on.
    test_share
        Share of the pairs to score on, if there are no files for it.
    encoding
        Of all files.
    """
    from longspan.cli.translate import part

    _compare(
        "translate", data, data, how, place, options, target=target,
        validation=part("validation", validation), test=part("test", test),
        test_share=0.0 if test else test_share, encoding=encoding,
    )  # fmt: skip


def _compare(
    task: str, data: Any, named: Path, how: CompareConfig, place: PlaceFlags, options: BaseModel,
    **reading: Any,
) -> None:  # fmt: skip
    """Compare, write the report and the numbers, and print the table and what can be said."""
    from longspan.comparison import compare as run
    from longspan.comparison.records import NUMBERS, PAGE
    from longspan.insight.page import write_page

    directory = place.output or Path("runs") / f"compare-{named.stem}"
    given = options.model_dump(include=options.model_fields_set)
    made = run(task, data, how=how, options=given, output=directory, say=_say, **reading)
    write_text(directory / NUMBERS, as_json(made))
    if place.report:
        write_page(made.html(), directory / PAGE)
    print_comparison(made)
    print(f"Numbers: {directory / NUMBERS}")
    if place.report:
        print(f"Report:  {directory / PAGE}")


def print_comparison(made: Comparison) -> None:
    """Print the table of a comparison, its sentences and its notes."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from longspan.comparison.report import headings, rows, score_headings, score_rows

    seeds = made.settings["seeds"]
    for title, columns, lines in (
        (f"{made.title}: means over {seeds} seeds", headings(made), rows(made)),
        ("All scores of the test part", score_headings(made), score_rows(made)),
    ):
        table = Table(title=Text(title))
        for k, heading in enumerate(columns):
            table.add_column(Text(heading), justify="right" if k else "left")
        for line in lines:
            style = "bold" if line[0] == made.best else ""
            table.add_row(*(Text(text, style) for text in line))
        Console().print(table)
    for sentence in made.sentences:
        print(sentence)
    for note in made.notes:
        print(f"Note: {note}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
