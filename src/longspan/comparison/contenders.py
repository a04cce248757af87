"""What is compared: cells by their names, each with options of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from pydantic import BaseModel

from longspan.errors import InputError, unknown_name
from longspan.tasks.estimator import checked

#: What the name of a cell begins with that reads in both directions.
BOTH = "bi"
#: Options that a contender cannot have of its own, and why.
TAKEN = {
    "cell": "the name is the cell",
    "seed": "all cells are trained from the same seeds",
}


@dataclass(frozen=True)
class Contender:
    """A cell with all options of the task.

    Attributes:
        name: As the user wrote it.
        config: The options.
    """

    name: str
    config: BaseModel

    def having(self, **options: Any) -> Contender:
        """Return the same with other values of some options.

        Raises:
            InputError: If they do not fit together.
        """
        given = {**self.config.model_dump(), **options}
        return replace(self, config=checked(type(self.config), given))

    @property
    def options(self) -> dict[str, Any]:
        """All options, by name."""
        return self.config.model_dump()

    @property
    def plain(self) -> dict[str, Any]:
        """The same as JSON has them."""
        return self.config.model_dump(mode="json")


def contenders(
    config: type[BaseModel],
    names: Sequence[str] | None,
    options: Mapping[str, Any],
    *,
    task: str,
    always_both: bool = False,
    shared: Sequence[str] = (),
) -> list[Contender]:
    """Return what is compared.

    Args:
        config: The task's options.
        names: As `CompareConfig.cells` has them; None takes all cells of the task.
        options: What all have in common.
        task: Its name, for messages.
        always_both: Whether the task reads in both directions in any case.
        shared: Options that must be the same for all, because the data depend on them.

    Raises:
        InputError: If there is no such cell, the task has no use for it, two are the same, or
            options do not fit; the message says which exist.
    """
    if "cell" in options:
        raise InputError(
            f"cell={options['cell']!r} is for a single training; name the cells to compare in "
            "`cells` (--cells)."
        )
    own = cells_of(config)
    found = [
        _contender(config, name, options, _Task(task, own, always_both, tuple(shared)))
        for name in (names or own)
    ]
    if len(found) < 2:
        raise InputError(f"The task {task!r} has one cell alone, {own[0]!r}; nothing to compare.")
    for k, each in enumerate(found):
        for other in found[:k]:
            if other.config == each.config:
                both = " It reads in both directions in any case." if always_both else ""
                raise InputError(
                    f"{other.name!r} and {each.name!r} are the same here.{both} Leave one out, or "
                    f"give one an option that the other has not, such as {_different(each)}."
                )
    return found


def _different(each: Contender) -> str:
    """Return names for contenders like this one that are not the same."""
    options = each.options
    layers = _layers(type(each.config))
    found = [_having(each.name, layers, options[layers] + 1)]
    if options.get("bidirectional"):  # not every task has the option
        found.append(_having(each.name.removeprefix(BOTH), "bidirectional", "false"))
    return " or ".join(found)


def _layers(config: type[BaseModel]) -> str:
    """Return the option for a number of layers, of which an encoder has its own."""
    return next(n for n in ("num_layers", "encoder_layers") if n in config.model_fields)


def _having(name: str, option: str, value: object) -> str:
    """Return the name of a contender with another value of an option."""
    kept = [
        part for part in name.split(":")
        if part.partition("=")[0].strip().replace("-", "_") != option
    ]  # fmt: skip
    return ":".join([*kept, f"{option}={value}"])


def cells_of(config: type[BaseModel]) -> tuple[str, ...]:
    """Return the names of the cells that a task has."""
    return get_args(config.model_fields["cell"].annotation)


@dataclass(frozen=True)
class _Task:
    name: str
    cells: tuple[str, ...]
    always_both: bool
    shared: tuple[str, ...]


def _contender(
    config: type[BaseModel], name: str, options: Mapping[str, Any], task: _Task
) -> Contender:
    word, *settings = name.split(":")
    given = {**options, **_cell(config, word, task)}
    for setting in settings:
        option, sign, value = setting.partition("=")
        option = option.strip().replace("-", "_")
        if not sign:
            raise InputError(
                f"{setting!r} in {name!r} must be an option and its value, such as "
                f"{word}:{_layers(config)}=2."
            )
        if option not in config.model_fields:
            raise InputError(unknown_name("option", option, config.model_fields))
        if option in TAKEN or option in task.shared:
            why = TAKEN.get(option, "the data depend on it, and all cells get the same data")
            raise InputError(f"{name!r} cannot have a {option} of its own: {why}.")
        given[option] = None if value.strip().lower() == "none" else value.strip()
    return Contender(name, checked(config, given))


def _cell(config: type[BaseModel], word: str, task: _Task) -> dict[str, Any]:
    """Return the options that the name of a cell stands for."""
    from longspan.cells import CELLS

    plain = word.removeprefix(BOTH)
    can = task.always_both or "bidirectional" in config.model_fields
    names = [*task.cells, *(BOTH + cell for cell in task.cells if can)]
    if word in task.cells:
        return {"cell": word}
    if plain in task.cells and can:
        return {"cell": plain} if task.always_both else {"cell": plain, "bidirectional": True}
    if plain in task.cells:
        raise InputError(
            f"The task {task.name!r} has no {word!r}: it cannot read in both directions, for what "
            f"comes is what it must tell. Its cells: {', '.join(names)}."
        )
    if plain in CELLS:
        raise InputError(
            f"The task {task.name!r} does not allow the cell {word!r}. Its cells: "
            f"{', '.join(names)}."
        )
    raise InputError(unknown_name("cell", word, names))
