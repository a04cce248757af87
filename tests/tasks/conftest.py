"""Small series and small models."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from longspan import Forecaster

SMALL = {"hidden_size": 8, "max_steps": 6, "horizon": 6, "batch_size": 16}


@pytest.fixture(scope="session")
def table():
    """Three hourly series of different lengths with covariates of every kind, and gaps."""
    rng = np.random.default_rng(0)
    parts = []
    for k, n in enumerate((150, 90, 200)):
        hours = np.arange(n)
        price = rng.normal(size=n)
        y = 50 * (k + 1) + 10 * np.sin(2 * np.pi * hours / 24) + price + rng.normal(size=n)
        y[rng.integers(10, n - 10, 3)] = np.nan
        parts.append(
            pl.DataFrame(
                {
                    "id": f"s{k}",
                    "time": [dt.datetime(2024, 1, 1) + dt.timedelta(hours=int(h)) for h in hours],
                    "y": y,
                    "price": price,
                    "rain": rng.normal(size=n),
                    "kind": ["north", "south", "north"][k],
                }
            )
        )
    return pl.concat(parts).with_columns(pl.col("y").fill_nan(None))


ROLES = {
    "target": "y", "time": "time", "id": "id", "past_covariates": ["rain"],
    "future_covariates": ["price"], "static_covariates": ["kind"],
}  # fmt: skip


@pytest.fixture(scope="session")
def roles():
    return ROLES


@pytest.fixture(scope="session")
def fitted(table):
    return Forecaster(**SMALL).fit(table, test_windows=2, **ROLES)


@pytest.fixture(scope="session")
def small():
    return SMALL
