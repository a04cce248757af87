"""Training throughput of a language model beside the same network with torch.nn.LSTM.

    python -m benchmarks.speed.language

Both networks start with the same weights and must have the same loss and gradients; then they take
turns with whole training steps: forward, backward, clipping, AdamW. The plain one is what people
write: nn.Embedding, nn.LSTM with dropout between layers, a tied nn.Linear and F.cross_entropy.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.machine import machine
from longspan.tasks.language.network import LanguageNetwork

#: Rounds in which both take a turn, steps in a turn, and turns that do not count.
ROUNDS, STEPS, WARM_UP = 7, 4, 1


@dataclass(frozen=True)
class Case:
    """Sizes of a network and of a chunk."""

    title: str
    vocab: int
    hidden: int
    layers: int
    batch: int
    steps: int


CASES = [
    Case("PTB words, 2 × 200", 10_000, 200, 2, 20, 35),
    Case("characters, 2 × 256", 65, 256, 2, 32, 100),
]


class Plain(nn.Module):
    """The usual way."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.embedding = nn.Embedding(case.vocab, case.hidden)
        self.lstm = nn.LSTM(case.hidden, case.hidden, case.layers)
        self.output = nn.Linear(case.hidden, case.vocab)
        self.output.weight = self.embedding.weight
        self.dropout = 0.0

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss."""
        x = F.dropout(self.embedding(inputs), self.dropout)
        self.lstm.dropout = self.dropout
        x = F.dropout(self.lstm(x)[0], self.dropout)
        return F.cross_entropy(self.output(x).flatten(0, 1), targets.flatten())


class Ours(nn.Module):
    """`LanguageNetwork`, with a full or a sampled softmax."""

    def __init__(self, case: Case, softmax: str) -> None:
        super().__init__()
        self.network = LanguageNetwork(
            case.vocab, embedding_size=case.hidden, layer_sizes=(case.hidden,) * case.layers,
            softmax=softmax,
        )  # fmt: skip

    @property
    def dropout(self) -> float:
        """Share that is dropped after the embedding, between layers, and before the softmax."""
        return self.network.dropouts[0].p

    @dropout.setter
    def dropout(self, p: float) -> None:
        for layer in self.network.dropouts:
            layer.p = p

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss."""
        loss = self.network(inputs, targets)
        return loss.total / loss.weight


def give(plain: Plain, ours: Ours) -> None:
    """Give ours the plain network's weights."""
    network = ours.network
    with torch.no_grad():
        network.encoder.embedding.weight.copy_(plain.embedding.weight)
        network.head.bias.copy_(plain.output.bias)
        for k, layer in enumerate(network.layers):
            for name, value in layer.named_parameters():
                value.copy_(getattr(plain.lstm, name.replace("_l0", f"_l{k}")))


def check(plain: Plain, ours: Ours, inputs: Tensor, targets: Tensor) -> None:
    """Compare loss and the embedding's gradient, which all others take part in."""
    losses = [model(inputs, targets) for model in (plain, ours)]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=1e-5)
    gradients = [
        torch.autograd.grad(loss, weight)[0]
        for loss, weight in zip(
            losses, (plain.embedding.weight, ours.network.encoder.embedding.weight), strict=True
        )
    ]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-6)


def turn(model: nn.Module, optimizer: torch.optim.Optimizer, data: Tensor) -> float:
    """Return seconds a training step."""
    began = time.perf_counter()
    for _ in range(STEPS):
        optimizer.zero_grad()
        model(data[:-1], data[1:]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
    return (time.perf_counter() - began) / STEPS


def row(case: Case) -> str:
    """Return one line of the table."""
    torch.manual_seed(0)
    data = torch.randint(case.vocab, (case.steps + 1, case.batch))
    plain = Plain(case)
    models: dict[str, nn.Module] = {"torch": plain}
    for softmax in ("full", "sampled"):
        ours = Ours(case, softmax)
        give(plain, ours)
        models[softmax] = ours
    check(plain, models["full"], data[:-1], data[1:])  # type: ignore[arg-type]  # an Ours
    for model in models.values():
        model.dropout = 0.2
    optimizers = {
        name: torch.optim.AdamW(m.parameters(), foreach=True) for name, m in models.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for number in range(ROUNDS + WARM_UP):
        for name, model in models.items():
            taken = turn(model, optimizers[name], data)
            if number >= WARM_UP:
                seconds[name].append(taken)
    tokens = case.steps * case.batch
    rates = {name: tokens / statistics.median(values) for name, values in seconds.items()}
    return (
        f"| {case.title} | {torch.get_num_threads()} | {rates['torch']:,.0f} | "
        f"{rates['full']:,.0f} | {rates['full'] / rates['torch']:.2f} | {rates['sampled']:,.0f} |"
    )


def main() -> None:
    """Measure every case with one thread and with two, and print a table."""
    print(f"{machine()}\n")
    print(
        "| network | threads | torch, tokens/s | ours, tokens/s | ours / torch | ours, sampled "
        "softmax, tokens/s |\n|---|--:|--:|--:|--:|--:|"
    )
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for case in CASES:
            print(row(case), flush=True)


if __name__ == "__main__":
    main()
