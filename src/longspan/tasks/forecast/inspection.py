"""What a forecaster hands over to be looked into: windows; the focus is the last step of context.

Influence and memory are those of the recurrent layer's inputs. Attributions are of all that the
network reads: the horizon's known covariates and the anchor too, which pass the layer by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from longspan.data import Panel, WindowRange, read_table
from longspan.errors import InputError
from longspan.tasks.forecast.bodies import OWN, Recursive, Steps
from longspan.tasks.forecast.likelihoods import Frame
from longspan.tasks.forecast.network import ForecastNetwork, Inputs
from longspan.tasks.inspection import Explained, Look, Subject

if TYPE_CHECKING:
    from longspan.tasks.forecast.engine import Engine
    from longspan.tasks.forecast.forecaster import Forecaster

#: Steps of the horizon that are looked at, at most; and those that are explained.
HORIZONS, EXPLAINED = 8, 3
#: Series whose autocorrelation is looked at, and their last steps.
SERIES, STEPS = 20, 5000


def subject(model: Forecaster, data: Any, look: Look) -> Subject:
    """Return windows of the series, drawn from all that have their full context and horizon.

    Args:
        model: A fitted forecaster.
        data: A table as for `Forecaster.evaluate`; None takes the last rows of the training data.
        look: How many; windows are as long as the context is.

    Raises:
        InputError: If no series is long enough.
    """
    engine = model.engine_
    network = engine.network.eval()
    table = model.recent_ if data is None else read_table(data)
    panel = model._panel(table, recent=data is None)
    series, origin = _windows(engine, panel, look)
    calendar = panel.calendar(network.horizon)
    more = engine._inputs(panel, calendar, series, origin)
    batch = rows(more, look.few(len(series), network, network.context_length))
    length, count = network.context_length, len(batch.context)
    whole = _times(panel, series[0], origin[0] + network.horizon, length + network.horizon)
    reader: Any = getattr(network.body, "recurrent" if network.recursive else "encoder")
    return Subject(
        title=model.title_, network=network, reader=reader, batch=batch, more=more,
        losses=lambda inputs: losses(network, inputs),
        outputs=lambda inputs: outputs(network, inputs), rows=rows, cut=cut,
        focus=torch.full((count,), length - 1), lengths=torch.full((count,), length),
        names=[
            _times(panel, s, o, length)
            for s, o in zip(series[:count], origin[:count], strict=True)
        ],
        step="step", unit="a step of the horizon, as in training",
        outputs_are=_outputs_are(network), explained=explained(network, batch, whole),
        channels=_channels(engine, panel), longest=length,
        max_lag=_max_lag(network),
        series=[panel.values(k)[-STEPS:] for k in range(min(len(panel), SERIES))],
        answers=[
            f"Series {panel.ids[s]}, forecast from {_times(panel, s, o + 1, 1)[0]} on"
            for s, o in zip(series[:count], origin[:count], strict=True)
        ],
        facts={"series": len(panel), "steps of context": length, "horizon": network.horizon},
        notes=_notes(network, len(series), data is None),
    )  # fmt: skip


def rows(inputs: Inputs, numbers: Tensor) -> Inputs:
    """Return some of the windows."""
    return Inputs(**{f.name: getattr(inputs, f.name)[numbers] for f in fields(inputs)})


def cut(inputs: Inputs, k: int) -> Inputs:
    """Return windows whose recurrent layer begins k steps before the origin.

    The series count as having begun there. Units, anchor and values of seasons before stay.
    """
    inside = inputs.inside.clone()
    inside[:, : max(inside.shape[1] - k, 0)] = False
    return replace(inputs, inside=inside)


def losses(network: ForecastNetwork, inputs: Inputs) -> Tensor:
    """Return each window's loss, (B,): the mean over its observed steps, as training counts it.

    A recursive network's is that of the first step of the horizon, the one after the focus.
    """
    assert inputs.actual is not None
    steps, frame = network.prepare(inputs, None)
    raw, targets = _raw(network, steps), inputs.actual
    if network.recursive:
        frame = Frame(frame.location, frame.scale, frame.anchor[:, :1])
        targets = targets[:, :1]
    seen = ~targets.isnan()
    values = network.likelihood.loss(raw, torch.where(seen, targets, 0.0), frame)
    return torch.where(seen, values, 0.0).sum(1) / seen.sum(1).clamp(min=1)


def outputs(network: ForecastNetwork, inputs: Inputs) -> Tensor:
    """Return forecasts in units of the window, (B, K), of K steps spread over the horizon."""
    steps, frame = network.prepare(replace(inputs, actual=None), None)
    return _forecast(network, steps, frame.anchor, _spread(network, HORIZONS))


def explained(network: ForecastNetwork, inputs: Inputs, names: Sequence[str]) -> list[Explained]:
    """Return forecasts of a few steps as functions of all inputs of all steps, (L + H, B, C).

    Args:
        network: The network.
        inputs: Windows.
        names: Of the first window's L + H steps.
    """
    with torch.no_grad():
        steps, _ = network.prepare(replace(inputs, actual=None), None)
    ahead = steps.own.shape[1] - steps.past.shape[1]
    past = torch.nn.functional.pad(steps.past, (0, 0, 0, ahead))
    x = torch.cat([steps.own, past, steps.every], -1).transpose(0, 1).contiguous()
    baseline = torch.zeros_like(x)
    baseline[..., OWN - 1] = x[..., OWN - 1]  # whether a value is observed is no influence

    count = x.shape[1]
    at = torch.full((count,), steps.context_length - 1)
    lengths = torch.full((count,), len(x))

    def of_step(h: int) -> Explained:
        return Explained(
            lambda given: _forecast(network, *_taken_apart(network, given, steps), [h])[:, 0], x,
            f"the forecast of step {h + 1}, in units of the window", at, lengths, names, baseline,
        )  # fmt: skip

    return [of_step(h) for h in _spread(network, EXPLAINED)]


def _taken_apart(network: ForecastNetwork, x: Tensor, steps: Steps) -> tuple[Steps, Tensor]:
    """Return the body's inputs and the anchor, from all inputs of all steps (L + H, B, C)."""
    length, num_past = steps.context_length, steps.past.shape[-1]
    own, past, every = x.transpose(0, 1).split(
        [OWN, num_past, x.shape[-1] - OWN - num_past], -1
    )  # fmt: skip
    anchor = torch.zeros_like(own[:, length:, 0])
    if network.anchor == "seasonal":
        anchor = every[:, length:, 0]
    elif network.anchor == "last":
        anchor = own[:, length - 1, :1].expand_as(anchor)
    return replace(steps, own=own, past=past[:, :length], every=every), anchor


