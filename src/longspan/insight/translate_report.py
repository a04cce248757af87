"""The report of a translator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longspan.insight.course import MODEL, figure, plain
from longspan.insight.page import named, page
from longspan.tasks.translate.results import Alignment, TranslateRun
from longspan.tasks.translate.scores import METRICS, Evaluation, Example, best

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Outputs that are shown of the best and of the worst.
SHOWN = 8
#: Height of a row of the picture of attention, and of what is around it.
ROW, AROUND = 26, 130


def translate_html(run: TranslateRun) -> str:
    """Return the report of a run as one HTML page, with everything it needs inside."""
    charts: dict[str, go.Figure] = {}
    evaluation = run.evaluation
    context: dict[str, Any] = {"metrics": METRICS, "evaluation": evaluation}
    if evaluation is not None:
        context["best"] = best(evaluation.scores)
        context["groups"] = groups(evaluation)
    # The first picture is the one that is seen at once: a long sentence says more than a short one.
    longest = sorted(run.alignments.items(), key=lambda pair: -len(pair[1].source))
    pictures = {source: attention(each) for source, each in longest}
    context["attention"] = named(charts, "attention", pictures)
    if evaluation is not None and evaluation.examples:
        charts["lengths"] = by_length(evaluation)
    return page("translate.html", run, translate_verdict(evaluation), charts, **context)


def translate_verdict(evaluation: Evaluation | None) -> str:
    """Return in one sentence whether the network was worth its while."""
    if evaluation is None:
        return "No pairs were held out, so nothing is known about its accuracy."
    found = {name: scores["chrf"] for name, scores in evaluation.scores.items()}
    own = found.pop("model")
    if not found:
        return f"The network reaches chrF {own:.1f}."
    name = max(found, key=lambda n: found[n])
    if own > found[name]:
        return f"The network reaches chrF {own:.1f}, the best baseline ({name}) {found[name]:.1f}."
    return (
        f"The network does not beat the best baseline ({name}): it reaches chrF {own:.1f} in place "
        f"of {found[name]:.1f}. Give it more pairs, more units or more passes."
    )


def attention(alignment: Alignment) -> go.Figure:
    """Return where the decoder looked: a row for each token written, a column for each read."""
    import plotly.graph_objects as go

    rows, columns = len(alignment.target), len(alignment.source)
    made = figure(ROW * rows + AROUND, hovermode="closest")
    # Tokens may occur twice, so axes count and have the tokens as their labels.
    weights = [[round(float(w), 4) for w in row] for row in alignment.weights]
    seen = [[f"{t} ← {s}" for s in alignment.source] for t in alignment.target]
    made.add_trace(
        go.Heatmap(
            z=weights, x=list(range(columns)), y=list(range(rows)), customdata=seen, zmin=0, zmax=1,
            colorscale=[[0, "#ffffff"], [1, MODEL]], xgap=1, ygap=1, showscale=False,
            hovertemplate="%{customdata}: %{z:.2f}<extra></extra>",
        )
    )  # fmt: skip
    made.update_xaxes(tickvals=list(range(columns)), ticktext=plain(alignment.source), side="top",
                      tickangle=-60, showgrid=False)  # fmt: skip
    made.update_yaxes(tickvals=list(range(rows)), ticktext=plain(alignment.target),
                      autorange="reversed", showgrid=False)  # fmt: skip
    return made


def groups(evaluation: Evaluation) -> dict[str, list[Example]]:
    """Return the outputs with the highest and the lowest chrF, at most half of all each."""
    ranked = sorted(evaluation.examples, key=lambda each: -each.chrf)
    count = min(SHOWN, max(len(ranked) // 2, 1))
    return {"Best": ranked[:count], "Worst": ranked[::-1][:count]}


def by_length(evaluation: Evaluation) -> go.Figure:
    """Return the mean chrF by the length of the source in words."""
    import plotly.graph_objects as go

    found: dict[int, list[float]] = {}
    for each in evaluation.examples:
        found.setdefault((max(len(each.source.split()), 1) - 1) // 5, []).append(each.chrf)
    bands = sorted(found)
    titles = [f"{5 * b + 1} to {5 * b + 5}<br>{len(found[b])} pairs" for b in bands]
    made = figure(280, xaxis_title="words of the source", yaxis_title="mean chrF")
    values = [sum(found[b]) / len(found[b]) for b in bands]
    made.add_trace(go.Bar(x=titles, y=values, marker_color=MODEL))
    return made
