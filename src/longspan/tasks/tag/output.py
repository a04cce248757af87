"""What a tagger hands out besides its labels: the record of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from longspan.data.tagged import TaggedText
from longspan.tasks.running import facts, versions
from longspan.tasks.tag.results import TagRun, Transitions

if TYPE_CHECKING:
    from longspan.tasks.tag.parts import Parts
    from longspan.tasks.tag.tagger import Tagger

#: Labels of which a report shows what follows what.
LABELS_SHOWN = 24
#: Labels that training did not see, of which a note names so many.
NAMED = 5


def notes(model: Tagger, parts: Parts) -> list[str]:
    """Return what was found in the data and done about it."""
    found = []
    encoder, train = model.encoder_, parts.train
    if encoder.scheme is not None and encoder.inner != encoder.scheme:
        found.append(
            f"Labels are spans in the scheme {encoder.scheme.upper()}; the network writes them in "
            f"{str(encoder.inner).upper()}, and predictions come as the data have them."
        )
    empty = sum(not words for words in train.words)
    if empty:
        found.append(f"{empty} training sequences without words are left out.")
    if len(encoder.labels) == 1:
        found.append(f"The training part has one label alone, {encoder.labels[0]!r}.")
    if len(encoder.intents) == 1:
        found.append(f"The training part has one intent alone, {encoder.intents[0]!r}.")
    for name, part in (("validation", parts.validation), ("test", parts.test)):
        if part is not None:
            sides = (_labels(encoder.respelled(text)) for text in (part, train))
            found += _unseen(f"The {name} part", "labels", *sides)
            if encoder.intents and part.intents is not None:
                known = set(encoder.intents)
                found += _unseen(f"The {name} part", "intents", set(part.intents), known)
    return found


def summary(model: Tagger, parts: Parts, seconds: float, notes: list[str]) -> TagRun:
    """Return the record of a training, for reports and model cards.

    Args:
        model: Fitted.
        parts: The data.
        seconds: Of training.
        notes: What was found in the data.
    """
    engine, encoder, history = model.engine_, model.encoder_, model.history_
    named = {"training": parts.train, "validation": parts.validation, "test": parts.test}
    return TagRun(
        title=model.title_,
        evaluation=model.evaluation_,
        history=history,
        transitions=transitions(model, parts),
        settings=engine.config.model_dump(mode="json"),
        facts={
            **{f"{name} sequences": len(part) for name, part in named.items() if part is not None},
            "training words": sum(map(len, parts.train.words)),
            "known words": len(encoder.words),
            "labels": len(encoder.labels),
            **({"intents": len(encoder.intents)} if encoder.intents else {}),
            **facts(engine.network, history, seconds),
        },
        versions=versions(),
        notes=notes,
    )


def transitions(model: Tagger, parts: Parts) -> Transitions | None:
    """Return the learnt scores between the most frequent labels of the training part."""
    engine, encoder = model.engine_, model.encoder_
    if not engine.config.crf:
        return None
    assert parts.train.labels is not None
    counts = dict.fromkeys(encoder.labels, 0)
    for own in parts.train.labels:
        for label in encoder.inward(own):
            counts[label] += 1
    shown = sorted(encoder.labels, key=lambda name: -counts[name])[:LABELS_SHOWN]
    numbers = sorted(encoder.labels.index(name) for name in shown)
    chain = engine.network.chain
    scores = chain.get_parameter("transitions").detach().double().numpy()
    scores = np.where(chain.transitions_allowed.numpy(), scores, np.nan)
    return Transitions([encoder.labels[k] for k in numbers], scores[np.ix_(numbers, numbers)])


def _labels(text: TaggedText) -> set[str]:
    return {label for own in text.labels or () for label in own}


def _unseen(where: str, what: str, found: set[str], known: set[str]) -> list[str]:
    """Return a note on labels that training did not see, if there are any."""
    new = sorted(found - known)
    if not new:
        return []
    names = ", ".join(new[:NAMED]) + (", …" if len(new) > NAMED else "")
    return [f"{where} has {what} that training did not see, which count as wrong: {names}."]
