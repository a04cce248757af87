"""The figures of an inspection, as plotly figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.insight.ablation import Ablation
from longspan.insight.course import BASELINE, MODEL, MUTED, VALIDATION, figure, line, plain, thin
from longspan.insight.flow import GradientFlow
from longspan.insight.gates import GateStatistics, UnitStatistics
from longspan.insight.horizon import Horizon
from longspan.insight.inspected import Attributed, Inspection, Trajectory

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLORS = (MODEL, BASELINE, VALIDATION, "#CC79A7", "#56B4E9", "#D55E00", "#333333", "#999999")
BAND = "rgba(0, 114, 178, 0.18)"
#: From below zero to above; and from zero up.
BOTH = [[0, "#E69F00"], [0.5, "#ffffff"], [1, "#0072B2"]]
UP = [[0, "#ffffff"], [1, "#0072B2"]]
#: Steps of a text that a heat map shows at first, at desktop and phone width; words are longer.
AT_ONCE, AT_ONCE_NARROW, LONGER = 100, 36, 3
#: Channels in a picture, those with the largest share first, and letters of their names.
CHANNELS, LONGEST = 20, 28
#: Lags beyond so many horizons, but not fewer than the second, are shown on demand.
REACH, FEWEST = 4, 20
#: Ratio of the ends of a logarithmic axis from which it shows powers of ten alone.
SEVERAL = 30.0
#: Share of the largest below which a logarithmic axis does not reach.
FLOOR = 1e-8


def plural(step: str, count: int = 2) -> str:
    """Return the word for so many steps.

    >>> plural("word"), plural("token of the source"), plural("word", 1)
    ('words', 'tokens of the source', 'word')
    """
    first, *rest = step.split(" ")
    return step if count == 1 else " ".join([f"{first}s", *rest])


def memory(found: Inspection) -> go.Figure:
    """Return the influence by lag with its interval, and where the horizon is."""
    made = figure(xaxis_title=f"lag, {plural(found.step)}", yaxis_title="influence")
    sides = [("before", found.horizon, 1, MODEL)]
    if found.ahead is not None:
        sides.append(("ahead", found.ahead, -1, BASELINE))
        made.update_layout(xaxis_title=f"lag, {plural(found.step)}; below 0 ahead of the output")
    for name, own, sign, color in sides:
        _influence(made, name, own, sign, color)
    ends = [
        sign * min(max(REACH * own.horizon, FEWEST), len(own.lags) - 1)
        for _, own, sign, _ in sides
    ]  # fmt: skip
    if len(found.horizon.lags) > 1:
        made.update_xaxes(range=[min(0, *ends, 0), max(0, *ends, 0)])
    return made


def _influence(made: go.Figure, name: str, own: Horizon, sign: int, color: str) -> None:
    lags = sign * own.lags
    if np.isfinite(own.low).all():
        x, y = np.concatenate([lags, lags[::-1]]), np.concatenate([own.high, own.low[::-1]])
        made.add_trace(
            line(x, y, "95 % interval", "rgba(0,0,0,0)", fill="toself", fillcolor=BAND,
                 hoverinfo="skip", showlegend=sign > 0)
        )  # fmt: skip
    made.add_trace(line(*thin(lags, own.influence), f"influence, {name}", color))
    if len(lags) == 1:
        made.data[-1].mode = "markers"
    beyond = own.horizon > 0.6 * min(len(lags), max(REACH * own.horizon, FEWEST))
    made.add_vline(
        x=sign * own.horizon, line_dash="dot", line_color=color,
        annotation_text=f"{100 * own.share:.0f} %: lag {own.horizon}",
        annotation_position="top left" if sign < 0 or beyond else "top right",
    )  # fmt: skip


def ablation(own: Ablation, found: Inspection) -> go.Figure:
    """Return the loss by context with its interval."""
    made = figure(
        xaxis_title=f"{plural(found.step)} of context",
        yaxis_title="loss",
        xaxis_type="log",
    )
    x = own.contexts
    if np.isfinite(own.low).all():
        band = np.concatenate([own.high, own.low[::-1]])
        made.add_trace(
            line(np.concatenate([x, x[::-1]]), band, "95 % interval", "rgba(0,0,0,0)",
                 fill="toself", fillcolor=BAND, hoverinfo="skip")
        )  # fmt: skip
    made.add_trace(line(x, own.losses, "loss", MODEL))
    made.data[-1].mode = "lines+markers"
    # On a logarithmic axis a shape's place is the number, an annotation's its logarithm.
    made.add_shape(type="line", x0=own.horizon, x1=own.horizon, y0=0, y1=1, yref="paper",
                   line={"dash": "dot", "color": MODEL})  # fmt: skip
    made.add_annotation(
        x=float(np.log10(own.horizon)), y=1, yref="paper", showarrow=False, yanchor="top",
        text=f"enough: {own.horizon}", xanchor="left" if _is_left(own) else "right",
        xshift=4 if _is_left(own) else -4,
    )  # fmt: skip
    made.update_xaxes(tickvals=_round_numbers(x), ticktext=[str(v) for v in _round_numbers(x)])
    return made


def _is_left(own: Ablation) -> bool:
    """Return whether the horizon lies in the left part of a logarithmic axis."""
    return own.horizon**2 <= own.contexts[0] * own.contexts[-1]


def _round_numbers(contexts: np.ndarray) -> list[int]:
    """Return powers of two among the contexts, and the last, as far as they do not collide."""
    powers = [int(c) for c in contexts if c & (c - 1) == 0 and 1.5 * c <= contexts[-1]]
    return [*powers, int(contexts[-1])]


def flow(own: GradientFlow) -> go.Figure:
    """Return the norm of the gradient of each state by lag, on a logarithmic axis."""
    made = figure(
        380, xaxis_title="lag, steps", yaxis_type="log",
        yaxis_title="gradient norm",
    )  # fmt: skip
    names = list(dict.fromkeys(layer.name for layer in own.layers))
    dashes = {"h": "solid", "c": "dash"}
    top = max((float(np.nanmax(layer.norms, initial=0.0)) for layer in own.layers), default=0.0)
    for layer in own.layers:
        values = np.where(layer.norms > FLOOR * top, layer.norms, np.nan)
        color = COLORS[names.index(layer.name) % len(COLORS)]
        curve = line(
            *thin(np.arange(len(values)), values), f"{layer.name}: d{layer.state}", color,
            dash=dashes.get(layer.state, "dot"),
        )  # fmt: skip
        if len(values) == 1:
            curve.mode = "markers"
        made.add_trace(curve)
    _decades(made, "y", [layer.norms for layer in own.layers])
    return made


def _decades(made: go.Figure, which: str, values: Sequence[np.ndarray]) -> None:
    """Write powers of ten alone on a logarithmic axis that spans several: others would crowd it."""
    seen = np.concatenate([v[np.isfinite(v) & (v > 0)] for v in values] or [np.zeros(0)])
    wide = len(seen) > 0 and seen.max() > SEVERAL * max(seen.min(), FLOOR * seen.max())
    made.update_layout(
        {f"{which}axis": {"exponentformat": "power"} | ({"dtick": 1} if wide else {})}
    )


def weights(own: GradientFlow) -> go.Figure:
    """Return the gradient of each gate's weights, relative to the weights, by parameter."""
    import plotly.graph_objects as go

    shown = [p for p in own.parameters if p.gates]
    gates = list(dict.fromkeys(gate for p in shown for gate in p.gates))
    made = figure(
        max(300, 90 + 14 * len(shown) * max(len(gates), 1)), xaxis_title="gradient norm",
        xaxis_type="log", barmode="group", hovermode="closest",
    )  # fmt: skip
    for k, gate in enumerate(gates):
        values = [p.gates.get(gate) or None for p in shown]
        made.add_trace(
            go.Bar(x=values, y=[p.name for p in shown], name=f"gate {gate}", orientation="h",
                   marker_color=COLORS[k % len(COLORS)])
        )  # fmt: skip
    made.update_yaxes(autorange="reversed")
    _decades(made, "x", [np.array([*p.gates.values()], float) for p in shown])
    return made


