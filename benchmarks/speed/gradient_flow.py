"""What measuring the gradient flow costs a training: never, as by default, and at every step.

python -m benchmarks.speed.gradient_flow
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from benchmarks.machine import machine
from longspan.nn import GRU, LSTM, RNN
from longspan.training import (
    FLOW_EVERY,
    Clipping,
    JsonLinesLogger,
    Loss,
    Plan,
    ShuffledBatches,
    train,
)

#: Cell, layers, steps of a sequence, rows of a batch, hidden units, optimiser steps.
SIZES = (
    (LSTM, 1, 24, 32, 32, 200), (LSTM, 2, 100, 32, 128, 20), (LSTM, 1, 365, 64, 128, 20),
    (GRU, 2, 100, 32, 128, 20), (RNN, 2, 100, 32, 128, 40),
)  # fmt: skip
EVERY = {"never": None, f"every {FLOW_EVERY} steps": FLOW_EVERY, "every step": 1}
REPEATS = 9


class Model(nn.Module):
    """Recurrent layers and an output of the last step."""

    def __init__(self, kind: type, layers: int, hidden_size: int) -> None:
        super().__init__()
        self.body = kind(4, hidden_size, layers)
        self.output = nn.Linear(hidden_size, 1)

    def forward(self, x):
        """Return a value a row."""
        return self.output(self.body(x)[0][-1])


def seconds(size: tuple, every: int | None) -> float:
    """Return seconds an optimiser step, with a log of every step."""
    kind, layers, steps, rows, hidden_size, count = size
    torch.manual_seed(0)
    model = Model(kind, layers, hidden_size)
    x, y = torch.randn(steps, rows, 4), torch.randn(rows, 1)
    batches = ShuffledBatches(rows * count, rows, lambda _: (x, y))

    def loss(model, batch, state):
        error = (model(batch[0]) - batch[1]).square()
        return Loss(error.sum(), error.numel())

    plan = Plan(clipping=Clipping(norm=1.0))
    with tempfile.TemporaryDirectory() as folder:
        logger = JsonLinesLogger(Path(folder) / "log.jsonl")
        began = time.perf_counter()
        train(model, batches, loss, plan, loggers=[logger], flow_every=every)
        return (time.perf_counter() - began) / count


def main() -> None:
    """Measure all in turn and print a table."""
    torch.set_num_threads(1)
    print(f"Gradient flow in a training, one thread. {machine()}\n")
    print("| layers × steps × rows × units | a step, ms | " + " | ".join(list(EVERY)[1:]) + " |")
    print("|--|--:|--:|--:|")
    for size in SIZES:
        found: dict[str, list[float]] = {name: [] for name in EVERY}
        for name in EVERY:
            seconds(size, EVERY[name])  # first calls pack weights and reserve memory
        for _ in range(REPEATS):
            for name, every in EVERY.items():
                found[name].append(seconds(size, every))
        never, *others = found.values()
        shares = [
            statistics.median(o / n for o, n in zip(other, never, strict=True)) for other in others
        ]
        kind, layers, steps, rows, hidden_size, _ = size
        words = " | ".join(f"{100 * (share - 1):+.1f} %" for share in shares)
        print(f"| {kind.__name__} {layers} × {steps} × {rows} × {hidden_size} "
              f"| {1e3 * statistics.median(never):.2f} | {words} |")  # fmt: skip


if __name__ == "__main__":
    main()
