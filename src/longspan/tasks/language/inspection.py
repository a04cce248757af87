"""What a language model hands over to be looked into: the token after each stretch of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from longspan.errors import InputError
from longspan.tasks.inspection import (
    WORDS,
    Explained,
    Look,
    Subject,
    needs_data,
    reading,
    seen_input,
)

if TYPE_CHECKING:
    from longspan.tasks.language.model import LanguageModel


class Stretches(NamedTuple):
    """Stretches of text and the token after each.

    Attributes:
        inputs: Tokens, int64 (T, B).
        targets: The next one, (B,).
    """

    inputs: Tensor
    targets: Tensor


def subject(model: LanguageModel, data: Any, look: Look, *, encoding: str = "utf-8") -> Subject:
    """Return stretches of a text, each read from a state of zeros; the focus is their end.

    Args:
        model: A fitted language model.
        data: A text as for `LanguageModel.evaluate`.
        look: How many, how long.
        encoding: Of files.

    Raises:
        InputError: If the text is missing, or has fewer than two tokens.
    """
    needs_data(data, "a text")
    network, codec = model.engine_.network.eval(), model.codec_
    own = codec.encode(model._normalised(data, encoding))
    tokens = torch.as_tensor(np.concatenate([[codec.newline], own]), dtype=torch.int64)
    if len(tokens) < 3:
        raise InputError(f"The text has {len(tokens) - 1} tokens. Give one with at least two.")
    # Half of a short text, so that there are several stretches.
    steps = min(look.steps, max((len(tokens) - 1) // 2, 1))
    begin = torch.from_numpy(_begin(look, len(tokens) - 1, steps, network))
    more = _stretches(tokens, begin, steps)
    batch = _rows(more, look.few(len(begin), network, steps))
    reader = network.layers[0]
    head: Any = network.head

    def outputs(given: Stretches) -> Tensor:
        return head.log_probs(network.features(given.inputs)[0][-1])

    def losses(given: Stretches) -> Tensor:
        return -outputs(given).gather(1, given.targets[:, None])[:, 0]

    def expected(x: Tensor) -> Tensor:
        with reading(reader, x):
            return -losses(batch)

    with torch.no_grad():
        x, found = seen_input(reader, lambda: outputs(batch)), outputs(batch).argmax(1)
    symbols, step = codec.symbols, WORDS[model.engine_.config.tokens]
    names = [[symbols[k] for k in row] for row in batch.inputs.t().tolist()]
    lengths = torch.full((len(batch.targets),), steps)
    what = f"the log-probability of the {step} that came next"
    return Subject(
        title=model.title_, network=network, reader=reader, batch=batch, more=more, losses=losses,
        outputs=outputs, rows=_rows, cut=lambda given, k: given._replace(inputs=given.inputs[-k:]),
        focus=lengths - 1,
        lengths=lengths,
        names=names,
        step=step, unit=f"nats a {step}", outputs_are=f"log-probabilities of the next {step}",
        explained=[Explained(expected, x, what, lengths - 1, lengths, names[0])],
        kind="text", longest=steps,
        bptt_length=model.engine_.config.bptt_length,

        answers=[
            f"Next comes {symbols[t]!r}; the likeliest is {symbols[f]!r}"
            for t, f in zip(batch.targets.tolist(), found.tolist(), strict=True)
        ],
        facts={"tokens of the text": len(tokens) - 1, "steps of each stretch": steps},
        notes=[
            "Every stretch is read from a state of zeros; what the model carries over from the "
            "text before it is left out."
        ],
    )  # fmt: skip


def _begin(look: Look, predictions: int, steps: int, network: torch.nn.Module) -> np.ndarray:
    """Return where stretches begin, (B,)."""
    return look.choose(predictions - steps + 1, network, steps, "stretch of text")


def _stretches(tokens: Tensor, begin: Tensor, steps: int) -> Stretches:
    return Stretches(tokens[begin + torch.arange(steps)[:, None]], tokens[begin + steps])


def _rows(given: Stretches, numbers: Tensor) -> Stretches:
    return Stretches(given.inputs[:, numbers], given.targets[numbers])
