"""``longspan inspect``: what a saved model remembers, and what its outputs come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from longspan.cli import saved
from longspan.cli.application import app
from longspan.cli.data import (
    CLASSIFIERS,
    TAGGERS,
    ClassifyColumns,
    Encoding,
    Flat,
    ReferenceFile,
    TagColumns,
)
from longspan.errors import InputError
from longspan.files import check_place

if TYPE_CHECKING:
    from longspan.insight import Inspection

#: Files of an inspection.
PAGE, NUMBERS = "inspect.html", "inspect.json"


@app.command(name="inspect")
def inspect_model(
    model: Path,
    data: Path | None = None,
    reference: ReferenceFile = None,
    /,
    *,
    rows: int = 32,
    steps: int = 256,
    sequence: int | None = None,
    seed: int = 0,
    output: Path | None = None,
    json: Path | None = None,
    tags: Annotated[Flat[TagColumns], TAGGERS] = TagColumns(),
    classes: Annotated[Flat[ClassifyColumns], CLASSIFIERS] = ClassifyColumns(),
    text: Flat[Encoding] = Encoding(),
) -> None:
    """Look into a saved model: memory, gradients, gates, and what its outputs come from.

    Parameters
    ----------
    model
        The model directory.
    data
        A file as for `longspan evaluate`; a forecaster can do without, as it keeps the end of its
        data.
    rows
        Windows, sequences or stretches of text whose derivatives are computed.
    steps
        Steps of each at most; those at its end are kept.
    sequence
        Number, from 0, of the sequence that is shown step by step; for a language model the token
        at which it begins. By default one that is drawn.
    seed
        Of what is drawn.
    output
        Directory for inspect.html and inspect.json, or a file that ends in .html; by default
        runs/NAME-OF-THE-MODEL-inspect.
    json
        File for the numbers, in place of inspect.json beside the page.
    """
    page, numbers = _places(model, output, json)
    given = tags.given() | classes.given() | text.given()
    loaded, flags, _ = saved.opened("inspect", model, {"reference": reference, **given})
    if "reference" in flags:
        flags["target"] = flags.pop("reference")
    from longspan.insight import inspect

    found = inspect(loaded, data, rows=rows, steps=steps, seed=seed, sequence=sequence, **flags)
    saved.write_whole(page, lambda path: path.write_text(found.html(), "utf-8"))
    saved.write_whole(numbers, lambda path: path.write_text(saved.as_json(found), "utf-8"))
    print_inspection(found)
    print(f"Report:  {page}")
    print(f"Numbers: {numbers}")


def print_inspection(found: Inspection) -> None:
    """Print how far back a model remembers, and advice."""
    from longspan.insight.inspect_report import inspect_verdict

    print(inspect_verdict(found))
    for each in found.advice:
        print(f"{each.kind.capitalize()}: {each.text}")
    for note in found.notes:
        print(f"Note: {note}")


def _places(model: Path, output: Path | None, numbers: Path | None) -> tuple[Path, Path]:
    """Return where the page and the numbers go; before the work, not after it, that must be so.

    Raises:
        InputError: If nothing can be written there, or it is in a model directory, whose model
            could then not be replaced any more.
    """
    place = output or Path("runs") / f"{model.absolute().name}-inspect"
    page = place if place.suffix == ".html" else place / PAGE
    own = page.with_suffix(".json") if place.suffix == ".html" else place / NUMBERS
    places = (page, numbers or own)
    if page.absolute() == places[1].absolute():
        raise InputError(f"--output and --json are both {page}. Name two files.")
    for file in places:
        if (file.parent / "model.safetensors").exists():
            raise InputError(
                f"{file.parent} is a model directory, and another file in it would keep the model "
                "from being replaced. Name another place with --output."
            )
        check_place(file)
    return places
