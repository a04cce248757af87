"""The report of features that were learnt without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from longspan.insight.course import BASELINE, MODEL, MUTED, VALIDATION, figure, plain
from longspan.insight.page import page
from longspan.tasks.classify.reconstruction import Picture, Reconstruction
from longspan.tasks.classify.results import FeaturesRun

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Colours of the labels; the most frequent ones have them, and the rest is grey.
COLORS = (MODEL, BASELINE, VALIDATION, "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")


def features_html(run: FeaturesRun) -> str:
    """Return the report of a run as one HTML page, with everything it needs inside."""
    return page(
        "features.html", run, features_verdict(run.evaluation, run.kind),
        {"picture": picture(run.picture)}, evaluation=run.evaluation, kind=run.kind,
        picture=run.picture,
    )  # fmt: skip


def features_verdict(evaluation: Reconstruction | None, kind: str) -> str:
    """Return in one sentence what the vectors hold."""
    if evaluation is None:
        return "No sequences were held out, so nothing is known about what the vectors hold."
    own, usual = (evaluation.scores[who]["error"] for who in ("model", "mean"))
    if own >= usual:
        return (
            "The vectors hold no more than the mean of all sequences. Give the network more units "
            "or more passes."
        )
    if kind == "text":
        return (
            f"From its vector a text that the network did not see is written again with "
            f"{np.exp(own):.1f} tokens to choose from at each step, where the frequencies of "
            f"tokens alone leave {np.exp(usual):.1f}."
        )
    return (
        f"The vectors hold {100 * evaluation.held:.0f} % of the variance of sequences that the "
        "network did not see."
    )


def picture(found: Picture) -> go.Figure:
    """Return the vectors as points, in the colours of their labels if there are any."""
    import plotly.graph_objects as go

    titles = (
        f"component {k + 1}: {100 * share:.0f} % of the variance"
        for k, share in enumerate(found.shares)
    )
    x, y = titles
    made = figure(480, xaxis_title=x, yaxis_title=y, hovermode="closest")
    for name, color, own in _groups(found):
        points = found.points[own]
        made.add_trace(
            go.Scatter(
                x=points[:, 0].tolist(), y=points[:, 1].tolist(), mode="markers", name=name,
                marker={"size": 6, "opacity": 0.75, "color": color},
                showlegend=found.labels is not None,
            )
        )  # fmt: skip
    return made


def _groups(found: Picture) -> list[tuple[str, str, np.ndarray]]:
    """Return name, colour and members of each group of points, the most frequent labels first."""
    if found.labels is None:
        return [("", MODEL, np.ones(len(found.points), bool))]
    names = np.array(plain([str(label) for label in found.labels]))
    labels, counts = np.unique(names, return_counts=True)
    order = labels[np.argsort(-counts, kind="stable")]
    most = len(COLORS) if len(order) <= len(COLORS) else len(COLORS) - 1
    groups = [(str(n), c, names == n) for n, c in zip(order[:most], COLORS, strict=False)]
    if len(order) > most:
        groups.append((f"{len(order) - most} others", MUTED, np.isin(names, order[most:])))
    return groups
