"""Gradient flow: how large the gradient still is, so many steps before the end of a sequence.

A loss reaches the parameters through the states of every step. If dL/dh[t] shrinks by a factor at
each step on its way back, what happened early cannot be learnt (Hochreiter 1991; Bengio et al.
1994); if it grows, training diverges (Pascanu et al. 2013).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from longspan.cells import LSTM, Cell
from longspan.errors import InputError
from longspan.insight.results import Result
from longspan.insight.watch import Watched, recurrent_layers, watching


@dataclass(frozen=True)
class LayerFlow(Result):
    """How one state's gradient decays over time, in one run of a layer in one direction.

    Attributes:
        name: The layer's name, as `watching` gives it.
        state: ``"h"``, ``"c"``, …
        norms: √(mean over rows of ‖dL/dstate‖²) by lag: how many steps of the row's run came
            after that state, (K,). The derivatives are total ones: through all later steps.
        rows: How many rows have that lag, (K,).
        decay: Slope of ln norm by lag, fitted by least squares with the rows as weights: each
            step multiplies the gradient by about exp(decay). Below 0 it vanishes, above 0 it
            explodes on its way back. NaN where fewer than two lags have a gradient.
        ratio: Norm at the largest lag, divided by that at lag 0; NaN if there is no gradient at
            lag 0.
    """

    name: str
    state: str
    norms: np.ndarray
    rows: np.ndarray
    decay: float
    ratio: float


@dataclass(frozen=True)
class ParameterFlow(Result):
    """The gradient of one parameter.

    Attributes:
        name: The parameter's name in the network.
        norm: ‖dL/dW‖.
        size: ‖W‖.
        gates: The norm of each gate's part, by gate; empty for parameters that no gate owns.
    """

    name: str
    norm: float
    size: float
    gates: dict[str, float]


@dataclass(frozen=True)
class GradientFlow(Result):
    """Where a loss's gradient goes.

    Attributes:
        loss: The loss.
        layers: One entry a run, direction and state, in order of execution.
        parameters: One entry a parameter of the recurrent layers, in the network's order.
    """

    loss: float
    layers: tuple[LayerFlow, ...]
    parameters: tuple[ParameterFlow, ...]


def gradient_flow(network: nn.Module, loss: Callable[[], Tensor]) -> GradientFlow:
    """Return the norms of dL/dstate by layer and lag, and of dL/dW by parameter and gate.

    Of a loss at the end of each row this is the classical picture of vanishing gradients; of a
    loss with a term at every step, each step's own term comes in at its lag. The gradients stored
    in ``.grad`` stay as they are, and frozen parameters are looked at like all others. Whether
    dropout is on is the network's mode, as always.

    >>> from longspan.nn import RNN
    >>> rnn = RNN(1, 4)
    >>> flow = gradient_flow(rnn, lambda: rnn(torch.ones(50, 2, 1))[0][-1].sum())
    >>> [(layer.name, layer.state, len(layer.norms)) for layer in flow.layers]
    [('layer 0', 'h', 50)]
    >>> flow.layers[0].ratio < 1e-3  # of U(-1/√H, 1/√H): vanishing
    True

    Args:
        network: Any module that holds recurrent layers of `longspan.nn`.
        loss: Runs the network and returns a scalar.

    Raises:
        InputError: If the network holds no recurrent layer, or none of them ran, or the loss is no
            finite scalar or does not depend on the network.
    """
    with _all_wanted(network) as parameters, torch.enable_grad(), watching(network) as seen:
        value = loss()
        _check(value, seen.layers)
        states = [step for layer in seen.layers for each in layer.states.values() for step in each]
        wanted = [*states, *parameters.values()]
        found = torch.autograd.grad(value, wanted, allow_unused=True, materialize_grads=True)
    gradients = iter(found)
    layers = [
        _layer_flow(layer, name, torch.stack([next(gradients) for _ in range(layer.steps)]))
        for layer in seen.layers
        for name in layer.states
    ]
    flows = [
        _parameter_flow(network, name, parameter, next(gradients))
        for name, parameter in parameters.items()
    ]
    return GradientFlow(value.item(), tuple(layers), tuple(flows))


def norms_by_lag(layer: Watched, gradients: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the root mean square over rows of ‖gradients‖ by lag, and the number of rows.

    Args:
        layer: What ran.
        gradients: Of each step's state, (T, B, width).
    """
    squares = gradients.detach().double().square().sum(-1).cpu()
    valid = layer.valid
    lags = layer.lags[valid]
    longest = int(layer.lengths.max())
    rows = torch.bincount(lags, minlength=longest)
    sums = torch.bincount(lags, weights=squares[valid], minlength=longest)
    return (sums / rows).sqrt().numpy(), rows.numpy()


