"""What accuracy benchmarks share: cases by name, several seeds, runs that go on after a stop."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import machine

Result = dict[str, Any]


def steps_done(log: Path) -> int:
    """Return how many optimiser steps a log has, of a run that was stopped before."""
    return log.read_bytes().count(b'"grad_norm"') if log.exists() else 0


def seconds_of_all(seconds: float, steps: int, before: int) -> float:
    """Return the time of a whole run.

    An interrupted run counts as if all of it had run at the pace of its last part.
    """
    return seconds * steps / max(steps - before, 1)


def main(
    description: str | None,
    name: str,
    cases: Iterable[str],
    result: Callable[[str, int, Path], Result],
    table: Callable[[str, list[Result]], str],
) -> None:
    """Run the cases that the command line names, and print a table for each.

    Args:
        description: Of the command.
        name: Of the directory in ``runs`` for checkpoints and results, where none is named.
        cases: All there are.
        result: Called with a case, a seed and that directory.
        table: Called with a case and the results of all seeds.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("cases", nargs="*", choices=[*cases, []], default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--state", type=Path, default=Path("runs") / name)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.state.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}\n")
    for case in given.cases or cases:
        found = [result(case, seed, given.state) for seed in range(given.seeds)]
        print(table(case, found), end="\n\n", flush=True)
