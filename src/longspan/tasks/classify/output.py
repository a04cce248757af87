"""What a classifier hands out besides its classes: mistakes to look at, the record of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from longspan.data.ragged import Ragged
from longspan.errors import InputError
from longspan.tasks.classify.config import ClassifyConfig
from longspan.tasks.classify.given import Given, is_source
from longspan.tasks.classify.results import ClassifyRun
from longspan.tasks.classify.scores import Mistake
from longspan.tasks.running import facts, versions

if TYPE_CHECKING:
    import polars as pl

    from longspan.tasks.classify.classifier import Classifier
    from longspan.tasks.classify.engine import Part
    from longspan.tasks.classify.inputs import Inputs

#: Mistakes that an evaluation keeps, and characters of a text that are shown.
SHOWN, CHARACTERS = 12, 600


def title_of(source: Any, data: Given) -> str:
    """Return what was learnt from, in words."""
    if isinstance(source, str) or hasattr(source, "name"):
        return str(source).rsplit("/", 1)[-1] if is_source(source) else "a text"
    names = {"text": "texts", "image": "images", "series": "series"}
    return f"{len(data)} {names[data.kind]}"


def vector_table(data: Given, vectors: np.ndarray) -> pl.DataFrame:
    """Return vectors as a table: the columns ``id``, ``f0``, ``f1`` and so on."""
    import polars as pl

    return pl.DataFrame({"id": data.ids} | {f"f{k}": column for k, column in enumerate(vectors.T)})


def class_weights(config: ClassifyConfig, classes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the weight of each class in the loss, float32 (K,).

    ``"balanced"``: N / (K · n) for a class of n sequences, as in scikit-learn.

    Raises:
        InputError: If a weight is of no class, or not positive.
    """
    found = np.ones(len(classes))
    if config.class_weight == "balanced":
        found = counts.sum() / (len(counts) * counts)
    elif config.class_weight is not None:
        labels = classes.tolist()
        # JSON's and the command line's labels are text, whatever those of the data are.
        places = {str(label): k for k, label in enumerate(labels)} | {
            label: k for k, label in enumerate(labels)
        }
        for label, weight in config.class_weight.items():
            if label not in places or not _is_weight(weight):
                raise InputError(
                    f"class_weight has {weight!r} for {label!r}: positive weights for labels of "
                    f"the training part are needed, such as {classes[0]!r}."
                )
            found[places[label]] = weight
    return found.astype(np.float32)


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float | np.number) and bool(0.0 < value < np.inf)


def mistakes(
    data: Given, probabilities: np.ndarray, numbers: np.ndarray, names: list[Any]
) -> list[Mistake]:
    """Return the surest wrong ones, the surest first."""
    predicted, surest = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(predicted != numbers)
    wrong = wrong[np.argsort(-surest[wrong], kind="stable")][:SHOWN]
    return [
        Mistake(int(k), names[numbers[k]], names[predicted[k]], float(surest[k]),
                _shown(data.data[k]))
        for k in wrong
    ]  # fmt: skip


def _shown(sequence: Any) -> Any:
    if not isinstance(sequence, str):
        return np.array(sequence)
    return sequence if len(sequence) <= CHARACTERS else sequence[:CHARACTERS] + " …"


def summary(
    model: Classifier, parts: dict[str, Part | None], tested: Given | None, seconds: float
) -> ClassifyRun:
    """Return the record of a training, for reports and model cards.

    Args:
        model: Fitted.
        parts: What it learnt from, by name.
        tested: What it was scored on, or None.
        seconds: Of training.
    """
    config, history, inputs = model.config_, model.history_, model.inputs_
    sizes = {f"{name} sequences": len(part.sequences) for name, part in parts.items() if part}
    if tested is not None:
        sizes["test sequences"] = len(tested)
    learnt = parts["training"]
    assert learnt is not None
    return ClassifyRun(
        title=model.title_,
        kind=inputs.shape.kind,
        image=inputs.shape.image,
        evaluation=model.evaluation_,
        history=history,
        classes=dict(zip(model.classes_.tolist(), model.class_counts_.tolist(), strict=True)),
        settings=config.model_dump(mode="json", exclude={"class_weight"})
        | {"class_weight": str(config.class_weight)},
        facts={
            **sizes,
            **facts_of(inputs, learnt.sequences),
            "temperature": round(model.temperature_, 3),
            **facts(model.network_, history, seconds),
        },
        versions=versions(),
        notes=notes_of(inputs, parts) + (model.evaluation_.notes if model.evaluation_ else []),
    )


def facts_of(inputs: Inputs, learnt: Ragged) -> dict[str, Any]:
    """Return the sizes of the training part's sequences."""
    lengths = learnt.lengths
    return {
        "vocabulary" if inputs.codec else "channels": inputs.shape.size,
        "steps of a sequence": f"{int(lengths.min())} to {int(lengths.max())}",
    }


def notes_of(inputs: Inputs, parts: dict[str, Part | None]) -> list[str]:
    """Return what is to be told of the parts, by their names."""
    found = []
    if parts["validation"] is None:
        found.append(
            "No sequences were held out to judge each epoch: the network of the last one was kept."
        )
    for name, part in parts.items():
        share = 0.0 if part is None else inputs.unknown_share(part.sequences)
        if share:
            found.append(f"{100 * share:.2g} % of the {name} tokens are unknown ones.")
    return found
