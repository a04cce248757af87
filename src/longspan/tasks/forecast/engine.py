"""The forecaster's engine: a network with the choices that the data made, trained and applied."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from longspan.data import Panel, Schema, WindowRange, gather
from longspan.errors import InputError
from longspan.tasks.forecast import choices
from longspan.tasks.forecast.config import ForecastConfig
from longspan.tasks.forecast.inference import forecast
from longspan.tasks.forecast.network import ForecastNetwork, Inputs, Standardise
from longspan.tasks.forecast.results import Forecasts
from longspan.tasks.forecast.split import Split, rolling_origins, training_origins
from longspan.training import Clipping, History, Loss, Plan, ShuffledBatches, train

#: Windows that are forecast at once.
BATCH = 512


@dataclass(frozen=True)
class Choices:
    """What the training part decided; saved with the model.

    Attributes:
        seasons: Season lengths, the one of the baselines first.
        context_length: Steps that the network reads.
        anchor: What it corrects.
    """

    seasons: tuple[int, ...]
    context_length: int
    anchor: str


class Engine:
    """A network, the options behind it, and the scales of the series it was trained on."""

    def __init__(
        self, config: ForecastConfig, schema: Schema, chosen: Choices, calendar_size: int
    ) -> None:
        self.config, self.schema, self.chosen = config, schema, chosen
        self.calendar_size = calendar_size
        self.units: dict[str, tuple[float, float]] = {}
        if config.decoding == "recursive" and schema.past_covariates:
            raise InputError(
                "A recursive forecast needs its inputs at every future step, and "
                f"past_covariates ({', '.join(schema.past_covariates)}) end at the present. Use "
                "decoding='direct' or 'encoder_decoder', or leave them out."
            )
        sizes = (
            schema.width(schema.past_covariates),
            schema.width(schema.future_covariates),
            calendar_size,
            schema.width(schema.static_covariates),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = ForecastNetwork(
                sizes,
                horizon=config.horizon,
                context_length=chosen.context_length,
                seasons=chosen.seasons,
                cell=config.cell,
                decoding=config.decoding,
                likelihood=config.likelihood,
                levels=config.quantiles,
                scaling=config.scaling,
                anchor=chosen.anchor,
                hidden_size=config.hidden_size,
                num_layers=config.num_layers,
                dropout=config.dropout,
                layer_norm=config.layer_norm,
            )

    @classmethod
    def build(
        cls,
        config: ForecastConfig,
        schema: Schema,
        panel: Panel,
        parts: Split,
        *,
        like: Engine | None = None,
    ) -> Engine:
        """Return an untrained engine for these data; only the training part is looked at.

        Args:
            config: The options.
            schema: Roles of the columns.
            panel: The series.
            parts: Where each series' parts end.
            like: Take over this engine's choices.
        """
        part = panel.until(parts.train)
        if like is not None:
            chosen = like.chosen
        else:
            seasons = choices.choose_seasons(part, config)
            chosen = Choices(
                seasons,
                choices.choose_context(part, config, seasons),
                choices.choose_anchor(config, seasons),
            )
        _check_counts(config, part)
        calendar_size = like.calendar_size if like else choices.choose_calendar(part, config)
        engine = cls(config, schema, chosen, calendar_size)
        engine.units = {name: choices.units_of(part.values(k)) for k, name in enumerate(part.ids)}
        network = engine.network
        _standardise(network.past_units, choices.covariate_units(part, part.past))
        _standardise(network.known_units, choices.covariate_units(part, part.future))
        if part.static.shape[1]:
            _standardise(network.static_units, choices.static_units(part.static))
        return engine

    @property
    def season_length(self) -> int:
        """Steps in the season of the baselines; 1 means none."""
        return self.chosen.seasons[0] if self.chosen.seasons else 1

    def train(self, panel: Panel, parts: Split, **options: Any) -> History:
        """Train the network on the training part; the validation part decides when to stop."""
        config, horizon = self.config, self.config.horizon
        origins = training_origins(panel, self.chosen.context_length, horizon, parts.train)
        source = self._source(panel.until(parts.train), origins, config.steps_per_epoch, True)
        later = rolling_origins(parts.train, parts.validation, horizon, horizon)
        validation = None
        if len(later):
            validation = self._source(panel.until(parts.validation), later, None, False)
        plan = Plan(
            max_epochs=config.max_epochs,
            max_steps=config.max_steps,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            schedule=config.schedule if validation or config.schedule != "plateau" else "constant",
            clipping=Clipping(norm=config.max_grad_norm),
            patience=config.patience if validation else None,
            seed=config.seed,
        )
        settings = {
            **config.model_dump(mode="json"), "windows": len(origins),
            "data": _checksum(panel, parts),
        }  # fmt: skip
        return train(
            self.network, source, self.loss, plan, validation=validation, settings=settings,
            **options,
        )  # fmt: skip

    def loss(self, model: nn.Module, inputs: Inputs, state: Any) -> Loss:
        """Return the likelihood's loss over all observed targets."""
        del state
        raw, frame = model(inputs)
        targets = self.network.targets(inputs)
        # A window of which nothing was observed before the origin has no scale to forecast in.
        seen = (~inputs.context.isnan()).any(1, keepdim=True)
        counts = ~targets.isnan() & seen
        values = self.network.likelihood.loss(raw, torch.where(counts, targets, 0.0), frame)
        return Loss(torch.where(counts, values, 0.0).sum(), counts.sum())

    def forecast(self, panel: Panel, series: np.ndarray, origin: np.ndarray) -> Forecasts:
        """Return forecasts of the windows (series, origin row), each (W,)."""
        config = self.config
        levels = tuple(sorted({*config.quantiles, 0.5}))
        generator = torch.Generator().manual_seed(config.seed)
        self.network.eval()
        calendar = panel.calendar(config.horizon)
        means, quantiles, actual = [], [], []
        for begin in range(0, len(series), BATCH):
            here = slice(begin, begin + BATCH)
            inputs = self._inputs(panel, calendar, series[here], origin[here])
            mean, quantile = forecast(
                self.network, inputs, levels, num_samples=config.num_samples, generator=generator
            )
            means.append(mean)
            quantiles.append(quantile)
            actual.append(inputs.actual)
        steps = [
            panel.times(s, o - panel.first[s], o - panel.first[s] + config.horizon)
            for s, o in zip(series, origin, strict=True)
        ]
        return Forecasts(
            series=tuple(panel.ids[s] for s in series),
            origin=origin - panel.first[series],
            time=np.stack(steps),
            mean=torch.cat(means).double().numpy(),
            levels=levels,
            quantiles=torch.cat(quantiles).double().numpy(),
            actual=torch.cat(actual).double().numpy(),
            history=tuple(
                panel.target[panel.first[s] : o].numpy().astype(np.float64)
                for s, o in zip(series, origin, strict=True)
            ),
            season_length=self.season_length,
        )

    def _source(
        self, panel: Panel, origins: WindowRange, max_batches: int | None, shuffle: bool
    ) -> ShuffledBatches:
        calendar = panel.calendar(self.config.horizon)

        def gather_batch(numbers: Tensor) -> Inputs:
            return self._inputs(panel, calendar, *origins.locate(numbers))

        batch_size = self.config.batch_size if shuffle else BATCH
        return ShuffledBatches(
            len(origins), batch_size, gather_batch, seed=self.config.seed,
            max_batches=max_batches, shuffle=shuffle,
        )  # fmt: skip

    def _inputs(
        self, panel: Panel, calendar: Tensor, series: np.ndarray, origin: np.ndarray
    ) -> Inputs:
        windows = gather(
            panel, calendar, series, origin, self.network.lookback, self.config.horizon
        )
        known = [windows.future, windows.calendar[..., : self.calendar_size]]
        return Inputs(
            context=windows.context,
            inside=windows.inside,
            past=windows.past,
            known=torch.cat(known, -1),
            static=windows.static,
            units=self._units(panel, series, origin),
            actual=windows.actual,
        )

    def _units(self, panel: Panel, series: np.ndarray, origin: np.ndarray) -> Tensor:
        """Return each window's series' level and spread; an unknown series shows its own past."""
        units = []
        for s, o in zip(series, origin, strict=True):
            known = self.units.get(panel.ids[s])
            units.append(known or choices.units_of(panel.target[panel.first[s] : o].numpy()))
        return torch.tensor(units)


