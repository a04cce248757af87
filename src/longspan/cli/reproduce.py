"""``longspan reproduce``: the founding experiments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from longspan.cli.application import app
from longspan.cli.run import print_table
from longspan.cli.saved import write_whole
from longspan.errors import InputError
from longspan.files import check_place

if TYPE_CHECKING:
    from longspan.experiments import Record
    from longspan.experiments.runs import Run


@app.command
def reproduce(
    names: list[str] | None = None,
    /,
    *,
    list_all: Annotated[bool, Parameter(name="--list", negative=())] = False,
    recipe: str = "modern",
    cells: list[str] | None = None,
    seeds: int = 10,
    output: Path = Path("runs/reproduce"),
    data: Path | None = None,
    max_sequences: int | None = None,
    table: Path | None = None,
    report: bool = True,
) -> None:
    """Repeat the experiments by which LSTM was proved, beside the papers' figures.

    Every run leaves a record, so the same command goes on after a stop, and with more seeds or
    cells makes only what is missing.

    Parameters
    ----------
    names
        Experiments: adding-1000, say, or adding for all of its kind, or all. See --list.
    list_all
        Say which experiments there are, with the papers' figures.
    recipe
        modern (Adam, batches), original (the papers' networks and learner), or both.
    cells
        For the modern recipe, with spaces or commas between: lstm, lstm-ln (layer-normalised), gru,
        rnn, or a variant of the LSTM; lstm by default.
    seeds
        Runs of each, with seeds from 0.
    output
        Directory for records and the report.
    data
        Directory of the data, for experiments that need some.
    max_sequences
        Training sequences after which a run has failed, in place of the experiment's own limit.
    table
        A file to write the table of all records to, as Markdown, with a .json of the records
        beside it. Without names of experiments nothing is run.
    report
        Write report.html beside the records.
    """
    from longspan.experiments.runs import check, chosen, planned

    if list_all:
        _list()
        return
    if not names and table is None:
        raise InputError("Name an experiment, or say --list to see which there are.")
    cells = [cell for word in cells or ["lstm"] for cell in word.split(",")]
    if table is not None:
        if table.suffix == ".json":
            raise InputError(f"--table writes Markdown, and JSON beside it, got {table}.")
        check_place(table)
    runs = planned(chosen(names or []), recipe, cells, seeds)
    check(runs, output, data=data, max_sequences=max_sequences)
    done = [_make(run, output, data, max_sequences) for run in runs]
    if done:
        show_records(done)
    _write(output, table, report)


def _list() -> None:
    from longspan.experiments.runs import known
    from longspan.experiments.table import about, paper, title

    found = {
        name: {
            "title": title(name), "source": getattr(about(name), "source", ""), "paper": paper(name)
        }
        for name in known()
    }  # fmt: skip
    headings = {"title": "experiment", "source": "source", "paper": "the paper's figures"}
    print_table("Experiments", "name", headings, found)


def _make(run: Run, output: Path, data: Path | None, max_sequences: int | None) -> Record:
    from longspan.experiments.runs import make

    title = f"{run.experiment}, {run.recipe} {run.cell}, seed {run.seed}"

    def watch(now: Any) -> None:
        if sys.stderr.isatty():
            told = f"{now.sequences:,} of at most {now.limit:,} sequences, error {now.error:.4g}"
            print(f"\r\033[K{title}: {told}", end="", file=sys.stderr, flush=True)

    record, there = make(run, output, data=data, max_sequences=max_sequences, watch=watch)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    ended = _ended(record)
    print(f"{title}: {ended}" + (" (was there)" if there else f", {record.seconds:.1f} s"),
          flush=True)  # fmt: skip
    return record


def _ended(record: Record) -> str:
    if record.success is None:
        return f"score {record.score:.4g}"
    if record.success:
        return f"solved after {record.sequences:,} sequences"
    return f"not solved in {record.sequences:,} sequences"


def show_records(records: list[Record]) -> None:
    """Print the table of some runs, beside the papers' figures."""
    from longspan.experiments.table import COLUMNS, paper, rows

    found = {}
    for row in rows(records):
        words = row.words()
        name = f"{row.experiment}: {words.pop('cell')}"
        found[name] = words | {"paper": paper(row.experiment)}
    headings = {key: title for key, title in COLUMNS.items() if key != "cell"}
    shown = {
        key: title
        for key, title in (headings | {"paper": "the paper"}).items()
        if any(each[key] not in ("", "–") for each in found.values())
    }
    print_table("Results", "experiment", shown, found)


def _write(output: Path, table: Path | None, report: bool) -> None:
    """Write the table and the report of all records that are there."""
    from longspan.experiments.record import read_records
    from longspan.experiments.runs import known
    from longspan.experiments.table import as_json, markdown

    records = read_records(output, known())
    if not records:
        raise InputError(f"There is no record in {output}. Name an experiment to run.")
    if table is not None:
        write_whole(table, lambda path: path.write_text(markdown(records), "utf-8"))
        other = table.with_suffix(".json")
        write_whole(other, lambda path: path.write_text(as_json(records), "utf-8"))
        print(f"Table:  {table} and {other.name}")
    if report:
        from longspan.insight import reproduce_html
        from longspan.insight.page import write_page

        write_page(reproduce_html(records), output / "report.html")
        print(f"Report: {output / 'report.html'}")
