"""From what a caller passes to (T, B, I) with lengths and resets, and back. Only here.

Unbatched, batch-first, packed and ragged input all become one `Batch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from longspan.cells.cell import State
from longspan.cells.scan import check_lengths
from longspan.errors import InputError

if TYPE_CHECKING:
    from longspan.nn.recurrent import Recurrent


class Batch(NamedTuple):
    """A batch as the layers run it.

    Attributes:
        input: (T, B, I).
        state: Initial states: for each of the cell's, one (B, width) a layer and direction.
        lengths: (B,), or None when all rows are full.
        reset: (T, B), or None when there is none.
        packed: The caller's PackedSequence, or None.
        unbatched: Whether the caller passed one sequence without a batch axis.
    """

    input: Tensor
    state: tuple[Sequence[Tensor], ...]
    lengths: Tensor | None
    reset: Tensor | None
    packed: PackedSequence | None
    unbatched: bool


def arrange(
    layer: Recurrent,
    input: Tensor | PackedSequence,
    hx: Any,
    lengths: Tensor | Sequence[int] | None,
    reset: Tensor | Sequence[Any] | None,
) -> Batch:
    """Bring the arguments of a layer's forward into one form, checking each.

    Raises:
        InputError: If something does not fit; the message says what was expected.
    """
    packed = input if isinstance(input, PackedSequence) else None
    if packed is not None:
        if lengths is not None:
            raise InputError("A PackedSequence has its own lengths; drop `lengths`.")
        input, lengths = pad_packed_sequence(packed, batch_first=layer.batch_first)
    _check_input(layer, input)
    assert isinstance(input, Tensor)  # which has been checked
    unbatched = input.dim() == 2
    x = input[:, None] if unbatched else input.transpose(0, 1) if layer.batch_first else input
    return Batch(
        input=x,
        state=_initial_state(layer, hx, x, unbatched),
        lengths=as_lengths(lengths, x),
        reset=_reset(layer, reset, input),
        packed=packed,
        unbatched=unbatched,
    )


def restore(
    layer: Recurrent,
    batch: Batch,
    output: Tensor,
    state: State,
    gates: list[dict[str, Tensor]] | None,
) -> Any:
    """Return output, state and gates in the caller's layout."""

    def as_given(values: Tensor) -> Tensor:
        if batch.unbatched:
            return values[:, 0]
        return values.transpose(0, 1) if layer.batch_first else values

    given: Any = as_given(output)
    if batch.packed is not None:
        given = _repack(batch.packed, output)
    if batch.unbatched:
        state = tuple(s[:, 0] for s in state)
    final = state if len(layer.cell.states) > 1 else state[0]
    if gates is None:
        return given, final
    return given, final, [{name: as_given(v) for name, v in each.items()} for each in gates]


def _check_input(layer: Recurrent, input: Any) -> None:
    if not isinstance(input, Tensor):
        raise InputError(
            f"`input` must be a tensor or a PackedSequence, got {type(input).__name__}. Convert it "
            "with torch.as_tensor."
        )
    if input.dim() not in (2, 3):
        raise InputError(
            f"`input` must have 3 axes, or 2 if unbatched, got shape {tuple(input.shape)}."
        )
    if input.shape[-1] != layer.input_size:
        raise InputError(
            f"`input` must have input_size = {layer.input_size} values a step (its last axis), "
            f"got shape {tuple(input.shape)}."
        )
    dtype = layer.weight_ih_l0.dtype  # type: ignore[union-attr]
    if input.dtype != dtype and not torch.is_autocast_enabled(input.device.type):
        raise InputError(
            f"`input` must have the layer's dtype {dtype}, got {input.dtype}. Convert one of "
            "them, for instance input.to(dtype)."
        )


