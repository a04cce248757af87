"""`inspect` and `inspect_module`: all that can be measured of one model and some data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from longspan.errors import InputError
from longspan.insight.ablation import cutting
from longspan.insight.examine import examine
from longspan.insight.inspected import Inspection
from longspan.insight.watch import recurrent_layers
from longspan.nn.recurrent import Recurrent
from longspan.tasks.inspection import Explained, Look, Subject, subject_of


class _Rows(NamedTuple):
    """Rows of inputs (T, B, I), their lengths (B,), and how much of them is seen (None: all)."""

    x: Tensor
    lengths: Tensor
    context: int | None = None


def inspect(
    model: Any, data: Any = None, *, rows: int = 32, steps: int = 256, seed: int = 0,
    sequence: int | None = None, **reading: Any,
) -> Inspection:  # fmt: skip
    r"""Look into a fitted estimator: its memory, gradients, gates, and what its outputs come from.

    >>> from longspan import LanguageModel
    >>> text = "the cat sat on the mat.\n" * 30
    >>> model = LanguageModel(hidden_size=8, num_layers=1, max_epochs=1).fit(text)
    >>> found = inspect(model, text, rows=4, steps=20)
    >>> 0 <= found.horizon.horizon < 20, len(found.to_dict()["gates"])
    (True, 4)

    Args:
        model: `Forecaster`, `Classifier`, `Tagger`, `LanguageModel` or `Translator`.
        data: As the model's `evaluate` takes it; a forecaster may do without, as it keeps the end
            of its data.
        rows: Rows whose derivatives are computed: windows, sequences, stretches of text.
        steps: Steps of a row at most; those at its end are kept.
        seed: Of the choice of rows, of focus words and of resamples.
        sequence: Number of the sequence that is shown, from 0; for a language model, the token at
            which the stretch begins. By default one of the drawn rows.
        reading: How files are read, as for the model's `evaluate`.

    Raises:
        InputError: If such a model cannot be inspected, or an argument or the data do not fit.
    """
    look = _look(rows, steps, seed, sequence)
    return examine(subject_of(model, data, look, **reading), look, type(model).__name__)


def inspect_module(
    network: nn.Module,
    x: Tensor,
    *,
    call: Callable[[Tensor, Tensor], Tensor] | None = None,
    loss: Callable[[Tensor], Tensor] | None = None,
    lengths: Tensor | Sequence[int] | None = None,
    channels: Sequence[str] = (),
    title: str | None = None,
    seed: int = 0,
) -> Inspection:
    """Look into any network that holds recurrent layers of `longspan.nn`.

    >>> from longspan.nn import GRU
    >>> found = inspect_module(GRU(3, 8), torch.randn(30, 4, 3))
    >>> len(found.horizon.influence), [each.gate for each in found.gates]
    (30, ['r', 'z', 'n'])

    Args:
        network: The network; put in evaluation mode meanwhile.
        x: Inputs, (T, B, I); of tokens, their embeddings.
        call: From inputs (T, B, I) and lengths (B,) to outputs: (T, B, O), of which each row's
            last step counts, or (B, O). By default the network is called with `x` (and, if it is
            a recurrent layer, the lengths), and what it returns, or the first part of it, is the
            outputs.
        loss: From outputs (B, O) at the last step to each row's loss, (B,), for gradient flow and
            shortened contexts. By default half the squared norm of the outputs.
        lengths: Valid steps of each row, (B,), at least 1; all by default.
        channels: Names of the inputs, I of them.
        title: What is looked into.
        seed: Of resamples.

    Raises:
        InputError: If the network holds no recurrent layer, or an argument does not fit.
    """
    reader = next(iter(recurrent_layers(network).values()))
    batch = _rows_of(x, lengths, channels)
    called, last = call or _default_call(network, lengths is not None), batch.lengths - 1

    def outputs(given: _Rows) -> Tensor:
        if given.context is None:
            return _at_end(called(given.x, given.lengths), given.lengths)
        with cutting(network, given.context, given.lengths - 1):
            return _at_end(called(given.x, given.lengths), given.lengths)

    def losses(given: _Rows) -> Tensor:
        found = outputs(given)
        return 0.5 * found.square().sum(-1) if loss is None else loss(found)

    names = [[str(k) for k in range(length)] for length in batch.lengths.tolist()]
    explained = Explained(
        lambda own: losses(batch._replace(x=own)), batch.x, "the loss", last, batch.lengths,
        names[0],
    )  # fmt: skip
    subject = Subject(
        title=title or type(network).__name__, network=network, reader=reader, batch=batch,
        more=batch, losses=losses, outputs=outputs,
        rows=lambda given, numbers: given._replace(
            x=given.x[:, numbers], lengths=given.lengths[numbers]
        ),
        cut=lambda given, k: given._replace(context=k), focus=last, lengths=batch.lengths,
        names=names, step="step", unit="of the module", outputs_are="outputs at the last step",
        explained=[explained], channels=channels or [f"input {k}" for k in range(x.shape[2])],
        longest=len(x),
    )  # fmt: skip
    training = network.training
    try:
        network.eval()
        return examine(subject, Look(x.shape[1], len(x), seed), type(network).__name__)
    finally:
        network.train(training)


def _look(rows: int, steps: int, seed: int, sequence: int | None) -> Look:
    for name, value, least in (("rows", rows, 1), ("steps", steps, 1), ("seed", seed, 0)):
        if not isinstance(value, int) or value < least:
            raise InputError(f"`{name}` must be a whole number from {least} on, got {value!r}.")
    return Look(rows, steps, seed, sequence)


def _rows_of(x: Tensor, lengths: Tensor | Sequence[int] | None, channels: Sequence[str]) -> _Rows:
    """Return the rows, checked."""
    if x.dim() != 3 or not x.is_floating_point() or 0 in x.shape:
        raise InputError(
            f"`x` must be floating, (T, B, I), with at least one of each, got {x.dtype} of shape "
            f"{tuple(x.shape)}. Of tokens pass the embeddings, and let `call` begin behind them."
        )
    known = torch.full((x.shape[1],), len(x)) if lengths is None else torch.as_tensor(lengths)
    if tuple(known.shape) != (x.shape[1],) or int(known.min()) < 1 or int(known.max()) > len(x):
        raise InputError(
            f"`lengths` must be {x.shape[1]} numbers from 1 to {len(x)}, got {known.tolist()}. "
            "Leave rows without steps out."
        )
    if channels and len(channels) != x.shape[2]:
        raise InputError(f"`channels` must be {x.shape[2]} names, got {len(channels)}.")
    return _Rows(x.detach(), known)


def _default_call(network: nn.Module, ragged: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """Return how a network is called, if nothing is said."""

    def of_layer(x: Tensor, lengths: Tensor) -> Tensor:
        assert isinstance(network, Recurrent)
        given = x.transpose(0, 1) if network.batch_first else x
        output = network(given, lengths=lengths if ragged else None)[0]
        return output.transpose(0, 1) if network.batch_first else output

    def of_network(x: Tensor, _: Tensor) -> Tensor:
        output = network(x)
        return output[0] if isinstance(output, tuple) else output

    if isinstance(network, Recurrent):
        return of_layer
    if ragged:
        raise InputError(
            "A network that is no recurrent layer itself needs `call`, from inputs and lengths to "
            "outputs, to be told the lengths."
        )
    return of_network


def _at_end(output: Tensor, lengths: Tensor) -> Tensor:
    """Return each row's outputs at its last step, (B, O)."""
    if output.dim() == 2:
        return output
    if output.dim() != 3 or output.shape[1] != len(lengths):
        raise InputError(
            f"`call` must return (T, B, O) or (B, O) with B = {len(lengths)}, got "
            f"{tuple(output.shape)}."
        )
    return output[lengths - 1, torch.arange(len(lengths))]
