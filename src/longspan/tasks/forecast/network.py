"""The forecasting network: scaled inputs, a recurrent body, and an output layer.

The network reads L steps of context and forecasts H steps. Everything it sees of the target is in
units of the window (see `Frame`), so levels may drift and series of any size share one model.
Shapes: B windows, L context steps, H horizon steps, P past covariates, F inputs known in advance
(covariates and calendar), S static covariates, M seasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from longspan.tasks.forecast.bodies import BODIES, Body, Steps
from longspan.tasks.forecast.likelihoods import LIKELIHOODS, Frame, Likelihood


@dataclass(frozen=True)
class Inputs:
    """A batch of windows as the network reads it.

    Attributes:
        context: Target before the origin, (B, L'), L' ≥ L (the seasons may reach further back than
            the context); NaN where missing.
        inside: Whether each of those steps lies inside its series, (B, L').
        past: Covariates known only in the past, (B, L', P).
        known: Covariates known in advance, then calendar features, (B, L' + H, F).
        static: Covariates of the series, (B, S).
        units: Level and spread of the series' training part, (B, 2).
        actual: Target from the origin on, (B, H), NaN where missing; None when it is not known.
            Only a loss, and the teacher-forced pass of a recursive network, may look at it.
    """

    context: Tensor
    inside: Tensor
    past: Tensor
    known: Tensor
    static: Tensor
    units: Tensor
    actual: Tensor | None = None


class ForecastNetwork(nn.Module):
    """Scaling, a recurrent body and an output layer.

    Args:
        sizes: Numbers of inputs: past covariates, covariates known in advance, calendar
            features, static covariates.
        horizon: Steps to forecast.
        context_length: Steps that the recurrent body reads.
        seasons: Season lengths whose lagged values are inputs; the first is the anchor's. Empty
            for none.
        cell: ``"lstm"``, ``"gru"`` or ``"rnn"``.
        decoding: ``"direct"``, ``"encoder_decoder"`` or ``"recursive"``.
        likelihood: A name in `LIKELIHOODS`.
        levels: Quantile levels, for the quantile likelihood.
        scaling: ``"window"``, ``"series"`` or ``"none"``.
        anchor: ``"seasonal"``, ``"last"`` or ``"none"``.
        hidden_size: Units in each layer.
        num_layers: Recurrent layers.
        dropout: Between layers and before the output.
        layer_norm: Layer normalisation inside the LSTM.
    """

    def __init__(
        self,
        sizes: tuple[int, int, int, int],
        *,
        horizon: int,
        context_length: int,
        seasons: Sequence[int] = (),
        cell: str = "lstm",
        decoding: str = "direct",
        likelihood: str = "quantile",
        levels: Sequence[float] = (0.1, 0.5, 0.9),
        scaling: str = "window",
        anchor: str = "last",
        hidden_size: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        num_past, num_future, num_calendar, num_static = sizes
        self.horizon, self.context_length = horizon, context_length
        self.seasons, self.anchor, self.scaling = tuple(seasons), anchor, scaling
        self.recursive = decoding == "recursive"
        self.counts = likelihood == "negative_binomial"
        self.likelihood: Likelihood = LIKELIHOODS[likelihood](levels)
        # With a season also the covariates of one season before: they explain the value of then.
        self.num_lagged = num_future if self.seasons else 0
        self.body: Body = BODIES[decoding](
            num_past,
            len(self.seasons) + num_future + self.num_lagged + num_calendar + num_static,
            horizon=horizon,
            cell=cell,
            hidden_size=hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            layer_norm=layer_norm,
        )
        self.output = _Output(
            self.body.output_size, hidden_size, self.likelihood.start, dropout,
            detach_last=likelihood == "quantile",
        )  # fmt: skip
        self.past_units = Standardise(num_past)
        self.known_units = Standardise(num_future + num_calendar)
        self.static_units = Standardise(num_static)

    @property
    def lookback(self) -> int:
        """Steps before the origin that `Inputs.context` must hold, L'."""
        return self.context_length + max(self.seasons, default=0)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Frame]:
        """Return raw outputs and the frame in which the likelihood reads them.

        Direct and encoder–decoder networks return (B, H, K) for the horizon. A recursive network
        is taught on every step that it reads: it needs `Inputs.actual`, and returns
        (B, L + H - 1, K) for all steps but the first.
        """
        steps, frame = self.prepare(inputs, inputs.actual if self.recursive else None)
        return self.output(self.body(steps)), frame

    def targets(self, inputs: Inputs) -> Tensor:
        """Return what `forward`'s outputs are compared with, NaN where missing."""
        assert inputs.actual is not None
        if not self.recursive:
            return inputs.actual
        whole = torch.cat([inputs.context[:, -self.context_length :], inputs.actual], 1)
        return whole[:, 1:]

    def prepare(self, inputs: Inputs, future: Tensor | None) -> tuple[Steps, Frame]:
        """Return the body's inputs, and the units of its outputs.

        Args:
            inputs: The windows.
            future: The target over the horizon, (B, H), for a teacher-forced pass; None keeps all
                of it from the network.
        """
        length, past_steps = self.context_length, inputs.context.shape[1]
        location, scale = self._units(inputs)
        unknown = inputs.context.new_full((len(inputs.context), self.horizon), torch.nan)
        series = torch.cat([inputs.context, unknown if future is None else future], 1)
        z = (series - location) / scale
        observed = ~torch.isnan(z)
        filled = fill_forward(z, observed)
        lags = filled[:, self._lag_index(past_steps, future is not None)]
        static = self.static_units(inputs.static)[:, None].expand(-1, lags.shape[1], -1)
        known = self._known(self.known_units(inputs.known), past_steps)
        steps = Steps(
            own=own_inputs(
                filled[:, past_steps - length :], lags, observed[:, past_steps - length :]
            ),
            past=self.past_units(inputs.past)[:, -length:],
            every=torch.cat([lags, known, static], -1),
            reset=_first_step(inputs.inside[:, -length:]),
            context_length=length,
        )
        return steps, Frame(location, scale, self._anchor(filled, lags, future is not None))

    def _units(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        location, scale = inputs.units[:, :1], inputs.units[:, 1:]
        if self.scaling == "window":
            location, scale = window_units(
                inputs.context[:, -self.context_length :], location, scale
            )
        elif self.scaling == "none":
            location, scale = torch.zeros_like(location), torch.ones_like(scale)
        if self.counts:
            # Counts are scaled by their level alone, so that zero stays zero.
            return torch.zeros_like(location), location.abs() + 1.0
        return location, scale

    def _lag_index(self, past_steps: int, future_known: bool) -> Tensor:
        """Return where each season's value for each of the L + H steps stands, (L + H, M)."""
        step = torch.arange(past_steps - self.context_length, past_steps + self.horizon)
        columns = []
        for m in self.seasons:
            lagged = step - m
            if not future_known:
                # Beyond one season the latest value of the same phase stands in.
                latest = past_steps - m + (step - past_steps) % m
                lagged = torch.where(step < past_steps, lagged, latest)
            columns.append(lagged)
        return torch.stack(columns, -1) if columns else step.new_zeros(len(step), 0)

    def _known(self, known: Tensor, past_steps: int) -> Tensor:
        """Return inputs known in advance, and covariates of one season before, (B, L + H, ·)."""
        here = known[:, past_steps - self.context_length :]
        if not self.num_lagged:
            return here
        before = self._lag_index(past_steps, self.recursive)[:, 0]
        return torch.cat([here, known[:, before, : self.num_lagged]], -1)

    def _anchor(self, filled: Tensor, lags: Tensor, teacher: bool) -> Tensor:
        steps = lags.shape[1] - 1 if teacher else self.horizon
        if self.anchor == "seasonal":
            return lags[:, -steps:, 0]
        if self.anchor == "none":
            return filled.new_zeros(len(filled), steps)
        if teacher:
            return filled[:, -steps - 1 : -1]
        return filled[:, -self.horizon - 1, None].expand(-1, steps)


class Standardise(nn.Module):
    """Covariates by mean and deviation of the training part; missing values become the mean."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """Return (x − mean) / deviation, same shape as x: (…, size)."""
        return torch.nan_to_num((x - self.mean) / self.deviation, nan=0.0)


class _Output(nn.Module):
    """Two layers from the body's features to the likelihood's raw outputs."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        start: Tensor,
        dropout: float,
        *,
        detach_last: bool,
    ) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(input_size, hidden_size), nn.ReLU(), nn.Dropout(dropout)
        )
        self.raw = nn.Linear(hidden_size, len(start) - detach_last)
        self.mean = nn.Linear(hidden_size, 1) if detach_last else None
        for layer in (self.raw, self.mean):
            if layer is not None:
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)
        # The first forecast is the naive one, with an interval around it.
        self.raw.bias.data.copy_(start[: len(start) - detach_last])

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.hidden(features)
        raw = self.raw(hidden)
        if self.mean is None:
            return raw
        # The mean is read off the features but does not shape them: squared errors of a few wild
        # values would spoil the quantiles.
        return torch.cat([raw, self.mean(hidden.detach())], -1)


def own_inputs(value: Tensor, lags: Tensor, observed: Tensor) -> Tensor:
    """Return what a step's target tells the network, see `Steps.own`, (…, OWN).

    Args:
        value: Scaled target, (…).
        lags: Its values one season before, for each season, (…, M).
        observed: Whether the target is observed, (…).
    """
    deviation = value - lags[..., 0] if lags.shape[-1] else torch.zeros_like(value)
    return torch.stack([value, deviation, observed.to(value)], -1)


def window_units(context: Tensor, location: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each row's observed values, each (B, 1).

    A row without any observed value gets the given location and scale; a row that does not vary
    gets the given scale.

    Args:
        context: Values, (B, L), NaN where missing.
        location: What to use instead, (B, 1).
        scale: What to use instead, (B, 1).
    """
    observed = ~torch.isnan(context)
    count = observed.sum(1, keepdim=True)
    some = count.clamp(min=1)
    mean = torch.where(observed, context, 0.0).sum(1, keepdim=True) / some
    centred = torch.where(observed, context - mean, 0.0)
    deviation = (centred.square().sum(1, keepdim=True) / some).sqrt()
    varies = deviation > 1e-5 * mean.abs() + 1e-12
    return torch.where(count > 0, mean, location), torch.where(varies, deviation, scale)


def fill_forward(z: Tensor, observed: Tensor) -> Tensor:
    """Return z (B, T) with missing values replaced by the last observed one, or 0 before any.

    >>> nan = torch.nan
    >>> z = torch.tensor([[nan, 1.0, nan, 3.0]])
    >>> fill_forward(z, ~z.isnan())
    tensor([[0., 1., 1., 3.]])
    """
    position = torch.arange(z.shape[1], device=z.device).expand_as(z)
    last = torch.where(observed, position, -1).cummax(1).values
    return torch.where(last >= 0, z.gather(1, last.clamp(min=0)), 0.0)


def _first_step(inside: Tensor) -> Tensor | None:
    """Return where each row's series begins inside the context, (B, L), or None if before it."""
    if bool(inside.all()):
        return None
    start = inside.clone()
    start[:, 1:] &= ~inside[:, :-1]
    return start
