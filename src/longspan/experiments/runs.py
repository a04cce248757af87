"""Many runs, each of which leaves a record, so that a stopped series goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from longspan.errors import InputError, unknown_name
from longspan.experiments.experiment import EXPERIMENTS
from longspan.experiments.record import Record, file_of, read_record, write_record


class Run(NamedTuple):
    """One run to make: an experiment's name, a recipe's, a cell and a seed."""

    experiment: str
    recipe: str
    cell: str
    seed: int


RECIPES = ("original", "modern")


def known() -> list[str]:
    """Return the names of all experiments, those with a criterion first."""
    from longspan.experiments.measured import MEASURED

    return [*EXPERIMENTS, *MEASURED]


def with_original() -> set[str]:
    """Return the experiments that there is a paper's own recipe for."""
    from longspan.experiments.continual import CONTINUAL
    from longspan.experiments.original import ORIGINALS

    return {*ORIGINALS, *CONTINUAL}


def chosen(names: Iterable[str]) -> list[str]:
    """Return the experiments that names stand for; ``adding`` stands for all ``adding-…``.

    >>> chosen(["adding", "6a"])
    ['adding-100', 'adding-500', 'adding-1000', '6a']

    Raises:
        InputError: If there is no such experiment.
    """
    found: list[str] = []
    everything = known()
    for name in names:
        own = [each for each in everything if each == name or each.startswith(f"{name}-")]
        if name == "all":
            own = everything
        if not own:
            raise InputError(unknown_name("experiment", name, [*everything, "all"]))
        found += [each for each in own if each not in found]
    return found


def planned(names: Sequence[str], recipe: str, cells: Sequence[str], seeds: int) -> list[Run]:
    """Return the runs to make, seed by seed within each cell.

    The papers' own recipe has one cell, ``"lstm"``; experiments without one are left out.

    Args:
        names: Experiments.
        recipe: ``"modern"``, ``"original"`` or ``"both"``.
        cells: For today's recipe.
        seeds: How many, from 0.

    Raises:
        InputError: If one of these is unknown, or nothing is left to run.
    """
    from longspan.experiments.network import CELLS

    for cell in cells:
        if cell not in CELLS:
            raise InputError(unknown_name("cell", cell, CELLS))
    if seeds < 1:
        raise InputError(f"There must be at least one seed, got {seeds}.")
    if recipe not in (*RECIPES, "both"):
        raise InputError(unknown_name("recipe", recipe, [*RECIPES, "both"]))
    original = with_original() if recipe != "modern" else set()
    modern = () if recipe == "original" else tuple(cells)
    runs = [
        Run(name, own, cell, seed)
        for name in names
        for own, cell in [("original", "lstm")] * (name in original)
        + [("modern", cell) for cell in modern]
        for seed in range(seeds)
    ]
    if names and not runs:
        raise InputError(
            f"There is no paper's own recipe for {', '.join(names)}. Use --recipe modern."
        )
    return runs


def make(
    run: Run,
    directory: Path,
    *,
    data: Path | None = None,
    max_sequences: int | None = None,
    watch: Callable[..., None] | None = None,
) -> tuple[Record, bool]:
    """Make a run, unless its record is there.

    Args:
        run: Which.
        directory: Where records lie.
        data: Where the data are, for experiments that need some.
        max_sequences: Training sequences after which it has failed; by default the recipe's.
        watch: Told now and then how far it is.

    Returns:
        The record, and whether it was there.

    Raises:
        InputError: If the record that is there cannot be read, or was made with another limit; or
            data are needed and not there.
    """
    path = file_of(directory, *run)
    if path.exists():
        found = read_record(path)
        another = max_sequences is not None and found.limit != max_sequences
        if another and found.success is False:
            raise InputError(
                f"The record {path} is of a run with a limit of {found.limit:,} sequences, not of "
                f"{max_sequences:,}. Choose another directory, or delete it."
            )
        return found, True
    record = _make(run, data, max_sequences, watch)
    write_record(directory, record)
    return record, False


def _make(
    run: Run, data: Path | None, max_sequences: int | None, watch: Callable[..., None] | None
) -> Record:
    name, recipe, cell, seed = run
    if recipe == "original":
        from longspan.experiments.continual import CONTINUAL, run_continual
        from longspan.experiments.original import run_original

        learn = run_continual if name in CONTINUAL else run_original
        return learn(name, EXPERIMENTS[name], cell, seed, max_sequences=max_sequences, watch=watch)
    if name in EXPERIMENTS:
        from longspan.experiments.modern import run_modern

        return run_modern(
            name, EXPERIMENTS[name], cell, seed, max_sequences=max_sequences, watch=watch
        )
    from longspan.experiments.measured import run_measured

    if data is None:
        raise InputError(f"{name} needs data: say where they are with --data DIRECTORY.")
    return run_measured(name, cell, seed, data, watch=watch)
