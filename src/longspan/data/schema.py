"""Which column is what, and what fitting learned about them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from longspan.errors import InputError


@dataclass(frozen=True)
class Schema:
    """Roles of the columns of a table, so that later tables are read in the same way.

    Attributes:
        target: Columns to forecast: one, with an id column or a single series; or several, each
            a series of its own ("wide").
        time: The time column, or None: rows are then steps.
        id: The column that names the series, or None.
        past_covariates: Columns known only up to the present.
        future_covariates: Columns known in advance.
        static_covariates: Columns that are constant within a series.
        frequency: Distance of two steps, as text.
        categories: For each covariate that is text or boolean, its values; one input each.
    """

    target: tuple[str, ...]
    time: str | None = None
    id: str | None = None
    past_covariates: tuple[str, ...] = ()
    future_covariates: tuple[str, ...] = ()
    static_covariates: tuple[str, ...] = ()
    frequency: str = "1step"
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_wide(self) -> bool:
        """Whether every target column is a series."""
        return self.id is None and len(self.target) > 1

    @property
    def covariates(self) -> tuple[str, ...]:
        """All covariates."""
        return self.past_covariates + self.future_covariates + self.static_covariates

    def width(self, names: tuple[str, ...]) -> int:
        """Return how many inputs these covariates make."""
        return sum(len(self.categories.get(name, "x")) for name in names)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Schema:
        """Return the schema that `to_dict` gave.

        Raises:
            InputError: If the values are not a schema's.
        """
        try:
            names = [tuple(map(_text, values[k])) for k in _LISTS]
            categories = {_text(k): tuple(map(_text, v)) for k, v in values["categories"].items()}
            time, id = (None if values[k] is None else _text(values[k]) for k in ("time", "id"))
            return cls(
                names[0], time, id, *names[1:],
                frequency=_text(values["frequency"]), categories=categories,
            )  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"The schema of the data is damaged: {error!r}.") from None


_LISTS = ("target", "past_covariates", "future_covariates", "static_covariates")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value
