"""M4 hourly: 414 series, the last 48 hours of each; beside the naive baselines and NeuralForecast.

    python -m benchmarks.accuracy.m4_hourly --seeds 3

NeuralForecast runs where it is installed, on the same split in the same run, two threads each.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import time
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import torch

from benchmarks.data import need
from benchmarks.machine import machine
from longspan import Forecaster
from longspan.tasks.forecast.baselines import baseline_forecasts
from longspan.tasks.forecast.metrics import scores

HORIZON, SEASON = 48, 24


def read() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return training part and whole series as long tables: id, t, y."""
    folder = need("forecasting", "m4_hourly")
    tables = []
    for part in ("Train/Hourly-train.csv", "Test/Hourly-test.csv"):
        wide = pl.read_csv(folder / part, infer_schema_length=None)
        ids, values = wide[wide.columns[0]].to_list(), wide[:, 1:].cast(pl.Float64).to_numpy()
        tables.append({name: row[~np.isnan(row)] for name, row in zip(ids, values, strict=True)})
    train, test = tables
    whole = {name: np.concatenate([y, test[name]]) for name, y in train.items()}
    return _long(train), _long(whole)


def _long(series: dict[str, np.ndarray]) -> pl.DataFrame:
    return pl.concat(
        pl.DataFrame({"id": name, "t": np.arange(len(y)), "y": y}) for name, y in series.items()
    )


def ours(whole: pl.DataFrame, seed: int, **options) -> tuple[dict, dict, float]:
    """Return our scores, the baselines', and the seconds of training and forecasting."""
    began = time.perf_counter()
    model = Forecaster(
        horizon=HORIZON, season_length=SEASON, validation_windows=1, seed=seed, **options
    )
    model.fit(whole, target="y", time="t", id="id", test_windows=1)
    found = model.evaluation_.scores
    return found.pop("model"), found, time.perf_counter() - began


def neural_forecast(train: pl.DataFrame, whole: pl.DataFrame, seed: int, steps: int):
    """Return the scores of NeuralForecast's LSTM with its own defaults, by the same metrics."""
    import pandas as pd
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MQLoss
    from neuralforecast.models import LSTM

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    frame = pd.DataFrame(
        {
            "unique_id": train["id"].to_numpy(),
            "ds": train["t"].to_numpy(),
            "y": train["y"].to_numpy(),
        }
    )
    began = time.perf_counter()
    model = LSTM(
        h=HORIZON, input_size=168, max_steps=steps, random_seed=seed, scaler_type="robust",
        loss=MQLoss(quantiles=[0.1, 0.5, 0.9]), enable_progress_bar=False, logger=False,
        enable_checkpointing=False, enable_model_summary=False,
    )  # fmt: skip
    engine = NeuralForecast(models=[model], freq=1)
    engine.fit(frame)
    table = engine.predict()
    seconds = time.perf_counter() - began
    table = table.sort_values(["unique_id", "ds"])
    names = [c for c in table.columns if c.startswith("LSTM")]
    order = sorted(names, key=lambda c: table[c].mean())
    values = table[order].to_numpy().reshape(-1, HORIZON, 3)
    return sorted(set(table["unique_id"])), values, seconds


def main() -> None:
    """Run and print a table; --json FILE also writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=500, help="optimiser steps of the peer")
    parser.add_argument("--json")
    parser.add_argument("--set", nargs="*", default=[], help="options of ours, name=value")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(2)
    options = {}
    for pair in arguments.set:
        name, value = pair.split("=")
        options[name] = json.loads(value) if value[0] in "0123456789[tfn" else value
    train, whole = read()
    rows = []
    for seed in range(arguments.seeds):
        mine, baselines, seconds = ours(whole, seed, **options)
        rows.append({"model": "Longspan LSTM", "seed": seed, "seconds": seconds, **mine})
        if importlib.util.find_spec("neuralforecast"):
            peer, seconds = _score_peer(train, whole, seed, arguments.steps)
            rows.append({"model": "NeuralForecast LSTM", "seed": seed, "seconds": seconds, **peer})
    rows += [{"model": name, "seed": -1, "seconds": 0.0, **s} for name, s in baselines.items()]
    print(machine())
    print(
        "| model | seed | sMAPE | MASE | mean wQL | coverage 80 % | seconds |\n"
        "|---|--:|--:|--:|--:|--:|--:|"
    )
    for r in rows:
        print(
            f"| {r['model']} | {r['seed'] if r['seed'] >= 0 else ''} | {r['smape']:.3f} | "
            f"{r['mase']:.3f} | {r['mean_wql']:.4f} | {100 * r['coverage']:.0f} | "
            f"{r['seconds']:.0f} |"
        )
    if arguments.json:
        found = {"machine": machine(), "options": options, "rows": rows}
        Path(arguments.json).write_text(json.dumps(found, indent=1))


def _score_peer(train: pl.DataFrame, whole: pl.DataFrame, seed: int, steps: int):
    from longspan.tasks.forecast.results import Forecasts

    ids, values, seconds = neural_forecast(train, whole, seed, steps)
    groups = {key[0]: g["y"].to_numpy() for key, g in whole.group_by("id", maintain_order=True)}
    histories = [groups[name] for name in ids]
    forecasts = Forecasts(
        tuple(ids), np.array([len(y) - HORIZON for y in histories]),
        np.zeros((len(ids), HORIZON), np.int64), values[..., 1], (0.1, 0.5, 0.9), values,
        np.stack([y[-HORIZON:] for y in histories]), tuple(y[:-HORIZON] for y in histories), SEASON,
    )  # fmt: skip
    assert baseline_forecasts(forecasts)
    return scores(forecasts), seconds


if __name__ == "__main__":
    main()
