"""How time and memory of a fit grow with rows and with series: one pass over all the data.

    python -m benchmarks.speed.data_scale [--full]

Each case runs in a process of its own. Peak memory is that of the whole process, less what it had
after importing, beside the size of the table itself.
"""

from __future__ import annotations

import json
import subprocess
import sys

CASES = [(100_000, 100), (1_000_000, 10), (1_000_000, 100), (1_000_000, 1_000)]
FULL = [(10_000_000, 1_000)]
HORIZON = 24


def measure(rows: int, series: int) -> dict[str, float]:
    """Fit on a table of so many rows and series; return seconds and bytes."""
    import resource
    import time

    import numpy as np
    import polars as pl
    import torch

    from longspan import Forecaster
    from longspan.tasks.forecast.engine import Engine

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0

    torch.set_num_threads(2)
    # A first small fit loads every module that a fit needs.
    Forecaster(horizon=2, max_steps=1, hidden_size=2).fit(np.sin(np.arange(99.0)))
    before = peak()
    each = rows // series
    generator = np.random.default_rng(0)
    table = pl.DataFrame(
        {
            "id": np.repeat(np.arange(series), each),
            "time": np.tile(np.datetime64("2000-01-01T00", "us") + np.arange(each)
                            * np.timedelta64(3600, "s"), series),
            "y": generator.normal(size=each * series),
        }
    )  # fmt: skip
    # One pass: as many windows as horizons fit into the data, in random places.
    steps = each * series // HORIZON // 256
    seconds = {}
    original = Engine.train

    def timed(self, *arguments, **options):
        began = time.perf_counter()
        result = original(self, *arguments, **options)
        seconds["training"] = time.perf_counter() - began
        return result

    Engine.train = timed
    model = Forecaster(
        horizon=HORIZON, context_length=24, hidden_size=8, batch_size=256, max_epochs=1,
        steps_per_epoch=steps, season_length=24, validation_windows=0,
    )  # fmt: skip
    began = time.perf_counter()
    model.fit(table, target="y", time="time", id="id")
    whole = time.perf_counter() - began
    return {
        "preparing": whole - seconds["training"], "training": seconds["training"],
        "table": table.estimated_size(), "peak": peak() - before,
    }  # fmt: skip


def main() -> None:
    """Run every case and print a table."""
    from benchmarks.machine import machine

    print(f"One pass over all rows (context 24, horizon 24, 8 units). {machine()}\n")
    print(
        "| rows | series | prepare, s | one pass, s | µs a row | table, MB | peak, MB | "
        "peak / table |\n"
        "|--:|--:|--:|--:|--:|--:|--:|--:|"
    )
    for rows, series in CASES + (FULL if "--full" in sys.argv else []):
        command = [
            sys.executable,
            "-m",
            "benchmarks.speed.data_scale",
            "--one",
            str(rows),
            str(series),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        m = json.loads(done.stdout)
        print(
            f"| {rows:,} | {series:,} | {m['preparing']:.2f} | {m['training']:.2f} | "
            f"{1e6 * m['training'] / rows:.2f} | {m['table'] / 1e6:.0f} | {m['peak'] / 1e6:.0f} | "
            f"{m['peak'] / m['table']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    if "--one" in sys.argv:
        at = sys.argv.index("--one")
        print(json.dumps(measure(int(sys.argv[at + 1]), int(sys.argv[at + 2]))))
    else:
        main()