def histograms(gates: Sequence[GateStatistics], layer: str) -> go.Figure:
    """Return how often each gate of a layer takes which values."""
    made = figure(300, xaxis_title="value of the gate", yaxis_title="share of units and steps")
    own = [each for each in gates if each.layer == layer]
    for k, each in enumerate(own):
        centres = (each.edges[1:] + each.edges[:-1]) / 2
        color = COLORS[k % len(COLORS)]
        curve = line(centres, each.histogram, f"{each.gate} ({each.kind})", color)
        curve.line.shape = "hvh"
        made.add_trace(curve)
    return made


def time_scales(units: Sequence[UnitStatistics]) -> go.Figure:
    """Return the units of each layer by time scale, the longest first, on a logarithmic axis.

    Units that forget nothing have no place on it: their line begins behind them, and its name says
    how many they are.
    """
    made = figure(
        320, xaxis_title="% of the units, the longest first", yaxis_type="log",
        yaxis_title="time scale, steps",
    )  # fmt: skip
    endless = 0
    for k, each in enumerate(units):
        assert each.time_scales is not None
        scales = np.sort(each.time_scales)[::-1]
        finite = np.isfinite(scales)
        x = 100.0 * (np.arange(len(scales)) + 0.5) / len(scales)
        count = int((~finite).sum())
        endless += count
        name = f"{each.layer} (∞ for {count} of {len(scales)} units)" if count else each.layer
        made.add_trace(
            line(x, np.where(finite, scales, np.nan), name, COLORS[k % len(COLORS)])
        )  # fmt: skip
        if finite.sum() == 1:
            made.data[-1].mode = "markers"
    if endless:  # the legend says what is not drawn, and a single line would have none
        made.update_layout(showlegend=True)
    if endless == sum(len(each.time_scales) for each in units if each.time_scales is not None):
        made.add_annotation(
            text="no unit forgets: every time scale is infinite", showarrow=False,
            x=0.5, y=0.5, xref="paper", yref="paper",
        )  # fmt: skip
    made.update_xaxes(range=[0, 100])
    _decades(made, "y", [each.time_scales for each in units if each.time_scales is not None])
    return made


