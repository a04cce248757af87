"""Backtests on public series, with default settings, beside the baselines.

    python -m benchmarks.accuracy.series --seeds 3

The last `windows` horizons of each series are held out; training sees nothing of them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import torch

from benchmarks.data import need
from benchmarks.machine import machine
from longspan import Forecaster

CLASSIC = "classic_small"


@dataclass(frozen=True)
class Case:
    """A data set, what to forecast of it, and how far."""

    title: str
    path: tuple[str, ...]
    horizon: int
    windows: int
    roles: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case("ETTh1, all 7 series", ("ETTh1", "ETTh1.csv"), 24, 14),
    Case("AEP load", ("pjm_hourly_energy", "AEP_hourly.csv"), 24, 28),
    Case("Exchange rates, 8 series", ("exchange_rate", "exchange_rate.txt.gz"), 24, 10),
    Case(
        "Beijing PM2.5, weather known in the past", ("beijing_pm25", "pollution.csv"), 24, 28,
        {"target": "pm2.5", "time": "No", "past_covariates": ["DEWP", "TEMP", "PRES", "Iws"]},
    ),
    Case("Minimum temperatures", (CLASSIC, "daily-min-temperatures.csv"), 7, 26),
    Case("Female births", (CLASSIC, "daily-total-female-births.csv"), 7, 8),
    Case("Airline passengers", (CLASSIC, "airline-passengers.csv"), 12, 2),
    Case("Car sales", (CLASSIC, "monthly-car-sales.csv"), 12, 2),
    Case("Sunspots", (CLASSIC, "monthly-sunspots.csv"), 12, 10),
]  # fmt: skip


def read(case: Case) -> Any:
    """Return what `fit` takes."""
    path = need("forecasting", *case.path)
    if path.suffix == ".gz":
        return pl.read_csv(path, has_header=False).to_numpy().astype(np.float64)
    return path


def main() -> None:
    """Run every case with every seed and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(2)
    print(f"Mean over {seeds} seeds (range). {machine()}\n")
    print(
        "| data | horizon | windows | MASE, ours | best baseline | its MASE | gain | "
        "coverage 80 % | seconds |\n|---|--:|--:|--:|---|--:|--:|--:|--:|"
    )
    for case in CASES:
        print(row(case, seeds), flush=True)


def row(case: Case, seeds: int) -> str:
    """Return one line of the table."""
    data, mase, coverage, seconds = read(case), [], [], []
    for seed in range(seeds):
        began = time.perf_counter()
        model = Forecaster(horizon=case.horizon, seed=seed)
        model.fit(data, test_windows=case.windows, **case.roles)
        seconds.append(time.perf_counter() - began)
        scores = model.evaluation_.scores
        mase.append(scores["model"]["mase"])
        coverage.append(scores["model"]["coverage"])
    found = {name: s["mase"] for name, s in scores.items() if name != "model"}
    best = min(found, key=lambda name: found[name])
    mean = statistics.mean(mase)
    gain = 100 * (1 - mean / found[best])
    return (
        f"| {case.title} | {case.horizon} | {case.windows} | {mean:.3f} ({min(mase):.3f} to "
        f"{max(mase):.3f}) | {best} | {found[best]:.3f} | {gain:+.1f} % | "
        f"{100 * statistics.mean(coverage):.0f} | {statistics.mean(seconds):.0f} |"
    )


if __name__ == "__main__":
    main()
