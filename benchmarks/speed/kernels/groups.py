"""The groups of measurements: each yields rows of medians and a peer's time over ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

import longspan.nn
from benchmarks.speed.kernels import peers
from benchmarks.speed.kernels.measure import assert_equal, take_turns
from benchmarks.speed.kernels.memory import increase
from benchmarks.speed.kernels.shapes import FEW, LARGE, Shape, Target, flops, options_of
from longspan.kernels import PackedWeights, Stepper, explain

#: Steps that are timed together, as one is too short for a clock.
STEPS = 100


@dataclass
class Row:
    """One line of a table.

    Attributes:
        label: Shape and option.
        seconds: Medians by contestant (for memory: bytes).
        ratio: Of the best peer to us.
        flops: What the layer computes, or 0 where that says nothing.
        notes: Why a peer is missing.
    """

    label: str
    seconds: dict[str, float]
    ratio: float
    flops: float = 0.0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Group:
    """A named set of measurements with its target.

    Attributes:
        title: Heading of its table.
        target: What it is to reach.
        rows: Measures; takes the shapes and whether to be quick.
        default_allocator: Leave glibc as it is, instead of letting it keep freed memory.
    """

    title: str
    target: Target
    rows: Callable[[list[Shape], bool], Iterator[Row]]
    default_allocator: bool = False


def _pair(kind: str, shape: Shape) -> tuple[nn.Module, nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    theirs = getattr(nn, kind)(shape.I, shape.H)
    ours = getattr(longspan.nn, kind)(shape.I, shape.H)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(shape.T, shape.B, shape.I)
    gradient = torch.randn(shape.T, shape.B, shape.H)
    assert_equal(ours(x)[0], theirs(x)[0], kind)
    return theirs, ours, x, gradient


def _check_gradients(ours: nn.Module, theirs: nn.Module, run: Callable, gradient: Any) -> None:
    for module in (ours, theirs):
        module.zero_grad(set_to_none=True)
        run(module).backward(gradient)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_equal(a.grad, b.grad, "A weight's gradient")


def _row(label: str, contestants: dict, quick: bool, count: float, notes: list[str]) -> Row:
    seconds = take_turns(contestants, quick)
    best = min(value for name, value in seconds.items() if name != "longspan")
    return Row(label, seconds, best / seconds["longspan"], count, notes)


def training(kind: str, with_flax: bool = False) -> Callable:
    """Training steps of a plain layer."""

    def rows(shapes: list[Shape], quick: bool) -> Iterator[Row]:
        for shape in shapes:
            theirs, ours, x, gradient = _pair(kind, shape)
            _check_gradients(ours, theirs, lambda m, x=x: m(x)[0], gradient)
            run = {
                name: peers.training_step(m, lambda m=m, x=x: m(x)[0], gradient)
                for name, m in (("longspan", ours), ("torch", theirs))
            }
            notes: list[str] = []
            if with_flax:
                _add(run, "flax", lambda s=shape, x=x, g=gradient: peers.flax(s, x, g)[1], notes)
            yield _row(str(shape), run, quick, flops(kind, shape, True), notes)

    return rows


def _add(run: dict, name: str, make: Callable, notes: list[str]) -> None:
    try:
        run[name] = peers.timed(make())
    except ImportError as error:
        notes.append(f"{name} is not installed ({error.name})")


def inference(kind: str, with_all: bool = False, packed: bool = False) -> Callable:
    """Inference of a plain layer; `packed`: ours keeps packed weights, as compiled sessions do."""
    kept = PackedWeights() if packed else nullcontext()

    def rows(shapes: list[Shape], quick: bool) -> Iterator[Row]:
        for shape in shapes:
            theirs, ours, x, gradient = _pair(kind, shape)
            run = {
                "longspan": peers.inference(lambda m=ours, x=x: m(x), kept),
                "torch": peers.inference(lambda m=theirs, x=x: m(x)),
            }
            notes: list[str] = []
            if with_all:
                _add(run, "flax", lambda s=shape, x=x, g=gradient: peers.flax(s, x, g)[0], notes)
                expected = theirs(x)[0].detach()
                for name, make in (("onnxruntime", _ort), ("openvino", _openvino)):
                    _add(run, name, partial(make, theirs, shape, x, expected), notes)
            yield _row(str(shape), run, quick, flops(kind, shape, False), notes)

    return rows


def _ort(layer: Any, shape: Shape, x: torch.Tensor, expected: torch.Tensor) -> Callable:
    session = peers.onnx_runtime(peers.onnx_model(layer, shape))
    feed = {"X": x.numpy()}
    assert_equal(torch.from_numpy(session.run(["Y"], feed)[0])[:, 0], expected, "ONNX Runtime")
    return lambda: session.run(None, feed)


def _openvino(layer: Any, shape: Shape, x: torch.Tensor, expected: torch.Tensor) -> Callable:
    request = peers.openvino(peers.onnx_model(layer, shape)).create_infer_request()
    feed = {"X": x.numpy()}
    found = torch.from_numpy(np.array(request.infer(feed)["Y"]))[:, 0]
    assert_equal(found, expected, "OpenVINO")
    return lambda: request.infer(feed, share_outputs=True)


def options(shapes: list[Shape], quick: bool) -> Iterator[Row]:
    """Training with options against PyTorch's ways to do it."""
    for shape in [s for s in shapes if s in FEW]:
        for name, given in options_of(shape.H).items():
            torch.manual_seed(0)
            ours = longspan.nn.LSTM(shape.I, shape.H, **given)
            x = torch.randn(shape.T, shape.B, shape.I)
            eager, compiled = peers.EagerLSTM(ours), peers.EagerLSTM(ours, compiled=True)
            with torch.no_grad():
                ours.eval()
                if name != "zoneout":  # random, and each draws its own
                    # A few steps: normalised networks may be chaotic, and amplify any rounding.
                    assert_equal(ours(x[:20])[0], eager(x[:20]), name)
                ours.train()
            gradient = torch.randn_like(ours(x)[0])
            run = {
                "longspan": peers.training_step(ours, lambda m=ours, x=x: m(x)[0], gradient),
                "loop": peers.training_step(ours, lambda m=eager, x=x: m(x), gradient),
                "compiled cell": peers.training_step(ours, lambda m=compiled, x=x: m(x), gradient),
            }
            if name == "projection":
                theirs = nn.LSTM(shape.I, shape.H, **given)
                run["torch"] = peers.training_step(theirs, lambda m=theirs, x=x: m(x)[0], gradient)
            yield _row(f"{shape}, {name}", run, quick, 0.0, [])


