"""Streaming: one step at a time on numpy arrays, with no torch in the way.

Neither importing this nor running it imports torch; `Stepper.of` does, since its layer has.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from longspan.errors import InputError, MissingDependencyError
from longspan.kernels.loader import REMEDY, native

if TYPE_CHECKING:
    from torch import nn

Floats = NDArray[np.float32]
# Options, gates and shapes are those of longspan.cells, written again because that imports torch.
_LSTM_SWITCHES = {
    "coupled_gates": False, "input_gate": True, "forget_gate": True, "output_gate": True,
    "input_activation": True, "output_activation": True,
}  # fmt: skip
_LSTM = {"peephole": False, "full_gate_recurrence": False, **_LSTM_SWITCHES}
_GRU = {"reset_after": True}
_RNN = {"nonlinearity": "tanh"}
_DEFAULTS: dict[str, dict[str, Any]] = {"lstm": _LSTM, "gru": _GRU, "rnn": _RNN}


class Stepper:
    """A stack of recurrent layers that runs one step a call, in microseconds.

    Weights are packed once; a step allocates nothing and uses one thread. Not to be shared between
    threads; build one for each.

    >>> import numpy as np, torch, longspan
    >>> layer = longspan.nn.LSTM(3, 5, num_layers=2)
    >>> stepper = Stepper.of(layer)
    >>> state = stepper.initial_state()
    >>> x = np.ones((1, 3), np.float32)
    >>> first, second = stepper.step(x, state).copy(), stepper.step(x, state).copy()
    >>> output, _ = layer(torch.ones(2, 1, 3))
    >>> bool(np.allclose(second, output[1].detach().numpy(), atol=1e-6))
    True

    Args:
        weights: By torch's names (``weight_ih_l0`` and so on), as a ``state_dict`` has them.
        kind: ``"lstm"``, ``"gru"`` or ``"rnn"``.
        batch: Rows that go on at the same time, B.
        zoneout: Shares of the cell and hidden state that are kept, as a trained network's.
        options: Of the cell, as of `longspan.cells`.

    Raises:
        InputError: If a weight is missing, has a wrong shape, or an option is unknown.
        MissingDependencyError: If Longspan was installed without a C++ compiler.
    """

    step: Callable[[Floats, tuple[Floats, ...]], Floats]
    """Run one step: ``step(x, state)``. Bound to compiled code, with no Python in between.

    Args:
        x: Inputs, (B, I), float32, contiguous.
        state: As `initial_state` returns it; updated in place.

    Returns:
        Output of the last layer, (B, P). The same array every time: copy what is to be kept.

    Raises:
        InputError: If an array has another shape, dtype or layout. Nothing has been changed then.
    """

    def __init__(
        self,
        weights: Mapping[str, Any],
        *,
        kind: str = "lstm",
        batch: int = 1,
        zoneout: tuple[float, float] = (0.0, 0.0),
        **options: Any,
    ) -> None:
        if native is None:
            raise MissingDependencyError(f"Stepper needs Longspan's compiled kernels. {REMEDY}")
        if kind not in _DEFAULTS or options.keys() - _DEFAULTS[kind].keys():
            raise InputError(
                f"`kind` must be one of {', '.join(_DEFAULTS)}, with options of that cell, got "
                f"{kind!r} with {sorted(options)}."
            )
        if batch < 1:
            raise InputError(f"`batch` must be at least 1, got {batch}.")
        self.batch = batch
        self._core = native.StepperCore(batch)
        self._kept: list[Floats] = []  # small parameters are read at every step
        self._widths: list[int] = []
        self._below: int | None = None  # what the layer below the next puts out
        settings = _DEFAULTS[kind] | options
        layers = sum(name.startswith("weight_ih_l") for name in weights)
        if not layers or any(name.endswith("_reverse") for name in weights):
            raise InputError("Stepper needs the weights of layers that run forward in time only.")
        for k in range(layers):
            self._add_layer(weights, f"_l{k}", kind, settings, zoneout, last=k == layers - 1)
        self.step = self._core.step

    @staticmethod
    def of(layer: nn.Module, batch: int = 1) -> Stepper:
        """Return a stepper with the weights that a ``longspan.nn`` or ``torch.nn`` layer has now.

        Args:
            layer: An LSTM, GRU or RNN in one direction, without batch normalisation.
            batch: Rows that go on at the same time.

        Raises:
            InputError: If the layer is none of these.
        """
        # A parametrization makes the layer's class a subclass.
        names = [each.__name__.lower() for each in type(layer).__mro__]
        kind = next((name for name in names if name in _DEFAULTS), None)
        cell = getattr(layer, "cell", None)
        if kind is None or getattr(layer, "batch_norm", None):
            raise InputError(
                f"Stepper.of takes an LSTM, GRU or RNN without batch normalisation, got {layer}."
            )
        source = layer if cell is None else cell
        options = {name: getattr(source, name) for name in _DEFAULTS[kind] if hasattr(source, name)}
        zoneout = getattr(layer, "zoneout", (0.0, 0.0))
        return Stepper(_weights_of(layer), kind=kind, batch=batch, zoneout=zoneout, **options)

    def initial_state(self) -> tuple[Floats, ...]:
        """Return zeros: for each layer h and, for an LSTM, c, each (B, width)."""
        return tuple(np.zeros((self.batch, width), np.float32) for width in self._widths)

    def _add_layer(
        self,
        weights: Mapping[str, Any],
        suffix: str,
        kind: str,
        options: dict,
        zoneout: tuple,
        last: bool,
    ) -> None:
        mine = {  # copies, since the layer may change
            name.removesuffix(suffix): np.array(value, np.float32, order="C")
            for name, value in weights.items()
            if name.endswith(suffix)
        }
        _check_complete(mine, kind, options, suffix)
        problem = native.Problem()
        rows, problem.I = mine["weight_ih"].shape
        problem.P = mine["weight_hh"].shape[1]
        problem.H = mine["weight_hr"].shape[1] if "weight_hr" in mine else problem.P
        problem.gates = rows // problem.H
        problem.zoneout_c, problem.zoneout_h = zoneout
        {"lstm": _set_lstm, "gru": _set_gru, "rnn": _set_rnn}[kind](problem, options)
        _check_shapes(mine, problem, kind, options, suffix)
        if self._below not in (None, problem.I):
            raise InputError(
                f"weight_ih{suffix} reads {problem.I} values, but the layer below puts out "
                f"{self._below}. Pass the weights of one stack of layers."
            )
        self._below = problem.P
        for name, value in mine.items():
            problem.set(name, value.ctypes.data)
        self._kept += mine.values()
        output = np.zeros((self.batch, problem.P), np.float32) if last else None
        self._core.add_layer(problem, output)
        fed = (problem.gates - 1) * problem.H if "weight_gg" in mine else 0
        widths = (problem.P, problem.H if kind == "lstm" else 0, fed)
        self._widths += [width for width in widths if width]


def _set_lstm(problem: Any, options: dict) -> None:
    problem.set_lstm(*(options[name] for name in _LSTM_SWITCHES))


def _set_gru(problem: Any, options: dict) -> None:
    problem.set_gru(options["reset_after"])


def _set_rnn(problem: Any, options: dict) -> None:
    problem.set_rnn(options["nonlinearity"] == "relu")


def _check_shapes(found: dict, problem: Any, kind: str, options: dict, suffix: str) -> None:
    gates, hidden, output = _gates(kind, options), problem.H, problem.P
    rows, sigmoids = gates * hidden, gates - 1
    expected = {
        "weight_ih": (rows, problem.I), "weight_hh": (rows, output), "bias_ih": (rows,),
        "bias_hh": (rows,), "weight_hr": (output, hidden), "weight_ch": (sigmoids * hidden,),
        "weight_gg": (sigmoids * hidden, sigmoids * hidden), "norm_ih": (2, rows),
        "norm_hh": (2, rows), "norm_c": (2, hidden),
    }  # fmt: skip
    for name, value in found.items():
        if name not in expected or value.shape != expected[name]:
            raise InputError(
                f"{name}{suffix} must have shape {expected.get(name, 'none: it is unknown')}, got "
                f"{value.shape}."
            )


def _check_complete(found: dict, kind: str, options: dict, suffix: str) -> None:
    """Refuse a layer without a weight that it needs: the kernels would take it for switched off."""
    needed = ["weight_ih", "weight_hh"]
    sigmoids = _gates(kind, options) - 1
    needed += ["weight_ch"] if options.get("peephole") and sigmoids else []
    needed += ["weight_gg"] if options.get("full_gate_recurrence") and sigmoids else []
    norms = ("norm_ih", "norm_hh", "norm_c") if kind == "lstm" else ("norm_ih", "norm_hh")
    for together in (("bias_ih", "bias_hh"), norms):
        needed += together if found.keys() & together else ()
    missing = [f"{name}{suffix}" for name in needed if name not in found]
    if missing:
        raise InputError(
            f"The weights lack {', '.join(missing)}, which this cell needs. Pass a layer's "
            "state_dict(), and the options that it was made with."
        )


def _weights_of(layer: nn.Module) -> dict[str, NDArray]:
    """Return a layer's weights, with what parametrizations make of theirs at evaluation."""
    values = layer.state_dict()
    if hasattr(layer, "parametrizations"):
        still = copy.deepcopy(layer).eval()
        values |= {name: getattr(still, name) for name in still.parametrizations}  # type: ignore[union-attr]
        values = {n: v for n, v in values.items() if not n.startswith("parametrizations.")}
    return {name: value.float().numpy(force=True) for name, value in values.items()}


def _gates(kind: str, options: dict) -> int:
    if kind != "lstm":
        return {"gru": 3, "rnn": 1}[kind]
    has_input = options["input_gate"] and not options["coupled_gates"]
    return 1 + has_input + options["forget_gate"] + options["output_gate"]
