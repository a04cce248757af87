"""What a translator hands out: texts from tokens, where it looked, the record of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from longspan.data.ragged import Ragged
from longspan.data.text import Codec
from longspan.tasks.running import facts, versions
from longspan.tasks.translate.encoding import Parts
from longspan.tasks.translate.results import Alignment, TranslateRun

if TYPE_CHECKING:
    from longspan.tasks.translate.translator import Translator

#: How the end of a text is written where tokens are shown.
END = "⏹"
#: Outputs of the test part whose attention a report shows, and their longest side in tokens.
SHOWN, LONGEST_SHOWN = 8, 60


def texts(
    model: Translator, sources: Sequence[str], outputs: Sequence[tuple[int, ...]]
) -> list[str]:
    """Return outputs as texts; unknown tokens become those of the source they came from.

    Args:
        model: Fitted.
        sources: Clean texts.
        outputs: Tokens of an output for each, without the end.
    """
    codec = model.vocabularies_.target
    found = [codec.decode(tokens) for tokens in outputs]
    copies = model.engine_.config.copy_unknown and model.engine_.network.attention is not None
    if not copies or codec.unknown is None:
        return found
    places = [k for k, tokens in enumerate(outputs) if codec.unknown in tokens]
    given = model.vocabularies_.sources([sources[k] for k in places])
    written = Ragged.of([[*outputs[k], codec.newline] for k in places])
    for k, weights in zip(places, model.engine_.weights(given, written), strict=True):
        # The end of the source, last, is not a token that could be written.
        looked = weights[:-1, :-1].argmax(1) if weights.shape[1] > 1 else None
        if looked is not None:
            found[k] = _copied(model, sources[k], outputs[k], looked)
    return found


def _copied(model: Translator, source: str, tokens: tuple[int, ...], looked: np.ndarray) -> str:
    """Return an output whose unknown tokens are copied from where the decoder looked."""
    codec = model.vocabularies_.target
    kinds = model.engine_.config.kinds
    pieces = {"words": source.split(), "characters": list(source)}.get(kinds[0])
    if pieces is None:
        numbers = model.vocabularies_.source.encode(source)
        pieces = [model.vocabularies_.source.symbols[k].strip() for k in numbers]
    gap = " " if kinds[1] == "words" else ""
    return gap.join(
        pieces[place] if token == codec.unknown else codec.symbols[token]
        for token, place in zip(tokens, looked.tolist(), strict=True)
    )


def alignments(model: Translator, sources: Ragged, targets: Ragged) -> list[Alignment]:
    """Return where the decoder looks while it writes targets; all end with their symbols."""
    known = model.vocabularies_
    return [
        Alignment(
            shown(known.source, sources[k].tolist()), shown(known.target, targets[k].tolist()),
            weights,
        )
        for k, weights in enumerate(model.engine_.weights(sources, targets))
    ]  # fmt: skip


def shown(codec: Codec, tokens: Sequence[int]) -> tuple[str, ...]:
    """Return tokens as they are written, the end as a sign."""
    return tuple(END if k == codec.newline else codec.symbols[k] for k in tokens)


def unknown(codec: Codec, texts: Ragged) -> int:
    """Return how many tokens are unknown ones."""
    return 0 if codec.unknown is None else int((texts.values == codec.unknown).sum())


def notes(model: Translator, parts: Parts, tokens: dict[str, tuple[Ragged, Ragged]]) -> list[str]:
    """Return what was found in the data and done about it."""
    found = []
    if parts.train.empty:
        found.append(f"{parts.train.empty} pairs with an empty side were left out.")
    for part, count in parts.repeated.items():
        if count:
            found.append(
                f"{count} pairs were left out of the {part} part: the training part has their "
                "source too."
            )
            if part not in tokens:
                found.append(f"Nothing is left of the {part} part.")
    codecs = (model.vocabularies_.source, model.vocabularies_.target)
    for part, sides in tokens.items():
        for side, codec, texts in zip(("source", "target"), codecs, sides, strict=True):
            share = unknown(codec, texts) / max(len(texts.values), 1)
            if share:
                found.append(f"{100 * share:.2g} % of the {part} {side} tokens are unknown ones.")
    return found


def summary(
    model: Translator, parts: Parts, tokens: dict[str, tuple[Ragged, Ragged]], seconds: float
) -> TranslateRun:
    """Return the record of a training, for reports and model cards.

    Args:
        model: Fitted.
        parts: Of the data.
        tokens: The same as tokens.
        seconds: Of training.
    """
    engine, history = model.engine_, model.history_
    return TranslateRun(
        title=model.title_,
        evaluation=model.evaluation_,
        history=history,
        alignments=_some_alignments(model),
        settings=engine.config.model_dump(mode="json"),
        facts={
            **{f"{name} pairs": len(part) for name, part in parts.named().items()},
            "source vocabulary": engine.sizes[0],
            "target vocabulary": engine.sizes[1],
            "longest target": engine.longest,
            **facts(engine.network, history, seconds),
        },
        versions=versions(),
        notes=notes(model, parts, tokens),
    )


def _some_alignments(model: Translator) -> dict[str, Alignment]:
    """Return alignments of outputs that are spread over the test part by their quality."""
    if model.evaluation_ is None or model.engine_.network.attention is None:
        return {}
    known = model.vocabularies_
    ranked = sorted(model.evaluation_.examples, key=lambda e: -e.chrf)
    fit = [e for e in ranked if e.output
           and len(known.source.encode(e.source)) < LONGEST_SHOWN
           and len(known.target.encode(e.output)) < LONGEST_SHOWN]  # fmt: skip
    chosen = [fit[k] for k in np.linspace(0, len(fit) - 1, min(SHOWN, len(fit))).astype(int)]
    sources = known.sources([e.source for e in chosen])
    targets = known.targets([e.output for e in chosen])
    found = alignments(model, sources, targets)
    return {e.source: alignment for e, alignment in zip(chosen, found, strict=True)}
