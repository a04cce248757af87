"""What tests of several commands read."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest


@pytest.fixture(scope="session")
def walks(tmp_path_factory):
    """A table with a row for each step."""
    path = tmp_path_factory.mktemp("data") / "walks.csv"
    rng = np.random.default_rng(0)
    rows = [
        {"walk": f"w{k}", "time": t, "x": float(np.sin((1 + k % 2) * t) + rng.normal() / 9),
         "kind": ["slow", "fast"][k % 2]}
        for k in range(40) for t in range(5 + k % 4)
    ]  # fmt: skip
    pl.DataFrame(rows).write_csv(path)
    return path
