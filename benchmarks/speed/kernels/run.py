"""One group in a process of its own: python -m benchmarks.speed.kernels.run GROUP [--quick].

The last line of its output is the result, as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from statistics import median
from typing import Any

import torch

from benchmarks.speed.kernels.groups import GROUPS
from benchmarks.speed.kernels.measure import multiply_add_limit
from benchmarks.speed.kernels.shapes import SHAPES

#: glibc by default gives the memory of large tensors back to the system after every step, and then
#: half of PyTorch's time may go into page faults. With these, it keeps the memory.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**32), "MALLOC_MMAP_THRESHOLD_": str(2**32)}


def in_processes(name: str, quick: bool, count: int) -> tuple[list[dict[str, Any]], list[float]]:
    """Return a group's rows and the multiply-add limits seen, over fresh processes.

    A contestant's time is the median over the processes of its median in each.
    """
    found = [_in_process(name, quick) for _ in range(count)]
    limits = [limit for one in found for limit in one["limits"]]
    return [
        _merged(list(rows)) for rows in zip(*(one["rows"] for one in found), strict=True)
    ], limits


def _in_process(name: str, quick: bool) -> dict[str, Any]:
    kept = {} if GROUPS[name].default_allocator else KEEP_MEMORY
    command = [sys.executable, "-m", "benchmarks.speed.kernels.run", name]
    command += ["--quick"] if quick else []
    environment = {**os.environ, **kept}
    run = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def _merged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = {name: median(row["seconds"][name] for row in rows) for name in rows[0]["seconds"]}
    return {**rows[0], "seconds": seconds, "ratio": median(row["ratio"] for row in rows)}


def main() -> None:
    """Measure the group that is named."""
    name, quick = sys.argv[1], "--quick" in sys.argv
    torch.set_num_threads(2)
    shapes = [SHAPES[1], SHAPES[2]] if quick else SHAPES
    limits, rows = [multiply_add_limit()], []
    for row in GROUPS[name].rows(shapes, quick):
        rows.append(vars(row))
        print(f"{name}: {row.label}: {row.ratio:.2f}", file=sys.stderr, flush=True)
    limits.append(multiply_add_limit())
    print(json.dumps({"rows": rows, "limits": limits}))


if __name__ == "__main__":
    main()
