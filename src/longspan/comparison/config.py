"""How a comparison is done: the one place where its options live.

This module imports nothing heavy, so that ``longspan compare --help`` answers at once.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Rate = Annotated[float, Field(gt=0.0)]


class CompareConfig(BaseModel):
    """Options of a comparison, besides those of the task; each is documented where it stands."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    cells: tuple[str, ...] | None = None
    """What is compared, with commas or spaces between: lstm, gru, rnn, and bilstm, bigru, birnn
    where the task reads in both directions; each perhaps with options of the task after colons,
    such as lstm:layer_norm=true. By default all cells of the task. The first is what the sizes of
    the others are matched to."""

    seeds: Annotated[int, Field(ge=1)] = 5
    """Trainings of each cell with its tuned options, from different random numbers, the same for
    all cells. With fewer than two there are no intervals."""

    trials: Annotated[int, Field(ge=1)] = 6
    """Trainings of each cell to choose the tuned options by the validation part; the first takes
    them as they are, and 1 tunes nothing."""

    tune: tuple[Literal["learning_rate", "dropout", "weight_decay"], ...] = ("learning_rate",)
    """What is tuned: learning_rate, dropout, weight_decay; needs more than one trial."""

    learning_rates: tuple[Rate, Rate] | None = None
    """Lowest and highest learning rate to try, where it is tuned; by default a tenth and ten times
    the task's."""

    match: Literal["parameters", "time", "none"] = "parameters"
    """What is the same for all cells, by choice of their hidden sizes: ``parameters``, their
    number; ``time``, what a training step takes; ``none`` takes hidden sizes as they are."""

    metric: str | None = None
    """The test score that decides; by default the task's most telling one."""

    @field_validator("cells", "learning_rates", "metric", mode="before")
    @classmethod
    def _none_in_words(cls, value: object) -> object:
        """Take the word for it: a command line has no other way to say None."""
        return None if value in ("none", ["none"], ("none",)) else value

    @field_validator("cells", mode="before")
    @classmethod
    def _cut_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            value = [value]
        if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
            return tuple(name.strip() for each in value for name in each.split(",") if name.strip())
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> CompareConfig:
        if self.cells is not None and len(self.cells) < 2:
            raise ValueError(f"cells must name at least two to compare, got {len(self.cells)}")
        if len(set(self.tune)) < len(self.tune) or not self.tune:
            raise ValueError("tune must name different options; trials=1 tunes nothing")
        if self.learning_rates is not None and self.learning_rates[0] >= self.learning_rates[1]:
            raise ValueError("learning_rates must be the lowest and the highest, e.g. 1e-4 1e-1")
        return self

    @model_validator(mode="after")
    def _ignores_nothing(self) -> CompareConfig:
        """Refuse what would have no say, so that nobody takes it for done."""
        if self.learning_rates is not None and "learning_rate" not in self.tune:
            raise ValueError(
                f"learning_rates would not be tried: tune ({', '.join(self.tune)}) does not name "
                "learning_rate. Add it (--tune), or leave learning_rates out"
            )
        if self.trials > 1:
            return self
        if self.learning_rates is not None:
            raise ValueError(
                "learning_rates would not be tried: trials=1 tunes nothing. Give more trials "
                "(--trials), or leave learning_rates out; a single one is the task's learning_rate"
            )
        if "tune" in self.model_fields_set:
            raise ValueError(
                f"{', '.join(self.tune)} would not be tuned: trials=1 tunes nothing. Give more "
                "trials (--trials), or leave tune out"
            )
        return self
