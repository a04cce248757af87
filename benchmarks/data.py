"""Where the benchmarks find public data sets: in LONGSPAN_DATA, or in ../shared/data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DATA = Path(os.environ.get("LONGSPAN_DATA", Path(__file__).parents[2] / "shared" / "data"))


def need(*parts: str) -> Path:
    """Return the path of a data set, or end with a message if it is not there."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        sys.exit(f"This benchmark needs {path}. Put the data set there, or set LONGSPAN_DATA.")
    return path
