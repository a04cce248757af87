"""`Forecaster`: one recurrent network for many time series."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.data import Panel, Schema, build_panel, read_table
from longspan.data.prepare import MANY_DUPLICATES, resolve_schema
from longspan.errors import InputError
from longspan.tasks.estimator import Estimator
from longspan.tasks.forecast import choices, output, storage
from longspan.tasks.forecast.baselines import baseline_forecasts
from longspan.tasks.forecast.config import ForecastConfig
from longspan.tasks.forecast.engine import Engine
from longspan.tasks.forecast.future import with_future
from longspan.tasks.forecast.history import moved, recent_rows
from longspan.tasks.forecast.metrics import evaluate
from longspan.tasks.forecast.results import Evaluation, ForecastRun
from longspan.tasks.forecast.split import rolling_origins, split
from longspan.tasks.running import loggers
from longspan.tasks.storage import SavedModel
from longspan.training import History, Logger

if TYPE_CHECKING:
    import polars as pl


class Forecaster(Estimator):
    """Forecasts one or many time series with one recurrent network.

    The network reads a window of each series in units of that window and corrects a naive
    forecast, so levels may drift and series of all sizes share one model. Missing values are
    allowed. After `fit`: ``schema_`` (roles of the columns), ``run_`` (what a report shows),
    ``evaluation_`` (scores on the held-out end, or None), ``history_`` (the course of training),
    ``engine_`` (network and choices). After `predict` and `evaluate`: ``notes_``, what was found in
    their data, and what was done about it.

    >>> import numpy as np
    >>> t = np.arange(400)
    >>> model = Forecaster(horizon=12, season_length=24, max_steps=20, hidden_size=8)
    >>> model = model.fit(10 + np.sin(2 * np.pi * t / 24), test_windows=2)
    >>> model.predict().columns
    ['step', 'mean', 'q0.1', 'q0.5', 'q0.9']
    >>> sorted(model.evaluation_.scores)
    ['drift', 'last value', 'model', 'seasonal naive']
    """

    Config = ForecastConfig

    schema_: Schema
    title_: str
    engine_: Engine
    history_: History
    evaluation_: Evaluation | None
    run_: ForecastRun
    trained_until_: dict[str, float]
    recent_: pl.DataFrame
    skipped_: dict[str, int]
    notes_: tuple[str, ...] = ()

    def fit(
        self,
        data: Any,
        *,
        target: str | Sequence[str] | None = None,
        time: str | None = None,
        id: str | None = None,
        past_covariates: Sequence[str] = (),
        future_covariates: Sequence[str] = (),
        static_covariates: Sequence[str] = (),
        frequency: str | None = None,
        test_windows: int = 0,
        refit: bool = False,
        checkpoint_dir: str | Path | None = None,
        checkpoint_every: int | None = None,
        resume: bool = False,
        log_dir: str | Path | None = None,
        tensorboard: bool = False,
        progress: bool = False,
    ) -> Forecaster:
        """Train on a table.

        Args:
            data: Path of a CSV or Parquet file, polars or pandas frame, or array (T,) or (T, N).
            target: Column to forecast; several, or none: each (numeric) column is a series.
            time: Time column; found if there is one.
            id: Column that names the series of a long table.
            past_covariates: Columns known up to the present.
            future_covariates: Columns known in advance; at prediction they must be given for the
                horizon.
            static_covariates: Columns constant within a series.
            frequency: Distance of two steps, such as ``"1h"``; inferred by default.
            test_windows: Horizons at the end of every series that training does not see; on them
                `evaluation_` is computed.
            refit: Train once more on everything, as long as was best, after the evaluation.
            checkpoint_dir: Where to write checkpoints; see `resume`.
            checkpoint_every: Steps between them, besides those after each epoch.
            resume: Go on from the checkpoint in `checkpoint_dir`, if there is one.
            log_dir: Where to write ``log.jsonl`` and TensorBoard events.
            tensorboard: Whether to write the latter.
            progress: Whether to show a progress bar.

        Raises:
            InputError: If the options or the data cannot be used; the message says what to do.
            TrainingDivergedError: If training diverges.
            CheckpointError: If the checkpoint does not fit.
        """
        config = self._checked_config()
        _check_whole("test_windows", test_windows, 0)
        table = read_table(data)
        schema = resolve_schema(
            table, target=target, time=time, id=id, past_covariates=past_covariates,
            future_covariates=future_covariates, static_covariates=static_covariates,
            frequency=frequency,
        )  # fmt: skip
        panel, schema = build_panel(table, schema)
        run = {"checkpoint_dir": checkpoint_dir, "checkpoint_every": checkpoint_every,
               "resume": resume}  # fmt: skip
        found = loggers(log_dir, tensorboard, progress)
        self.schema_, self.title_ = schema, _title(data, schema)
        return self._fit_panel(config, panel, table, test_windows, refit, run, found)

    def _fit_panel(
        self,
        config: ForecastConfig,
        panel: Panel,
        table: pl.DataFrame,
        test_windows: int,
        refit: bool,
        run: dict[str, Any],
        told: list[Logger],
    ) -> Forecaster:
        name = ", ".join(map(repr, self.schema_.target[:3]))
        parts = split(
            panel, config.horizon, test_windows * config.horizon, config.validation_windows
        )
        choices.check_varies(panel.until(parts.train), name)
        began = clock.perf_counter()
        self.engine_ = Engine.build(config, self.schema_, panel, parts)
        self.history_ = self.engine_.train(panel, parts, loggers=told, **run)
        seconds = clock.perf_counter() - began
        self.trained_until_ = _ends(panel, parts.validation)
        self.evaluation_ = None
        if test_windows:
            origins = rolling_origins(parts.validation, parts.test, config.horizon, config.horizon)
            self.evaluation_ = self._evaluate(panel, *origins.all())
        if refit:
            self._refit(config, panel)
        keep = self.engine_.network.lookback + 1 + config.horizon
        self.recent_, self.skipped_ = recent_rows(table, self.schema_, keep, config.horizon)
        self.run_ = output.summary(self, panel, parts, seconds)
        return self

    def _refit(self, config: ForecastConfig, panel: Panel) -> None:
        """Train from the start on every row, for as many steps as were best."""
        steps = self.history_.best_step or len(self.history_.steps)
        again = config.model_copy(
            update={"max_steps": steps, "validation_windows": 0, "patience": None,
                    "schedule": "cosine" if config.schedule == "plateau" else config.schedule}
        )  # fmt: skip
        parts = split(panel, config.horizon, 0, 0)
        self.engine_ = Engine.build(again, self.schema_, panel, parts, like=self.engine_)
        self.engine_.train(panel, parts)
        self.trained_until_ = _ends(panel, parts.validation)

    def predict(self, data: Any = None, future: Any = None) -> pl.DataFrame:
        """Forecast the steps after the end of each series.

        Args:
            data: The series up to now, as `fit` takes them; by default those of `fit`.
            future: The covariates known in advance, for the horizon, with their times and ids; or
                give them as rows of `data` whose target is empty.

        Returns:
            A table with the id and time columns, ``mean`` and a column for each quantile, H rows
            a series.

        Raises:
            InputError: If a column that the model needs is missing, or covariates are not known
                for the whole horizon.
        """
        self._check_fitted()
        table = self.recent_ if data is None else read_table(data)
        whole = table if future is None else with_future(table, read_table(future), self.schema_)
        # Rows of `future` may lie in the past too.
        repeats = MANY_DUPLICATES if future is None else 1.0
        panel = self._panel(whole, recent=data is None, repeats=repeats)
        self._check_future(panel)
        series = np.arange(len(panel))
        forecasts = self.engine_.forecast(panel, series, panel.stop)
        found = output.forecast_table(forecasts, self.schema_, self.engine_.config.quantiles)
        return output.like(found, table, self.schema_)

    def evaluate(
        self, data: Any, windows: int = 4, *, step: int | None = None, allow_seen: bool = False
    ) -> Evaluation:
        """Score the fitted model on the last horizons of each series, by rolling the origin.

        Args:
            data: A table as for `fit`.
            windows: Origins of each series.
            step: Steps between origins; by default the horizon.
            allow_seen: Score also on steps that the model was trained on.

        Raises:
            InputError: If the series are too short, or were trained on.
        """
        self._check_fitted()
        _check_whole("windows", windows, 1)
        if step is not None:
            _check_whole("step", step, 1)
        panel = self._panel(read_table(data))
        horizon = self.engine_.config.horizon
        step = step or horizon
        begin = panel.stop - horizon - (windows - 1) * step
        enough = begin > panel.first
        if not enough.any():
            raise InputError(
                f"{windows} windows of {horizon} steps need more than "
                f"{horizon + (windows - 1) * step} steps; the longest series has "
                f"{panel.lengths.max()}. Give longer series or fewer windows."
            )
        begin = np.where(enough, begin, panel.stop)
        if not allow_seen:
            self._check_unseen(panel, begin, enough)
        return self._evaluate(panel, *rolling_origins(begin, panel.stop, horizon, step).all())

    def backtest(
        self, data: Any, windows: int = 4, *, refit: bool = False, **columns: Any
    ) -> Evaluation:
        """Hold out the last horizons of each series, train on the rest, and score.

        Args:
            data: A table as for `fit`.
            windows: Origins of each series, one horizon apart.
            refit: Train anew for each origin on everything before it; otherwise once, on
                everything before the first.
            columns: Roles of the columns, as for `fit`.

        Raises:
            InputError: If the options or the data cannot be used.
        """
        _check_whole("windows", windows, 1)
        if not refit:
            result = self._copy().fit(data, test_windows=windows, **columns).evaluation_
            assert result is not None
            return result
        config = self._checked_config()
        table = read_table(data)
        panel, schema = build_panel(table, resolve_schema(table, **columns))
        parts = []
        for left in range(windows, 0, -1):
            model = self._copy()
            model.schema_, model.title_ = schema, _title(data, schema)
            shorter = panel.until(panel.stop - (left - 1) * config.horizon)
            model._fit_panel(config, shorter, table, 1, False, {}, [])
            assert model.evaluation_ is not None
            parts.append(model.evaluation_.model)
        joined = output.join(parts)
        return evaluate(joined, baseline_forecasts(joined))

    def score(self, data: Any, windows: int = 4) -> float:
        """Return minus the MASE of `evaluate`: larger is better, as scikit-learn expects."""
        return -self.evaluate(data, windows).scores["model"]["mase"]

    def save(self, path: str | Path, *, report: str | None = None) -> None:
        """Write the model directory: ``config.json``, ``model.safetensors``, ``README.md``.

        Args:
            path: A new or empty directory, or one that holds a model, which is replaced.
            report: HTML to put beside it as ``report.html``.

        Raises:
            ModelDirectoryError: If the directory holds something else.
        """
        self._check_fitted()
        storage.save(self, Path(path), report)

    @classmethod
    def _from_saved(cls, saved: SavedModel) -> Forecaster:
        return storage.restore(cls, saved)

    def _copy(self) -> Forecaster:
        return type(self)(**self.get_params(deep=False))

    def _panel(
        self, table: pl.DataFrame, *, recent: bool = False, repeats: float = MANY_DUPLICATES
    ) -> Panel:
        """Return the panel of a table, or of the recent rows of the training data."""
        if not recent:
            panel = build_panel(table, self.schema_, repeats=repeats)[0]
            self.notes_ = panel.notes
            return panel
        self.notes_ = ()  # `fit` told of all of the data
        # What was no mistake in the whole table may be many repeats in the last rows of it.
        return moved(build_panel(table, self.schema_, repeats=1.0)[0], self.skipped_)

    def _evaluate(self, panel: Panel, series: np.ndarray, origin: np.ndarray) -> Evaluation:
        forecasts = self.engine_.forecast(panel, series, origin)
        return evaluate(forecasts, baseline_forecasts(forecasts))

    def _check_future(self, panel: Panel) -> None:
        horizon, names = self.engine_.config.horizon, self.schema_.future_covariates
        short = np.flatnonzero(panel.row_stop - panel.stop < horizon) if names else []
        if len(short):
            k = short[0]
            raise InputError(
                f"The covariates {list(names)} must be known for all {horizon} steps of the "
                f"forecast; series {panel.ids[k]!r} has {panel.row_stop[k] - panel.stop[k]} rows "
                "that follow its last value without a gap. Pass them as `future` (--future), or as "
                "rows with an empty target."
            )

    def _check_unseen(self, panel: Panel, begin: np.ndarray, enough: np.ndarray) -> None:
        ends = _ends(panel, begin)
        for k in np.flatnonzero(enough):
            seen = self.trained_until_.get(panel.ids[k])
            if seen is not None and ends[panel.ids[k]] < seen:
                raise InputError(
                    f"Series {panel.ids[k]!r} would be scored on steps that the model was trained "
                    "on. Give later data or fewer windows, or allow it with allow_seen "
                    "(--allow-seen)."
                )


def _check_whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise InputError(f"`{name}` must be a whole number, {least} or more, got {value!r}.")


def _ends(panel: Panel, stop: np.ndarray) -> dict[str, float]:
    """Return the grid index of each series at these rows."""
    index = panel.start + (stop - panel.first)
    return dict(zip(panel.ids, index.tolist(), strict=True))


def _title(data: Any, schema: Schema) -> str:
    named = ", ".join(schema.target[:3]) + (", …" if len(schema.target) > 3 else "")
    return f"{Path(data).stem}: {named}" if isinstance(data, str | Path) else named
