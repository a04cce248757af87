"""A forecaster to and from a model directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from longspan.data import Schema
from longspan.errors import InputError
from longspan.tasks.estimator import checked
from longspan.tasks.forecast.config import ForecastConfig
from longspan.tasks.forecast.engine import Choices, Engine
from longspan.tasks.forecast.history import table_to_tensors, tensors_to_table
from longspan.tasks.storage import (
    SavedModel,
    check_tensors,
    finite_or_none,
    guarded,
    save_directory,
)

if TYPE_CHECKING:
    from longspan.tasks.forecast.forecaster import Forecaster

#: Sizes beyond these are refused before anything of that size is allocated.
LARGEST = {
    "horizon": 100_000, "context_length": 100_000, "hidden_size": 65_536, "num_layers": 256,
    "num_samples": 1_000_000,
}  # fmt: skip
LARGEST_SEASON, LARGEST_CALENDAR = 100_000, 64
#: Steps of a series; float64, in which they are counted, holds larger ones only roughly.
LARGEST_COUNT = 2**53


def save(model: Forecaster, path: Path, report: str | None) -> None:
    """Write a fitted forecaster."""
    engine = model.engine_
    recent, columns = table_to_tensors(model.recent_)
    names = list(engine.units)
    config: dict[str, Any] = {
        "options": engine.config.model_dump(mode="json"),
        "schema": model.schema_.to_dict(),
        "seasons": list(engine.chosen.seasons),
        "context_length": engine.chosen.context_length,
        "anchor": engine.chosen.anchor,
        "calendar_size": engine.calendar_size,
        "title": model.title_,
        "series": names,
        "trained_until": [finite_or_none(model.trained_until_.get(n, 0.0)) for n in names],
        "skipped": [[name, count] for name, count in model.skipped_.items()],
        "columns": [[name, how] for name, how in columns.items()],
    }
    weights = {f"network.{name}": t for name, t in engine.network.state_dict().items()}
    units = {"units": torch.tensor([engine.units[n] for n in names], dtype=torch.float64)}
    save_directory(path, "forecast", config, weights | units | recent, card(model), report)


def restore(kind: type[Forecaster], saved: SavedModel) -> Forecaster:
    """Return the forecaster that `save` wrote.

    Raises:
        ModelDirectoryError: If the parts do not fit together.
    """
    return guarded(lambda: _restore(kind, saved.config, dict(saved.tensors)))


def _restore(kind: type[Forecaster], values: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    options = _object(values["options"])
    config: ForecastConfig = checked(ForecastConfig, options)
    for name, largest in LARGEST.items():
        size = getattr(config, name)
        if size is not None and size > largest:
            raise InputError(f"{name} = {size} is beyond {largest}.")
    seasons = tuple(_whole(m, LARGEST_SEASON) for m in values["seasons"])
    length = _whole(values["context_length"], LARGEST["context_length"])
    if values["anchor"] not in ("seasonal", "last", "none") or (
        values["anchor"] == "seasonal" and not seasons
    ):
        raise InputError(f"anchor = {values['anchor']!r} is not possible.")
    schema = Schema.from_dict(_object(values["schema"]))
    calendar_size = _whole(values["calendar_size"], LARGEST_CALENDAR, least=0)
    chosen = Choices(seasons, length, values["anchor"])

    weights = {n[8:]: tensors.pop(n) for n in list(tensors) if n.startswith("network.")}
    with torch.device("meta"):  # shapes first: a huge model must not be allocated
        expected = Engine(config, schema, chosen, calendar_size).network.state_dict()
    check_tensors(expected, weights)
    model = kind(**options)
    model.engine_ = Engine(config, schema, chosen, calendar_size)
    model.engine_.network.load_state_dict(weights)
    names = [str(name) for name in values["series"]]
    units = tensors.pop("units")
    check_tensors({"units": torch.empty(len(names), 2, dtype=torch.float64)}, {"units": units})
    model.engine_.units = dict(zip(names, map(tuple, units.tolist()), strict=True))
    ends = [float(end) for end in values["trained_until"]]
    model.trained_until_ = dict(zip(names, ends, strict=True))
    columns = {str(name): _object(how) for name, how in values["columns"]}
    model.recent_ = tensors_to_table(tensors, columns)
    # Models of earlier versions count the steps of a table without times from what they kept.
    model.skipped_ = {
        str(name): _whole(count, LARGEST_COUNT, least=0)
        for name, count in values.get("skipped", ())
    }
    model.schema_, model.title_ = schema, str(values["title"])
    model.evaluation_ = None
    return model


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {value!r}")
    return value


def _whole(value: Any, largest: int, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= largest:
        raise ValueError(f"expected a whole number from {least} to {largest}, got {value!r}")
    return value


def card(model: Forecaster) -> str:
    """Return the model card, Markdown."""
    engine, config = model.engine_, model.engine_.config
    lines = [
        f"# Forecaster: {model.title_}",
        "",
        f"A {config.cell.upper()} network ({config.num_layers} × {config.hidden_size} units, "
        f"{sum(p.numel() for p in engine.network.parameters())} parameters) that reads "
        f"{engine.chosen.context_length} steps of {model.schema_.frequency} and forecasts "
        f"{config.horizon}.",
        "",
        "```python",
        "import longspan",
        "",
        'forecasts = longspan.load("this directory").predict()',
        "```",
    ]
    if model.evaluation_ is not None:
        names = ("mae", "mase", "smape", "crps", "coverage")
        lines += ["", "## Scores on data it did not see", "", f"| | {' | '.join(names)} |"]
        lines += ["|---|" + "---|" * len(names)]
        for who, found in model.evaluation_.scores.items():
            lines.append(f"| {who} | " + " | ".join(f"{found[n]:.4g}" for n in names) + " |")
    return "\n".join(lines) + "\n"
