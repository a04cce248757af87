"""A classifier to and from a model directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from longspan.data.text import CODECS
from longspan.data.vectors import VectorShape
from longspan.errors import InputError
from longspan.tasks.classify.config import ClassifyConfig, EncoderConfig
from longspan.tasks.classify.engine import build
from longspan.tasks.classify.inputs import Inputs
from longspan.tasks.classify.network import InputShape
from longspan.tasks.classify.scores import METRICS
from longspan.tasks.estimator import checked
from longspan.tasks.storage import SavedModel, check_tensors, guarded, save_directory

if TYPE_CHECKING:
    from longspan.tasks.classify.classifier import Classifier

#: Sizes beyond these are refused before anything of that size is allocated.
LARGEST = {
    "hidden_size": 65_536, "num_layers": 256, "embedding_size": 65_536, "pool_size": 65_536,
    "size": 10_000_000, "longest": 100_000_000,
}  # fmt: skip


def save(model: Classifier, path: Path, report: str | None) -> None:
    """Write a fitted classifier."""
    options = model.config_.model_dump(mode="json", exclude={"class_weight"})
    weight = model.config_.class_weight
    if isinstance(weight, dict):  # JSON has no labels but texts as keys
        pairs = zip(weight, weight.values(), strict=True)
        weight = [[np.asarray(k).item(), float(v)] for k, v in pairs]
    config = {
        "options": {**options, "class_weight": weight},
        "inputs": inputs_to_dict(model.inputs_),
        "classes": {"dtype": model.classes_.dtype.str, "labels": model.classes_.tolist()},
        "class_counts": model.class_counts_.tolist(),
        "temperature": model.temperature_,
        "columns": model.columns_,
        "title": model.title_,
    }
    tensors = {f"network.{name}": t for name, t in model.network_.state_dict().items()}
    tensors |= inputs_tensors(model.inputs_)
    save_directory(path, "classify", config, tensors, card(model), report)


def restore(kind: type[Classifier], saved: SavedModel) -> Classifier:
    """Return the classifier that `save` wrote.

    Raises:
        ModelDirectoryError: If the parts do not fit together.
        MissingDependencyError: If it has subwords and the package ``tokenizers`` is not there.
    """
    return guarded(lambda: _restore(kind, saved.config, dict(saved.tensors)))


def _restore(
    kind: type[Classifier], values: dict[str, Any], tensors: dict[str, Tensor]
) -> Classifier:
    options = dict(values["options"])
    if isinstance(options["class_weight"], list):
        options["class_weight"] = dict(options["class_weight"])
    config: ClassifyConfig = checked(ClassifyConfig, options)
    inputs = inputs_from_dict(config, values["inputs"], tensors)
    classes = np.array(values["classes"]["labels"], _label_type(values["classes"]["dtype"]))
    if classes.ndim != 1 or len(classes) < 2 or len(np.unique(classes)) != len(classes):
        raise TypeError("classes must be at least two different labels")
    counts = np.array(values["class_counts"], np.int64)
    temperature = float(values["temperature"])
    if counts.shape != classes.shape or (counts < 1).any() or not 0.0 < temperature < np.inf:
        raise TypeError("a count of each class and a positive temperature are needed")
    model = kind(**{name: getattr(config, name) for name in type(config).model_fields})
    model.config_ = config
    model.inputs_, model.classes_, model.class_counts_ = inputs, classes, counts
    model.network_ = loaded_network(
        lambda: build(config, inputs.shape, len(classes)), tensors, "network."
    )
    model.temperature_, model.title_ = temperature, str(values["title"])
    model.columns_ = dict(values["columns"])
    model.evaluation_ = None
    return model


def loaded_network(make: Any, tensors: dict[str, Tensor], prefix: str) -> Any:
    """Return a network with saved weights, checked before anything is allocated."""
    weights = {name.removeprefix(prefix): t for name, t in tensors.items()}
    with torch.device("meta"):
        expected = make().state_dict()
    check_tensors(expected, weights)
    network = make()
    network.load_state_dict(weights)
    return network.eval()


def inputs_to_dict(inputs: Inputs) -> dict[str, Any]:
    """Return plain values for JSON."""
    shape = inputs.shape
    return {
        "kind": shape.kind, "size": shape.size, "longest": shape.longest,
        "image": None if shape.image is None else list(shape.image),
        "vectors": None if shape.vectors is None else list(shape.vectors),
        "codec": None if inputs.codec is None else inputs.codec.to_dict(),
    }  # fmt: skip


def inputs_tensors(inputs: Inputs) -> dict[str, Tensor]:
    """Return what belongs to the channels, by name."""
    if inputs.mean is None or inputs.scale is None:
        return {}
    return {"mean": torch.from_numpy(inputs.mean), "scale": torch.from_numpy(inputs.scale)}


def inputs_from_dict(
    config: EncoderConfig, values: dict[str, Any], tensors: dict[str, Tensor]
) -> Inputs:
    """Return what `inputs_to_dict` described, taking its tensors out of `tensors`."""
    kind, size, longest = values["kind"], values["size"], values["longest"]
    image = values["image"]
    if kind not in ("series", "text", "image") or (kind == "image") != (image is not None):
        raise TypeError(f"there is no input of the kind {kind!r} with image {image!r}")
    vectors = None if values["vectors"] is None else VectorShape(*values["vectors"])
    sizes = [size, longest, *(image or (1, 1, 1)), *(vectors or ())]
    if not all(type(value) is int and value > 0 for value in sizes):
        raise TypeError(f"sizes must be positive whole numbers, got {sizes}")
    own = {"hidden_size": config.units, "size": size, "longest": longest}
    if vectors is not None:
        own["embedding_size"] = vectors.width
    found = config.model_dump() | own
    for name, largest in LARGEST.items():
        if (found.get(name) or 0) > largest:
            raise InputError(f"{name} = {found[name]} is beyond {largest}.")
    if image is not None and (len(image) != 3 or image[1] * image[2] != size):
        raise TypeError(f"an image of {image} does not have {size} values in a row")
    if vectors is not None and (kind != "text" or vectors.learnt > size):
        raise TypeError(f"vectors {vectors} do not fit a vocabulary of {size}")
    shape = InputShape(kind, size, longest, None if image is None else tuple(image), vectors)
    if kind == "text":
        codec = CODECS[config.tokens].from_dict(values["codec"])
        if len(codec.symbols) != size:
            raise TypeError(f"a vocabulary of {len(codec.symbols)} is not of size {size}")
        return Inputs(config, shape, codec)
    own = {name: tensors.pop(name) for name in ("mean", "scale") if name in tensors}
    # Models of before have float32.
    kinds = (torch.float32, torch.float64)
    dtype = next((t.dtype for t in own.values() if t.dtype in kinds), torch.float64)
    check_tensors({name: torch.empty(size, dtype=dtype) for name in ("mean", "scale")}, own)
    mean, scale = (own[name].double().numpy() for name in ("mean", "scale"))
    return Inputs(config, shape, None, mean, scale)


def _label_type(text: str) -> np.dtype:
    found = np.dtype(text)
    if found.kind not in "biufUO":
        raise TypeError(f"labels cannot be of type {text!r}")
    return found


def card(model: Classifier) -> str:
    """Return the model card, Markdown."""
    config = model.config_
    count = sum(p.numel() for p in model.network_.parameters())
    named = ", ".join(map(str, model.classes_[:20].tolist()))
    lines = [
        f"# Classifier: {model.title_}",
        "",
        f"A {config.cell.upper()} network ({config.num_layers} × {config.units} units, "
        f"{count} parameters) that tells {len(model.classes_)} classes of "
        f"{model.inputs_.shape.kind} apart: {named}{', …' if len(model.classes_) > 20 else ''}.",
        "",
        "```python",
        "import longspan",
        "",
        'model = longspan.load("this directory")',
        "model.predict(X)  # sequences like those that it learnt from",
        "```",
    ]
    if model.evaluation_ is not None:
        scores = model.evaluation_.scores
        there = [name for name in METRICS if all(name in found for found in scores.values())]
        lines += ["", "## Scores on sequences it did not see", ""]
        lines += [f"| | {' | '.join(METRICS[name][0] for name in there)} |"]
        lines += ["|---|" + "--:|" * len(there)]
        for who, found in scores.items():
            lines.append(f"| {who} | " + " | ".join(f"{found[n]:.4g}" for n in there) + " |")
    return "\n".join(lines) + "\n"
