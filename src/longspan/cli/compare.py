"""``longspan compare TASK DATA``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App
from pydantic import BaseModel, ConfigDict

from longspan.cli.application import app
from longspan.cli.data import (
    ClassFile,
    ClassifyData,
    Flat,
    ForecastData,
    LanguageData,
    PairFile,
    Table,
    TagData,
    TagFile,
    TargetFile,
    TextFiles,
    TranslateData,
)
from longspan.cli.run import stem
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

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    output: Path | None = None
    """Directory for compare.html, compare.json and the records with which a comparison that was
    stopped goes on; runs/compare-NAME-OF-THE-FILE by default."""

    report: bool = True
    """Write compare.html."""


@compare.command(name="forecast")
def compare_forecast(
    data: Table,
    /,
    *,
    how: Flat[CompareConfig] = CompareConfig(),
    place: Flat[PlaceFlags] = PlaceFlags(),
    options: Flat[ForecastConfig] = ForecastConfig(),
    reading: Flat[ForecastData] = ForecastData(),
) -> None:
    """Compare cells as forecasters; see ``longspan fit forecast`` for the options."""
    _compare("forecast", data, how, place, options, reading.given())


@compare.command(name="language")
def compare_language(
    data: TextFiles,
    /,
    *,
    how: Flat[CompareConfig] = CompareConfig(),
    place: Flat[PlaceFlags] = PlaceFlags(),
    options: Flat[LanguageConfig] = LanguageConfig(),
    reading: Flat[LanguageData] = LanguageData(),
) -> None:
    """Compare cells as language models; see ``longspan fit language`` for the options."""
    _compare("language", data, how, place, options, reading.given())


@compare.command(name="tag")
def compare_tag(
    data: TagFile,
    /,
    *,
    how: Flat[CompareConfig] = CompareConfig(),
    place: Flat[PlaceFlags] = PlaceFlags(),
    options: Flat[TagConfig] = TagConfig(),
    reading: Flat[TagData] = TagData(),
) -> None:
    """Compare cells as taggers; see ``longspan fit tag`` for the options."""
    _compare("tag", data, how, place, options, reading.given())


@compare.command(name="classify")
def compare_classify(
    data: ClassFile,
    /,
    *,
    how: Flat[CompareConfig] = CompareConfig(),
    place: Flat[PlaceFlags] = PlaceFlags(),
    options: Flat[ClassifyConfig] = ClassifyConfig(),
    reading: Flat[ClassifyData] = ClassifyData(),
) -> None:
    """Compare cells as classifiers; see ``longspan fit classify`` for the options.

    Where training would hold out no validation part, a fifth of the data is held out to tune.
    """
    _compare("classify", data, how, place, options, reading.given())


@compare.command(name="translate")
def compare_translate(
    data: PairFile,
    target: TargetFile = None,
    /,
    *,
    how: Flat[CompareConfig] = CompareConfig(),
    place: Flat[PlaceFlags] = PlaceFlags(),
    options: Flat[TranslateConfig] = TranslateConfig(),
    reading: Flat[TranslateData] = TranslateData(),
) -> None:
    """Compare cells as translators; see ``longspan fit translate`` for the options."""
    _compare("translate", data, how, place, options, reading.given() | {"target": target})


def _compare(
    task: str, data: Path | list[Path], how: CompareConfig, place: PlaceFlags, options: BaseModel,
    reading: dict[str, Any],
) -> None:  # fmt: skip
    """Compare, write the report and the numbers, and print the table and what can be said."""
    from longspan.comparison import compare as run
    from longspan.comparison.records import NUMBERS, PAGE
    from longspan.insight.page import write_page

    directory = place.output or Path("runs") / f"compare-{stem(data)}"
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

    seeds = made.entries[made.best].interval(made.metric).count  # fewer where training diverged
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