def _forecast(network: ForecastNetwork, steps: Steps, anchor: Tensor, horizon: list[int]) -> Tensor:
    """Return the forecast of some steps in units of the window, (B, K): a median where it can.

    The quantile likelihood's mean is read off features that it does not shape, so that nothing
    flows back from it.
    """
    raw = _raw(network, steps)[:, horizon]
    zero, one = anchor.new_zeros(()), anchor.new_ones(())
    frame = Frame(zero, one, anchor[:, horizon])
    if network.counts:
        return network.likelihood.mean(raw, frame)
    return network.likelihood.quantiles(raw, frame, [0.5])[..., 0]


def _raw(network: ForecastNetwork, steps: Steps) -> Tensor:
    """Return raw outputs of the horizon; of a recursive network, of its first step."""
    if isinstance(network.body, Recursive):
        return network.output(network.body.read(steps, steps.context_length)[0][:, -1:])
    return network.output(network.body(steps))


def _spread(network: ForecastNetwork, count: int) -> list[int]:
    """Return at most so many steps of the horizon, the first and the last among them."""
    horizon = 1 if network.recursive else network.horizon
    return sorted({int(h) for h in np.linspace(0, horizon - 1, min(horizon, count))})


def _max_lag(network: ForecastNetwork) -> int | None:
    """Return the longest lag that memory is there for: values a season before are inputs."""
    return min(network.seasons) // 2 if network.seasons else None


