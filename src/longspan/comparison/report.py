"""The report of a comparison: one page that opens without a network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from longspan.comparison import pictures
from longspan.comparison.results import Comparison, Entry, Memory, learning_rate_of
from longspan.comparison.sentences import MEANING, shown
from longspan.comparison.statistics import Difference
from longspan.insight.page import page
from longspan.tasks.running import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go


def compare_html(made: Comparison) -> str:
    """Return the report of a comparison as one HTML page, with everything it needs inside."""
    charts: dict[str, go.Figure] = {
        "scores": pictures.scores(made), "tradeoff": pictures.tradeoff(made),
        "latency": pictures.latency(made), "curves": pictures.curves(made),
    }  # fmt: skip
    if any(not np.isnan(each.low) for each in made.to_best().values()):
        charts["differences"] = pictures.to_best(made)
    if any(entry.chosen is not None for entry in made.entries.values()):
        charts["tuning"] = pictures.tuning(made)
    if any(entry.memory.influence for entry in made.entries.values()):
        charts["memory"] = pictures.memory(made)
    run = Run(
        title=f"{made.title}: {', '.join(made.entries)}", settings=made.settings,
        facts=made.facts, versions=made.versions,
    )  # fmt: skip
    return page(
        "compare.html", run, made.sentences[0], charts, made=made, shown=charts,
        metrics=made.metrics, best=made.best, meaning=MEANING,
        curve=pictures.curve_of(made),
        tables=[(headings(made), rows(made)), (score_headings(made), score_rows(made))],
    )  # fmt: skip


def headings(made: Comparison) -> dict[str, str]:
    """Return the columns of the table of cells, with what each means."""
    metric = made.metrics[made.metric]
    return {
        "cell": "",
        _arrow(made, made.metric): f"{metric.meaning}; mean over the seeds that all finished",
        "than best": "mean difference from the best cell, seed by seed; ✓ if it is real",
        "training, s": "median over seeds, validations included",
        "step, ms": "median optimiser step, median over seeds",
        "answer, ms": f"median time of {made.answer}, alone",
        "memory, steps": "steps back that hold 95 % of the influence on an output, of the model "
        "of the first seed, with an interval over rows of the data; – where that is no memory, or "
        "not known: see the notes",
        "parameters": "of the network, all layers",
        "hidden size": "units of a layer and direction",
        "size, kB": "of the saved model",
        "learning rate": "chosen by the validation part",
    }


def rows(made: Comparison) -> list[list[str]]:
    """Return the rows of the table of cells as text, in the order of `headings`."""
    others = made.to_best()
    return [_row(entry, made, others.get(name)) for name, entry in made.entries.items()]


def score_headings(made: Comparison) -> dict[str, str]:
    """Return the columns of the table of all test scores, with what each means."""
    return {"cell": "", **{_arrow(made, n): each.meaning for n, each in made.metrics.items()}}


def score_rows(made: Comparison) -> list[list[str]]:
    """Return the rows of the table of all test scores, those without learning last."""
    found = [
        [name, *(_spread(entry, metric, made) for metric in made.metrics)]
        for name, entry in made.entries.items()
    ]
    for name, own in made.baselines.items():
        values = [shown(own.get(m, math.nan), metric) for m, metric in made.metrics.items()]
        found.append([name, *values])
    return found


def _arrow(made: Comparison, name: str) -> str:
    metric = made.metrics[name]
    return f"{metric.title} {'↑' if metric.higher else '↓'}"


def _row(entry: Entry, made: Comparison, other: Difference | None) -> list[str]:
    apart = "best" if entry.compared else "–"
    if other is not None and entry.compared:
        value = made.metrics[made.metric].factor * other.mean
        apart = f"{value:+.2g}{' ✓' if other.real else ''}"
    lost = f" ({len(entry.diverged)} diverged)" if entry.diverged else ""
    return [
        entry.name, _spread(entry, made.metric, made) + lost, apart, f"{entry.seconds:.3g}",
        f"{1e3 * entry.step:.3g}", _milliseconds(entry.latency), memory_text(entry.memory),
        f"{entry.parameters:,}", str(entry.hidden_size), f"{entry.size / 1024:.0f}",
        f"{learning_rate_of(entry):.3g}",
    ]  # fmt: skip


def _spread(entry: Entry, name: str, made: Comparison) -> str:
    """Return a mean over seeds and half of its interval."""
    metric = made.metrics[name]
    mean, low, _, count = entry.interval(name)
    spread = f" ± {metric.factor * (mean - low):.2g}" if count > 1 else ""
    return f"{shown(mean, metric)}{spread}"


def memory_text(known: Memory) -> str:
    """Return how far back a cell remembers."""
    if known.why is not None:
        return "–"
    own = f"{'over ' if known.truncated else ''}{known.horizon:.3g}"
    return own if math.isnan(known.low) else f"{own} ({known.low:.3g} to {known.high:.3g})"


def _milliseconds(seconds: list[float]) -> str:
    return f"{1e3 * float(np.median(seconds)):.3g}" if seconds else "–"
