"""Many runs, each of which leaves a record, so that a stopped series goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from longspan.errors import InputError, unknown_name
from longspan.experiments.experiment import EXPERIMENTS
from longspan.experiments.record import (
    Record,
    file_of,
    read_record,
    this_machine,
    write_record,
)
from longspan.files import check_place


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
        InputError: If one of these is unknown or would be ignored, or nothing is left to run.
    """
    from longspan.experiments.network import CELLS

    for cell in cells:
        if cell not in CELLS:
            raise InputError(unknown_name("cell", cell, CELLS))
    if seeds < 1:
        raise InputError(f"There must be at least one seed, got {seeds}.")
    if recipe not in (*RECIPES, "both"):
        raise InputError(unknown_name("recipe", recipe, [*RECIPES, "both"]))
    if recipe == "original" and list(cells) != ["lstm"]:
        raise InputError(
            f"The papers' own recipe is one for lstm, got {', '.join(cells)}. Leave --cells out."
        )
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


def check(
    runs: Iterable[Run],
    directory: Path,
    *,
    data: Path | None = None,
    max_sequences: int | None = None,
) -> None:
    """Refuse, before the first of many runs, what one of them could not do; see `make`.

    Raises:
        InputError: If there is such a run.
    """
    _check_series(directory, max_sequences)
    for run in runs:
        _there(run, directory, data, max_sequences)


def _check_series(directory: Path, max_sequences: int | None) -> None:
    if max_sequences is not None and max_sequences < 1:
        raise InputError(f"There must be at least one training sequence, got {max_sequences}.")
    check_place(directory, directory=True)


def _there(
    run: Run, directory: Path, data: Path | None, max_sequences: int | None
) -> Record | None:
    """Return the record of a run, checked, or None if the run is to be made and can be."""
    path, record = file_of(directory, *run), None
    if path.exists():
        record = read_record(path)
        _check_record(path, record, max_sequences)
    if run.experiment in EXPERIMENTS:
        return record
    if data is None and record is None:
        raise InputError(f"{run.experiment} needs data: say where they are with --data DIRECTORY.")
    if max_sequences is not None:
        raise InputError(
            f"{run.experiment} is trained for epochs, not until a number of sequences. Leave "
            "--max-sequences out."
        )
    return record


def differences(record: Record, max_sequences: int | None = None) -> dict[str, tuple[Any, Any]]:
    """Return what a record's run did otherwise than the same run would now: by name, then and now.

    A limit that a run did not come near made no difference, unless its learning rate followed it.

    Args:
        record: Of a run.
        max_sequences: The limit now, in place of the recipe's.
    """
    limit, settings = _intended(record.experiment, record.recipe)
    now = json.loads(json.dumps(settings))  # as a record holds them
    limit = max_sequences or limit
    followed = now.get("schedule", "constant") != "constant"
    early = record.success and limit is not None and record.sequences <= limit
    if limit is not None and (followed or not early):
        now["limit"] = limit
    then = record.settings | {"limit": record.limit}
    return {
        name: (then[name], value)
        for name, value in now.items()
        if name != "max_sequences" and name in then and then[name] != value
    }


def _intended(experiment: str, recipe: str) -> tuple[int | None, dict[str, Any]]:
    """Return a run's limit in sequences, or None where epochs end it, and its settings."""
    from longspan.experiments.continual import CONTINUAL
    from longspan.experiments.measured import MEASURED
    from longspan.experiments.original import ORIGINALS

    if recipe == "original":
        original = ORIGINALS.get(experiment) or CONTINUAL.get(experiment)
        return (None, {}) if original is None else (original.limit, original.settings())
    if experiment in EXPERIMENTS:
        modern = EXPERIMENTS[experiment].modern
        return modern.max_sequences, asdict(modern)
    found = MEASURED.get(experiment)
    return None, {} if found is None else asdict(found.settings)


def _check_record(path: Path, record: Record, max_sequences: int | None) -> None:
    other = differences(record, max_sequences)
    if not other:
        return
    words = [
        f"{name} = {then}, not {now}" for name, (then, now) in other.items() if name != "limit"
    ]
    if "limit" in other:
        then, now = other["limit"]
        words.append(f"a limit of {then:,} sequences, not of {now:,}")
    raise InputError(
        f"The record {path} is of a run with {' and '.join(words)}. Choose another directory, or "
        "delete it."
    )


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
        InputError: If the record that is there cannot be read, or was made with another limit or
            other settings; or data are needed and not there.
    """
    _check_series(directory, max_sequences)
    found = _there(run, directory, data, max_sequences)
    if found is not None:
        return found, True
    record = replace(_make(run, data, max_sequences, watch), machine=this_machine())
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

    assert data is not None  # checked
    return run_measured(name, cell, seed, data, watch=watch)
