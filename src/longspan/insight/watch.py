"""Watching recurrent layers at work: every step's states and gates, in the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from longspan import kernels
from longspan.cells import Cell, Noise, ScanResult
from longspan.errors import InputError
from longspan.nn.recurrent import Recurrent


@dataclass(frozen=True)
class Watched:
    """One run of one layer in one direction. Shapes: T steps, B rows, H units, P outputs.

    Attributes:
        name: Module, layer and direction: ``"body.lstm layer 0 reverse"``.
        module: The module's name in the network, empty if it is the network.
        layer: Number of the layer in its module.
        reverse: Whether it ran from each row's last step to its first.
        cell: The cell.
        states: By name (h first), one tensor (B, width) for each of the T steps, through which
            everything later was computed: the gradient of a loss with respect to one is the total
            derivative dL/dh[t]. What stands at steps beyond a row's length is not defined, and
            its gradient is zero.
        gates: By name, (T, B, H), in the graph, zero beyond a row's length.
        lengths: Valid steps of each row, (B,), on the processor.
        reset: True where a row began a new sequence before that step, (T, B), or None.
        noise: The masks and shares of dropout and zoneout in this run.
    """

    name: str
    module: str
    layer: int
    reverse: bool
    cell: Cell
    states: dict[str, tuple[Tensor, ...]]
    gates: dict[str, Tensor]
    lengths: Tensor
    reset: Tensor | None = None
    noise: Noise = field(default_factory=Noise)

    @property
    def steps(self) -> int:
        """T."""
        return len(self.states["h"])

    @property
    def valid(self) -> Tensor:
        """Which steps lie within their row, (T, B)."""
        return torch.arange(self.steps)[:, None] < self.lengths

    @property
    def lags(self) -> Tensor:
        """How many steps of the row's run were still to come after each step, (T, B).

        0 at the last step of a forward run, and at step 0 of a reverse one; negative in padding
        of a forward run.
        """
        steps = torch.arange(self.steps)[:, None].expand(-1, len(self.lengths))
        return steps if self.reverse else self.lengths - 1 - steps

    def values(self, state: str) -> Tensor:
        """Return every step's state, (T, B, width), detached, zero beyond a row's length."""
        values = torch.stack([step.detach() for step in self.states[state]])
        return torch.where(self.valid.to(values.device)[..., None], values, 0.0)


@dataclass
class Seen:
    """What `watching` has seen.

    Attributes:
        layers: One entry a run of a layer in one direction, in order of execution.
    """

    layers: list[Watched] = field(default_factory=list)


@contextmanager
def watching(network: nn.Module) -> Iterator[Seen]:
    """Record every step's states and gates of all recurrent layers of a network.

    Inside, the layers run by the reference, in Python, so that each step is a node of the graph:
    right for every cell and option, in any dtype, and slow. A layer that runs several times gets
    several entries, told apart by "call 2" and so on in their names. Steps that a network computes
    by `Cell.step` itself, as a decoder does in search, are not seen, nor is what ``torch.compile``
    compiled. A run over no steps or no rows has no entry.

    >>> import torch
    >>> from longspan.nn import LSTM
    >>> lstm = LSTM(3, 5, bidirectional=True)
    >>> with watching(lstm) as seen:
    ...     loss = lstm(torch.ones(7, 2, 3))[0][-1].sum()
    >>> [layer.name for layer in seen.layers]
    ['layer 0', 'layer 0 reverse']
    >>> total = torch.autograd.grad(loss, seen.layers[0].states["c"])  # dL/dc[t] for each t
    >>> len(total), total[0].shape
    (7, torch.Size([2, 5]))

    Args:
        network: Any module that holds recurrent layers of `longspan.nn`.

    Raises:
        InputError: If it holds none.
    """
    seen = Seen()
    runs: dict[str, int] = {}

    def record(call: kernels.Call, module: str) -> ScanResult:
        if 0 in call.x.shape[:2]:
            return kernels.run(call)
        result = kernels.run(call._replace(record_gates=True, record_states=True))
        name = f"{module} {call.label}".strip()
        runs[name] = runs.get(name, 0) + 1
        label = name if runs[name] == 1 else f"{name} call {runs[name]}"
        seen.layers.append(_watched(label, module, call, result))
        return result

    with handling(network, record):
        yield seen


@contextmanager
def handling(
    network: nn.Module, handler: Callable[[kernels.Call, str], ScanResult]
) -> Iterator[None]:
    """Pass the calls of a network's recurrent layers, with their module's name, to a handler.

    Args:
        network: The network; calls of layers outside it are left alone.
        handler: From call and name to the result; see `longspan.kernels.intercept`.

    Raises:
        InputError: If the network holds no recurrent layer of `longspan.nn`.
    """
    current: list[str] = []

    def dispatched(call: kernels.Call) -> ScanResult:
        return handler(call, current[-1]) if current else kernels.run(call)

    def enter(name: str, *_: object) -> None:
        current.append(name)

    def leave(*_: object) -> None:
        current.pop()

    with ExitStack() as stack:
        for name, layer in recurrent_layers(network).items():
            before = layer.register_forward_pre_hook(partial(enter, name))
            after = layer.register_forward_hook(leave, always_call=True)
            stack.callback(before.remove)
            stack.callback(after.remove)
        stack.enter_context(kernels.intercept(dispatched))
        yield


def recurrent_layers(network: nn.Module) -> dict[str, Recurrent]:
    """Return the recurrent modules of a network by name.

    Raises:
        InputError: If there are none.
    """
    found = {name: m for name, m in network.named_modules() if isinstance(m, Recurrent)}
    if not found:
        raise InputError(
            f"The network must hold a recurrent layer of longspan.nn (LSTM, GRU, RNN); "
            f"{type(network).__name__} holds none. Pass the module whose layers are to be seen; "
            "torch.nn's layers can be replaced by longspan.nn's, which take their state_dict."
        )
    return found


def _watched(name: str, module: str, call: kernels.Call, result: ScanResult) -> Watched:
    assert result.states is not None
    assert result.gates is not None
    steps, batch = call.x.shape[:2]
    lengths = call.layout.lengths
    return Watched(
        name, module, int(call.label.split()[1]), call.layout.reverse, call.cell,
        result.states, result.gates,
        torch.full((batch,), steps) if lengths is None else lengths.cpu(),
        call.layout.reset, call.noise,
    )  # fmt: skip