def heat_map(own: Trajectory, name: str, found: Inspection) -> go.Figure:
    """Return a state or gate over the shown row, a line a unit."""
    import plotly.graph_objects as go

    values = own.values[name]
    kinds = {each.gate: each.kind for each in found.gates if each.layer == own.layer}
    made = figure(max(240, 110 + 9 * values.shape[1]), hovermode="closest", yaxis_title="unit")
    limit = float(np.abs(values).max(initial=0.0)) or 1.0
    scale: dict[str, Any] = {"colorscale": BOTH, "zmin": -limit, "zmax": limit}
    if name in kinds and kinds[name] == "sigmoid":
        scale = {"colorscale": UP, "zmin": 0, "zmax": 1}
    elif kinds.get(name) == "tanh" or name == "h":
        scale |= {"zmin": -1, "zmax": 1}
    text = found.kind == "text"
    x = list(range(len(own.names))) if text else list(own.names)
    made.add_trace(
        go.Heatmap(
            z=np.round(values.T, 3).tolist(), x=x, y=[f"{u}" for u in own.units.tolist()],
            colorbar={"thickness": 10, "outlinewidth": 0}, **scale,
            hovertemplate="%{x}<br>unit %{y}: %{z:.3f}<extra></extra>",
        )
    )  # fmt: skip
    made.update_yaxes(type="category", autorange="reversed", showticklabels=len(own.units) <= 24)
    if text:
        _with_text(made, own.names)
    else:
        made.update_xaxes(type="category", nticks=12)
    return made


def _with_text(made: go.Figure, names: Sequence[str]) -> None:
    """Write the tokens below the steps, and begin with as many as can be read: the last ones."""
    letters = all(len(name) == 1 for name in names)
    shown = [visible(name) for name in names]
    factor = 1 if letters else LONGER
    wide, narrow = AT_ONCE // factor, AT_ONCE_NARROW // factor
    made.update_xaxes(
        tickvals=list(range(len(shown))), ticktext=shown, tickangle=0 if letters else -60,
        tickfont={"family": "ui-monospace, Menlo, Consolas, monospace", "size": 11},
        range=_last(len(shown), wide), showgrid=False,
    )  # fmt: skip
    made.update_layout(dragmode="pan", meta={"narrow": _last(len(shown), narrow)})


