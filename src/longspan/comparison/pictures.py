"""The figures of a comparison's report, as plotly figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.comparison.results import Comparison
from longspan.insight.course import BASELINE, MODEL, MUTED, figure, line

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Colours that colour-blind readers tell apart (Okabe & Ito 2008), one a cell, then with dashes.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#333333")
DASHES = ("solid", "dash", "dot")
#: Influences below this share of the largest are not drawn: they are rounding.
NEGLIGIBLE = 1e-9
#: Titles of the losses that may be drawn.
LOSSES = {"validation_loss": "validation loss", "train_loss": "training loss"}


def scores(made: Comparison) -> go.Figure:
    """Return the deciding score of every seed, means with their intervals, and the baseline."""
    metric = made.metrics[made.metric]
    made_figure = figure(360, yaxis_title=metric.title, hovermode="closest", showlegend=False)
    names = list(made.entries)
    runs = max(len(entry.runs) for entry in made.entries.values())
    for k in range(runs):
        values = [metric.factor * made.entries[name].scored(made.metric)[k] for name in names]
        # Of a seed that some cell did not finish, no score is part of a mean.
        whole = k in _counted(made)
        made_figure.add_trace(
            _points(names, values, f"seed {k + 1}{'' if whole else ', left out'}", MUTED,
                    mode="markers+lines", line={"width": 0.7, "color": "#cccccc"},
                    marker={"size": 6, "symbol": "circle" if whole else "circle-open"})
        )  # fmt: skip
    for k, (name, entry) in enumerate(made.entries.items()):
        mean, low, high, _ = (metric.factor * v for v in entry.interval(made.metric))
        made_figure.add_trace(
            _points([name], [mean], name, COLORS[k % len(COLORS)], error_y=_bars(mean, low, high),
                    marker={"size": 12, "symbol": "diamond"})
        )  # fmt: skip
    known = [own.get(made.metric, math.nan) for own in made.baselines.values()]
    known = [value for value in known if not math.isnan(value)]
    if known:
        usual = metric.factor * (max if metric.higher else min)(known)
        made_figure.add_hline(
            y=usual,
            line_dash="dot",
            line_color=BASELINE,
            annotation_text="without learning",
            annotation_position="top left",
        )
    made_figure.update_xaxes(type="category")
    return made_figure


def to_best(made: Comparison) -> go.Figure:
    """Return the difference of each cell from the best, with its corrected interval."""
    metric = made.metrics[made.metric]
    others = {n: each for n, each in made.to_best().items() if each.count}
    made_figure = figure(
        120 + 46 * len(others), xaxis_title=f"{metric.title}: difference from the best",
        hovermode="closest",
    )  # fmt: skip
    for real, title, color in ((True, "real", MODEL), (False, "not shown to be real", MUTED)):
        own = {n: each for n, each in others.items() if each.real == real}
        if not own:
            continue
        means, lows, highs = (
            [metric.factor * getattr(each, end) for each in own.values()]
            for end in ("mean", "low", "high")
        )
        made_figure.add_trace(
            _points(means, list(own), title, color, error_x=_bars(means, lows, highs),
                    marker={"size": 10})
        )  # fmt: skip
    made_figure.add_vline(x=0, line_color="#333333", line_width=1)
    made_figure.update_yaxes(type="category", autorange="reversed")
    return made_figure


def tradeoff(made: Comparison) -> go.Figure:
    """Return the deciding score by the time of training, a cross for each seed."""
    metric = made.metrics[made.metric]
    made_figure = figure(
        360, xaxis_title="seconds of training", yaxis_title=metric.title, hovermode="closest",
    )  # fmt: skip
    for k, (name, entry) in enumerate(made.entries.items()):
        color = COLORS[k % len(COLORS)]
        seconds = [run.seconds for run in entry.runs]
        values = (metric.factor * entry.values(made.metric)).tolist()
        made_figure.add_trace(
            _points(seconds, values, name, color, marker={"size": 5, "symbol": "x"},
                    showlegend=False, legendgroup=name)
        )  # fmt: skip
        mean = metric.factor * entry.interval(made.metric).mean
        made_figure.add_trace(
            _points([entry.seconds], [mean], name, color, legendgroup=name, marker={"size": 14})
        )
    return made_figure


def latency(made: Comparison) -> go.Figure:
    """Return the time of one answer by cell: the median and the quartiles."""
    made_figure = figure(
        120 + 40 * len(made.entries), xaxis_title=f"milliseconds for {made.answer}",
        hovermode="closest", showlegend=False, xaxis_rangemode="tozero",
    )  # fmt: skip
    for k, (name, entry) in enumerate(made.entries.items()):
        if not entry.latency:
            continue
        low, middle, high = (1e3 * float(q) for q in np.quantile(entry.latency, (0.25, 0.5, 0.75)))
        made_figure.add_trace(
            _points([middle], [name], name, COLORS[k % len(COLORS)],
                    error_x=_bars(middle, low, high), marker={"size": 12})
        )  # fmt: skip
    made_figure.update_yaxes(type="category", autorange="reversed")
    return made_figure


def tuning(made: Comparison) -> go.Figure:
    """Return the validation of every trial by its learning rate; the chosen one is large."""
    made_figure = figure(
        360, xaxis_title="learning rate", yaxis_title="validation (lower is better)",
        xaxis={"type": "log", "dtick": "D2"}, hovermode="closest",
    )  # fmt: skip
    for k, (name, entry) in enumerate(made.entries.items()):
        order = sorted(range(len(entry.trials)), key=lambda i: entry.trials[i].learning_rate)
        tried = [entry.trials[i] for i in order]
        sizes = [15 if i == entry.chosen else 6 for i in order]
        made_figure.add_trace(
            _points([t.learning_rate for t in tried], [t.validation for t in tried], name,
                    COLORS[k % len(COLORS)], mode="markers+lines", marker={"size": sizes},
                    line={"width": 1, "dash": DASHES[k // len(COLORS) % len(DASHES)]})
        )  # fmt: skip
    return made_figure


def curves(made: Comparison) -> go.Figure:
    """Return the course of the loss from every seed, one colour a cell; see `curve_of`."""
    key = curve_of(made)
    made_figure = figure(
        360, xaxis_title="optimiser step", yaxis_title=LOSSES[key], hovermode="closest"
    )
    for k, (name, entry) in enumerate(made.entries.items()):
        for n, run in enumerate(entry.runs):
            x, y = ([e[each] for e in run.epochs] for each in ("step", key))
            made_figure.add_trace(
                line(x, y, name, COLORS[k % len(COLORS)], width=1.3, legendgroup=name,
                     showlegend=n == 0, dash=DASHES[k // len(COLORS) % len(DASHES)])
            )  # fmt: skip
    return made_figure


def curve_of(made: Comparison) -> str:
    """Return which loss is drawn: that of the validation part, where all trainings have one."""
    epochs = [e for entry in made.entries.values() for run in entry.runs for e in run.epochs]
    return "validation_loss" if all("validation_loss" in e for e in epochs) else "train_loss"


def memory(made: Comparison) -> go.Figure:
    """Return how much the input so many steps before has to say, by cell."""
    made_figure = figure(
        360, xaxis_title="steps before the output", yaxis_title="influence", yaxis_type="log",
        yaxis_exponentformat="power", hovermode="closest",
    )  # fmt: skip
    for k, (name, entry) in enumerate(made.entries.items()):
        known = entry.memory
        least = NEGLIGIBLE * max(known.influence, default=0.0)
        drawn = [v if v > least else math.nan for v in known.influence]
        if drawn:
            color = COLORS[k % len(COLORS)]
            made_figure.add_trace(line(known.lags, drawn, name, color))
            made_figure.add_vline(x=known.horizon, line_dash="dot", line_color=color)
    return made_figure


def _counted(made: Comparison) -> set[int]:
    """Return the numbers of the seeds by which cells are compared, counted from 0."""
    found = made.entries[made.best].values(made.metric)
    return set(np.flatnonzero(np.isfinite(found)).tolist())


def _points(x: Any, y: Any, name: str, color: str, **more: Any) -> Any:
    import plotly.graph_objects as go

    marker = {"color": color, **more.pop("marker", {})}
    more.setdefault("mode", "markers")
    more.setdefault("line", {"color": color})
    if more["mode"] != "markers":
        more["line"].setdefault("color", color)
    x, y = ([None if isinstance(v, float) and math.isnan(v) else v for v in own] for own in (x, y))
    return go.Scatter(x=x, y=y, name=name, marker=marker, **more)


def _bars(mean: Any, low: Any, high: Any) -> dict[str, Any] | None:
    """Return plotly's error bars, or None where there are no intervals."""
    means, lows, highs = (np.atleast_1d(np.asarray(v, float)) for v in (mean, low, high))
    if np.isnan(lows).all():
        return None
    up, down = (np.nan_to_num(v).tolist() for v in (highs - means, means - lows))
    return {"type": "data", "array": up, "arrayminus": down, "thickness": 1.5, "width": 6}
