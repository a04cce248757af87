"""What a classifier hands over to be looked into: whole sequences, read to their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from longspan.errors import InputError
from longspan.tasks.classify.engine import Part
from longspan.tasks.classify.given import Given
from longspan.tasks.classify.given import given as read_given
from longspan.tasks.classify.network import Batch, SequenceEncoder
from longspan.tasks.inspection import (
    WORDS,
    Explained,
    Look,
    Subject,
    answering,
    centred,
    last_steps,
    needs_data,
)

if TYPE_CHECKING:
    from longspan.tasks.classify.classifier import Classifier


def subject(
    model: Classifier, data: Any, look: Look, *, labels: Any = None, **columns: Any
) -> Subject:
    """Return sequences with their labels; the focus is the end of each.

    Args:
        model: A fitted classifier.
        data: Sequences, or a file or frame that has their labels too.
        look: How many, how long.
        labels: Of the sequences, (N,), where `data` does not hold them.
        columns: Of files, in place of those of training; see `Classifier.fit`.

    Raises:
        InputError: If they are missing or cannot be used, or the network reads channels as steps.
    """
    needs_data(data, "sequences with their labels")
    network = model.network_.eval()
    encoder = network.encoder
    if encoder.shuffled:
        raise InputError(
            "The recurrent layer of front='lstm_fcn' with dimension_shuffle reads channels as "
            "steps, so it has no memory of time to measure. Train one with "
            "dimension_shuffle=False."
        )
    more, given = _more(model, data, labels, look, columns)
    batch = rows(more, look.few(len(more.lengths), network, len(more.inputs)))
    shorten: Callable[[Batch, int], Batch] = blank if encoder.images is not None else cut
    with torch.no_grad():
        found = network(batch).argmax(1)
    lengths = _reader_lengths(encoder, batch)
    pooled = not torch.equal(lengths, batch.lengths)
    names = _names(model, given, batch)
    if pooled:
        names = [[str(k) for k in range(length)] for length in lengths.tolist()]
    classes = [str(name) for name in model.classes_.tolist()]
    explained = _explained(model, given, batch, found)
    step = {"text": WORDS[model.config_.tokens], "image": "row"}.get(encoder.shape.kind, "step")
    assert batch.labels is not None
    return Subject(
        title=model.title_, network=network, reader=encoder.recurrent, batch=batch, more=more,
        losses=lambda b: F.cross_entropy(network(b), b.labels, reduction="none"),
        outputs=lambda b: centred(network(b)), rows=rows, cut=shorten,
        focus=(lengths - 1).clamp(min=0), lengths=lengths, names=names, step=step,
        unit="nats a sequence", outputs_are="scores of the classes", explained=[explained],
        channels=() if encoder.shape.kind == "text" else _channels(model, encoder),
        kind="text" if encoder.shape.kind == "text" else "series",
        longest=int(more.lengths.max()),
        whole=encoder.images is not None or int(more.lengths.max()) < look.steps,
        answers=[
            f"Is {classes[y]}; taken for {classes[f]}"
            for y, f in zip(batch.labels.tolist(), found.tolist(), strict=True)
        ],
        facts={"sequences given": len(given)}, notes=_notes(encoder, more, look, pooled),
    )  # fmt: skip


def rows(batch: Batch, numbers: Tensor) -> Batch:
    """Return some of the sequences."""
    labels = None if batch.labels is None else batch.labels[numbers]
    return Batch(batch.inputs[:, numbers], batch.lengths[numbers], labels)


def cut(batch: Batch, k: int) -> Batch:
    """Return the last k steps of each sequence."""
    keep = batch.lengths.clamp(max=k)
    return batch._replace(inputs=last_steps(batch.inputs, batch.lengths, keep), lengths=keep)


def blank(batch: Batch, k: int) -> Batch:
    """Return sequences whose steps before the last k are zero: images keep their size."""
    steps = torch.arange(len(batch.inputs))[:, None]
    return batch._replace(inputs=batch.inputs * (steps >= batch.lengths - k)[..., None])


def _more(
    model: Classifier, data: Any, labels: Any, look: Look, columns: dict[str, Any]
) -> tuple[Batch, Given]:
    """Return the chosen sequences, shortened to the steps that are looked at, and all of them."""
    own = model.columns_ | {name: column for name, column in columns.items() if column is not None}
    given = read_given(data, labels, kind=model.inputs_.shape.kind, **own)
    model.inputs_.check_fits(given.data)
    numbers = model._numbers(given)[0]
    known = np.flatnonzero(numbers < len(model.classes_))
    if not len(known):
        raise InputError(
            "No sequence has one of the classes that the model knows: "
            f"{model.classes_.tolist()[:10]}. Give some that have."
        )
    look = look.among(known, len(given), "sequence", "a label that the model does not know")
    image = model.network_.encoder.images is not None
    steps = model.inputs_.shape.longest if image else look.steps
    chosen = look.choose(len(known), model.network_, steps, "sequence of a known class")
    kept = given.part(known[chosen])
    part = Part(model.inputs_.encode(kept.data), torch.from_numpy(numbers[known[chosen]]))
    batch = part.batch(torch.arange(len(chosen)))
    if not int(batch.lengths.max()):
        raise InputError("All sequences are empty. Give some with at least one step.")
    return batch if image else cut(batch, look.steps), kept


def _reader_lengths(encoder: SequenceEncoder, batch: Batch) -> Tensor:
    """Return the steps of each row that reach the recurrent layer, (B,)."""
    found: list[Tensor] = []
    handle = encoder.recurrent.register_forward_pre_hook(
        lambda _, args, kwargs: found.append(kwargs["lengths"]), with_kwargs=True
    )
    try:
        with torch.no_grad():
            encoder(batch)
    finally:
        handle.remove()
    return found[0]


def _explained(model: Classifier, given: Given, batch: Batch, found: Tensor) -> Explained:
    """Return the score of the class that each row is taken for, from its channels or tokens."""
    network, encoder = model.network_, model.network_.encoder
    vectors = encoder.embedding

    def score(own: Batch) -> Tensor:
        return centred(network(own)).gather(1, found[:, None])[:, 0]

    def of_vectors(x: Tensor) -> Tensor:
        assert vectors is not None
        with answering(vectors, x):
            return score(batch)

    run, x = (lambda own: score(batch._replace(inputs=own))), batch.inputs
    if vectors is not None:
        run = of_vectors
        with torch.no_grad():
            x = vectors(batch.inputs)
    return Explained(
        run, x, "the score of the class it is taken for, above the mean of all classes",
        (batch.lengths - 1).clamp(min=0), batch.lengths, _names(model, given, batch)[0],
    )  # fmt: skip


def _names(model: Classifier, given: Given, batch: Batch) -> list[list[str]]:
    """Return the tokens of each text, or the numbers of steps within each whole sequence."""
    codec, lengths = model.inputs_.codec, batch.lengths.tolist()
    if codec is not None:
        columns = zip(batch.inputs.t().tolist(), lengths, strict=True)
        return [[codec.symbols[k] for k in row[:length]] for row, length in columns]
    longest = model.config_.max_length
    wholes = [len(each[:longest]) for each in given.data[: len(lengths)]]
    return [
        [str(k) for k in range(whole - length, whole)]
        for whole, length in zip(wholes, lengths, strict=True)
    ]


def _channels(model: Classifier, encoder: SequenceEncoder) -> list[str]:
    """Return the names of the columns that the channels were read from, or numbers."""
    names = model.columns_.get("values") or ()
    if len(names) == encoder.shape.size:
        return list(names)
    word = "column" if encoder.shape.kind == "image" else "channel"
    return [f"{word} {k}" for k in range(encoder.shape.size)]


def _notes(encoder: SequenceEncoder, more: Batch, look: Look, pooled: bool) -> list[str]:
    notes = []
    if encoder.images is None and int(more.lengths.max()) == look.steps:
        notes.append(f"Sequences are cut to their last {look.steps} steps.")
    if pooled:
        notes.append(
            "Convolutions stand before the recurrent layer: a lag is one of its steps, which may "
            "be several of the sequence; shortened contexts are steps of the sequence."
        )
    if encoder.recurrent.bidirectional or encoder.pooling.kind != "last":
        notes.append(
            "The network does not look at its last state alone, so a step far from the end can "
            "reach the output without being remembered; lags count from the end all the same."
        )
    return notes
