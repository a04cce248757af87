"""What the training loop costs over a bare PyTorch loop that does the same, on a small model.

python -m benchmarks.speed.loop_overhead
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from benchmarks.machine import machine
from longspan.training import Clipping, JsonLinesLogger, Loss, Plan, ShuffledBatches, train

STEPS, REPEATS = 300, 9
STEPS_LONG, BATCH, HIDDEN = 24, 32, 32


class Model(nn.Module):
    """One LSTM layer and an output."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, HIDDEN, batch_first=True)
        self.output = nn.Linear(HIDDEN, 1)

    def forward(self, x):
        """Return a value for every step."""
        return self.output(self.lstm(x)[0])


def bare(model: nn.Module, x, y) -> float:
    """Return seconds a step of a plain loop: clip, AdamW, and the loss read at each step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, foreach=True)
    order = torch.randperm(len(x))
    began = time.perf_counter()
    for step in range(STEPS):
        rows = order[step * BATCH : (step + 1) * BATCH]
        optimizer.zero_grad()
        loss = (model(x[rows]) - y[rows]).square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
    return (time.perf_counter() - began) / STEPS


def ours(model: nn.Module, x, y) -> float:
    """Return seconds a step of the loop, with a log of every step."""
    batches = ShuffledBatches(len(x), BATCH, lambda rows: (x[rows], y[rows]))

    def loss(model, batch, state):
        error = (model(batch[0]) - batch[1]).square()
        return Loss(error.sum(), error.numel())

    plan = Plan(max_steps=STEPS, clipping=Clipping(norm=1.0))
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        train(model, batches, loss, plan, loggers=[JsonLinesLogger(Path(folder) / "log.jsonl")])
        return (time.perf_counter() - began) / STEPS


def main() -> None:
    """Measure both in turn and print a table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, y = torch.randn(STEPS * BATCH, STEPS_LONG, 4), torch.randn(STEPS * BATCH, STEPS_LONG, 1)
    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(REPEATS):
        for name, run in (("bare", bare), ("ours", ours)):
            seconds[name].append(run(Model(), x, y))
    plain, loop = (1e3 * statistics.median(values) for values in seconds.values())
    ratios = [o / b for o, b in zip(seconds["ours"], seconds["bare"], strict=True)]
    print(f"Training loop, LSTM {HIDDEN}, batch {BATCH}, {STEPS_LONG} steps. {machine()}\n")
    print("| bare loop, ms a step | ours, ms a step | overhead (median of pairs) |\n|--:|--:|--:|")
    print(f"| {plain:.3f} | {loop:.3f} | {100 * (statistics.median(ratios) - 1):+.1f} % |")


if __name__ == "__main__":
    main()
