"""The report of an inspection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from longspan.insight import inspect_figures as figures
from longspan.insight.ablation import Ablation
from longspan.insight.inspected import Attributed, Inspection
from longspan.insight.page import named, page
from longspan.tasks.running import Run

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Time scales that have cards and columns, by the name of their quantile.
MIDDLE, LONG = "50%", "90%"


def inspect_html(found: Inspection) -> str:
    """Return the report of an inspection as one HTML page, with everything it needs inside."""
    charts: dict[str, go.Figure] = {
        "memory": figures.memory(found), "flow": figures.flow(found.flow),
        "weights": figures.weights(found.flow),
    }  # fmt: skip
    if found.ablation is not None:
        charts["ablation"] = figures.ablation(found.ablation, found)
    layers = list(dict.fromkeys(each.layer for each in found.gates))
    histograms = {layer: figures.histograms(found.gates, layer) for layer in layers}
    maps = {
        f"{each.layer}: {name}": figures.heat_map(each, name, found)
        for each in found.trajectories
        for name in each.values
    }
    scaled = [each for each in found.units if each.time_scales is not None]
    if scaled:
        charts["scales"] = figures.time_scales(scaled)
    lags = {each.what: figures.by_offset(each, found.step) for each in found.attributions}
    tables = {e.what: figures.by_channel(e, found.step) for e in found.attributions if e.channels}
    context = {
        "found": found, "cards": cards(found), "histograms": named(charts, "gates", histograms),
        "maps": named(charts, "map", maps), "lags": named(charts, "lag", lags),
        "tables": named(charts, "channel", tables), "scaled": scaled,
        "tokens": [shaded(each, found.kind) for each in found.attributions],
        "middle": MIDDLE, "long": LONG,
    }  # fmt: skip
    run = Run(
        title=f"Inside {found.model}: {found.title}", settings=found.settings, facts=found.facts,
        versions=found.versions,
    )  # fmt: skip
    return page("inspect.html", run, inspect_verdict(found), charts, **context)


def inspect_verdict(found: Inspection) -> str:
    """Return in a few sentences how far back the model remembers, and what that is worth."""
    own, steps = found.horizon, figures.plural(found.step)
    lag = figures.plural(found.step, own.horizon)
    between = ""
    if np.isfinite(own.horizon_low):
        between = f" (95 % interval {own.horizon_low:.0f} to {own.horizon_high:.0f})"
    said = [
        f"{100 * own.share:.0f} % of the inputs' influence on the output lies within a lag of "
        f"{own.horizon} {lag}{between}."
    ]
    if own.truncated:
        said.append(
            "It reaches to where the sequences begin."
            if found.whole
            else "It has not died out where the rows begin, so it may well reach further."
        )
    if found.ahead is not None:
        said.append(f"Ahead of the output it is a lag of {found.ahead.horizon}.")
    return " ".join([*said, *_worth(found.ablation, steps)])


def _worth(cut: Ablation | None, steps: str) -> list[str]:
    """Return what memory is worth, in a sentence; nothing where there is none to take away."""
    if cut is None:
        return []
    if cut.gap <= 0:
        return ["Memory brings nothing: with one of them as context the loss is no higher."]
    if cut.low[0] <= cut.losses[-1]:
        return ["Whether memory brings anything is not sure: with one of them as context the loss "
                f"is {cut.losses[0]:.4g}, with all of them {cut.losses[-1]:.4g}."]  # fmt: skip
    return [
        f"Memory lowers the loss from {cut.losses[0]:.4g} to {cut.losses[-1]:.4g}; {cut.horizon} "
        f"{steps} of {cut.contexts[-1]} are enough for that."
    ]


def cards(found: Inspection) -> list[tuple[str, str]]:
    """Return the figures at the top, with what they are."""
    own = found.horizon
    made = [
        (f"{own.horizon}{'+' if own.truncated else ''}", "lag that holds 95 % of the influence")
    ]
    if found.ablation is not None:
        steps = figures.plural(found.step)
        made.append((f"{found.ablation.horizon}", f"{steps} of context that are enough"))
        made.append((f"{found.ablation.gap:.3g}", "loss that memory saves"))
    made.append((f"{found.loss:.3g}", f"loss, {found.unit}"))
    scales = [s for u in found.units if u.time_scales is not None for s in u.time_scales]
    if scales:
        made.append((steps_of(float(np.median(scales))), "median time scale of the units, steps"))
    shares = [(each.low, each.high) for each in found.gates if each.kind == "sigmoid"]
    if shares:
        made.append(
            (f"{100 * np.mean([a + b for a, b in shares]):.0f} %", "of gate values saturated")
        )
    return made


def steps_of(value: float) -> str:
    """Return a number of steps in few digits; without an end, ∞."""
    return "∞" if not np.isfinite(value) else f"{value:.3g}"


def shaded(each: Attributed, kind: str) -> list[tuple[str, str, str]]:
    """Return the shown row's tokens, their colours and values; nothing for series."""
    if kind != "text":
        return []
    largest = max(float(np.abs(each.shown).max(initial=0.0)), 1e-12)
    separate = any(len(name) > 1 for name in each.names)
    spaces = any(name.startswith(" ") for name in each.names)
    gap = " " if separate and not spaces else ""
    made = []
    for name, value in zip(each.names, each.shown.tolist(), strict=True):
        color = "0,114,178" if value > 0 else "230,159,0"
        made.append(
            (name + ("" if name == "\n" else gap), f"{color},{abs(value) / largest:.2f}",
             f"{value:+.3g}")
        )  # fmt: skip
    return made
