"""The report of the founding experiments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from longspan.experiments import EXPERIMENTS, Record
from longspan.experiments.table import COLUMNS, Row, about, paper, rows, title
from longspan.insight.course import ACTUAL, BASELINE, MODEL, VALIDATION, figure
from longspan.insight.page import page
from longspan.tasks.running import Run, versions

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Colour and shape of the marks by recipe and cell; others have the last.
MARKS = {
    ("original", "lstm"): ("#D55E00", "triangle-up"), ("modern", "lstm"): (MODEL, "circle"),
    ("modern", "lstm-ln"): (MODEL, "circle-open"),
    ("modern", "gru"): (VALIDATION, "square"), ("modern", "rnn"): (BASELINE, "x"),
}  # fmt: skip
OTHER = ("#CC79A7", "cross")


def reproduce_html(records: Sequence[Record]) -> str:
    """Return the report of some runs as one HTML page, with everything it needs inside."""
    found = rows(records)
    run = Run(
        title="The founding experiments",
        settings={"seed": "from 0", "recipes": ", ".join(sorted({r.recipe for r in found}))},
        facts={
            "runs": len(records), "experiments": len({r.experiment for r in records}),
            "minutes of training": round(sum(r.seconds for r in records) / 60.0, 1),
        },
        versions=versions(),
    )  # fmt: skip
    charts: dict[str, go.Figure] = {}
    if any(row.solved for row in found):
        charts["needed"] = needed(found)
    if any(row.has_criterion for row in found):
        charts["solved"] = solved(found)
    groups = [
        (title(name), paper(name), _deviation(name), list(own))
        for name, own in groupby(found, key=lambda row: row.experiment)
    ]
    words = [row.words() for row in found]
    shown = {key: COLUMNS[key] for key in COLUMNS if any(each[key] != "–" for each in words)}
    context = {"groups": groups, "shown": shown, "rows": found}
    return page("reproduce.html", run, reproduce_verdict(found), charts, **context)


def reproduce_verdict(found: Sequence[Row]) -> str:
    """Return in a sentence or two what came out."""
    lstm = [row for row in found if row.has_criterion and row.cell == "lstm"]
    if not lstm:
        return "No LSTM was put to an experiment that has a criterion."
    reliable = [row for row in lstm if len(row.solved) >= 0.9 * len(row.runs)]
    sentence = (
        f"LSTM solves {len(reliable)} of {len(lstm)} experiments, counted by recipe, with at least "
        "nine seeds of ten."
    )
    others = [row for row in found if row.has_criterion and row.cell in ("gru", "rnn")]
    for cell, name in (("gru", "GRU"), ("rnn", "the simple RNN")):
        own = [row for row in others if row.cell == cell]
        good = [row for row in own if len(row.solved) >= 0.9 * len(row.runs)]
        if own:
            sentence += f" {name[0].upper() + name[1:]}: {len(good)} of {len(own)}."
    return sentence


def _deviation(name: str) -> str:
    experiment = about(name)
    return "" if experiment is None else experiment.deviation


def needed(found: Sequence[Row]) -> go.Figure:
    """Return the sequences that each successful run needed, and what the papers report."""
    import plotly.graph_objects as go

    names = list(dict.fromkeys(row.experiment for row in found if row.solved))
    made = figure(
        120 + 34 * len(names), xaxis_title="training sequences until success",
        xaxis_type="log", hovermode="closest",
    )  # fmt: skip
    for key, own in groupby(
        sorted(found, key=lambda r: (r.recipe, r.cell)), key=lambda r: (r.recipe, r.cell)
    ):
        points = [(run.sequences, row.experiment, run.seed) for row in own for run in row.solved]
        if not points:
            continue
        color, symbol = MARKS.get(key, OTHER)
        made.add_trace(
            go.Scatter(
                x=[max(p[0], 1) for p in points], y=[p[1] for p in points], mode="markers",
                name=f"{key[1]}, {key[0]}", text=[f"seed {p[2]}" for p in points],
                marker={"color": color, "symbol": symbol, "size": 8, "opacity": 0.65},
                hovertemplate="%{y}, %{text}: %{x:,}<extra></extra>",
            )
        )  # fmt: skip
    known = [n for n in names if n in EXPERIMENTS and EXPERIMENTS[n].published.sequences]
    made.add_trace(
        go.Scatter(
            x=[EXPERIMENTS[n].published.sequences for n in known], y=known, mode="markers",
            name="the paper's mean", hovertemplate="%{y}, paper: %{x:,}<extra></extra>",
            marker={"color": ACTUAL, "symbol": "line-ns-open", "size": 18, "line": {"width": 3}},
        )
    )  # fmt: skip
    made.update_yaxes(type="category", categoryorder="array", categoryarray=names[::-1])
    return made


def solved(found: Sequence[Row]) -> go.Figure:
    """Return the share of the seeds that succeeded, by experiment and cell."""
    import plotly.graph_objects as go

    own = [row for row in found if row.has_criterion]
    names = list(dict.fromkeys(row.experiment for row in own))
    kinds = list(dict.fromkeys(f"{row.cell}, {row.recipe}" for row in own))
    share = {
        (row.experiment, f"{row.cell}, {row.recipe}"): (len(row.solved), len(row.runs))
        for row in own
    }
    values = [[_ratio(share.get((n, k))) for k in kinds] for n in names]
    texts = [[_words(share.get((n, k))) for k in kinds] for n in names]
    made = figure(110 + 30 * len(names), hovermode="closest")
    made.add_trace(
        go.Heatmap(
            z=values, x=kinds, y=names, text=texts, texttemplate="%{text}", zmin=0, zmax=1,
            colorscale=[[0, "#f7e3d6"], [0.5, "#eef2f5"], [1, "#9cc9e6"]], showscale=False,
            hovertemplate="%{y}, %{x}: %{text}<extra></extra>", xgap=2, ygap=2,
        )
    )  # fmt: skip
    made.update_yaxes(type="category", autorange="reversed")
    made.update_xaxes(type="category", side="top")
    return made


def _ratio(counts: tuple[int, int] | None) -> float | None:
    return None if counts is None else counts[0] / counts[1]


def _words(counts: tuple[int, int] | None) -> str:
    return "" if counts is None else f"{counts[0]} of {counts[1]}"
