"""What a forecaster hands out: tables of forecasts, joined evaluations, the record of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.data import Panel, Schema
from longspan.data.columns import are_dates, has_zone
from longspan.tasks.forecast.results import ForecastRun, Forecasts
from longspan.tasks.forecast.split import Split
from longspan.tasks.running import facts, versions

if TYPE_CHECKING:
    import polars as pl

    from longspan.tasks.forecast.forecaster import Forecaster

#: Whole series that a run keeps to be drawn.
DRAWN = 6


def forecast_table(
    forecasts: Forecasts, schema: Schema, quantiles: Sequence[float]
) -> pl.DataFrame:
    """Return forecasts as a long table: id, time, ``mean``, a column for each quantile.

    The id column is called ``series`` for wide data and left out for a single series; without a
    time column there is ``step``.
    """
    import polars as pl

    horizon = forecasts.mean.shape[1]
    columns: dict[str, Any] = {}
    if schema.id or schema.is_wide:
        columns[schema.id or "series"] = np.repeat(np.asarray(forecasts.series), horizon)
    columns[schema.time or "step"] = forecasts.time.reshape(-1)
    columns["mean"] = forecasts.mean.reshape(-1)
    for level in quantiles:
        k = forecasts.levels.index(level)
        columns[f"q{level:g}"] = forecasts.quantiles[..., k].reshape(-1)
    return pl.DataFrame(columns)


def like(forecasts: pl.DataFrame, table: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Return forecasts whose id and time columns have the types of the table they continue."""
    import polars as pl

    if schema.id and table[schema.id].dtype.is_integer():
        forecasts = forecasts.with_columns(pl.col(schema.id).cast(table[schema.id].dtype))
    if schema.time:
        times = _times_like(forecasts[schema.time], table[schema.time])
        forecasts = forecasts.with_columns(times)
    return forecasts


def _times_like(found: pl.Series, given: pl.Series) -> pl.Series:
    import polars as pl

    zone = getattr(given.dtype, "time_zone", None)
    if not found.dtype.is_temporal():
        return found.cast(given.dtype) if given.dtype.is_integer() else found
    if zone and not are_dates(given):
        return found.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    if zone:  # where summer time begins at midnight, that day begins an hour later
        begin = {"time_zone": zone, "ambiguous": "earliest", "non_existent": "null"}
        later = (found + pl.duration(hours=1)).dt.replace_time_zone(**begin)
        return found.dt.replace_time_zone(**begin).fill_null(later)
    days = found.cast(pl.Date)
    if given.dtype == pl.Date:
        return days
    if given.dtype != pl.String and not given.dtype.is_integer():
        return found
    # The form of the text is not known any more; days need no hours.
    if (days == found).all():
        return days
    return found.dt.replace_time_zone("UTC") if has_zone(given) else found


def join(parts: Sequence[Forecasts]) -> Forecasts:
    """Return the windows of several forecasts as one."""
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("origin", "time", "mean", "quantiles", "actual")
    }
    first = parts[0]
    return Forecasts(
        series=tuple(name for part in parts for name in part.series),
        levels=first.levels,
        history=tuple(y for part in parts for y in part.history),
        season_length=first.season_length,
        **arrays,
    )


def summary(model: Forecaster, panel: Panel, parts: Split, seconds: float) -> ForecastRun:
    """Return the record of a training, for reports and model cards."""
    engine, history = model.engine_, model.history_
    drawn = np.linspace(0, len(panel) - 1, min(len(panel), DRAWN)).astype(int)
    return ForecastRun(
        title=model.title_,
        evaluation=model.evaluation_,
        history=history,
        splits=parts.summaries(panel),
        sample_series={
            panel.ids[k]: (panel.times(k, 0, int(panel.lengths[k])), panel.values(k)) for k in drawn
        },
        settings={**engine.config.model_dump(mode="json"), **asdict(engine.chosen)},
        facts={
            "series": len(panel),
            "rows": int(panel.lengths.sum()),
            "frequency": str(panel.frequency),
            **facts(engine.network, history, seconds),
        },
        versions=versions(),
        notes=list(panel.notes),
    )