def _outputs_are(network: ForecastNetwork) -> str:
    kind = "expected values" if network.counts else "medians"
    if network.recursive:
        return f"{kind} of the first step of the horizon, in units of the window"
    steps = ", ".join(str(h + 1) for h in _spread(network, HORIZONS))
    return f"{kind} of steps {steps} of the horizon, in units of the window"


def _windows(engine: Engine, panel: Panel, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Return series and origins, each (B,), of windows whose horizon is observed in part."""
    network = engine.network
    last = panel.stop - network.horizon
    origins = WindowRange.between(panel.first + network.lookback, last)
    if not len(origins):
        # Too short for values of a season before: a full context is enough.
        origins = WindowRange.between(panel.first + network.context_length, last)
    if not len(origins):
        raise InputError(
            f"A window needs {network.context_length} steps of context and {network.horizon} of "
            f"the horizon; the longest series has {int(panel.lengths.max())}. Give longer series."
        )
    numbers = _numbers(origins, panel, network, look)
    series, origin = origins.locate(torch.from_numpy(numbers))
    length = network.context_length
    seen = np.array([
        not (_all_nan(panel, o, o + network.horizon) or _all_nan(panel, o - length, o))
        for o in origin
    ])  # fmt: skip
    if not (seen.any() if look.sequence is None else seen[0]):
        raise InputError("No window has observed values on both sides. Give series with some.")
    return series[seen], origin[seen]


def _numbers(
    origins: WindowRange, panel: Panel, network: ForecastNetwork, look: Look
) -> np.ndarray:
    """Return numbers of windows, (B,); the first is the last one of the wanted series."""
    length, number = network.context_length, look.sequence
    drawn = replace(look, sequence=None).choose(len(origins), network, length, "window")
    if number is None:
        return drawn
    look.choose(len(panel), network, length, "series")  # whether there is one of that number
    if not origins.count[number]:
        raise InputError(
            f"Series {panel.ids[number]!r} is too short for a window of "
            f"{length + network.horizon} steps. Choose another `sequence`."
        )
    last = np.cumsum(origins.count)[number] - 1
    return np.concatenate([[last], drawn[drawn != last]])


def _all_nan(panel: Panel, begin: int, end: int) -> bool:
    return bool(panel.target[begin:end].isnan().all())


def _times(panel: Panel, series: int, end: int, count: int) -> list[str]:
    """Return the times of the `count` steps of a series before its row `end`."""
    end = int(end - panel.first[series])
    times = panel.times(series, end - count, end)
    if times.dtype.kind != "M":
        return [str(t) for t in times.tolist()]
    form = "D" if (times == times.astype("datetime64[D]")).all() else "m"
    return [t.replace("T", " ") for t in np.datetime_as_string(times, form).tolist()]


def _channels(engine: Engine, panel: Panel) -> list[str]:
    """Return the names of all inputs of a step: see `Steps`."""
    schema, network = engine.schema, engine.network

    def wide(names: tuple[str, ...]) -> list[str]:
        every = [(name, schema.categories.get(name)) for name in names]
        return [n if own is None else f"{n} = {v}" for n, own in every for v in (own or ("",))]

    future = wide(schema.future_covariates)
    cycles = [f"{wave} of the {c}" for c in panel.frequency.cycles() for wave in ("sine", "cosine")]
    before = [f"{name}, a season before" for name in future] if network.num_lagged else []
    return [
        "value", "change from a season before", "whether observed", *wide(schema.past_covariates),
        *[f"value {m} steps before" for m in network.seasons], *future,
        *cycles[: engine.calendar_size], *before, *wide(schema.static_covariates),
    ]  # fmt: skip


def _notes(network: ForecastNetwork, windows: int, kept: bool) -> list[str]:
    notes = [
        "Memory is that of the recurrent layer. Level, spread and the value a season before reach "
        "the forecast past it, and stay when the context is shortened."
    ]
    if network.recursive:
        notes.append("The network forecasts step by step; the first step is looked at.")
    if kept:
        notes.append(
            f"The model keeps only the end of its data, which gives {windows} windows. Give the "
            "data for more."
        )
    return notes