def _standardise(layer: Standardise, units: tuple[Tensor, Tensor]) -> None:
    """Set means and deviations; inputs beyond those given (the calendar) stay as they are."""
    mean, deviation = units
    layer.mean[: len(mean)] = torch.nan_to_num(mean)
    layer.deviation[: len(deviation)] = torch.nan_to_num(deviation, nan=1.0)


def _checksum(panel: Panel, parts: Split) -> int:
    """Return a number by which a checkpoint tells other data from its own."""
    found = zlib.crc32("\n".join((*panel.ids, str(panel.frequency))).encode())
    values = (panel.target, panel.past, panel.future, panel.static)
    rows = (panel.first, panel.start, parts.train, parts.validation)
    for array in (*(each.numpy() for each in values), *rows):
        found = zlib.crc32(array.tobytes(), found)
    return found


def _check_counts(config: ForecastConfig, panel: Panel) -> None:
    if config.likelihood != "negative_binomial":
        return
    for k in range(len(panel)):
        y = panel.values(k)
        y = y[~np.isnan(y)]
        if (y < 0).any() or (y != np.rint(y)).any():
            raise InputError(
                f"The negative binomial is for counts, and series {panel.ids[k]!r} has values that "
                f"are negative or not whole, such as {y[(y < 0) | (y != np.rint(y))][0]:g}. Use "
                "likelihood='normal', 'student_t' or 'quantile'."
            )
