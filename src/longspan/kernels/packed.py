"""Weights packed once for many calls: for inference by weights that stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from longspan.kernels.program import Program

_active: ContextVar[tuple[PackedWeights, ...]] = ContextVar("longspan_packed", default=())


@dataclass(frozen=True)
class _Entry:
    program: Program  # here, so that no other gets its id
    weights: list[Tensor]  # likewise
    state: list[tuple[int, int]]
    packed: Any


class PackedWeights:
    """Calls of recurrent layers inside pack each layer's weights once, not every time.

    The kernels read weights in an order of their own, and bringing them into it takes as long as a
    few steps of a small batch: most of a call of one step, a tenth of one of fifty. Inside, calls
    without gradients keep the order that the first one made. Layers that draw no masks also keep
    what Python finds out about a call, which takes longer than a step of a small layer; but calls
    with lengths, resets or recorded gates find it out again. Weights that torch's operations change
    inside (an optimizer's step, ``load_state_dict``) are noticed, and packed anew; a change behind
    its back (through ``weight.data`` or numpy) is not. One object may be entered many times, also
    by several threads at once; it keeps the weights, and as much memory again, until it goes.

    >>> import torch, longspan
    >>> layer = longspan.nn.LSTM(3, 5).eval()
    >>> x = torch.ones(1, 2, 3)
    >>> with longspan.kernels.PackedWeights(), torch.no_grad():
    ...     state = None
    ...     for _ in range(4):
    ...         output, state = layer(x, state)
    >>> bool(torch.allclose(output[0], layer(x.expand(4, 2, 3))[0][-1], atol=1e-6))
    True
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[int, ...], _Entry] = {}
        #: Layers made ready to run, by the identity of their module (`longspan.kernels.prepared`).
        self.layers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        _active.set((*_active.get(), self))
        return self

    def __exit__(self, *error: object) -> None:
        active = _active.get()
        last = len(active) - 1 - active[::-1].index(self)  # generators may leave in another order
        _active.set(active[:last] + active[last + 1 :])

    def of(self, program: Program, tensors: Sequence[Tensor], arguments: Sequence[Any]) -> Any:
        """Return a program's packed weights, or None where they cannot be kept.

        Args:
            program: What runs.
            tensors: Its tensors.
            arguments: Of `Program.routine`'s ``pack``.
        """
        weights = [tensors[place] for place in program.packed_places]
        if not all(type(w) is nn.Parameter and not w.is_inference() for w in weights):
            return None  # made for this call alone, or nobody counts its changes
        key = (id(program), *map(id, weights))
        state = [(w._version, w.data_ptr()) for w in weights]
        entry = self._entries.get(key)
        if entry is None or entry.state != state or not entry.packed.fits():
            packed = program.routine.pack(*arguments)
            entry = self._entries[key] = _Entry(program, weights, state, packed)
        return entry.packed


def innermost() -> PackedWeights | None:
    """Return the `PackedWeights` that was entered last and not left, if there is one."""
    active = _active.get()
    return active[-1] if active else None


def packed_weights(program: Program, tensors: Sequence[Tensor], sizes: Any, given: Any) -> Any:
    """Return a call's packed weights where some `PackedWeights` is entered, else None."""
    keeper = innermost()
    if keeper is None:
        return None
    return keeper.of(program, tensors, (sizes, given, torch.get_num_threads()))
