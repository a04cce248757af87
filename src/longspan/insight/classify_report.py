"""The report of a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.insight.course import BASELINE, MODEL, MUTED, figure, line, thin
from longspan.insight.page import named, page
from longspan.tasks.classify.results import ClassifyRun
from longspan.tasks.classify.scores import METRICS, Evaluation, Mistake

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: With more classes than this, those most often confused are shown alone.
CLASSES = 40
#: Channels of a series that are drawn.
CHANNELS = 6


def classify_html(run: ClassifyRun) -> str:
    """Return the report of a run as one HTML page, with everything it needs inside."""
    charts: dict[str, go.Figure] = {}
    evaluation = run.evaluation
    context: dict[str, Any] = {"evaluation": evaluation, "kind": run.kind, "drawn": {}}
    if evaluation is not None:
        shown = {n: m for n, m in METRICS.items() if n in evaluation.scores["model"]}
        context["metrics"] = shown
        context["best"] = {
            name: (max if rises else min)(found[name] for found in evaluation.scores.values())
            for name, (_, _, rises) in shown.items()
        }
        charts["confusion"] = confusion(evaluation)
        charts["reliability"] = reliability(evaluation)
        if len(evaluation.roc):
            charts["roc"] = roc(evaluation)
        if run.kind != "text":
            drawn = {_title(m): sequence(m, run) for m in evaluation.mistakes}
            context["drawn"] = named(charts, "mistake", drawn)
    return page("classify.html", run, classify_verdict(evaluation), charts, **context)


def classify_verdict(evaluation: Evaluation | None) -> str:
    """Return in one sentence whether the network was worth its while."""
    if evaluation is None:
        return "No sequences were held out, so nothing is known about its accuracy."
    own, usual = (100 * each["accuracy"] for each in evaluation.scores.values())
    if own > usual:
        return (
            f"The network is right about {own:.1f} % of the sequences that it did not see; always "
            f"taking the most frequent class is about {usual:.1f} %."
        )
    return (
        f"The network does not beat the most frequent class: it is right about {own:.1f} % in "
        f"place of {usual:.1f} %. Give it more sequences, or other options."
    )


def confusion(evaluation: Evaluation) -> go.Figure:
    """Return what is taken for what, by share of the right class, with counts."""
    import plotly.graph_objects as go

    counts = evaluation.confusion
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")[:CLASSES]
    order = np.sort(order)
    counts, names = counts[np.ix_(order, order)], [str(evaluation.labels[k]) for k in order]
    shares = counts / np.maximum(evaluation.confusion.sum(1)[order, None], 1)
    made = figure(
        max(320, 120 + 26 * len(names)), xaxis_title="taken for", yaxis_title="is",
        hovermode="closest",
    )  # fmt: skip
    made.add_trace(
        go.Heatmap(
            z=shares.tolist(), x=names, y=names, zmin=0, zmax=1, text=counts.tolist(),
            texttemplate="%{text}" if len(names) <= 20 else None, showscale=False,
            colorscale=[[0, "#ffffff"], [1, MODEL]],
            hovertemplate="is %{y}, taken for %{x}: %{text}<extra></extra>",
        )
    )  # fmt: skip
    made.update_xaxes(type="category")
    made.update_yaxes(type="category", autorange="reversed")
    return made


def reliability(evaluation: Evaluation) -> go.Figure:
    """Return how often the likeliest class is right, by its probability."""
    import plotly.graph_objects as go

    made = figure(
        xaxis_title="probability of the likeliest class", yaxis_title="share right",
        xaxis_range=[0, 1], yaxis_range=[0, 1.02],
    )  # fmt: skip
    made.add_trace(line([0, 1], [0, 1], "perfect", MUTED, dash="dot"))
    total = max(sum(count for *_, count in evaluation.bins), 1)
    made.add_trace(
        go.Bar(
            x=[low + 0.05 for low, *_ in evaluation.bins],
            y=[count / total for *_, count in evaluation.bins],
            width=0.1, name="share of the sequences", marker_color="#dfe7ee",
        )
    )  # fmt: skip
    means, shares = ([b[k] for b in evaluation.bins] for k in (1, 2))
    made.add_trace(line(means, shares, "model", MODEL))
    made.data[-1].mode = "lines+markers"
    return made


def roc(evaluation: Evaluation) -> go.Figure:
    """Return the curve of true against false positives, for the second class."""
    first, second = map(str, evaluation.labels[:2])
    made = figure(
        xaxis_title=f"share of {first} taken for {second}",
        yaxis_title=f"share of {second} found", xaxis_range=[0, 1], yaxis_range=[0, 1.02],
    )  # fmt: skip
    made.add_trace(line([0, 1], [0, 1], "most frequent class", MUTED, dash="dot"))
    made.add_trace(line(*thin(evaluation.roc[:, 0], evaluation.roc[:, 1]), "model", MODEL))
    return made


def sequence(mistake: Mistake, run: ClassifyRun) -> go.Figure:
    """Return a series by its channels, or an image."""
    import plotly.graph_objects as go

    values = np.asarray(mistake.shown, float)
    if run.image is not None:
        pixels = values.reshape(len(values), -1, run.image[2]).mean(-1)
        made = figure(300, hovermode="closest")
        made.add_trace(go.Heatmap(z=pixels.tolist(), colorscale="gray", showscale=False))
        made.update_yaxes(autorange="reversed", scaleanchor="x")
        return made
    made = figure(260, xaxis_title="step")
    colors = [MODEL, BASELINE, "#009E73", "#CC79A7", "#56B4E9", "#D55E00"]
    for channel in range(min(values.shape[1], CHANNELS)):
        drawn = thin(np.arange(len(values)), values[:, channel])
        made.add_trace(line(*drawn, f"channel {channel}", colors[channel], width=1.4))
    return made


def _title(mistake: Mistake) -> str:
    return (
        f"number {mistake.number}: is {mistake.label}, taken for {mistake.predicted} "
        f"({100 * mistake.probability:.0f} %)"
    )