def _initial_state(
    layer: Recurrent, hx: Any, x: Tensor, unbatched: bool
) -> tuple[Sequence[Tensor], ...]:
    count = layer.num_layers * layer.num_directions
    widths = layer.cell.state_sizes(layer.hidden_size)
    if hx is None:
        # One tensor may stand for many states: they are read only, and the final ones are new.
        zeros = {width: x.new_zeros(x.shape[1], width) for width in widths}
        return tuple([zeros[width]] * count for width in widths)
    given = hx if isinstance(hx, tuple | list) else (hx,)
    names = layer.cell.states
    if len(given) != len(names):
        raise InputError(
            f"`hx` must hold {len(names)} tensors ({', '.join(names)}), got {len(given)}."
        )
    states = []
    for name, s, width in zip(names, given, widths, strict=True):
        if not isinstance(s, Tensor):
            raise InputError(f"`hx` ({name}) must be a tensor, got {type(s).__name__}.")
        expected = (count, width) if unbatched else (count, x.shape[1], width)
        if tuple(s.shape) != expected:
            raise InputError(
                f"`hx` ({name}) must have shape (layers · directions, "
                f"{'' if unbatched else 'batch, '}width) = {expected}, got {tuple(s.shape)}."
            )
        if s.device != x.device or (
            s.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type)
        ):
            raise InputError(
                f"`hx` ({name}) must be {x.dtype} on {x.device} as the input, got {s.dtype} on "
                f"{s.device}. Convert it with .to(input)."
            )
        states.append((s[:, None] if unbatched else s).unbind())
    return tuple(states)


def as_lengths(lengths: Tensor | Sequence[int] | None, x: Tensor) -> Tensor | None:
    """Return lengths (B,) for x (T, B, …), checked; None when all rows are full.

    Raises:
        InputError: If there is not one whole number from 0 to T for each row.
    """
    if lengths is None:
        return None
    values = torch.as_tensor(lengths)
    if not values.numel():  # an empty list has no dtype of its own
        values = values.long()
    if values.dim() == 0 and x.shape[1] == 1:
        values = values[None]
    if tuple(values.shape) != (x.shape[1],):
        raise InputError(
            f"`lengths` must have shape (B,) = ({x.shape[1]},), got {tuple(values.shape)}. Pass "
            "one length per sequence."
        )
    if values.is_floating_point() or values.dtype == torch.bool:
        raise InputError(f"`lengths` must be whole numbers, got dtype {values.dtype}.")
    values = values.long()  # what small types hold cannot be an index, nor be counted down from 0
    if torch.compiler.is_compiling():  # a graph cannot look at values; the kernels check them
        return values.to(x.device)
    check_lengths(values, len(x))
    # Full rows take the fast path.
    return None if bool((values == len(x)).all()) else values.to(x.device)


def every_length(lengths: Tensor | Sequence[int] | None, x: Tensor) -> Tensor:
    """Return lengths (B,) for x (T, B, …), as `as_lengths`; T where all rows are full."""
    known = as_lengths(lengths, x)
    return torch.full((x.shape[1],), len(x), device=x.device) if known is None else known


def _reset(layer: Recurrent, reset: Any, input: Tensor) -> Tensor | None:
    if reset is None:
        return None
    reset = torch.as_tensor(reset)
    if tuple(reset.shape) != tuple(input.shape[:-1]):
        raise InputError(
            "`reset` must have the input's shape without the last axis, "
            f"{tuple(input.shape[:-1])}, got {tuple(reset.shape)}."
        )
    if reset.dtype != torch.bool:
        raise InputError(f"`reset` must be boolean, got {reset.dtype}. Pass reset.bool().")
    if not torch.compiler.is_compiling() and not bool(reset.any()):
        return None
    if reset.dim() == 1:
        reset = reset[:, None]
    elif layer.batch_first:
        reset = reset.transpose(0, 1)
    return reset.to(input.device)


def _repack(packed: PackedSequence, output: Tensor) -> PackedSequence:
    """Pack (T, B, P) exactly as the given sequence was packed."""
    _, lengths = pad_packed_sequence(packed)
    if packed.sorted_indices is not None:
        output, lengths = output[:, packed.sorted_indices], lengths[packed.sorted_indices.cpu()]
    data = pack_padded_sequence(output, lengths).data
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
