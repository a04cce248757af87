"""The report of a tagger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.insight.course import MODEL, figure
from longspan.insight.page import page
from longspan.tasks.tag.baselines import MOST_FREQUENT
from longspan.tasks.tag.metrics import total
from longspan.tasks.tag.results import TagRun, Transitions
from longspan.tasks.tag.scores import METRICS, Evaluation, Mistake, main_metric

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Metrics that have no card.
ASIDE = ("precision", "recall", "unknown_accuracy")
#: Labels in the picture of confusions, and rows of the other tables, at most.
LABELS, ROWS = 20, 20


def tag_html(run: TagRun) -> str:
    """Return the report of a run as one HTML page, with everything it needs inside."""
    charts: dict[str, go.Figure] = {}
    evaluation = run.evaluation
    context: dict[str, Any] = {"evaluation": evaluation}
    if evaluation is not None:
        context |= _context(evaluation)
        if evaluation.confusions:
            charts["confusions"] = confusions(evaluation)
    if run.transitions is not None and len(run.transitions.labels) > 1:
        charts["transitions"] = follows(run.transitions)
    return page("tag.html", run, tag_verdict(evaluation), charts, **context)


def tag_verdict(evaluation: Evaluation | None) -> str:
    """Return in one sentence whether the network was worth its while."""
    if evaluation is None:
        return "No sequences were held out, so nothing is known about its accuracy."
    name = main_metric(evaluation.scores["model"])
    own, counted = (evaluation.scores[who][name] for who in ("model", MOST_FREQUENT))
    title = METRICS[name][0]
    if own > counted:
        fewer = 100.0 * (own - counted) / (1.0 - counted)
        return (
            f"The network reaches {100 * own:.2f} % {title} in place of {100 * counted:.2f} % with "
            f"the {MOST_FREQUENT} of each word: {fewer:.0f} % of its errors are gone."
        )
    return (
        f"The network does not beat the {MOST_FREQUENT} of each word: {100 * own:.2f} % {title} in "
        f"place of {100 * counted:.2f} %. Give it more data, more units or more passes."
    )


def confusions(evaluation: Evaluation) -> go.Figure:
    """Return which labels are taken for which, as shares of the right one's words."""
    errors: dict[str, int] = {}
    for pair, count in evaluation.confusions.items():
        for name in pair:
            errors[name] = errors.get(name, 0) + count
    names = sorted(sorted(errors, key=lambda name: (-errors[name], name))[:LABELS])
    counts = np.array([[evaluation.confusions.get((g, f), 0) for f in names] for g in names])
    there = np.array([max(evaluation.labels.get(g, 0), 1) for g in names])
    return heatmap(
        names, 100.0 * counts / there[:, None], np.where(counts, counts, "").tolist(), "Blues",
        "found", "right", "%{y} taken for %{x}: %{z:.1f} % of its words<extra></extra>",
    )  # fmt: skip


def follows(transitions: Transitions) -> go.Figure:
    """Return what the conditional random field learnt of neighbours; what is forbidden is empty."""
    made = heatmap(
        transitions.labels, transitions.scores, None, "RdBu", "second label", "first label",
        "%{x} after %{y}: %{z:.2f}<extra></extra>",
    )  # fmt: skip
    largest = float(np.nanmax(np.abs(transitions.scores), initial=0.0))
    made.update_traces(zmin=-largest, zmax=largest)
    return made


def heatmap(
    names: list[str], values: np.ndarray, text: Any, colors: str, x: str, y: str, hover: str
) -> go.Figure:
    """Return a square of values, the first name at the top."""
    import plotly.graph_objects as go

    made = figure(max(260, 60 + 26 * len(names)), hovermode="closest")
    made.update_xaxes(title=x, type="category", tickangle=-45)
    made.update_yaxes(title=y, type="category", autorange="reversed")
    cells = [[None if np.isnan(v) else float(v) for v in row] for row in values]
    shown = [name if len(name) <= 24 else name[:23] + "…" for name in names]
    if len(set(shown)) < len(names):
        shown = names
    more = {} if text is None else {"text": text, "texttemplate": "%{text}"}
    made.add_trace(go.Heatmap(x=shown, y=shown, z=cells, colorscale=colors, showscale=False,
                              hovertemplate=hover, xgap=1, ygap=1, **more))  # fmt: skip
    if text is None:
        made.update_traces(showscale=True, colorbar={"thickness": 10, "outlinewidth": 0})
    made.update_layout(font_color="#333", colorway=[MODEL])
    return made


def _context(evaluation: Evaluation) -> dict[str, Any]:
    own = evaluation.scores["model"]
    metrics = {name: METRICS[name] for name in METRICS if name in own}
    best = {
        name: max(found[name] for found in evaluation.scores.values() if name in found)
        for name in metrics
    }
    types = dict(sorted(evaluation.types.items(), key=lambda item: -item[1].gold)[:ROWS])
    if types:
        types["all types"] = total(evaluation.types)
    pairs = [(g, f, n) for (g, f), n in evaluation.intent_confusions.items()][:ROWS]
    return {
        "metrics": metrics, "cards": [name for name in metrics if name not in ASIDE],
        "best": best, "types": types,
        "more_types": max(len(evaluation.types) - ROWS, 0), "intents": pairs,
        "mistakes": {
            "Most wrong labels": [shown(m) for m in evaluation.worst],
            "Wrong, and sure of it": [shown(m) for m in evaluation.surest],
        },
    }  # fmt: skip


def shown(mistake: Mistake) -> dict[str, Any]:
    """Return what the page shows of a sequence that was labelled wrongly."""
    words = [
        {"word": word, "gold": gold, "found": found, "right": gold == found}
        for word, gold, found in zip(mistake.words, mistake.gold, mistake.found, strict=True)
    ]
    return {
        "words": words, "wrong": mistake.wrong, "probability": f"{100 * mistake.probability:.3g}",
        "intents": mistake.intents,
    }  # fmt: skip
