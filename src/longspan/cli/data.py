"""Flags that say what is in the data: each stands here once, for all commands.

A class holds flags of one task, or those that some command takes of them; larger ones extend
smaller ones. A command takes an object of a class as one argument, `Flat`, and hands on what was
`given`. What a flag means is the one line below it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Group, Parameter

from longspan.errors import InputError

T = TypeVar("T")
#: An object whose fields are flags of the command that takes it.
Flat = Annotated[T, Parameter(name="*")]

#: Where commands on saved models of any task list what is for some of them.
FORECASTERS = Parameter(group="For forecasters")
TAGGERS = Parameter(group="For taggers")
CLASSIFIERS = Parameter(
    group=Group("For classifiers and features", help="By default as in training.")
)


@dataclass(frozen=True)
class Flags:
    """Flags by name; those that are None or False were not given."""

    def given(self) -> dict[str, Any]:
        """Return those that were given, as arguments of an estimator's methods."""
        return {n: v for n, v in vars(self).items() if v is not None and v is not False}


def names(*kinds: type[Flags]) -> tuple[str, ...]:
    """Return the names of flags."""
    return tuple(each.name for kind in kinds for each in fields(kind))


@dataclass(frozen=True)
class Encoding(Flags):
    """How text is written."""

    encoding: str | None = None
    """Of files of text; utf-8 by default."""


@dataclass(frozen=True)
class Parts(Encoding):
    """Files of sequences besides the first."""

    validation: Path | None = None
    """Another such file, for early stopping and tuning; by default a share of the data."""

    test: Path | None = None
    """Another such file, to score on."""


# Forecasting

Table = Annotated[
    Path, Parameter(help="The file: one column a series, or one row for each series and time.")
]
#: With no value in the help: an empty tuple says nothing.
Columns = Annotated[tuple[str, ...], Parameter(show_default=False)]


@dataclass(frozen=True)
class ForecastData(Flags):
    """Columns of a table of series, and its test part."""

    target: list[str] | None = None
    """Column to forecast; several, or none: each (numeric) column is a series."""

    time: str | None = None
    """Time column; found if there is one."""

    id: str | None = None
    """Column that names the series of a long table."""

    past_covariates: Columns = ()
    """Columns known up to the present."""

    future_covariates: Columns = ()
    """Columns known in advance."""

    static_covariates: Columns = ()
    """Columns constant within a series."""

    frequency: str | None = None
    """Distance of two steps, such as 15m, 1h, 1d, 1b or 1mo; inferred by default."""

    test_windows: int = 4
    """Horizons at the end of each series that are held out to score on; 0 for none."""


@dataclass(frozen=True)
class ForecastEnd(Flags):
    """What a saved forecaster is scored on."""

    windows: int | None = None
    """Horizons at the end of each series to forecast; 4 by default."""

    allow_seen: bool = False
    """Score also on steps that it was trained on."""


# Text

TextFiles = Annotated[
    list[Path], Parameter(help="The files, plain or compressed (.gz), in their order.")
]


@dataclass(frozen=True)
class LanguageData(Encoding):
    """Parts of a text."""

    validation: list[Path] | None = None
    """Files for early stopping and tuning; by default the end of the text before the test part."""

    test: list[Path] | None = None
    """Files to score on."""

    test_share: float = 0.05
    """Share of the text, its end, to score on, if there are no files for it; 0 for none."""


# Labelled sequences

TagFile = Annotated[
    Path,
    Parameter(
        help="The file: columns as in CoNLL, .conllu, or .jsonl with tokens, tags and perhaps "
        "intent; or a directory with seq.in, seq.out and perhaps label; plain or compressed (.gz)."
    ),
]


@dataclass(frozen=True)
class WordColumn(Flags):
    """Where words are in a file of columns."""

    word_column: str | None = None
    """Column of the words: 0 is the first, -1 the last, or a CoNLL-U name; by default 0 or form."""


@dataclass(frozen=True)
class TagColumns(WordColumn):
    """Where words and labels are in a file of columns."""

    label_column: str | None = None
    """Column of the labels, in the same way; by default the last, or upos."""


@dataclass(frozen=True)
class TagData(Parts, TagColumns):
    """How labelled sequences are read, and their parts."""

    test_share: float = 0.1
    """Share of the data to score on, if there is no file for it; 0 for none."""


# Sequences with a class

ClassFile = Annotated[
    Path,
    Parameter(
        help="The file: .ts of the UEA/UCR archive; .tsv with a label and then values in each "
        "line; a table (.csv, .tsv, .parquet) with a row for each text, or for each step of a "
        "sequence; or .jsonl with a text and a label in each line."
    ),
]


@dataclass(frozen=True)
class ClassifyInputs(Flags):
    """Columns of sequences or texts."""

    text: str | None = None
    """Column of the texts; found by its name, such as text."""

    id: str | None = None
    """Column that names the sequence of a row; id by default."""

    time: str | None = None
    """Column by which the steps of a sequence are put in order; time where there is one."""

    values: list[str] | None = None
    """Columns of the channels; by default all numeric ones that are none of the others."""


@dataclass(frozen=True)
class ClassifyAnswer(ClassifyInputs):
    """What a classifier says of sequences or texts."""

    features: bool = False
    """Classifiers: write the vectors that classes are told from, in place of the classes."""


@dataclass(frozen=True)
class ClassifyColumns(ClassifyInputs):
    """Columns of sequences or texts with labels."""

    label: str | None = None
    """Column of the labels; found by its name, such as label."""


@dataclass(frozen=True)
class ClassifyData(Parts, ClassifyColumns):
    """How sequences or texts are read, and their parts."""

    test_share: float = 0.2
    """Share to score on, of each class where there are some; 0 for none."""


# Pairs of texts

PairFile = Annotated[
    Path,
    Parameter(
        help="With `target`, a file of texts, one a line; without, pairs or dialogues: .tsv, "
        ".jsonl, .json or .yaml, or a directory of such files. Plain or compressed (.gz)."
    ),
]
TargetFile = Annotated[Path | None, Parameter(help="The file of the translations, line by line.")]
ReferenceFile = Annotated[
    Path | None,
    Parameter(
        help="For translators: the file of translations, where `data` has only the other side."
    ),
]


@dataclass(frozen=True)
class TranslateData(Encoding):
    """Parts of pairs of texts."""

    validation: list[Path] | None = None
    """One file or two, as above, for early stopping and tuning; by default a share of the pairs."""

    test: list[Path] | None = None
    """The same, to score on."""

    test_share: float = 0.05
    """Share of the pairs to score on, if there are no files for it; 0 for none."""

    def given(self) -> dict[str, Any]:
        """Return the flags as `longspan.Translator.fit` takes them.

        Raises:
            InputError: If a part has more than two files.
        """
        found = super().given()
        for name in ("validation", "test"):
            found[name] = _pair(name, found.get(name))
        if self.test:
            found["test_share"] = 0.0
        return found


def _pair(name: str, files: list[Path] | None) -> Any:
    """Return a file, or a tuple of two."""
    if not files:
        return None
    if len(files) > 2:
        raise InputError(f"--{name} takes one file, or source and target, got {len(files)}.")
    return tuple(files) if len(files) == 2 else files[0]
