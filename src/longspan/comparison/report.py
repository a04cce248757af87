"""The report of a comparison: one page that opens without a network."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.comparison import pictures
from longspan.comparison.results import Comparison, Entry, learning_rate_of
from longspan.comparison.sentences import MEANING, shown
from longspan.insight.page import page

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
    run = SimpleNamespace(
        title=f"{made.title}: {', '.join(made.entries)}", settings=made.settings,
        facts=made.facts, versions=made.versions, steps=[], epochs=[], best_epoch=None,
    )  # fmt: skip
    return page(
        "compare.html", run, made.sentences[0], charts, made=made, shown=charts,
        metrics=made.metrics, headings=headings(made), rows=rows(made), best=made.best,
        meaning=MEANING,
    )  # fmt: skip


def headings(made: Comparison) -> dict[str, str]:
    """Return the table's columns with what each means."""
    return {
        "cell": "",
        "hidden size": "units of a layer and direction",
        "parameters": "of the network, all layers",
        "learning rate": "chosen by the validation part",
        **{
            f"{metric.title} {'↑' if metric.higher else '↓'}": f"{metric.meaning}; mean over seeds"
            for metric in made.metrics.values()
        },
        "training, s": "median over seeds, validations included",
        "step, ms": "median optimiser step, median over seeds",
        "answer, ms": f"median time of {made.answer}, alone",
        "size, kB": "of the saved model",
        "memory, steps": "steps that hold 95 % of the influence on an output",
    }  # fmt: skip


def rows(made: Comparison) -> list[list[str]]:
    """Return the table's rows as text, in the order of `headings`."""
    found = [_row(entry, made) for entry in made.entries.values()]
    for name, own in made.baselines.items():
        values = [shown(own.get(m, np.nan), metric) for m, metric in made.metrics.items()]
        found.append([name, "", "", "", *values, "", "", "", "", ""])
    return found


def _row(entry: Entry, made: Comparison) -> list[str]:
    values = []
    for name, metric in made.metrics.items():
        mean, low, _, count = entry.interval(name)
        spread = f" ± {metric.factor * (mean - low):.2g}" if count > 1 else ""
        values.append(f"{shown(mean, metric)}{spread}")
    return [
        entry.name, str(entry.hidden_size), f"{entry.parameters:,}",
        f"{learning_rate_of(entry):.3g}", *values, f"{entry.seconds:.3g}",
        f"{1e3 * entry.step:.3g}", _milliseconds(entry.latency), f"{entry.size / 1024:.0f}",
        memory_text(entry),
    ]  # fmt: skip


def memory_text(entry: Entry) -> str:
    """Return how far back a cell remembers."""
    known = entry.memory
    if known.why is not None:
        return "–"
    more = "over " if known.truncated else ""
    return f"{more}{known.horizon:.3g} ({known.low:.3g} to {known.high:.3g})"


def _milliseconds(seconds: list[float]) -> str:
    return f"{1e3 * float(np.median(seconds)):.3g}" if seconds else "–"


def plain_table(made: Comparison, metrics: int = 3) -> tuple[list[str], list[list[Any]]]:
    """Return the table for a terminal: its headings and rows, with the first few scores alone."""
    names = list(headings(made))
    kept = [k for k in range(len(names)) if not 4 + metrics <= k < 4 + len(made.metrics)]
    return [names[k] for k in kept], [[row[k] for k in kept] for row in rows(made)]
