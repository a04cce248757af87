"""What a translator hands over to be looked into: a token of each target, and all before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from longspan.data.ragged import Ragged
from longspan.tasks.inspection import (
    Explained,
    Look,
    Subject,
    last_steps,
    needs_data,
    reading,
    seen_input,
)
from longspan.tasks.translate.network import PairBatch

if TYPE_CHECKING:
    from longspan.data.text import Codec
    from longspan.tasks.translate.translator import Translator


class Beginnings(NamedTuple):
    """Sources, and targets up to the token that is looked at.

    Attributes:
        pairs: As the network reads them; each row's last target is looked at.
        answer: That token, (B,).
    """

    pairs: PairBatch
    answer: Tensor


def subject(
    model: Translator, data: Any, look: Look, *, target: Any = None, encoding: str = "utf-8"
) -> Subject:
    """Return pairs up to a drawn token of each target (its end, in the shown one): the focus.

    Memory is the decoder's, of the target that it has written; with input feeding, whose steps go
    through no layer, the encoder's, of the source.

    Args:
        model: A fitted translator.
        data: As for `Translator.evaluate`.
        look: How many, how long.
        target: The other side, where `data` has only one.
        encoding: Of files.

    Raises:
        InputError: If they are missing or cannot be read.
    """
    needs_data(data, "pairs of texts")
    network, known = model.engine_.network.eval(), model.vocabularies_
    pairs = model._pairs(data, target, encoding)
    of_source = network.input_feeding
    more = _more(model, model._tokens(pairs), look)
    steps = len(more.pairs.source) + len(more.pairs.inputs)
    batch = rows(more, look.few(len(more.answer), network, steps))
    reader = network.encoder if of_source else network.decoder

    def outputs(given: Beginnings) -> Tensor:
        features = network.features(given.pairs)[0]
        at = given.pairs.lengths - 1
        return network.head.log_probs(features[at, torch.arange(len(at))])

    def losses(given: Beginnings) -> Tensor:
        return -outputs(given).gather(1, given.answer[:, None])[:, 0]

    def expected(x: Tensor) -> Tensor:
        with reading(reader, x):
            return -losses(batch)

    with torch.no_grad():
        x, found = seen_input(reader, lambda: outputs(batch)), outputs(batch).argmax(1)
    read = batch.pairs.source if of_source else batch.pairs.inputs
    lengths = batch.pairs.source_lengths if of_source else batch.pairs.lengths
    longest = more.pairs.source_lengths if of_source else more.pairs.lengths
    names = _names(known.source if of_source else known.target, read, lengths)
    what = "the log-probability of the token that came next"
    symbols = known.target.symbols
    return Subject(
        title=model.title_, network=network, reader=reader, batch=batch, more=more, losses=losses,
        outputs=outputs, rows=rows, cut=cut_source if of_source else cut, focus=lengths - 1,
        lengths=lengths, names=names,
        step="token of the source" if of_source else "token of the target", unit="nats a token",
        outputs_are="log-probabilities of the target's next token",
        explained=[Explained(expected, x, what, lengths - 1, lengths, names[0])],
        kind="text", longest=int(longest.max()), whole=int(longest.max()) < look.steps,
        answers=[
            f"Next comes {symbols[t]!r}; the likeliest is {symbols[f]!r}"
            for t, f in zip(batch.answer.tolist(), found.tolist(), strict=True)
        ],
        facts={"pairs given": len(pairs)}, notes=_notes(of_source),
    )  # fmt: skip


def rows(given: Beginnings, numbers: Tensor) -> Beginnings:
    """Return some of the pairs."""
    own = given.pairs
    picked = PairBatch(
        own.source[:, numbers], own.source_lengths[numbers], own.inputs[:, numbers],
        own.targets[:, numbers], own.lengths[numbers],
    )  # fmt: skip
    return Beginnings(picked, given.answer[numbers])


def cut(given: Beginnings, k: int) -> Beginnings:
    """Return pairs whose decoder begins k steps before the end: from the encoder's state."""
    own = given.pairs
    keep = own.lengths.clamp(max=k)
    inputs, targets = (last_steps(t, own.lengths, keep) for t in (own.inputs, own.targets))
    return given._replace(pairs=own._replace(inputs=inputs, targets=targets, lengths=keep))


def cut_source(given: Beginnings, k: int) -> Beginnings:
    """Return pairs with the last k tokens of their sources."""
    own = given.pairs
    keep = own.source_lengths.clamp(max=k)
    source = last_steps(own.source, own.source_lengths, keep)
    return given._replace(pairs=own._replace(source=source, source_lengths=keep))


def _more(model: Translator, tokens: tuple[Ragged, Ragged], look: Look) -> Beginnings:
    sources, targets = tokens
    longest = min(int((sources.lengths + targets.lengths).max()), 2 * look.steps)
    chosen = torch.from_numpy(look.choose(len(sources), model.engine_.network, longest, "pair"))
    batch = model.engine_.batch(sources, targets, chosen)
    random = np.random.default_rng(look.seed)
    limit = batch.lengths.clamp(max=look.steps)
    at = torch.tensor([int(random.integers(n)) for n in limit.tolist()])
    at[0] = limit[0] - 1
    answer = batch.targets[at, torch.arange(len(at))]
    keep, longest_kept = at + 1, int(at.max()) + 1
    kept = batch.source_lengths.clamp(max=look.steps)
    short = PairBatch(
        last_steps(batch.source, batch.source_lengths, kept), kept,
        batch.inputs[:longest_kept], batch.targets[:longest_kept], keep,
    )  # fmt: skip
    return Beginnings(short, answer)


def _names(codec: Codec, tokens: Tensor, lengths: Tensor) -> list[list[str]]:
    columns = zip(tokens.t().tolist(), lengths.tolist(), strict=True)
    return [[codec.symbols[k] for k in row[:length]] for row, length in columns]


def _notes(of_source: bool) -> list[str]:
    if of_source:
        return [
            "With input feeding the decoder is stepped by hand and passes through no layer, so "
            "only the encoder is looked into; lags count from the end of the source. Attention "
            "can reach any token of the source without memory."
        ]
    return [
        "Memory is the decoder's, of the target that it has written. What it knows of the source "
        "comes by its first state and by attention, which needs no memory: see the maps of "
        "attention in the model's report.",
        "With a shortened context the decoder begins in the middle of the target, from the "
        "state that the encoder gives it.",
    ]
