"""Comparing forecasters."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from longspan.comparison.subjects.subject import Metric, Subject
from longspan.data import read_table
from longspan.errors import InputError
from longspan.tasks.forecast.config import ForecastConfig

METRICS = {
    "mase": Metric(
        "MASE", "mean absolute error by that of the seasonal naive forecast in training"
    ),
    "mae": Metric("MAE", "mean absolute error of the median"),
    "rmse": Metric("RMSE", "root of the mean squared error of the mean"),
    "smape": Metric("sMAPE, %", "200 |y - f| / (|y| + |f|), averaged"),
    "crps": Metric("CRPS", "continuous ranked probability score, from the quantiles"),
    "mean_wql": Metric("mean wQL", "pinball losses by the sum of |y|"),
}


class Forecasts(Subject):
    """Forecasts of series; the parts follow one another in time, so nothing is drawn."""

    task = "forecast"
    answer = "a forecast of all series"
    scores = tuple(METRICS)
    shared = ("horizon", "quantiles", "validation_windows", "season_length")
    config: ForecastConfig

    def prepare(self, data: Any, *, test_windows: int = 4, **columns: Any) -> None:
        """Read a table; see `longspan.Forecaster.fit` for the arguments."""
        if test_windows < 1:
            raise InputError(
                f"A comparison needs a test part: `test_windows` must be at least 1, got "
                f"{test_windows}."
            )
        if not self.config.validation_windows:
            raise InputError("A comparison needs a validation part: validation_windows above 0.")
        self.table = read_table(data)
        self.windows = test_windows
        self.columns = {name: value for name, value in columns.items() if value is not None}

    @property
    def parts(self) -> dict[str, Any]:
        """The table and how it is read and divided."""
        held = io.BytesIO()
        self.table.write_ipc(held)
        return {"table": held.getvalue(), "test_windows": self.windows, **self.columns}

    @property
    def sizes(self) -> dict[str, int]:
        """Rows, and steps held out."""
        return {"rows": self.table.height, "steps, test": self.windows * self.config.horizon}

    def metrics(self, scores: Mapping[str, float]) -> dict[str, Metric]:
        """Return MASE and the others; without MASE where a series has no scale."""
        return {name: each for name, each in METRICS.items() if not math.isnan(scores[name])}

    def train(self, model: Any, tested: bool) -> dict[str, dict[str, float]]:
        """Fit a forecaster, which forecasts the test part too; its scores are used if `tested`."""
        model.fit(self.table, test_windows=self.windows, **self.columns)
        if not model.history_.epochs or "validation_loss" not in model.history_.epochs[0]:
            raise InputError(
                "The series are too short for a validation part, which chooses what is tuned. "
                "Give longer series, or lower the horizon or the number of test windows."
            )
        return model.evaluation_.scores if tested else {}

    def answers(self, model: Any) -> Sequence[Callable[[], object]]:
        """Return the one call that forecasts all series."""
        return [model.predict]

    @property
    def looked_into(self) -> tuple[Any, dict[str, Any]]:
        """All of the series."""
        return self.table, {}
