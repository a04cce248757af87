"""What a tagger hands over to be looked into: sequences, and one word of each as the focus."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from longspan.errors import InputError
from longspan.tasks.inspection import (
    Explained,
    Look,
    Subject,
    centred,
    needs_data,
    reading,
    seen_input,
    window,
)
from longspan.tasks.tag.encoding import EncodedText
from longspan.tasks.tag.network import TagInputs, TagNetwork
from longspan.tasks.tag.parts import Reading, as_text

if TYPE_CHECKING:
    from longspan.tasks.tag.tagger import Tagger

#: Added to the scores of labels that are ruled out.
NEVER = -1e6


class Focused(NamedTuple):
    """Sequences and a word of each.

    Attributes:
        inputs: The sequences.
        at: Places of the words, (B,).
        reach: Words that each word's scores are read from, on each side, with itself; None for all.
    """

    inputs: TagInputs
    at: Tensor
    reach: int | None = None


def subject(
    model: Tagger, data: Any, look: Look, *, labels: Any = None,
    word_column: str | int | None = None, label_column: str | int | None = None,
    encoding: str = "utf-8",
) -> Subject:  # fmt: skip
    """Return labelled sequences; the focus is a drawn word of each, in the shown one the middle.

    Args:
        model: A fitted tagger.
        data: As for `Tagger.evaluate`.
        look: How many, how long.
        labels: Beside lists of words.
        word_column: Of files with columns.
        label_column: Of files with columns.
        encoding: Of the file.

    Raises:
        InputError: If there are no labelled words, or they cannot be read.
    """
    needs_data(data, "labelled sequences")
    network, encoder = model.engine_.network.eval(), model.encoder_
    text = as_text(data, labels, reading=Reading(word_column, label_column, encoding))
    encoded = encoder.encode(text)
    more, chosen = _more(encoded, network, look)
    batch = rows(more, look.few(len(more.at), network, len(more.inputs.words)))

    def outputs(given: Focused) -> Tensor:
        return centred(at_focus(network(given.inputs)[0], given.at))

    with torch.no_grad():
        x = seen_input(network.recurrent, lambda: outputs(batch))
        found = outputs(batch).argmax(1)

    def score(vectors: Tensor) -> Tensor:
        with reading(network.recurrent, vectors):
            return outputs(batch).gather(1, found[:, None])[:, 0]

    assert batch.inputs.labels is not None
    right = at_focus(batch.inputs.labels, batch.at).tolist()
    words = [list(text.words[int(k)][: look.steps]) for k in chosen[: len(batch.at)]]
    what = "the score of the label that fits the word best, above the mean of all labels"
    return Subject(
        title=model.title_, network=network, reader=network.recurrent, batch=batch, more=more,
        losses=lambda given: label_nll(network, given), outputs=outputs, rows=rows,
        cut=lambda given, k: given._replace(reach=k),
        focus=batch.at, lengths=batch.inputs.lengths, names=words, step="word",
        unit="nats a word", outputs_are="scores of the word's labels",
        explained=[Explained(score, x, what, batch.at, batch.inputs.lengths, words[0])],
        kind="text", before=up_to_focus, after=from_focus,
        longest=int(more.inputs.lengths.max()),
        whole=int(more.inputs.lengths.max()) < look.steps,

        answers=[
            f"The word {own[at]!r} is {encoder.labels[y]}; {encoder.labels[f]} fits best"
            for own, at, y, f in zip(words, batch.at.tolist(), right, found.tolist(), strict=True)
        ],
        facts={"sequences given": len(text)},
        notes=[
            "A word's label is looked at by itself: its loss is -ln of its probability by the "
            "conditional random field, its scores are those before that.",
            "With a shortened context each word's scores come from the words near it alone.",
        ],
    )  # fmt: skip


def rows(given: Focused, numbers: Tensor) -> Focused:
    """Return some of the sequences."""
    own = given.inputs
    picked = replace(
        own, words=own.words[:, numbers], forms=own.forms[:, numbers],
        lengths=own.lengths[numbers], labels=None if own.labels is None else own.labels[:, numbers],
        intents=None,
    )  # fmt: skip
    return Focused(picked, given.at[numbers])


def around(given: Focused, k: int) -> Focused:
    """Return the words less than k places from the focus: k of them on each side, with itself."""
    begin = (given.at - k + 1).clamp(min=0)
    return _part(given, begin, (given.at + k).minimum(given.inputs.lengths))


def up_to_focus(given: Focused) -> Focused:
    """Return the words up to the focus, which is then the last."""
    return _part(given, torch.zeros_like(given.at), given.at + 1)


def from_focus(given: Focused) -> Focused:
    """Return the words from the focus on, which is then the first."""
    return _part(given, given.at, given.inputs.lengths)


def at_focus(steps: Tensor, at: Tensor) -> Tensor:
    """Return one step of each row, (B, …), from (T, B, …)."""
    return steps[at, torch.arange(len(at))]


def label_nll(network: TagNetwork, given: Focused) -> Tensor:
    """Return -ln P(label) of each focus, (B,): its marginal by the conditional random field.

    P(y[t] = k) = Z(scores with all other labels of step t ruled out) / Z(scores).
    """
    inputs, at, reach = given
    assert inputs.labels is not None
    whole = reach is None or reach >= len(inputs.words)
    scores = (network(inputs)[0] if whole else _near_scores(network, given)).double()
    others = torch.zeros_like(scores)
    others[at, torch.arange(len(at))] = NEVER
    others[at, torch.arange(len(at)), at_focus(inputs.labels, at)] = 0.0
    own = network.chain.log_partition(scores + others, inputs.lengths)
    return network.chain.log_partition(scores, inputs.lengths) - own


def _near_scores(network: TagNetwork, given: Focused) -> Tensor:
    """Return the scores of all words, each from those within its reach alone, (T, B, K)."""
    inputs, _, reach = given
    assert reach is not None
    steps, numbers = torch.nonzero(
        torch.arange(len(inputs.words))[:, None] < inputs.lengths, as_tuple=True
    )
    near = around(Focused(rows(given, numbers).inputs, steps), reach)
    found = at_focus(network(near.inputs)[0], near.at)
    scores = found.new_zeros(*inputs.words.shape, found.shape[1])
    return scores.index_put((steps, numbers), found)


def _part(given: Focused, begin: Tensor, end: Tensor) -> Focused:
    """Return a stretch of each sequence, from `begin` to before `end`, each (B,)."""
    own, keep = given.inputs, end - begin
    assert own.labels is not None
    words, forms, labels = (window(t, begin, keep) for t in (own.words, own.forms, own.labels))
    short = replace(own, words=words, forms=forms, labels=labels, lengths=keep, intents=None)
    return Focused(short, given.at - begin)


def _more(encoded: EncodedText, network: TagNetwork, look: Look) -> tuple[Focused, np.ndarray]:
    """Return the first words of the chosen sequences with a focus in each, and their numbers."""
    places = _places(encoded, network.chain.num_labels, look.steps)
    usable = np.array([k for k, own in enumerate(places) if len(own)], np.int64)
    if not len(usable):
        raise InputError("No word has a label that the model knows. Give sequences with some.")
    look = look.among(usable, len(places), "sequence", "no word with a label that the model knows")
    # Each word is read anew with the words around it.
    steps = min(int(encoded.words.lengths.max()), look.steps) ** 2
    chosen = usable[look.choose(len(usable), network, steps, "sequence with labelled words")]
    random = np.random.default_rng(look.seed)
    at = [int(random.choice(places[k])) for k in chosen]
    at[0] = int(places[chosen[0]][len(places[chosen[0]]) // 2])
    given = Focused(encoded.gather(torch.from_numpy(chosen)), torch.tensor(at))
    end = given.inputs.lengths.clamp(max=look.steps)
    return _part(given, torch.zeros_like(end), end), chosen


def _places(encoded: EncodedText, num_labels: int, steps: int) -> list[np.ndarray]:
    """Return the places of each sequence's words whose label is known, among the first `steps`."""
    assert encoded.labels is not None
    known = (encoded.labels < num_labels).numpy()
    offsets = encoded.words.offsets.numpy()
    return [
        np.flatnonzero(known[begin : min(end, begin + steps)])
        for begin, end in pairwise(offsets.tolist())
    ]
