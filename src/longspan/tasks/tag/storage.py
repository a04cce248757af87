"""A tagger to and from a model directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from longspan.data.vectors import VectorShape
from longspan.errors import InputError
from longspan.tasks.estimator import checked
from longspan.tasks.storage import SavedModel, check_tensors, guarded, save_directory
from longspan.tasks.tag.baselines import MostFrequent
from longspan.tasks.tag.config import TagConfig
from longspan.tasks.tag.encoding import Encoder
from longspan.tasks.tag.engine import Engine
from longspan.tasks.tag.scores import METRICS
from longspan.tasks.tag.spans import SCHEMES

if TYPE_CHECKING:
    from longspan.tasks.tag.tagger import Tagger

#: Sizes beyond these are refused before anything of that size is allocated.
LARGEST = {
    "hidden_size": 65_536, "num_layers": 256, "word_size": 65_536, "character_size": 65_536,
    "character_embedding_size": 65_536,
}  # fmt: skip


def save(model: Tagger, path: Path, report: str | None) -> None:
    """Write a fitted tagger."""
    encoder = model.encoder_
    config: dict[str, Any] = {
        "options": model.engine_.config.model_dump(mode="json"),
        "title": model.title_,
        "words": encoder.words,
        "characters": encoder.characters,
        "labels": encoder.labels,
        "intents": encoder.intents,
        "scheme": encoder.scheme,
        "vectors": None if encoder.vectors is None else list(encoder.vectors),
        "baseline": model.baseline_.to_dict(),
    }
    save_directory(path, "tag", config, model.engine_.network.state_dict(), card(model), report)


def restore(kind: type[Tagger], saved: SavedModel) -> Tagger:
    """Return the tagger that `save` wrote.

    Raises:
        ModelDirectoryError: If the parts do not fit together.
    """
    return guarded(lambda: _restore(kind, saved.config, saved.tensors))


def _restore(kind: type[Tagger], values: dict[str, Any], tensors: dict[str, Tensor]) -> Tagger:
    options = values["options"]
    if not isinstance(options, dict):
        raise TypeError(f"options must be an object, got {options!r}")
    config: TagConfig = checked(TagConfig, options)
    vectors = None if values["vectors"] is None else VectorShape(*values["vectors"])
    if vectors is not None and not all(type(value) is int and value > 0 for value in vectors):
        raise TypeError(f"sizes of vectors must be positive whole numbers, got {vectors}")
    sizes = config.model_dump() | ({} if vectors is None else {"word_size": vectors.width})
    for name, largest in LARGEST.items():
        if (sizes[name] or 0) > largest:
            raise InputError(f"{name} = {sizes[name]} is beyond {largest}.")
    if values["scheme"] not in (None, *SCHEMES):
        raise InputError(f"There is no scheme {values['scheme']!r}.")
    encoder = Encoder(
        config, _texts(values, "words"), _texts(values, "characters"), _texts(values, "labels"),
        _texts(values, "intents"), values["scheme"], (), vectors,
    )  # fmt: skip
    if vectors is not None and vectors.learnt > encoder.num_words:
        raise TypeError(f"{vectors.learnt} learnt words are more than the {encoder.num_words}")
    with torch.device("meta"):  # shapes first: a huge model must not be allocated
        expected = Engine(config, encoder).network.state_dict()
    check_tensors(expected, tensors)
    model = kind(**options)
    model.engine_ = Engine(config, encoder)
    model.engine_.network.load_state_dict(tensors)
    model.engine_.network.eval()
    model.encoder_, model.title_ = encoder, str(values["title"])
    model.baseline_ = MostFrequent.from_dict(values["baseline"])
    model.evaluation_ = None
    return model


def _texts(values: dict[str, Any], name: str) -> list[str]:
    """Return a list of different texts."""
    found = values[name]
    if not isinstance(found, list) or not all(isinstance(v, str) for v in found):
        raise InputError(f"`{name}` must be a list of texts.")
    if len(set(found)) != len(found):
        raise InputError(f"`{name}` has a text twice.")
    return found


def card(model: Tagger) -> str:
    """Return the model card, Markdown."""
    config, encoder = model.engine_.config, model.encoder_
    parameters = sum(p.numel() for p in model.engine_.network.parameters())
    whole = f" and {len(encoder.intents)} intents" if encoder.intents else ""
    head = "a conditional random field" if config.crf else "independent labels"
    lines = [
        f"# Tagger: {model.title_}",
        "",
        f"A bidirectional {config.cell.upper()} network with {head} ({config.num_layers} × "
        f"{config.hidden_size} units each way, {parameters} parameters) for {len(encoder.labels)} "
        f"labels{whole}, knowing {len(encoder.words)} words.",
        "",
        "```python",
        "import longspan",
        "",
        'print(longspan.load("this directory").predict([["some", "words"]]))',
        "```",
    ]
    if model.evaluation_ is not None:
        scores = model.evaluation_.scores
        names = [name for name in METRICS if name in scores["model"]]
        lines += ["", "## Scores on sequences it did not see", ""]
        lines += [f"| | {' | '.join(METRICS[name][0] for name in names)} |"]
        lines += ["|---|" + "--:|" * len(names)]
        for who, found in scores.items():
            cells = " | ".join(f"{100 * found[n]:.2f}" if n in found else "" for n in names)
            lines.append(f"| {who} | {cells} |")
    return "\n".join(lines) + "\n"
