"""The native kernels as an implementation that `dispatch` may choose."""

from __future__ import annotations

import warnings
from functools import cache

import torch
from torch import Tensor

from longspan.cells import LayerNorm, ScanResult
from longspan.cells.scan import input_gates
from longspan.kernels import fused, native
from longspan.kernels.call import Call, follower
from longspan.kernels.loader import REMEDY
from longspan.kernels.program import kind_of, program_of, unflatten


class Native:
    """Runs every cell and option on the CPU, by compiled code.

    With bfloat16 tensors, or under autocast to bfloat16, what products multiply (weights, inputs,
    h, and the gates' gradients) is rounded to bfloat16. Sums, gates, and the states over time are
    float32, as is everything else.
    """

    def why_not(self, call: Call) -> str | None:
        """Return why the kernels cannot run the call, or None."""
        if not native.available():
            _warn_once()
            return "Longspan was installed without a C++ compiler"
        if kind_of(call.cell) is None:
            return f"{type(call.cell).__name__} has no native kernel"
        if call.x.device.type != "cpu":
            return "the tensors are not on the CPU"
        if call.x.dtype not in (torch.float32, torch.bfloat16):
            return f"the dtype is {call.x.dtype}, not float32 or bfloat16"
        if call.record_states:
            return "every step's states are recorded"
        if 0 in call.x.shape:
            return "the input is empty"
        normalisers = call.normalisers
        if normalisers and not all(_is_native(*each) for each in normalisers.items()):
            return "batch normalisation inside the recurrence is on"
        return None if torch.compiler.is_compiling() else follower()

    def run(self, call: Call) -> ScanResult:
        """Run the kernels; differentiable any number of times."""
        program, tensors = program_of(_with_input_normalised(call))
        dtypes = {t.dtype for t in tensors}
        if not any(d.is_floating_point and d != torch.float32 for d in dtypes):
            return unflatten(program, fused.scan(program, tensors, call.flow))
        wide = [t.float() if t.is_floating_point() else t for t in tensors]
        values = fused.scan(program, wide, call.flow)
        return unflatten(program, tuple(v.to(call.x.dtype) for v in values))


@cache
def _warn_once() -> None:
    warnings.warn(
        "Longspan's compiled kernels are missing, so recurrent layers run several times slower, by "
        f"PyTorch. {REMEDY}",
        stacklevel=2,
    )


def _is_native(place: str, normaliser: object) -> bool:
    return isinstance(normaliser, LayerNorm) or place == "ih"


def _with_input_normalised(call: Call) -> Call:
    """Return a call whose input is normalised already, where that is not layer normalisation."""
    first = call.normalisers.get("ih")
    if first is None or isinstance(first, LayerNorm):
        return call
    x_gates: Tensor = input_gates(call.x, call.params, call.layout, {"ih": first})
    left = ("weight_ih", "bias_ih")
    return call._replace(
        x=x_gates,
        params={name: value for name, value in call.params.items() if name not in left},
        normalisers={place: n for place, n in call.normalisers.items() if place != "ih"},
    )
