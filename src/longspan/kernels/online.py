"""The first LSTMs' own learner: online, by the truncated gradient, in double precision.

Hochreiter & Schmidhuber 1997 ("Long Short-Term Memory", appendix A.1), with the forget gates of
Gers, Schmidhuber & Cummins 2000 and the peepholes of Gers, Schraudolph & Schmidhuber 2002. Steps
are learnt from one by one, so that nothing grows with the length of a sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from longspan.errors import InputError, MissingDependencyError, unknown_name
from longspan.kernels.loader import REMEDY, native

Squash = Literal["logistic", "wide", "wider", "identity"]

#: Scale and shift of the logistic function: ranges [0, 1], [-1, 1], [-2, 2]; scale 0: none at all.
SQUASHES: dict[str, tuple[float, float]] = {
    "logistic": (1.0, 0.0), "wide": (2.0, -1.0), "wider": (4.0, -2.0), "identity": (0.0, 0.0),
}  # fmt: skip

GATES = ("input", "forget", "output")


@dataclass(frozen=True)
class OnlineNetwork:
    """What an `OnlineLearner` trains: one layer of memory blocks, and outputs above it.

    A block has S cells, which share its gates. With x the inputs of step t, y the outputs of all
    cells (and gates) at t - 1, and gates i, φ, o = σ(net)::

        s' = φ·s + i·g(net)        (φ = 1 without forget gates; i = 1 without input gates)
        y' = o·h(s')               (o = 1 without output gates)
        output = f(W·[y', x if direct, 1])

    where every net is a weighted sum of x, y and 1; peepholes add the states of the block's own
    cells, s to the input and forget gates and s' to the output gate.

    Attributes:
        input_size: Inputs a step, I.
        output_size: Outputs, P.
        blocks: Memory blocks, B.
        cells: Cells of a block, S.
        gates: Which of ``"input"``, ``"forget"`` and ``"output"`` a block has.
        peephole: Whether gates see their cells' states.
        recurrent: Whether the cells' outputs lead back to the hidden units.
        gate_recurrence: Whether the gates' activations do, too; needs `recurrent`.
        direct: Whether inputs also lead to the outputs.
        biased: Which of ``"cells"``, ``"gates"`` and ``"outputs"`` have biases.
        g: Of a cell's input: ``"logistic"`` [0, 1], ``"wide"`` [-1, 1], ``"wider"`` [-2, 2], or
            ``"identity"``.
        h: Of a cell's state.
        f: Of the outputs.

    Raises:
        InputError: If a size is less than 1, or a name unknown.
    """

    input_size: int
    output_size: int
    blocks: int
    cells: int = 1
    gates: tuple[str, ...] = ("input", "output")
    peephole: bool = False
    recurrent: bool = True
    gate_recurrence: bool = True
    direct: bool = False
    biased: tuple[str, ...] = ("cells", "gates", "outputs")
    g: Squash = "wider"
    h: Squash = "wide"
    f: Squash = "logistic"

    def __post_init__(self) -> None:
        for name in ("input_size", "output_size", "blocks", "cells"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        _check_names("gates", self.gates, GATES)
        _check_names("biased", self.biased, ("cells", "gates", "outputs"))
        for name in ("g", "h", "f"):
            _check_names(name, (getattr(self, name),), tuple(SQUASHES))
        if self.gate_recurrence and not self.recurrent:
            raise InputError("`gate_recurrence` needs `recurrent`. Set both, or neither.")
        if self.peephole and not self.gates:
            raise InputError("`peephole` needs gates. Name some in `gates`.")

    @property
    def all_cells(self) -> int:
        """Cells of all blocks, C."""
        return self.blocks * self.cells

    @property
    def units(self) -> int:
        """Hidden units, U: the cells, then the input, forget and output gates that there are."""
        return self.all_cells + len(self.gates) * self.blocks

    @property
    def sources(self) -> int:
        """Where hidden units have weights from, M: inputs, what leads back, and 1."""
        back = self.units if self.gate_recurrence else self.all_cells
        return self.input_size + self.recurrent * back + 1

    @property
    def output_sources(self) -> int:
        """Where outputs have weights from: cells, perhaps inputs, and 1."""
        return self.all_cells + self.direct * self.input_size + 1

    def first(self, gate: str) -> int:
        """Return the number of the first hidden unit that is such a gate; block by block."""
        present = [name for name in GATES if name in self.gates]
        return self.all_cells + present.index(gate) * self.blocks

    @property
    def parameters(self) -> int:
        """Number of weights.

        >>> OnlineNetwork(input_size=2, output_size=1, blocks=2, cells=2).parameters
        93
        """
        missing = (
            ("cells" not in self.biased) * self.all_cells
            + ("gates" not in self.biased) * (self.units - self.all_cells)
            + ("outputs" not in self.biased) * self.output_size
        )
        peepholes = self.peephole * len(self.gates) * self.all_cells
        return (
            self.units * self.sources + self.output_size * self.output_sources + peepholes - missing
        )


class Answers(NamedTuple):
    """What `OnlineLearner.run` returns: outputs where there was a target (N', P), and steps run."""

    outputs: np.ndarray
    steps: int


class OnlineLearner:
    """Weights of an `OnlineNetwork`, and what goes on from one step to the next.

    The weights are arrays to be read and written: ``hidden`` (M, U), ``output`` (C [+ I] + 1, P)
    and ``peepholes`` (3, S, B), from cell j of a block to its input, forget and output gate. The
    last rows of the first two are biases; those that do not exist stay zero, and so do peepholes of
    gates that do not exist. The same calls give the same bits on every processor.

    >>> learner = OnlineLearner(OnlineNetwork(1, 1, blocks=1), np.random.default_rng(0), 0.1)
    >>> one, step = np.ones((1, 1)), np.ones(1, int)  # one sequence of one step, target 1
    >>> errors = [1 - learner.run(one, step, step > 0, one, 0.5).outputs[0, 0] for _ in range(9)]
    >>> errors == sorted(errors, reverse=True)
    True

    Args:
        network: Its form.
        generator: Draws the weights: hidden, output, peepholes.
        spread: Weights are uniform in [-spread, spread].

    Raises:
        MissingDependencyError: If Longspan was installed without a C++ compiler.
    """

    def __init__(
        self, network: OnlineNetwork, generator: np.random.Generator, spread: float
    ) -> None:
        if native is None:
            raise MissingDependencyError(
                f"OnlineLearner needs Longspan's compiled kernels. {REMEDY}"
            )
        self.network = network
        self._core, self._kept = native.OnlineNetwork(), dict[str, np.ndarray]()
        self._configure(network)
        units, P = network.units, network.output_size
        shape = (3, network.cells, network.blocks)
        self.hidden = self._keep("hidden", (network.sources, units))
        self.output = self._keep("output", (network.output_sources, P))
        self.peepholes = self._keep("peepholes", shape, exists=network.peephole, pad=False)
        self.hidden[:] = generator.uniform(-spread, spread, self.hidden.shape)
        self.output[:] = generator.uniform(-spread, spread, self.output.shape)
        if network.peephole:
            present = np.array([gate in network.gates for gate in GATES])[:, None, None]
            self.peepholes[:] = generator.uniform(-spread, spread, shape) * present
        for name, row, units_of in (
            ("cells", self.hidden[-1], slice(network.all_cells)),
            ("gates", self.hidden[-1], slice(network.all_cells, None)),
            ("outputs", self.output[-1], slice(None)),
        ):
            if name not in network.biased:
                row[units_of] = 0.0

    def set_bias(self, gate: str, values: float | tuple[float, ...]) -> None:
        """Set the biases of one kind of gate, block by block.

        Args:
            gate: ``"input"``, ``"forget"`` or ``"output"``.
            values: One for all, or one a block.

        Raises:
            InputError: If there are no such gates, they have no biases, or the number is wrong.
        """
        network = self.network
        if gate not in network.gates or "gates" not in network.biased:
            raise InputError(f"The network has no {gate!r} gates with biases.")
        given = np.atleast_1d(np.asarray(values, float))
        if given.shape not in ((1,), (network.blocks,)):
            raise InputError(
                f"`values` must be one number or {network.blocks}, one a block, got {len(given)}."
            )
        first = network.first(gate)
        self.hidden[-1, first : first + network.blocks] = given

    def run(
        self,
        inputs: np.ndarray,
        lengths: np.ndarray,
        mask: np.ndarray,
        targets: np.ndarray,
        learning_rate: float = 0.0,
        *,
        decay: float = 1.0,
        momentum: float = 0.0,
        stop: float = float("inf"),
        continued: bool = False,
        cells: bool = True,
    ) -> Answers:
        """Run sequences one after the other, and learn after every step that has a target.

        A change of the weights is ``learning_rate`` times minus the gradient of half the squared
        error, plus ``momentum`` times the last change.

        Args:
            inputs: Of all sequences, joined: (N, I); or, where a single one of the inputs is one
                and the others zero, which one, integers (N,).
            lengths: Steps of each sequence, N in all.
            mask: Which steps have a target, bool (N,).
            targets: Of these, in order, (N', P).
            learning_rate: 0 changes nothing.
            decay: What the learning rate is multiplied by after every step.
            momentum: At least 0 and below 1.
            stop: Stop behind the first step at which an output is this far from its target.
            continued: Whether the first sequence goes on from where the last call ended, instead of
                from zeros.
            cells: False runs the network as if it had no memory blocks: only direct weights and
                biases of the outputs. Not with momentum.

        Returns:
            The outputs, before each was learnt from, and the number of steps that were run.

        Raises:
            InputError: If shapes or numbers do not fit each other or the network.
        """
        network = self.network
        symbols = np.ndim(inputs) == 1
        if symbols and momentum and len(inputs):  # momentum moves the weights of other symbols, too
            inputs, symbols = _one_hot(_check_symbols(inputs, network.input_size), network), False
        x = _array("inputs", inputs, np.int64 if symbols else np.float64)
        lengths = _array("lengths", lengths, np.int64)
        mask = _array("mask", mask, np.bool_)
        targets = _array("targets", targets, np.float64)
        self._check(x, lengths, mask, targets, symbols)
        if not 0.0 <= momentum < 1.0:
            raise InputError(f"`momentum` must be at least 0 and below 1, got {momentum}.")
        if momentum and not cells:
            raise InputError("`cells=False` is not for momentum: leave one of them out.")
        if momentum and "hidden_change" not in self._kept:
            self._remember_changes()
        outputs = np.zeros((len(targets), network.output_size))
        address = x.ctypes.data
        steps = native.learn_online(
            self._core, 0 if symbols else address, address if symbols else 0, lengths.ctypes.data,
            len(lengths), mask.ctypes.data, targets.ctypes.data, outputs.ctypes.data,
            learning_rate, decay, momentum, stop, continued, cells,
        )  # fmt: skip
        return Answers(outputs[: np.count_nonzero(mask[:steps])], steps)

    def _configure(self, network: OnlineNetwork) -> None:
        core = self._core
        core.I, core.P = network.input_size, network.output_size
        core.B, core.S = network.blocks, network.cells
        for gate in GATES:
            setattr(core, f"{gate}_gate", gate in network.gates)
        core.recurrent, core.gate_recurrence = network.recurrent, network.gate_recurrence
        core.direct = network.direct
        for name in ("cell", "gate", "output"):
            setattr(core, f"{name}_bias", f"{name}s" in network.biased)
        core.set_squashes(*SQUASHES[network.g], *SQUASHES[network.h], *SQUASHES[network.f])
        cells = network.all_cells
        kept = cells * (1 + ("input" in network.gates) + ("forget" in network.gates))
        self._keep("sources", (network.sources,), pad=False)
        self._keep("states", (cells,), pad=False)
        self._keep("partials", (network.sources, kept))
        self._keep(
            "peephole_partials", (2, network.cells, cells), exists=network.peephole, pad=False
        )

    def _keep(
        self, name: str, shape: tuple[int, ...], *, exists: bool = True, pad: bool = True
    ) -> np.ndarray:
        """Give the kernel an array whose rows are padded as it needs them; return what is used."""
        if not exists:
            return np.zeros(0)
        width = -(-shape[-1] // native.ONLINE_PAD) * native.ONLINE_PAD if pad else shape[-1]
        whole = np.zeros((*shape[:-1], width))
        self._kept[name] = whole
        self._core.set(name, whole.ctypes.data)
        return whole[..., : shape[-1]]

    def _remember_changes(self) -> None:
        for name in ("hidden", "output", "peepholes"):
            if name in self._kept:
                self._keep(f"{name}_change", self._kept[name].shape, pad=False)

    def _check(
        self,
        x: np.ndarray,
        lengths: np.ndarray,
        mask: np.ndarray,
        targets: np.ndarray,
        symbols: bool,
    ) -> None:
        network, steps = self.network, len(x)
        if symbols:
            _check_symbols(x, network.input_size)
        elif x.shape[1:] != (network.input_size,):
            raise InputError(
                f"`inputs` must have shape (steps, {network.input_size}), or be the numbers of "
                f"symbols, (steps,), got {x.shape}."
            )
        if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != steps:
            raise InputError(
                f"`lengths` must be numbers of steps, {steps} in all as `inputs` has, got an array "
                f"of shape {lengths.shape} with sum {lengths.sum()}."
            )
        if mask.shape != (steps,):
            raise InputError(f"`mask` must have shape ({steps},) as `inputs`, got {mask.shape}.")
        expected = (int(np.count_nonzero(mask)), network.output_size)
        if targets.shape != expected:
            raise InputError(
                f"`targets` must have shape {expected}: a row for each step in `mask`, a column "
                f"for each output; got {targets.shape}."
            )


def _array(name: str, given: object, dtype: type) -> np.ndarray:
    array = np.asarray(given)
    kinds = "biuf" if dtype is np.float64 else "biu"
    if array.size and array.dtype.kind not in kinds:
        raise InputError(f"`{name}` must hold {np.dtype(dtype).name} numbers, got {array.dtype}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"`{name}` must be finite numbers, got NaN or infinity.")
    return np.ascontiguousarray(array, dtype)


def _check_symbols(symbols: np.ndarray, size: int) -> np.ndarray:
    symbols = _array("inputs", symbols, np.int64)
    if len(symbols) and not 0 <= symbols.min() <= symbols.max() < size:
        raise InputError(
            f"`inputs` must be numbers of symbols, 0 to {size - 1}, got {symbols.min()} to "
            f"{symbols.max()}."
        )
    return symbols


def _one_hot(symbols: np.ndarray, network: OnlineNetwork) -> np.ndarray:
    return np.eye(network.input_size)[symbols]


def _check_names(option: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise InputError(f"`{option}`: {unknown_name('name', name, known)}")
    if len(set(given)) < len(given):
        raise InputError(f"`{option}` must name each once, got {given}.")
