"""Measure, print and store: python -m benchmarks.speed.kernels [--quick] [--only GROUP ...]."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from benchmarks.machine import machine
from benchmarks.speed.kernels.groups import GROUPS
from benchmarks.speed.kernels.report import as_data, markdown, write
from benchmarks.speed.kernels.run import in_processes

FOLDER = Path(__file__).parents[3] / "docs" / "benchmarks"


def main(arguments: list[str] | None = None) -> None:
    """Run the groups that are named; the others keep the results they have."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two shapes, few rounds, not stored")
    parser.add_argument("--only", nargs="*", default=list(GROUPS), choices=list(GROUPS))
    parser.add_argument("--processes", type=int, default=1, help="fresh processes for each group")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args(arguments)
    torch.set_num_threads(2)
    stored = given.folder / "kernels.json"
    old = json.loads(stored.read_text("utf-8"))["groups"] if stored.exists() else {}
    data = {"machine": machine(), "groups": old}
    for name in given.only:
        rows, limits = in_processes(name, given.quick, given.processes)
        data["groups"] = {**data["groups"], name: as_data(name, rows, limits, given.processes)}
        if not given.quick:
            data["groups"] = {n: data["groups"][n] for n in GROUPS if n in data["groups"]}
            write(stored, data)
    text = markdown(data)
    if given.quick:
        print(text)
    else:
        (given.folder / "kernels.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
