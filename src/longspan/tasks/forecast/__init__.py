"""Forecasting: tables in, forecasts with intervals and honest scores out."""

from longspan.tasks.forecast.config import ForecastConfig

__all__ = ["ForecastConfig", "Forecaster"]


def __getattr__(name: str) -> object:
    if name == "Forecaster":
        # The class needs torch; the options alone, which the command line reads, do not.
        from longspan.tasks.forecast.forecaster import Forecaster

        return Forecaster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
