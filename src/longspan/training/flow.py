"""Gradient flow while training: how much gradient reaches each step, layer, weight and gate.

Backward through time multiplies one Jacobian a step, so that gradients may vanish or explode with
the distance (Hochreiter 1991; Bengio et al. 1994; Pascanu et al. 2013). The kernels' backward has
every ∂L/∂h and ∂L/∂c at hand and sums their squares; here they become numbers for the logs.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from longspan.kernels import Flow
from longspan.nn.recurrent import Recurrent
from longspan.training.history import Record


class FlowMeter:
    """Measures, at every so many optimiser steps, the gradients inside a model's recurrent layers.

    A record has numbers by name:

    - ``flow/LAYER/STATE/lag K``: ‖∂L/∂h‖ or ‖∂L/∂c‖ of a row, K steps before the last that backward
      went through in one call of the layer (in the reverse direction: after the first), the root
      mean square over the rows that are so long; K is 0, 1, 2, 4, … and the largest there is;
    - ``flow/LAYER/weight_ih/GATE`` and ``flow/LAYER/weight_hh/GATE``: the norm of the weights'
      gradients of each gate, before clipping; not of weights that are reparametrised
      (`longspan.nn.weight_drop`, say), which have none of their own.

    LAYER is the module's name with the layer and direction, ``lstm.l0_reverse`` say. L is the mean
    loss that the optimiser sees. Layers that PyTorch's own kernels run (float64, other devices, no
    compiler at installation) have weights alone. Of several processes the first measures its rows.

    Args:
        model: What is trained; its ``longspan.nn`` layers are measured.
        every: Optimiser steps between measurements; None or 0 measures nothing.
    """

    def __init__(self, model: nn.Module, every: int | None) -> None:
        named = model.named_modules() if every else ()
        self.layers = {name: m for name, m in named if isinstance(m, Recurrent)}
        self.every = every or 0

    def begin(self, step: int) -> None:
        """Measure the step to come if it is its turn."""
        if self.layers and step % self.every == 0:
            for layer in self.layers.values():
                layer.flows = [Flow() for _ in range(layer.num_layers * layer.num_directions)]

    @torch.no_grad()
    def end(self, scale: float) -> Record:
        """Return what was measured, after backward and before clipping; nothing if it was not.

        Args:
            scale: What the gradients of the states must be multiplied by to be those of L.
        """
        found: Record = {}
        for name, layer in self.layers.items():
            if layer.flows is None:
                continue
            for index, flow in enumerate(layer.flows):
                depth, direction = divmod(index, layer.num_directions)
                suffix = f"l{depth}" + ("_reverse" if direction else "")
                own = f"flow/{name}.{suffix}" if name else f"flow/{suffix}"
                found |= {f"{own}/{key}": value for key, value in _of_states(layer, flow, scale)}
                found |= {f"{own}/{key}": value for key, value in _of_weights(layer, suffix)}
            layer.flows = None
        return found


def _of_states(layer: Recurrent, flow: Flow, scale: float) -> Iterator[tuple[str, float]]:
    if not len(flow.rows):
        return
    lags = [k for k in (0, *(2**n for n in range(40))) if k < len(flow.rows) - 1]
    lags.append(len(flow.rows) - 1)
    norms = (flow.squares / flow.rows.clamp(min=1.0)[:, None]).sqrt()[lags] * scale
    for column, state in enumerate(layer.cell.states[:2]):
        for lag, norm in zip(lags, norms[:, column].tolist(), strict=True):
            yield f"{state}/lag {lag}", norm


def _of_weights(layer: Recurrent, suffix: str) -> Iterator[tuple[str, float]]:
    gates = layer.cell.gates
    # Not by attribute: that would compute a reparametrised weight anew, and draw a mask for it.
    own = dict(layer.named_parameters(recurse=False))
    for kind in ("weight_ih", "weight_hh"):
        weight = own.get(f"{kind}_{suffix}")
        if weight is None or weight.grad is None:
            continue
        norms = weight.grad.reshape(len(gates), -1).norm(dim=1).tolist()
        for gate, norm in zip(gates, norms, strict=True):
            yield f"{kind}/{gate}", norm
