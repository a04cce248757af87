"""The forecaster's options: the one place where they live.

The constructor of `Forecaster`, the flags of ``longspan fit forecast``, the YAML file and the
saved ``config.json`` all come from `ForecastConfig`. This module imports neither torch nor any
table library, so that ``longspan fit forecast --help`` answers at once.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Quantile = Annotated[float, Field(gt=0.0, lt=1.0)]


class ForecastConfig(BaseModel):
    """Options of the forecaster, checked together; every field is documented where it stands."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    horizon: Annotated[int, Field(ge=1)] = 24
    """Number of steps to forecast."""

    context_length: Annotated[int, Field(ge=1)] | None = None
    """Steps of history the network reads before it forecasts; by default two horizons or two
    short seasons."""

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """The recurrent cell."""

    hidden_size: Annotated[int, Field(ge=1)] = 64
    """Hidden units in each layer."""

    num_layers: Annotated[int, Field(ge=1)] = 1
    """Recurrent layers, one above the other."""

    layer_norm: bool = False
    """Layer normalisation inside the LSTM cell (Ba et al. 2016); for ``cell="lstm"`` only."""

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Dropout between recurrent layers and before the output layer."""

    decoding: Literal["direct", "encoder_decoder", "recursive"] = "direct"
    """How all steps of the horizon are reached: ``direct`` computes them at once from the last
    state; ``encoder_decoder`` runs a second recurrent network over the horizon; ``recursive``
    forecasts one step, feeds it back, and draws sample paths."""

    likelihood: Literal["quantile", "normal", "student_t", "negative_binomial"] = "quantile"
    """What is fitted: quantiles by the pinball loss, or a distribution by its likelihood."""

    quantiles: tuple[Quantile, ...] = (0.1, 0.5, 0.9)
    """Quantiles to forecast, each between 0 and 1."""

    num_samples: Annotated[int, Field(ge=2)] = 200
    """Sample paths that a recursive forecast draws for each series."""

    scaling: Literal["window", "series", "none"] = "window"
    """Scale by mean and deviation of each window's own history (levels may drift), of each
    series' training part, or not at all."""

    season_length: Annotated[int, Field(ge=1)] | None = None
    """Steps in one season (24 for hourly data with a daily pattern); by default the
    one, among those that the frequency suggests, that forecasts the training part best. 1 means no
    season."""

    anchor: Literal["auto", "seasonal", "last", "none"] = "auto"
    """What the network corrects: the value one season before, the last value, or nothing (it then
    forecasts the level itself). ``auto`` takes the season where there is one."""

    calendar: bool = True
    """Add hour of day, day of week, day of year and the like, as the frequency allows."""

    max_epochs: Annotated[int, Field(ge=1)] = 100
    """Upper limit of passes over the training windows."""

    max_steps: Annotated[int, Field(ge=1)] | None = None
    """Upper limit of optimiser steps, whatever the number of epochs."""

    steps_per_epoch: Annotated[int, Field(ge=1)] | None = 100
    """Optimiser steps after which the validation part is looked at: an epoch is so many random
    windows, or all of them where that is fewer; None always means all windows."""

    batch_size: Annotated[int, Field(ge=1)] = 64
    """Windows in an optimiser step, over all processes together."""

    learning_rate: Annotated[float, Field(gt=0.0)] = 2e-3
    """Peak learning rate of AdamW."""

    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-4
    """Weight decay of AdamW."""

    schedule: Literal["constant", "cosine", "one_cycle", "plateau"] = "cosine"
    """Course of the learning rate over the training."""

    max_grad_norm: Annotated[float, Field(gt=0.0)] | None = 1.0
    """Gradients are clipped to this global norm; None clips nothing."""

    patience: Annotated[int, Field(ge=1)] | None = 15
    """Epochs without a better validation loss before training stops; None never stops early."""

    validation_windows: Annotated[int, Field(ge=0)] = 5
    """Horizons at the end of every series' training part that are kept for early stopping, as far
    as they are no more than a fifth of it; 0 keeps none."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Every random draw comes from this number."""

    @field_validator(
        "context_length", "season_length", "max_steps", "steps_per_epoch", "max_grad_norm",
        "patience",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _none_in_words(cls, value: object) -> object:
        """Take the word for it: a command line has no other way to say None."""
        return None if value == "none" else value

    @field_validator("quantiles")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or list(value) != sorted(set(value)):
            raise ValueError("quantiles must be different and in rising order, e.g. 0.1 0.5 0.9")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> ForecastConfig:
        if self.layer_norm and self.cell != "lstm":
            raise ValueError(
                f"layer_norm needs cell='lstm', got cell={self.cell!r}; leave one of the two out"
            )
        if self.likelihood == "negative_binomial" and self.anchor not in ("auto", "none"):
            raise ValueError(
                "the negative binomial forecasts counts and takes no anchor; use anchor='none'"
            )
        return self
