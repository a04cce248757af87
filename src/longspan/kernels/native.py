"""The native kernels on torch tensors: addresses in, addresses out.

What does not change from call to call is in the program's `Program.routine`; here are the sizes and
addresses of one call. A small layer takes less time than a dozen of torch's operators, so few are
called.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from longspan.kernels.call import Flow
from longspan.kernels.loader import native as _native
from longspan.kernels.packed import packed_weights
from longspan.kernels.program import CONSTANTS, Program, empty_outputs, widths

#: Outputs and gradients of so many floats take their memory from the kernels' pool: malloc would
#: give larger ones back to the system, and fresh pages cost more than a small layer's arithmetic.
POOLED = 1 << 15
#: Floats beyond the packed rows' own that alignment may take in a buffer.
SLACK = 512

_NO_STRIDES = (0, 0, 0)


def available() -> bool:
    """Return whether the kernels were compiled when Longspan was installed."""
    return _native is not None


def forward(
    program: Program, tensors: Sequence[Tensor], training: bool
) -> tuple[tuple[Tensor, ...], Any]:
    """Return the outputs and, in training, what backward needs."""
    given = _as_read(program, tensors)
    outputs, arguments = _forward_arguments(program, given)
    packed = None if training else packed_weights(program, given, *arguments[:2])
    return outputs, program.routine.forward(*arguments, training, packed)


def pack(program: Program, tensors: Sequence[Tensor]) -> Any:
    """Return a program's weights as `PackedWeights` keeps them, for `forward_packed`."""
    addresses = [t.data_ptr() for t in tensors]
    return packed_weights(program, tensors, _sizes(program, tensors), addresses)


def forward_packed(program: Program, tensors: Sequence[Tensor], packed: Any) -> tuple[Tensor, ...]:
    """Return the outputs, without gradients; the tensors are as the kernels read them."""
    outputs, arguments = _forward_arguments(program, tensors)
    program.routine.forward(*arguments, False, packed)
    return outputs


def forward_into(program: Program, tensors: Sequence[Tensor], saved: Tensor) -> tuple[Tensor, ...]:
    """Return the outputs; what backward needs goes to `saved`."""
    given = _as_read(program, tensors)  # kept while C++ knows the addresses
    outputs, arguments = _forward_arguments(program, given)
    program.routine.forward_into(*arguments, saved.data_ptr())
    return outputs


def backward(
    program: Program,
    tensors: Sequence[Tensor],
    output: Tensor,
    saved: Any,
    gradients: Sequence[Tensor | None],
    wanted: Sequence[bool],
    flow: Flow | None = None,
) -> list[Tensor | None]:
    """Return the gradients of the wanted tensors from those of the outputs.

    Adds to `flow`.
    """
    given = _as_read(program, tensors)
    room = None
    if flow is not None:
        steps, batch, _ = given[0].shape
        room = flow.room(steps, batch, program.named(given).get("lengths"))
    # The lists keep tensors alive while C++ knows their addresses.
    incoming = [g if g is None else g.contiguous() for g in gradients[1:]]
    first = gradients[0]
    if first is not None and first.stride(-1) != 1:
        first = first.contiguous()
    found = [
        _empty_like(tensor) if want and name not in CONSTANTS else None
        for name, tensor, want in zip(program.names, given, wanted, strict=True)
    ]
    program.routine.backward(
        _sizes(program, given), [t.data_ptr() for t in given],
        output.data_ptr(), output.stride(),
        [_address(first), *map(_address, incoming)], _strides(first),
        [_address(t) for t in found], _strides(found[0]),
        saved.address if hasattr(saved, "address") else saved.data_ptr(), _address(room),
    )  # fmt: skip
    return found


def saved_floats(program: Program, tensors: Sequence[Tensor]) -> int:
    """Return how many floats forward keeps of each step and row, at most."""
    rows = 64
    width, hidden = widths(program, tensors)
    return -(-program.routine.saved_bytes(hidden, width, rows) // (4 * rows))


def _forward_arguments(
    program: Program, given: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], tuple]:
    outputs = empty_outputs(program, given, _empty_for)
    arguments = (
        _sizes(program, given), [t.data_ptr() for t in given],
        [t.data_ptr() for t in outputs], outputs[0].stride(), torch.get_num_threads(),
    )  # fmt: skip
    return outputs, arguments


def _as_read(program: Program, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the tensors as the kernels read them; most are so already."""
    x = tensors[0]
    given = [x if x.stride(-1) == 1 else x.contiguous()]  # its rows may lie anywhere
    given += [t.contiguous() for t in tensors[1:]]
    if "lengths" in program.names:
        place = program.names.index("lengths")
        given[place] = given[place].to("cpu", torch.int64)
    return given


def _sizes(program: Program, given: Sequence[Tensor]) -> Any:
    x, width, hidden = given[0], *widths(program, given)
    return _native.Sizes(x.shape, x.stride(), hidden, width)


def _empty(size: Sequence[int]) -> Tensor:
    """Return memory for a float32 tensor; where it is large, some that was used before."""
    count = math.prod(size)
    if count >= POOLED:
        return _native.pooled(count).view(size)
    return torch.empty(size, dtype=torch.float32, device="cpu")  # whatever the defaults are


def _empty_for(x: Tensor, *size: int) -> Tensor:
    """Return the same; small ones by a float32 tensor of the call, which takes half the time."""
    return x.new_empty(*size) if math.prod(size) < POOLED else _empty(size)


def _empty_like(tensor: Tensor) -> Tensor:
    """Return memory for a gradient, laid out like the tensor."""
    return _empty(tensor.shape) if tensor.is_contiguous() else torch.empty_like(tensor)


def random_mask(rate: float, size: Sequence[int], value: float) -> Tensor:
    """Return `value` with a probability of `rate`, to the nearest 2⁻²⁴, and zeros, in float32."""
    mask, seed = _empty(size), int(torch.randint(2**63 - 1, ()))
    _native.random_mask(
        seed, round(rate * 2**24), value, mask.data_ptr(), mask.numel(), torch.get_num_threads()
    )
    return mask


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _strides(tensor: Tensor | None) -> tuple[int, ...]:
    return _NO_STRIDES if tensor is None else tensor.stride()
