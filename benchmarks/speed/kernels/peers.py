"""The peers: each function returns something to run, with our layer's weights where it can."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from benchmarks.speed.kernels.measure import timed
from benchmarks.speed.kernels.shapes import Shape

THREADS = 2
_ALONE = nullcontext()


def training_step(module: nn.Module, run: Callable[[], Tensor], gradient: Tensor) -> Callable:
    """Return a timed forward and backward; clearing the gradients is not timed."""

    def step() -> float:
        for parameter in module.parameters():
            parameter.grad = None
        return timed(lambda: run().backward(gradient))()

    return step


def inference(run: Callable[[], Any], within: AbstractContextManager = _ALONE) -> Callable:
    """Return a timed forward without gradients, within a context."""

    def step() -> float:
        with torch.no_grad(), within:
            return timed(run)()

    return step


def onnx_model(layer: nn.LSTM, shape: Shape, state: bool = False) -> bytes:
    """Return an ONNX model of one LSTM node; with `state`, it takes and returns the states."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    order = [0, 3, 1, 2]  # torch has i f g o, ONNX i o f c

    def reordered(tensor: Tensor) -> np.ndarray:
        return np.concatenate([tensor.detach().chunk(4)[k].numpy() for k in order])

    biases = np.concatenate([reordered(layer.bias_ih_l0), reordered(layer.bias_hh_l0)])
    constants = {
        "W": reordered(layer.weight_ih_l0)[None],
        "R": reordered(layer.weight_hh_l0)[None],
        "B": biases[None],
    }
    T, B, I, H = shape
    states = ["h0", "c0"] if state else []
    node = helper.make_node(
        "LSTM", ["X", "W", "R", "B", *([""] if state else []), *states], ["Y", "h", "c"],
        hidden_size=H,
    )  # fmt: skip
    float_ = TensorProto.FLOAT
    outputs = {"Y": [T, 1, B, H], "h": [1, B, H], "c": [1, B, H]}
    graph = helper.make_graph(
        [node], "lstm",
        [helper.make_tensor_value_info("X", float_, [T, B, I])]
        + [helper.make_tensor_value_info(name, float_, [1, B, H]) for name in states],
        [helper.make_tensor_value_info(name, float_, dims) for name, dims in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return model.SerializeToString()


def onnx_runtime(model: bytes) -> Any:
    """Return an ONNX Runtime session with two threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def openvino(model: bytes) -> Any:
    """Return a compiled OpenVINO model with two threads."""
    import openvino as ov

    core = ov.Core()
    settings = {"INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY"}
    settings["INFERENCE_PRECISION_HINT"] = "f32"
    return core.compile_model(core.read_model(model), "CPU", settings)


def flax(shape: Shape, x: Tensor, gradient: Tensor) -> tuple[Callable, Callable]:
    """Return Flax's LSTM, jitted: (inference, training); its weights are its own."""
    import jax
    from flax import linen

    layer = linen.RNN(linen.OptimizedLSTMCell(shape.H), time_major=True)
    given, slope = jax.numpy.asarray(x.numpy()), jax.numpy.asarray(gradient.numpy())
    params = layer.init(jax.random.PRNGKey(0), given)
    forward = jax.jit(layer.apply)
    step = jax.jit(jax.value_and_grad(lambda p: (layer.apply(p, given) * slope).sum()))
    return (
        lambda: jax.block_until_ready(forward(params, given)),
        lambda: jax.block_until_ready(step(params)),
    )


class EagerLSTM(nn.Module):
    """The LSTM with options as PyTorch's users write it: one projection of the input, then a loop.

    It takes a Longspan layer's own parameters, so that both compute the same.
    """

    def __init__(self, ours: nn.Module, compiled: bool = False) -> None:
        super().__init__()
        self.ours = ours
        torch._dynamo.reset()  # each option is a program of its own
        self.cell: Callable = torch.compile(self.step) if compiled else self.step

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs, (T, B, H)."""
        p = dict(self.ours.named_parameters())
        x_gates = linear(x, p["weight_ih_l0"])
        if "norm_ih_l0" in p:
            x_gates = layer_norm(x_gates, x_gates.shape[-1:], *p["norm_ih_l0"])
        x_gates = x_gates + (p["bias_ih_l0"] + p["bias_hh_l0"])
        cell = self.ours.cell
        h = x.new_zeros(x.shape[1], cell.proj_size or self.ours.hidden_size)
        c = x.new_zeros(x.shape[1], self.ours.hidden_size)
        outputs = []
        for t in range(len(x)):
            h, c = self.cell(x_gates[t], h, c, p)
            outputs.append(h)
        return torch.stack(outputs)

    def step(self, x_gates: Tensor, h: Tensor, c: Tensor, p: dict) -> tuple[Tensor, Tensor]:
        """Return the next h and c."""
        cell, zoneout = self.ours.cell, self.ours.zoneout[0]
        h_gates = linear(h, p["weight_hh_l0"])
        if "norm_hh_l0" in p:
            h_gates = layer_norm(h_gates, h_gates.shape[-1:], *p["norm_hh_l0"])
        gates = x_gates + h_gates
        if cell.coupled_gates:
            f, g, o = gates.chunk(3, -1)
        else:
            i, f, g, o = gates.chunk(4, -1)
        if cell.peephole:
            p_i, p_f, p_o = p["weight_ch_l0"].chunk(3)
            i, f = i + p_i * c, f + p_f * c
        f = torch.sigmoid(f)
        i = 1 - f if cell.coupled_gates else torch.sigmoid(i)
        new = f * c + i * torch.tanh(g)
        if cell.peephole:
            o = o + p_o * new
        seen = layer_norm(new, new.shape[-1:], *p["norm_c_l0"]) if "norm_c_l0" in p else new
        out = torch.sigmoid(o) * torch.tanh(seen)
        if zoneout:
            keep = torch.rand_like(c) < zoneout
            new, out = torch.where(keep, c, new), torch.where(torch.rand_like(h) < zoneout, h, out)
        return (linear(out, p["weight_hr_l0"]) if cell.proj_size else out), new