def decay_of(norms: np.ndarray, rows: np.ndarray) -> float:
    """Return the slope of ln norms by lag: weighted least squares over the norms above 0."""
    seen = (norms > 0) & np.isfinite(norms)
    if seen.sum() < 2:
        return float("nan")
    weights = np.sqrt(rows[seen])
    return float(np.polyfit(np.flatnonzero(seen), np.log(norms[seen]), 1, w=weights)[0])


def _layer_flow(layer: Watched, state: str, gradients: Tensor) -> LayerFlow:
    norms, rows = norms_by_lag(layer, gradients)
    ratio = float(norms[-1] / norms[0]) if len(norms) and norms[0] > 0 else float("nan")
    return LayerFlow(layer.name, state, norms, rows, decay_of(norms, rows), ratio)


def _parameter_flow(
    network: nn.Module, name: str, parameter: Tensor, gradient: Tensor
) -> ParameterFlow:
    cells = {module: layer.cell for module, layer in recurrent_layers(network).items()}
    owner = max((m for m in cells if name.startswith(m)), key=len)
    parts = _by_gate(cells[owner], name.removeprefix(f"{owner}."), gradient)
    return ParameterFlow(
        name,
        float(gradient.double().norm()),
        float(parameter.detach().double().norm()),
        {gate: float(part.double().norm()) for gate, part in parts.items()},
    )


def _by_gate(cell: Cell, name: str, values: Tensor) -> dict[str, Tensor]:
    """Return the parts of a parameter that belong to each gate."""
    plain = name.removeprefix("parametrizations.")
    gates = cell.gates
    if plain.startswith(("weight_ch", "weight_gg")) and isinstance(cell, LSTM):
        gates = cell.sigmoid_gates
    elif not plain.startswith(("weight_ih", "weight_hh", "bias_", "norm_ih", "norm_hh")):
        return {}
    along = -1 if plain.startswith("norm_") else 0
    if values.shape[along] % len(gates):
        return {}
    return dict(zip(gates, values.chunk(len(gates), along), strict=True))


@contextmanager
def _all_wanted(network: nn.Module) -> Iterator[dict[str, nn.Parameter]]:
    """Give the recurrent layers' parameters by name; inside, each of them gets a gradient."""
    parameters = {
        f"{module}.{name}" if module else name: parameter
        for module, layer in recurrent_layers(network).items()
        for name, parameter in layer.named_parameters()
    }
    frozen = [p for p in parameters.values() if not p.requires_grad]
    try:
        for parameter in frozen:
            parameter.requires_grad_(True)
        yield parameters
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


def _check(value: object, layers: list[Watched]) -> None:
    if not isinstance(value, Tensor) or value.numel() != 1:
        what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InputError(
            f"`loss` must return one number as a tensor, got {what}. Take the mean or the sum."
        )
    if not layers:
        raise InputError(
            "`loss` must run the network over at least one step, but none of its recurrent layers "
            "ran. Let it call the network that is passed, not a copy or a compiled one."
        )
    if not value.requires_grad:
        raise InputError(
            "`loss` must depend on the network's parameters, but it has no gradient. Compute it "
            "without torch.no_grad() and without .detach() or .item()."
        )
    if not bool(torch.isfinite(value)):
        raise InputError(f"`loss` must be finite, got {value.item()}. Look at the inputs first.")
