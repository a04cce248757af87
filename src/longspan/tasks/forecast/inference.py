"""From a trained network to expected values and quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import torch
from torch import Tensor

from longspan.tasks.forecast.bodies import Recursive
from longspan.tasks.forecast.likelihoods import Frame
from longspan.tasks.forecast.network import ForecastNetwork, Inputs, own_inputs

#: Sample paths that run through the network at once.
PATHS = 4096


@torch.no_grad()
def forecast(
    network: ForecastNetwork,
    inputs: Inputs,
    levels: Sequence[float],
    *,
    num_samples: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return expected values (B, H) and quantiles (B, H, Q); the actual values are not looked at.

    Args:
        network: The trained network, in evaluation mode.
        inputs: Windows.
        levels: Quantile levels.
        num_samples: Sample paths of each window, if the network is recursive.
        generator: Of the sample paths.
    """
    inputs = replace(inputs, actual=None)
    if not network.recursive:
        raw, frame = network(inputs)
        likelihood = network.likelihood
        return likelihood.mean(raw, frame), likelihood.quantiles(raw, frame, levels)
    at_once = max(PATHS // num_samples, 1)
    parts = []
    for begin in range(0, len(inputs.context), at_once):
        rows = torch.arange(begin, min(begin + at_once, len(inputs.context)))
        rows = rows.repeat_interleave(num_samples)
        paths = sample_paths(network, _rows(inputs, rows), generator)
        parts.append(paths.unflatten(0, (-1, num_samples)))
    paths = torch.cat(parts)  # (B, samples, H)
    quantiles = paths.quantile(paths.new_tensor(levels), dim=1).permute(1, 2, 0)
    return paths.mean(1), quantiles


def sample_paths(network: ForecastNetwork, inputs: Inputs, generator: torch.Generator) -> Tensor:
    """Return one random future of each window, (B, H): every step is drawn and fed back."""
    body = network.body
    assert isinstance(body, Recursive)
    steps, frame = network.prepare(inputs, None)
    length = network.context_length
    features, state = body.read(steps, length)
    every, ones = steps.every[:, length], torch.ones_like(frame.location[:, 0])
    drawn: list[Tensor] = []
    scaled: list[Tensor] = []  # the same in scaled units
    for h in range(network.horizon):
        here = Frame(frame.location[:, 0], frame.scale[:, 0], _anchor(network, frame, scaled))
        raw = network.output(features[:, -1])
        drawn.append(network.likelihood.sample(raw, here, generator))
        scaled.append(here.scaled(drawn[-1]))
        if h + 1 == network.horizon:
            break
        own = own_inputs(scaled[-1], every[:, : len(network.seasons)], ones)
        every = steps.every[:, length + h + 1].clone()
        for k, m in enumerate(network.seasons):
            if h + 1 >= m:  # one season before lies in the drawn future
                every[:, k] = scaled[h + 1 - m]
        features, state = body.step(own[:, None], every[:, None], state)
    return torch.stack(drawn, 1)


def _anchor(network: ForecastNetwork, frame: Frame, scaled: list[Tensor]) -> Tensor:
    """Return the anchor of the next step: a drawn value where it lies in the future."""
    lag = {"seasonal": network.seasons[0] if network.seasons else 0, "last": 1}.get(network.anchor)
    if lag is None or len(scaled) < lag:
        return frame.anchor[:, len(scaled)]
    return scaled[-lag]


def _rows(inputs: Inputs, rows: Tensor) -> Inputs:
    picked = {f.name: getattr(inputs, f.name)[rows] for f in fields(inputs) if f.name != "actual"}
    return Inputs(**picked)
