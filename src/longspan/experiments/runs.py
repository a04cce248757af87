"""Many runs, each of which leaves a record, so that a stopped series goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from longspan.errors import InputError, unknown_name
from longspan.experiments.experiment import EXPERIMENTS, Experiment
from longspan.experiments.record import Record, file_of, read_record, write_record

#: Called with name, experiment, cell and seed, and as keywords `max_sequences` and `watch`.
Recipe = Callable[..., Record]


class Run(NamedTuple):
    """One run to make: an experiment's name, a recipe's, a cell and a seed."""

    experiment: str
    recipe: str
    cell: str
    seed: int


def recipes() -> dict[str, Recipe]:
    """Return the recipes by name; what they need is imported here."""
    from longspan.experiments.modern import run_modern
    from longspan.experiments.original import run_original

    return {"modern": run_modern, "original": run_original}


def chosen(names: Iterable[str]) -> list[str]:
    """Return the experiments that names stand for; ``adding`` stands for all ``adding-…``.

    >>> chosen(["adding", "6a"])
    ['adding-100', 'adding-500', 'adding-1000', '6a']

    Raises:
        InputError: If there is no such experiment.
    """
    found: list[str] = []
    for name in names:
        own = [each for each in EXPERIMENTS if each == name or each.startswith(f"{name}-")]
        if name == "all":
            own = list(EXPERIMENTS)
        if not own:
            raise InputError(unknown_name("experiment", name, [*EXPERIMENTS, "all"]))
        found += [each for each in own if each not in found]
    return found


def planned(
    names: Iterable[str], recipe: str, cells: Sequence[str], seeds: int
) -> list[Run]:  # fmt: skip
    """Return the runs to make, seed by seed within each cell.

    The papers' own recipe has one cell, ``"lstm"``.

    Args:
        names: Experiments.
        recipe: ``"modern"``, ``"original"`` or ``"both"``.
        cells: For today's recipe.
        seeds: How many, from 0.

    Raises:
        InputError: If one of these is unknown.
    """
    from longspan.experiments.network import CELLS

    for cell in cells:
        if cell not in CELLS:
            raise InputError(unknown_name("cell", cell, CELLS))
    if seeds < 1:
        raise InputError(f"There must be at least one seed, got {seeds}.")
    known = recipes()
    wanted = list(known) if recipe == "both" else [recipe]
    if recipe not in (*known, "both"):
        raise InputError(unknown_name("recipe", recipe, [*known, "both"]))
    return [
        Run(name, one, cell, seed)
        for name in names
        for one in wanted
        for cell in (cells if one == "modern" else ("lstm",))
        for seed in range(seeds)
    ]


def make(
    run: Run,
    directory: Path,
    *,
    max_sequences: int | None = None,
    watch: Callable[..., None] | None = None,
    experiments: dict[str, Experiment] = EXPERIMENTS,
) -> tuple[Record, bool]:
    """Make a run, unless its record is there.

    Args:
        run: Which.
        directory: Where records lie.
        max_sequences: Training sequences after which it has failed; by default the recipe's.
        watch: Told now and then how far it is.
        experiments: By name.

    Returns:
        The record, and whether it was there.

    Raises:
        InputError: If the record that is there cannot be read, or was made with another limit.
    """
    path = file_of(directory, *run)
    if path.exists():
        found = read_record(path)
        if max_sequences is not None and found.limit != max_sequences and not found.success:
            raise InputError(
                f"The record {path} is of a run with a limit of {found.limit:,} sequences, not of "
                f"{max_sequences:,}. Choose another directory, or delete it."
            )
        return found, True
    recipe = recipes()[run.recipe]
    record = recipe(
        run.experiment, experiments[run.experiment], run.cell, run.seed,
        max_sequences=max_sequences, watch=watch,
    )  # fmt: skip
    write_record(directory, record)
    return record, False
