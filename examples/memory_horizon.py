"""How far back a simple network and an LSTM remember, before and after they learn to add.

The adding problem of Hochreiter & Schmidhuber (1997) in its usual form: two of T numbers are
marked, one in the first tenth, one before the middle; at the end their sum is asked for. A network
whose gradients vanish within half a sequence can do no better than to answer the mean: error 1/6.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from longspan.insight import (
    advice,
    context_ablation,
    cutting,
    gradient_flow,
    jacobian_influence,
    memory_horizon,
)
from longspan.insight.memory_report import Memory, memory_html
from longspan.insight.page import write_page
from longspan.nn import LSTM, RNN

#: By name: how the recurrent layer is made, the state that carries its memory, its learning rate.
MODELS = {
    "simple RNN": (RNN, {}, "h", 1e-3),
    "LSTM": (LSTM, {}, "c", 1e-2),
    "LSTM, chrono": (LSTM, {"init": "chrono"}, "c", 1e-2),
}
MEAN_SQUARE = 1 / 6  # error of always answering 1


class Adder(nn.Module):
    """A recurrent layer and a linear output at the last step."""

    def __init__(self, layer: nn.Module, hidden_size: int) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum that is thought to be asked for, (B, 1)."""
        return self.head(self.layer(x)[0][-1])


def draw(make: torch.Generator, batch: int, steps: int) -> tuple[Tensor, Tensor]:
    """Return numbers and marks, (T, B, 2), and the sums of the marked numbers, (B,)."""
    numbers, marks = torch.rand(steps, batch, generator=make), torch.zeros(steps, batch)
    rows, tenth = torch.arange(batch), max(steps // 10, 1)
    marks[torch.randint(0, tenth, (batch,), generator=make), rows] = 1.0
    marks[torch.randint(tenth, steps // 2, (batch,), generator=make), rows] = 1.0
    return torch.stack([numbers, marks], -1), (numbers * marks).sum(0)


def errors(model: nn.Module, x: Tensor, sums: Tensor) -> Tensor:
    """Return the squared error of each sequence, (B,)."""
    return (model(x)[:, 0] - sums).square()


def train(model: nn.Module, steps: int, length: int, rate: float, seed: int) -> None:
    """Train on new sequences at each step."""
    make = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        errors(model, *draw(make, 64, length)).mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def remember(model: nn.Module, state: str, length: int, seed: int, **style) -> Memory:
    """Measure influence, gradient flow and the worth of context, on sequences of their own."""
    x, sums = draw(torch.Generator().manual_seed(seed + 1), 256, length)

    def loss_at(context: int) -> Tensor:
        with cutting(model, context):
            return errors(model, x, sums)

    flow = gradient_flow(model, lambda: errors(model, x, sums).mean())
    tenths = sorted({max(1, length * k // 10) for k in range(11)})
    return Memory(
        memory_horizon(jacobian_influence(model, x), seed=seed),
        next(layer for layer in flow.layers if layer.state == state),
        context_ablation(loss_at, tenths, seed=seed),
        flow.loss,
        **style,
    )


def main(output: Path, length: int = 100, steps: int = 1500, seed: int = 0) -> dict[str, Memory]:
    """Train each model, measure it before and after, write a page and print the numbers."""
    found = {}
    for color, (name, (layer, options, state, rate)) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        model = Adder(layer(2, 64, **options), 64)
        measure = partial(remember, model, state, length, seed, color=color)
        found[f"{name}, untrained"] = measure(dash="dot")
        train(model, steps, length, rate, seed)
        found[f"{name}, trained"] = measure()
    for name, memory in found.items():
        horizon, ratio = memory.horizon, memory.flow.ratio
        print(
            f"{name:24} error {memory.loss:.4f}  horizon {horizon.horizon:3} "
            f"({horizon.horizon_low:.0f} to {horizon.horizon_high:.0f})  gradient, first to last "
            f"step {ratio:.1e}  enough context {memory.ablation.horizon}"
        )
        # The first marked number may lie at the first step.
        for each in advice(horizon=horizon, data_lag=length - 1):
            print(f"  {each.kind}: {each.text}")
    solved = [n for n, m in found.items() if m.loss < MEAN_SQUARE / 10]
    verdict = (
        f"Solved by {', '.join(solved) or 'none'}: an error below a tenth of the {MEAN_SQUARE:.3f} "
        "of always answering the mean."
    )
    settings = {"sequence length": length, "batches of 64": steps, "hidden units": 64, "seed": seed}
    write_page(memory_html("Adding: who remembers", verdict, found, settings), output)
    print(f"{verdict} Page: {output}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("memory_horizon.html"))
    parser.add_argument("--length", type=int, default=100, help="steps of a sequence")
    parser.add_argument("--steps", type=int, default=1500, help="batches to train on")
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
