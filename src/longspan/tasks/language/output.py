"""What a language model hands out besides its text: the record of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from longspan.data.text import Codec
from longspan.tasks.language.engine import Engine
from longspan.tasks.language.results import LanguageRun
from longspan.tasks.running import facts, versions

if TYPE_CHECKING:
    from longspan.tasks.language.model import LanguageModel

#: Texts that a report shows: how they are drawn.
SAMPLES = {
    "temperature 0.5": {"temperature": 0.5},
    "temperature 1, from the likeliest tokens with 90 % together": {"top_p": 0.9},
    "temperature 1": {},
}
#: Their length in characters, about.
LENGTH = 500


def notes(engine: Engine, codec: Codec, streams: dict[str, np.ndarray]) -> list[str]:
    """Return what was found in the text and done about it."""
    found = []
    used, wanted = engine.streams(len(streams["training"])), engine.config.batch_size
    if used < wanted:
        found.append(
            f"The text is short: it is read in {used} streams in place of {wanted}, so that an "
            "epoch has some steps."
        )
    for part, tokens in streams.items():
        share = 0.0 if codec.unknown is None else (tokens == codec.unknown).mean()
        if share:
            found.append(f"{100 * share:.2g} % of the {part} tokens are unknown ones.")
    return found


def summary(
    model: LanguageModel, streams: dict[str, np.ndarray], seconds: float, notes: list[str]
) -> LanguageRun:
    """Return the record of a training, for reports and model cards.

    Args:
        model: Fitted.
        streams: Tokens of each part.
        seconds: Of training.
        notes: What was found in the text.
    """
    engine, history = model.engine_, model.history_
    letters = {"characters": 1, "subwords": 4}.get(engine.config.tokens, 6)
    return LanguageRun(
        title=model.title_,
        evaluation=model.evaluation_,
        history=history,
        samples={
            how: model.generate(max_tokens=LENGTH // letters, **options)
            for how, options in SAMPLES.items()
        },
        settings=engine.config.model_dump(mode="json"),
        facts={
            **{f"{part} tokens": len(tokens) - 1 for part, tokens in streams.items()},
            "vocabulary": engine.vocab_size,
            **facts(engine.network, history, seconds),
        },
        versions=versions(),
        notes=notes,
    )