def visible(token: str) -> str:
    r"""Return a token as it can be seen below an axis.

    >>> visible(" "), visible("\n"), visible("cat")
    ('␣', '⏎', 'cat')
    """
    shown = token.replace("\n", "⏎").replace("\t", "⇥")
    shown = "␣" if shown == " " else shown
    # plotly reads tags in tick labels.
    shown = shown.replace("&", "&amp;").replace("<", "&lt;")
    return shown if len(shown) <= 24 else shown[:23] + "…"


def _last(count: int, shown: int) -> list[float]:
    return [max(count - shown, 0) - 0.5, count - 0.5]


def by_offset(own: Attributed, step: str) -> go.Figure:
    """Return the share of each step, by its distance from the focus."""
    import plotly.graph_objects as go

    title = _from_focus(own, step)
    made = figure(280, xaxis_title=title, yaxis_title="mean |share|", hovermode="x unified")
    made.add_trace(
        go.Bar(x=own.offsets.tolist(), y=own.by_offset.tolist(), marker_color=MODEL,
               name="share", showlegend=False)
    )  # fmt: skip
    if own.offsets[-1] > 0 and own.channels:
        made.add_vline(
            x=0.5,
            line_dash="dot",
            line_color=MUTED,
            annotation_text="horizon",
            annotation_position="top left",
        )
    return made


def _from_focus(own: Attributed, step: str) -> str:
    if own.offsets[-1] > 0 and own.channels:
        return "steps from the last one that is known"
    return f"{plural(step.split(' ')[0])} from the output's"


def by_channel(own: Attributed, step: str) -> go.Figure:
    """Return the share of each channel at each distance, those with the largest share first."""
    import plotly.graph_objects as go

    order = np.argsort(-own.by_channel, kind="stable")
    order = order[own.by_channel[order] > 0][:CHANNELS]
    total = max(float(own.by_channel.sum()), 1e-12)
    names = [own.channels[c] for c in order]
    labels = [
        f"{name}  {100 * own.by_channel[c] / total:.0f} %"
        for name, c in zip(_labels(names, order.tolist()), order, strict=True)
    ]
    table = own.table[order]
    made = figure(
        max(200, 90 + 24 * len(order)), xaxis_title=_from_focus(own, step), hovermode="closest"
    )
    # The root shows small shares beside a large one.
    made.add_trace(
        go.Heatmap(
            z=np.round(np.sqrt(table / max(own.table.max(), 1e-12)), 3).tolist(),
            customdata=[[f"{v:.3g}" for v in row] for row in table],
            text=[[name] * len(own.offsets) for name in plain(names)],
            x=own.offsets.tolist(), y=list(range(len(order))), colorscale=UP, zmin=0, zmax=1,
            showscale=False, hovertemplate="%{text}<br>%{x}: %{customdata}<extra></extra>",
        )
    )  # fmt: skip
    made.update_yaxes(
        tickvals=list(range(len(order))), ticktext=plain(labels), autorange="reversed",
        showgrid=False, zeroline=False,
    )  # fmt: skip
    return made


def _labels(names: Sequence[str], numbers: Sequence[int]) -> list[str]:
    """Return short names, with the channel's number where several would look the same.

    >>> _labels(["rain", "price of bread in store A, in cents"], [0, 1])
    ['rain', 'price of bread…e A, in cents']
    >>> _labels(["rain", "rain"], [0, 1])
    ['rain (0)', 'rain (1)']
    """
    short = [_short(name) for name in names]
    return [
        f"{each} ({number})" if short.count(each) > 1 else each
        for each, number in zip(short, numbers, strict=True)
    ]


def _short(name: str) -> str:
    """Return a name of at most `LONGEST` letters: its beginning and its end."""
    half = (LONGEST - 1) // 2
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1 - half]}…{name[-half:]}"
