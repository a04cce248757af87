"""torch.compile and torch.export see one operator a layer, with no break in the graph."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import forward_ad

from longspan import kernels, nn

pytest.importorskip("longspan.kernels._native", reason="built without a compiler")

CASES = {
    "lstm": lambda: nn.LSTM(3, 5, 2, bidirectional=True),
    "lstm with options": lambda: nn.LSTM(3, 5, layer_norm=True, peephole=True, proj_size=2),
    "gru": lambda: nn.GRU(3, 5),
    "rnn": lambda: nn.RNN(3, 5),
    "parametrized": lambda: nn.weight_norm(nn.LSTM(3, 5)),
    "input normalised": lambda: nn.LSTM(3, 5, batch_norm="sequence"),
}
ARGUMENTS = {
    "full": lambda: {},
    "ragged": lambda: {"lengths": torch.tensor([4, 1])},
}


@pytest.fixture(params=CASES)
def layer(request):
    torch.manual_seed(0)
    return CASES[request.param]()


def gradients(run, layer, x):
    layer.zero_grad()
    leaf = x.clone().requires_grad_()
    output, _ = run(leaf)
    output.square().sum().backward()
    return [output.detach(), leaf.grad, *(p.grad.clone() for p in layer.parameters())]


@pytest.mark.filterwarnings("ignore")  # of the compiler's own parts
@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_compile_without_a_graph_break(layer, arguments):
    torch._dynamo.reset()
    x, given = torch.randn(4, 2, 3), ARGUMENTS[arguments]()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    found = gradients(lambda leaf: compiled(leaf, **given), layer, x)
    expected = gradients(lambda leaf: layer(leaf, **given), layer, x)
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(f, e)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x, **given)[0], layer(x, **given)[0])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("strict", [True, False])
def test_export(layer, strict):
    x = torch.randn(4, 2, 3)
    steps = torch.export.Dim("steps", min=2, max=64)
    program = torch.export.export(layer.eval(), (x,), dynamic_shapes=({0: steps},), strict=strict)
    assert any("longspan" in str(node.target) for node in program.graph.nodes)
    for length in (4, 9):
        x = torch.randn(length, 2, 3)
        torch.testing.assert_close(program.module()(x)[0], layer(x)[0])


def test_operators_keep_torch_s_rules(layer):
    """Schema, fake implementations and autograd registration, by torch's own checker."""
    from longspan.kernels.program import program_of

    seen = []
    original = kernels.dispatch.IMPLEMENTATIONS["native"].run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(kernels.dispatch.IMPLEMENTATIONS["native"]), "run",
            lambda self, call: seen.append(call) or original(call),
        )  # fmt: skip
        layer(torch.randn(4, 2, 3))
    program, tensors = program_of(seen[0])
    tensors = [t.detach().requires_grad_() for t in tensors]
    torch.library.opcheck(
        torch.ops.longspan.scan.default, (tensors, program.to_text(), True),
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_bad_lengths_are_refused_in_a_graph_too():
    torch._dynamo.reset()
    compiled = torch.compile(nn.LSTM(3, 5), backend="aot_eager")
    with pytest.raises(ValueError, match="between 0 and the number of steps, 4, got 1 to 5"):
        compiled(torch.randn(4, 2, 3), lengths=torch.tensor([5, 1]))


@pytest.mark.filterwarnings("ignore")  # tracing is deprecated, and warns of every condition
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("learning", [True, False])
def test_a_jit_trace_computes_and_does_not_record_memory_alone(layer, learning, dtype):
    layer.to(dtype).eval()
    x = torch.randn(4, 2, 3, dtype=dtype)
    with torch.set_grad_enabled(learning):
        traced = torch.jit.trace(layer, torch.zeros_like(x), check_trace=False)
        torch.testing.assert_close(traced(x)[0], layer(x)[0])


@pytest.mark.filterwarnings("ignore")  # torch scripts its own decompositions
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("learning", [True, False])
def test_forward_mode_gives_the_directional_derivative(layer, learning, dtype):
    layer.to(dtype).eval()
    x, direction = torch.randn(2, 4, 2, 3, dtype=dtype)
    _, expected = torch.func.jvp(lambda x: layer(x)[0], (x,), (direction,))
    with torch.set_grad_enabled(learning), forward_ad.dual_level():
        output = layer(forward_ad.make_dual(x, direction))[0]
        found = forward_ad.unpack_dual(output).tangent
    torch.testing.assert_close(found, expected)
