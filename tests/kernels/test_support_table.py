"""docs/kernels.md says what the native kernels do for each cell and option, as found by running it.

LONGSPAN_WRITE_DOCS=1 writes it anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from longspan import kernels, nn
from longspan.errors import InputError

pytest.importorskip("longspan.kernels._native", reason="built without a compiler")

DOCUMENT = Path(__file__).parents[2] / "docs" / "kernels.md"
LSTM = {
    "peephole": {"peephole": True},
    "coupled_gates": {"coupled_gates": True},
    "no input gate": {"input_gate": False},
    "no forget gate": {"forget_gate": False},
    "no output gate": {"output_gate": False},
    "no input activation": {"input_activation": False},
    "no output activation": {"output_activation": False},
    "full_gate_recurrence": {"full_gate_recurrence": True},
    "proj_size": {"proj_size": 4},
}
SHARED = {
    "plain": {},
    "layer_norm": {"layer_norm": True},
    "batch_norm sequence": {"batch_norm": "sequence"},
    "batch_norm recurrent": {"batch_norm": "recurrent"},
    "zoneout": {"zoneout": 0.1},
    "recurrent_dropout": {"recurrent_dropout": 0.1},
    "update_dropout": {"update_dropout": 0.1},
}
CELLS = {
    "LSTM": (nn.LSTM, SHARED | LSTM),
    "GRU": (nn.GRU, SHARED | {"reset before": {"reset_after": False}}),
    "RNN": (nn.RNN, SHARED | {"relu": {"nonlinearity": "relu"}}),
}
T, B, I, H = 4, 3, 5, 7


def inputs() -> torch.Tensor:
    return torch.randn(T, B, I, requires_grad=True)


def same(build: Callable, **arguments) -> None:
    """Compare outputs and first gradients with the reference."""
    layer, x = build(), inputs()
    results = []
    for name in ("native", "reference"):
        torch.manual_seed(3)
        with kernels.force(name):
            output = layer(x, **arguments)[0]
        grads = torch.autograd.grad(output.square().sum(), [x, *layer.parameters()])
        results.append([output, *grads])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def forward(build: Callable) -> None:
    with torch.no_grad(), kernels.force("native"):
        build()(inputs())


def twice(build: Callable) -> None:
    layer, x, results = build(), inputs(), []
    for name in ("native", "reference"):
        torch.manual_seed(3)
        with kernels.force(name):
            output = layer(x)[0]
        (first,) = torch.autograd.grad(output.square().sum(), x, create_graph=True)
        results.append(torch.autograd.grad(first.square().sum(), x)[0])
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-3)


def bfloat16(build: Callable) -> None:
    layer = build().to(torch.bfloat16)
    with kernels.force("native"):
        output = layer(inputs().to(torch.bfloat16))[0]
    output.float().sum().backward()


COLUMNS: dict[str, Callable[[Callable], None]] = {
    "forward": forward,
    "backward": same,
    "double backward": twice,
    "lengths": lambda build: same(build, lengths=[4, 0, 2]),
    "reset": lambda build: same(build, reset=torch.eye(T, B).bool()),
    "gates": lambda build: same(build, return_gates=True),
    "bidirectional": lambda build: same(lambda: build(bidirectional=True)),
    "bfloat16": bfloat16,
}


def works(column: str, kind: Callable, options: dict) -> bool:
    torch.manual_seed(0)
    try:
        COLUMNS[column](lambda **more: kind(I, H, **options, **more))
    except InputError as error:  # the forced kernel declines
        if "forced" not in str(error):
            raise
        return False
    return True


def test_the_document_says_what_is_so():
    lines = [
        "# What the native kernels do",
        "",
        "Found by running each (`tests/kernels/test_support_table.py`). ✓: by the kernels, equal "
        "to the reference. –: by the reference in Python, right but slow.",
        "",
        "Double backward is computed by the reference. bfloat16: what products multiply is rounded "
        "to bfloat16; their sums, gates and states are float32.",
    ]
    for name, (kind, cases) in CELLS.items():
        lines += ["", f"## {name}", "", "| | " + " | ".join(COLUMNS) + " |"]
        lines += ["|---" + "|:-:" * len(COLUMNS) + "|"]
        for label, options in cases.items():
            marks = ["✓" if works(column, kind, options) else "–" for column in COLUMNS]
            lines.append("| " + " | ".join([label, *marks]) + " |")
    text = "\n".join(lines) + "\n"
    if os.environ.get("LONGSPAN_WRITE_DOCS"):
        DOCUMENT.write_text(text, "utf-8")
    assert DOCUMENT.read_text("utf-8") == text
