"""What is measured: shapes, options and targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Shape(NamedTuple):
    """Steps, rows, inputs and hidden units."""

    T: int
    B: int
    I: int
    H: int

    def __str__(self) -> str:
        """Return T×B×I×H."""
        return "×".join(map(str, self))


SHAPES = [
    Shape(*s)
    for s in (
        (100, 1, 64, 64), (100, 1, 256, 256), (100, 32, 8, 64), (100, 32, 32, 128),
        (100, 64, 32, 128), (100, 64, 128, 256), (100, 32, 512, 512), (35, 20, 200, 200),
        (365, 256, 30, 256), (28, 128, 28, 128), (1000, 16, 4, 32),
        (200, 4, 16, 100), (50, 8, 1024, 1024),  # chosen because we are weak there
    )
]  # fmt: skip
#: The slow peers of the options are measured on these.
FEW = [SHAPES[k] for k in (1, 2, 3, 5, 7, 10)]
LARGE = [Shape(365, 256, 30, 256), Shape(100, 64, 128, 256), Shape(1000, 64, 32, 128)]
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def options_of(hidden_size: int) -> dict[str, dict]:
    """Return the LSTM options that are measured."""
    return {
        "layer_norm": {"layer_norm": True},
        "peephole": {"peephole": True},
        "zoneout": {"zoneout": 0.1},
        "coupled_gates": {"coupled_gates": True},
        "projection": {"proj_size": hidden_size // 2},
    }


@dataclass(frozen=True)
class Target:
    """Least ratio of the peer's time to ours: geometric mean over the shapes, and worst shape."""

    mean: float
    worst: float | None = None


def flops(name: str, shape: Shape, training: bool) -> float:
    """Return multiplications and additions of a layer without options.

    Training has no gradient of the input, as none is asked for.
    """
    T, B, I, H = shape
    one_way = 2.0 * T * B * GATES[name] * H
    return one_way * (I + H) * (2 if training else 1) + (one_way * H if training else 0)
