"""`inspect` and `inspect_module`: all that can be measured of one model and some data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from longspan import kernels
from longspan.cells import ScanResult
from longspan.errors import InputError
from longspan.insight.ablation import cutting
from longspan.insight.examine import examine
from longspan.insight.inspected import Inspection
from longspan.insight.watch import handling, recurrent_layers
from longspan.nn.modes import evaluating
from longspan.nn.recurrent import Recurrent
from longspan.tasks.inspection import Explained, Look, Subject, subject_of

#: From inputs (T, B, I) and lengths (B,) to outputs.
_Call = Callable[[Tensor, Tensor], Tensor]


class _Rows(NamedTuple):
    """Rows of inputs, and what the reader, the first recurrent layer, reads of them.

    Attributes:
        x: (T, B, I).
        lengths: Steps of each row, (B,).
        steps: That the reader reads; not T where something before it shortens time.
        read: Steps of each row that it reads, (B,).
        context: How many of them it sees; None for all.
    """

    x: Tensor
    lengths: Tensor
    steps: int
    read: Tensor
    context: int | None = None

    @property
    def last(self) -> Tensor:
        """The last step of each row that the reader reads, (B,)."""
        return (self.read - 1).clamp(min=0)


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

    Lags and contexts count the steps that the first of them reads. These are those of `x`, unless
    something before it shortens time; a note then says so.

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
        InputError: If the network holds no recurrent layer, or none that reads all steps of all
            rows in one call; if its layers run over different numbers of steps; or if an argument
            does not fit.
    """
    recurrent_layers(network)  # refuses a network without any
    rows = _rows_of(x, lengths, channels)
    called = call or _default_call(network, lengths is not None)
    with evaluating(network):
        reader, batch = _read(network, called, *rows)
        subject = _subject(network, reader, batch, called, loss, channels)
        named = replace(subject, title=title or type(network).__name__)
        return examine(named, Look(x.shape[1], len(x), seed), type(network).__name__)


def _subject(
    network: nn.Module, reader: Recurrent, batch: _Rows, call: _Call,
    loss: Callable[[Tensor], Tensor] | None, channels: Sequence[str],
) -> Subject:  # fmt: skip
    """Return a module with its rows as what can be examined; lags count the reader's steps."""

    def outputs(given: _Rows) -> Tensor:
        if given.context is None:
            return _at_end(call(given.x, given.lengths), given)
        with cutting(network, given.context, given.last):
            return _at_end(call(given.x, given.lengths), given)

    def losses(given: _Rows) -> Tensor:
        found = outputs(given)
        return 0.5 * found.square().sum(-1) if loss is None else loss(found)

    explained = Explained(
        lambda own: losses(batch._replace(x=own)), batch.x, "the loss", batch.lengths - 1,
        batch.lengths, _numbered(batch.lengths)[0],
    )  # fmt: skip
    return Subject(
        title="", network=network, reader=reader, batch=batch, more=batch, losses=losses,
        outputs=outputs, rows=_some, cut=lambda given, k: given._replace(context=k),
        focus=batch.last, lengths=batch.read, names=_numbered(batch.read), step="step",
        unit="of the module", outputs_are="outputs at the last step", explained=[explained],
        channels=channels or [f"input {k}" for k in range(batch.x.shape[2])],
        longest=int(batch.read.max()), notes=_notes(batch),
    )  # fmt: skip


def _look(rows: int, steps: int, seed: int, sequence: int | None) -> Look:
    for name, value, least in (("rows", rows, 1), ("steps", steps, 1), ("seed", seed, 0)):
        if not isinstance(value, int) or value < least:
            raise InputError(f"`{name}` must be a whole number from {least} on, got {value!r}.")
    return Look(rows, steps, seed, sequence)


def _rows_of(
    x: Tensor, lengths: Tensor | Sequence[int] | None, channels: Sequence[str]
) -> tuple[Tensor, Tensor]:
    """Return the rows and their lengths, checked."""
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
    return x.detach(), known


def _read(
    network: nn.Module, call: _Call, x: Tensor, lengths: Tensor
) -> tuple[Recurrent, _Rows]:  # fmt: skip
    """Return the recurrent layer that reads the rows first, and the rows with what it reads."""
    runs: dict[str, list[tuple[int, int, Tensor | None]]] = {}

    def note(run: kernels.Call, module: str) -> ScanResult:
        if run.label == "layer 0":
            steps, rows = run.x.shape[:2]
            runs.setdefault(module, []).append((steps, rows, run.layout.lengths))
        return kernels.run(run)

    with torch.no_grad(), handling(network, note):
        call(x, lengths)
    layers = recurrent_layers(network)
    if not runs:  # the first call that counts says what is wrong
        return next(iter(layers.values())), _Rows(x, lengths, len(x), lengths)
    name = next((name for name, own in runs.items() if own[0][1] == x.shape[1]), None)
    if name is None:
        raise InputError(
            f"No recurrent layer runs over the {x.shape[1]} rows of `x`; the first runs over "
            f"{next(iter(runs.values()))[0][1]}. Pass the part of the network that does."
        )
    steps, _, told = runs[name][0]
    if steps != len(x) and len(runs[name]) > 1:
        raise InputError(
            f"The recurrent layer {name!r} is called {len(runs[name])} times, the first time for "
            f"{steps} steps, and `x` has {len(x)}: what it remembers from call to call cannot be "
            "measured. Let it read all steps in one call."
        )
    return layers[name], _Rows(x, lengths, steps, _steps_read(steps, told, lengths, len(x)))


def _steps_read(steps: int, told: Tensor | None, lengths: Tensor, longest: int) -> Tensor:
    """Return the steps of each row that a layer reads, (B,), from the lengths it was told."""
    if told is not None:
        return told.cpu()
    if steps == longest:
        return lengths
    if int(lengths.min()) < longest:
        raise InputError(
            f"The recurrent layer reads {steps} steps where `x` has {longest}, and is not told how "
            "many of them each row has. Let `call` pass it the `lengths` that are left, or give "
            "rows of one length."
        )
    return torch.full_like(lengths, steps)


def _some(given: _Rows, numbers: Tensor) -> _Rows:
    """Return some of the rows."""
    return given._replace(
        x=given.x[:, numbers], lengths=given.lengths[numbers], read=given.read[numbers]
    )


def _numbered(lengths: Tensor) -> list[list[str]]:
    """Return the numbers of each row's steps."""
    return [[str(k) for k in range(length)] for length in lengths.tolist()]


def _notes(batch: _Rows) -> list[str]:
    if torch.equal(batch.read, batch.lengths):
        return []
    return [
        f"The recurrent layer reads {int(batch.read.max())} steps where the inputs have "
        f"{int(batch.lengths.max())}: lags and shortened contexts count its steps, each of which "
        "may stand for several of the inputs; attributions count steps of the inputs."
    ]


def _default_call(network: nn.Module, ragged: bool) -> _Call:
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


def _at_end(output: Tensor, given: _Rows) -> Tensor:
    """Return each row's outputs at its last step, (B, O)."""
    if output.dim() == 2:
        return output
    count = len(given.lengths)
    ends = {given.steps: given.read, len(given.x): given.lengths}
    if output.dim() != 3 or output.shape[1] != count or len(output) not in ends:
        raise InputError(
            f"`call` must return (T, B, O) or (B, O) with B = {count} and T = "
            f"{' or '.join(map(str, ends))}, got {tuple(output.shape)}."
        )
    return output[(ends[len(output)] - 1).clamp(min=0), torch.arange(count)]
