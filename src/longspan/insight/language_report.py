"""The report of a language model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from longspan.insight.course import BASELINE, MODEL, MUTED, figure
from longspan.insight.page import page
from longspan.tasks.language.results import LanguageRun
from longspan.tasks.language.scores import METRICS, Band, Evaluation

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Bits at which a token has its full colour.
FULL = 12.0


def language_html(run: LanguageRun) -> str:
    """Return the report of a run as one HTML page, with everything it needs inside."""
    charts: dict[str, go.Figure] = {}
    evaluation = run.evaluation
    context: dict[str, Any] = {"metrics": METRICS, "evaluation": evaluation}
    if evaluation is not None:
        charts["bands"] = by_frequency(evaluation.bands)
        context["best"] = {
            name: min(scores[name] for scores in evaluation.scores.values()) for name in METRICS
        }
        context["passage"] = shaded(evaluation)
    return page("language.html", run, language_verdict(evaluation), charts, **context)


def language_verdict(evaluation: Evaluation | None) -> str:
    """Return in one sentence whether the network was worth its while."""
    if evaluation is None:
        return "No text was held out, so nothing is known about its accuracy."
    bits = {name: s["cross_entropy"] / math.log(2.0) for name, s in evaluation.scores.items()}
    own = bits.pop("model")
    name = min(bits, key=lambda n: bits[n])
    gain = 100.0 * (1.0 - own / bits[name])
    if gain > 0:
        return (
            f"The network needs {gain:.1f} % fewer bits for the text than the best baseline "
            f"({name}): {own:.3f} in place of {bits[name]:.3f} a token."
        )
    return (
        f"The network does not beat the best baseline ({name}): it needs {-gain:.1f} % more bits "
        "for the text. Give it more text, more units or more passes."
    )


def by_frequency(bands: tuple[Band, ...]) -> go.Figure:
    """Return the bits a token by its place in the order of frequency, beside the baselines."""
    import plotly.graph_objects as go

    made = figure(
        300, xaxis_title="tokens by frequency, the most frequent first", yaxis_title="bits a token",
        barmode="group",
    )  # fmt: skip
    titles = [f"{band.title}<br>{100 * band.share:.3g} %" for band in bands]
    colors = {"model": MODEL, "unigram": MUTED}
    for name in bands[0].bits if bands else ():
        values = [band.bits[name] for band in bands]
        made.add_trace(go.Bar(x=titles, y=values, name=name,
                              marker_color=colors.get(name, BASELINE)))  # fmt: skip
    return made


def shaded(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Return the passage's tokens: as they are written, their shade (0 to 1), their bits."""
    separate = any(len(token) > 1 for token in evaluation.passage if token != "<unk>")
    spaces = any(token.startswith(" ") for token in evaluation.passage)
    gap = " " if separate and not spaces else ""
    return [
        (token + ("" if token == "\n" else gap), f"{min(bits / FULL, 1.0):.2f}", f"{bits:.1f}")
        for token, bits in zip(evaluation.passage, evaluation.bits.tolist(), strict=True)
    ]