def against_plain(shapes: list[Shape], quick: bool) -> Iterator[Row]:
    """Our options against our plain LSTM: how much of its speed they keep."""
    for shape in shapes:
        x = torch.randn(shape.T, shape.B, shape.I)
        layers = {"plain": longspan.nn.LSTM(shape.I, shape.H)}
        layers |= {
            n: longspan.nn.LSTM(shape.I, shape.H, **o) for n, o in options_of(shape.H).items()
        }
        run = {
            name: peers.training_step(m, lambda m=m, x=x: m(x)[0], torch.randn_like(m(x)[0]))
            for name, m in layers.items()
        }
        seconds = take_turns(run, quick)
        for name in options_of(shape.H):
            pair = {"longspan": seconds[name], "plain": seconds["plain"]}
            yield Row(f"{shape}, {name}", pair, seconds["plain"] / seconds[name])


def ragged(shapes: list[Shape], quick: bool) -> Iterator[Row]:
    """Training on rows of different lengths against torch's packed sequences."""
    for shape in shapes:
        theirs, ours, x, gradient = _pair("LSTM", shape)
        lengths = torch.randint(shape.T // 2, shape.T + 1, (shape.B,))
        order = nn.utils.rnn.pack_padded_sequence(gradient, lengths, enforce_sorted=False)

        def packed(m: nn.Module = theirs, x: Any = x, n: Any = lengths) -> torch.Tensor:
            return m(nn.utils.rnn.pack_padded_sequence(x, n, enforce_sorted=False))[0].data

        run = {
            "longspan": peers.training_step(
                ours, lambda m=ours, x=x, n=lengths: m(x, lengths=n)[0], gradient
            ),
            "torch packed": peers.training_step(theirs, packed, order.data),
        }
        for step in run.values():
            step()
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert_equal(a.grad, b.grad, "A weight's gradient")
        yield _row(str(shape), run, quick, 0.0, [])


def streaming(peer: str) -> Callable:
    """One step of one row, called from Python, H = 128."""

    def rows(shapes: list[Shape], quick: bool) -> Iterator[Row]:
        del shapes
        for inputs in (16, 128):
            torch.manual_seed(0)
            layer, x = nn.LSTM(inputs, 128), torch.randn(1, inputs)
            stepper, given = Stepper.of(layer), x.numpy()
            state, expected = stepper.initial_state(), layer(x[None])[0][0]
            assert_equal(torch.from_numpy(stepper.step(given, state).copy()), expected, "Stepper")
            run = {"longspan": _often(lambda s=stepper, g=given, h=state: s.step(g, h))}
            notes: list[str] = []
            if peer == "LSTMCell":
                run[peer] = peers.inference(_cell_steps(nn.LSTMCell(inputs, 128), x))
            else:
                shape = Shape(1, 1, inputs, 128)
                _add(run, peer, lambda n=layer, s=shape, g=given: _ort_step(n, s, g), notes)
            seconds = {name: t / STEPS for name, t in take_turns(run, quick).items()}
            if peer in seconds:
                ratio = seconds[peer] / seconds["longspan"]
                yield Row(f"I = {inputs}", seconds, ratio, 0.0, notes)

    return rows


def _cell_steps(cell: nn.Module, x: torch.Tensor) -> Callable:
    state = [torch.zeros(1, 128), torch.zeros(1, 128)]

    def run() -> None:
        for _ in range(STEPS):
            state[:] = cell(x, tuple(state))

    return run


def _often(function: Callable) -> Callable:
    return peers.timed(lambda: [function() for _ in range(STEPS)])


def _ort_step(layer: Any, shape: Shape, x: Any) -> Callable:
    session = peers.onnx_runtime(peers.onnx_model(layer, shape, state=True))
    state = [np.zeros((1, 1, shape.H), np.float32), np.zeros((1, 1, shape.H), np.float32)]

    def step() -> None:
        feed = {"X": x[None], "h0": state[0], "c0": state[1]}
        _, state[0], state[1] = session.run(None, feed)

    return lambda: [step() for _ in range(STEPS)]


def bfloat16(shapes: list[Shape], quick: bool) -> Iterator[Row]:
    """Our layers in bfloat16 against ours in float32."""
    for shape in [s for s in shapes if s.H >= 256]:
        _, ours, x, gradient = _pair("LSTM", shape)
        small = longspan.nn.LSTM(shape.I, shape.H).to(torch.bfloat16)
        if "native" not in explain(small, x.bfloat16()).split("(")[0]:
            return
        halved = x.bfloat16()
        run = {
            "longspan": peers.training_step(
                small, lambda m=small, x=halved: m(x)[0], gradient.bfloat16()
            ),
            "float32": peers.training_step(ours, lambda m=ours, x=x: m(x)[0], gradient),
        }
        yield _row(str(shape), run, quick, flops("LSTM", shape, True), [])


def memory(training_too: bool) -> Callable:
    """Peak memory, in a fresh process each."""

    def rows(shapes: list[Shape], quick: bool) -> Iterator[Row]:
        del shapes
        for shape in LARGE[-1:] if quick else LARGE:
            found = {who: increase(who, training_too, shape) for who in ("longspan", "torch")}
            yield Row(str(shape), found, found["torch"] / found["longspan"])

    return rows


def scaling(shapes: list[Shape], quick: bool) -> Iterator[Row]:
    """Ours alone: time per step and row and multiply-add as each size grows."""
    del shapes
    sizes = [Shape(t, 32, 32, 128) for t in (10, 100, 1000, 10_000)]
    sizes += [Shape(100, b, 32, 128) for b in (1, 4, 16, 64, 256, 1024)]
    sizes += [Shape(100, 32, 32, h) for h in (16, 64, 256, 1024, 2048)]
    for shape in sizes[:2] if quick else sizes:
        layer, x = longspan.nn.LSTM(shape.I, shape.H), torch.randn(shape.T, shape.B, shape.I)
        gradient = torch.randn(shape.T, shape.B, shape.H)
        step = peers.training_step(layer, lambda m=layer, x=x: m(x)[0], gradient)
        seconds = take_turns({"longspan": step}, quick)
        yield Row(str(shape), seconds, 1.0, flops("LSTM", shape, True))


GROUPS = {
    "lstm-training": Group("LSTM training", Target(2.0, 1.3), training("LSTM", True)),
    "lstm-inference": Group("LSTM inference", Target(1.15, 0.95), inference("LSTM", True)),
    "lstm-inference-packed": Group(
        "LSTM inference, our weights packed once",
        Target(1.15, 0.95),
        inference("LSTM", True, packed=True),
    ),
    "lstm-training-default": Group(
        "LSTM training, with the allocator's defaults",
        Target(2.0, 1.3),
        training("LSTM"),
        default_allocator=True,
    ),
    "gru-training": Group("GRU training", Target(3.0, 2.0), training("GRU")),
    "gru-inference": Group("GRU inference", Target(2.5, 2.0), inference("GRU")),
    "rnn-training": Group("RNN training", Target(1.5, 1.1), training("RNN")),
    "options-training": Group("LSTM with options, training", Target(5.0, 3.0), options),
    "options-vs-plain": Group("Options beside our plain LSTM", Target(0.8, 1 / 1.5), against_plain),
    "ragged-training": Group("Rows of different lengths, training", Target(4.0, 2.5), ragged),
    "streaming-runtime": Group(
        "One step, one row, H = 128, from Python, beside ONNX Runtime",
        Target(4.0),
        streaming("onnxruntime"),
    ),
    "streaming-cell": Group(
        "One step, one row, H = 128, from Python, beside torch's LSTMCell",
        Target(10.0),
        streaming("LSTMCell"),
    ),
    "bfloat16-training": Group("bfloat16 beside float32, training", Target(1.5), bfloat16),
    "memory-inference": Group("Peak memory, inference", Target(2.0), memory(False), True),
    "memory-training": Group("Peak memory, training", Target(1.25), memory(True), True),
    "scaling": Group("Time against size", Target(1.0), scaling),
}
