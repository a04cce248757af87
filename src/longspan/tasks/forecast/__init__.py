"""Forecasting: tables in, forecasts with intervals and honest scores out."""

from typing import TYPE_CHECKING

from longspan.tasks.forecast.config import ForecastConfig

if TYPE_CHECKING:
    from longspan.tasks.forecast.forecaster import Forecaster

__all__ = ["ForecastConfig", "Forecaster"]


def __getattr__(name: str) -> object:
    if name == "Forecaster":
        # The class needs torch; the options alone, which the command line reads, do not.
        from longspan.tasks.forecast import forecaster

        return forecaster.Forecaster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
