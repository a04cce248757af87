"""Layers made ready for many calls: inside `PackedWeights`, by weights that stay as they are.

One step of a small layer takes less time than it takes Python to find out what is to run and how.
What it finds depends on the layer alone, as long as nobody changes that, so it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from longspan.cells import ScanResult
from longspan.kernels import native
from longspan.kernels.call import Call, follower
from longspan.kernels.dispatch import choose, unobserved
from longspan.kernels.packed import innermost
from longspan.kernels.program import program_of


class PreparedLayer:
    """One layer in one direction: what a call lacks is its input and its states.

    Args:
        call: A call of the layer, whatever its input.
    """

    def __init__(self, call: Call) -> None:
        self.program, tensors = program_of(call)
        self.weights = tensors[1 + len(call.cell.states) :]
        self._packed: Any = None

    def run(self, x: Tensor, state: Sequence[Tensor]) -> ScanResult:
        """Return the outputs (T, B, P) of x (T, B, I), and the final state."""
        states = [s.contiguous() for s in state]
        tensors = [x if x.stride(-1) == 1 else x.contiguous(), *states, *self.weights]
        if self._packed is None or not self._packed.fits():
            self._packed = native.pack(self.program, tensors)
        output, *final = native.forward_packed(self.program, tensors, self._packed)
        return ScanResult(output, tuple(final), None)


@dataclass(frozen=True)
class _Kept:
    owner: nn.Module  # here, so that no other gets its id
    settings: Any
    weights: Sequence[tuple[Tensor, int, int]]
    layers: list[PreparedLayer]

    def fits(self, owner: nn.Module, settings: Any) -> bool:
        own = owner._parameters
        return (
            settings == self.settings
            and len(own) == len(self.weights)
            and all(
                w is own_w and w._version == version and w.data_ptr() == address
                for own_w, (w, version, address) in zip(own.values(), self.weights, strict=True)
            )
        )


def prepare(
    owner: nn.Module, settings: Any, x: Tensor, calls: Callable[[], list[Call]]
) -> list[PreparedLayer] | None:
    """Return a module's layers ready to run without gradients, or None where they cannot be.

    They can be inside a `PackedWeights`, for float32 on the CPU, if the module's weights are
    parameters of its own and nobody looks on (`explain`, `force`, `intercept`, tracers).

    Args:
        owner: The module.
        settings: What else its calls depend on; compared with what it was.
        x: Input of the first layer.
        calls: Returns a call of each layer and direction, without lengths, resets or records.
    """
    if torch.compiler.is_compiling() or torch.is_grad_enabled():
        return None
    keeper = innermost()
    if keeper is None or not (_is_plain(x) and unobserved()):
        return None
    kept = keeper.layers.get(id(owner))
    if kept is None or not kept.fits(owner, settings):
        kept = _keep(owner, settings, calls)
        if kept is None:
            return None
        keeper.layers[id(owner)] = kept
    return kept.layers


def _is_plain(x: Tensor) -> bool:
    return (
        type(x) is Tensor
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and 0 not in x.shape[:2]
        and not torch.is_autocast_enabled("cpu")
        and follower() is None
    )


def _keep(owner: nn.Module, settings: Any, calls: Callable[[], list[Call]]) -> _Kept | None:
    weights = list(owner._parameters.values())
    if owner._modules or not all(map(_is_own, weights)):
        return None
    made = calls()
    if any(choose(call)[0] != "native" for call in made):
        return None
    marked = [(w, w._version, w.data_ptr()) for w in weights if w is not None]
    return _Kept(owner, settings, marked, [PreparedLayer(call) for call in made])


def _is_own(weight: Tensor | None) -> bool:
    """Return whether the kernels read a weight as it is, and somebody counts its changes."""
    return (
        type(weight) is nn.Parameter
        and weight.dtype == torch.float32
        and weight.is_contiguous()
        and not weight.is_inference()
    )
