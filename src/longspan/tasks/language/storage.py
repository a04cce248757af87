"""A language model to and from a model directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from longspan.data.text import CODECS
from longspan.errors import InputError
from longspan.tasks.estimator import checked
from longspan.tasks.language.config import LanguageConfig
from longspan.tasks.language.engine import Engine
from longspan.tasks.language.scores import METRICS
from longspan.tasks.storage import SavedModel, check_tensors, guarded, save_directory

if TYPE_CHECKING:
    from longspan.tasks.language.model import LanguageModel

#: Sizes beyond these are refused before anything of that size is allocated.
LARGEST = {
    "hidden_size": 65_536, "num_layers": 256, "embedding_size": 65_536, "vocab_size": 10_000_000,
}  # fmt: skip


def save(model: LanguageModel, path: Path, report: str | None) -> None:
    """Write a fitted language model."""
    config: dict[str, Any] = {
        "options": model.engine_.config.model_dump(mode="json"),
        "codec": model.codec_.to_dict(),
        "title": model.title_,
    }
    tensors = {f"network.{name}": t for name, t in model.engine_.network.state_dict().items()}
    tensors["unigram"] = torch.from_numpy(model.unigram_)
    save_directory(path, "language", config, tensors, card(model), report)


def restore(kind: type[LanguageModel], saved: SavedModel) -> LanguageModel:
    """Return the language model that `save` wrote.

    Raises:
        ModelDirectoryError: If the parts do not fit together.
        MissingDependencyError: If it has subwords and the package ``tokenizers`` is not there.
    """
    return guarded(lambda: _restore(kind, saved.config, dict(saved.tensors)))


def _restore(
    kind: type[LanguageModel], values: dict[str, Any], tensors: dict[str, Tensor]
) -> LanguageModel:
    options = values["options"]
    if not isinstance(options, dict):
        raise TypeError(f"options must be an object, got {options!r}")
    config: LanguageConfig = checked(LanguageConfig, options)
    embedding_size, layer_sizes = config.sizes
    _check_sizes(config, embedding_size, layer_sizes)
    codec = CODECS[config.tokens].from_dict(values["codec"])
    size = len(codec.symbols)
    unigram = {"unigram": tensors.pop("unigram")}
    check_tensors({"unigram": torch.empty(size, dtype=torch.float64)}, unigram)
    weights = {name.removeprefix("network."): t for name, t in tensors.items()}
    with torch.device("meta"):  # shapes first: a huge model must not be allocated
        expected = Engine(config, size).network.state_dict()
    check_tensors(expected, weights)
    model = kind(**options)
    model.engine_ = Engine(config, size)
    model.engine_.network.load_state_dict(weights)
    model.engine_.network.eval()
    model.codec_, model.title_ = codec, str(values["title"])
    model.unigram_ = np.array(unigram["unigram"].numpy())
    model.evaluation_ = None
    return model


def _check_sizes(config: LanguageConfig, embedding: int, layers: tuple[int, ...]) -> None:
    found = {
        "hidden_size": max(layers), "num_layers": len(layers), "embedding_size": embedding,
        "vocab_size": config.vocab_size or 0,
    }  # fmt: skip
    for name, largest in LARGEST.items():
        if found[name] > largest:
            raise InputError(f"{name} = {found[name]} is beyond {largest}.")


def card(model: LanguageModel) -> str:
    """Return the model card, Markdown."""
    config = model.engine_.config
    _, layers = config.sizes
    lines = [
        f"# Language model: {model.title_}",
        "",
        f"A {config.cell.upper()} network (layers of {', '.join(map(str, layers))} units, "
        f"{sum(p.numel() for p in model.engine_.network.parameters())} parameters) that predicts "
        f"the next of {len(model.codec_.symbols)} {config.tokens}.",
        "",
        "```python",
        "import longspan",
        "",
        'print(longspan.load("this directory").generate("Once", max_tokens=100))',
        "```",
    ]
    if model.evaluation_ is not None:
        lines += ["", "## Scores on text it did not see", ""]
        lines += [f"| | {' | '.join(title for title, _ in METRICS.values())} |"]
        lines += ["|---|" + "--:|" * len(METRICS)]
        for who, found in model.evaluation_.scores.items():
            lines.append(f"| {who} | " + " | ".join(f"{found[n]:.4g}" for n in METRICS) + " |")
    return "\n".join(lines) + "\n"
