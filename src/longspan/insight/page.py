"""The frame of every report: one HTML file that opens without a network.

A task's template extends ``page.html`` and fills its block ``sections``; losses, gradients,
settings and versions are in the frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.files import write_text
from longspan.insight import course

if TYPE_CHECKING:
    import plotly.graph_objects as go


def page(
    template: str, run: Any, verdict: str, charts: dict[str, go.Figure], **context: Any
) -> str:
    """Return a report as one HTML page, with everything it needs inside.

    Args:
        template: Its file in ``templates``.
        run: What is shown of the training: a `longspan.tasks.running.Run`.
        verdict: In one sentence whether the network was worth its while.
        charts: Figures by the id under which the page shows them.
        context: What the template needs besides.
    """
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("longspan.insight"), autoescape=True, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    charts = dict(charts)
    if run.history.steps:
        charts |= {
            "losses": course.losses(run.history), "gradients": course.gradients(run.history),
            "rates": course.rates(run.history),
        }  # fmt: skip
    shown = named(charts, "flow", course.flows(run.history))
    data = {name: Markup(_json(chart)) for name, chart in charts.items()}
    made = environment.get_template(template)
    return made.render(
        **context, run=run, verdict=verdict, charts=data, flows=shown,
        plotly=Markup(get_plotlyjs()),
    )  # fmt: skip


def named(charts: dict[str, go.Figure], kind: str, made: dict[str, go.Figure]) -> dict[str, str]:
    """Add charts and return their titles by the id under which the page shows them."""
    titles = {f"{kind}-{k}": title for k, title in enumerate(made)}
    charts |= dict(zip(titles, made.values(), strict=True))
    return titles


def write_page(html: str, path: str | Path) -> None:
    """Write a report to a file, whole or not at all."""
    write_text(Path(path), html)


def _json(chart: go.Figure) -> str:
    """Return a figure as JSON that cannot close the script element it stands in."""
    text = chart.to_json()
    assert text is not None
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
