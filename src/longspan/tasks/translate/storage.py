"""A translator to and from a model directory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from longspan.errors import InputError
from longspan.tasks.estimator import checked
from longspan.tasks.storage import SavedModel, check_tensors, guarded, save_directory
from longspan.tasks.translate.config import TranslateConfig
from longspan.tasks.translate.encoding import Vocabularies
from longspan.tasks.translate.engine import Engine
from longspan.tasks.translate.scores import METRICS

if TYPE_CHECKING:
    from longspan.tasks.translate.translator import Translator

#: Sizes beyond these are refused before anything of that size is allocated.
LARGEST = {
    "hidden_size": 65_536, "embedding_size": 65_536, "encoder_layers": 256, "decoder_layers": 256,
    "attention_size": 65_536,
}  # fmt: skip


def save(model: Translator, path: Path, report: str | None) -> None:
    """Write a fitted translator."""
    config: dict[str, Any] = {
        "options": model.engine_.config.model_dump(mode="json"),
        "vocabularies": model.vocabularies_.to_dict(),
        "longest": model.engine_.longest,
        "title": model.title_,
    }
    tensors = unshared(model.engine_.network.state_dict(), model.engine_.config)
    save_directory(path, "translate", config, tensors, card(model), report)


def restore(kind: type[Translator], saved: SavedModel) -> Translator:
    """Return the translator that `save` wrote.

    Raises:
        ModelDirectoryError: If the parts do not fit together.
        MissingDependencyError: If it has subwords and the package ``tokenizers`` is not there.
    """
    return guarded(lambda: _restore(kind, saved.config, dict(saved.tensors)))


def unshared(tensors: dict[str, Tensor], config: TranslateConfig) -> dict[str, Tensor]:
    """Return the tensors of a network, each once: a shared embedding is one of them."""
    twice = "source_embedding.weight"
    return {name: t for name, t in tensors.items() if not (config.shared and name == twice)}


def _restore(
    kind: type[Translator], values: dict[str, Any], tensors: dict[str, Tensor]
) -> Translator:
    options = values["options"]
    if not isinstance(options, dict):
        raise TypeError(f"options must be an object, got {options!r}")
    config: TranslateConfig = checked(TranslateConfig, options)
    for name, largest in LARGEST.items():
        if (getattr(config, name) or 0) > largest:
            raise InputError(f"{name} = {getattr(config, name)} is beyond {largest}.")
    known = Vocabularies.from_dict(config, values["vocabularies"])
    longest = values["longest"]
    if not isinstance(longest, int) or not 0 <= longest < 2**31:
        raise InputError(f"`longest` must be a number of tokens, got {longest!r}.")
    sizes = (len(known.source.symbols), len(known.target.symbols))
    symbols = (known.source.newline, known.target.newline)
    with torch.device("meta"):  # shapes first: a huge model must not be allocated
        expected = Engine(config, sizes, symbols, longest).network.state_dict()
    check_tensors(unshared(expected, config), tensors)
    model = kind(**options)
    model.engine_ = Engine(config, sizes, symbols, longest)
    if config.shared:
        tensors["source_embedding.weight"] = tensors["embedding.weight"]
    model.engine_.network.load_state_dict(tensors)
    model.engine_.network.eval()
    model.vocabularies_, model.title_ = known, str(values["title"])
    model.evaluation_ = None
    return model


def card(model: Translator) -> str:
    """Return the model card, Markdown."""
    config, sizes = model.engine_.config, model.engine_.sizes
    looks = "no attention" if config.attention == "none" else f"{config.attention} attention"
    lines = [
        f"# Translator: {model.title_}",
        "",
        f"A {config.cell.upper()} encoder and decoder of {config.hidden_size} units with {looks} "
        f"({sum(p.numel() for p in model.engine_.network.parameters())} parameters), from "
        f"{sizes[0]} {config.kinds[0]} to {sizes[1]} {config.kinds[1]}.",
        "",
        "```python",
        "import longspan",
        "",
        'print(longspan.load("this directory").predict("…"))',
        "```",
    ]
    if model.evaluation_ is not None:
        lines += ["", "## Scores on pairs it did not see", ""]
        lines += [f"| | {' | '.join(metric.title for metric in METRICS.values())} |"]
        lines += ["|---|" + "--:|" * len(METRICS)]
        for who, found in model.evaluation_.scores.items():
            cells = ["–" if math.isnan(found[n]) else f"{found[n]:.4g}" for n in METRICS]
            lines.append(f"| {who} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
