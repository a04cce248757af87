"""Training throughput of classifiers and translators with our layers and with torch's.

    python -m benchmarks.speed.tasks

Both networks are the same but for their recurrent layers: ours with `lengths`, and torch.nn.LSTM
with packed sequences, which is the usual way. They start with the same weights and must have the
same loss and gradients; then they take turns with whole training steps: forward, backward,
clipping, AdamW. Lengths are drawn as in the data that each case is named for. The networks
have no dropout here, so that both compute the same.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import longspan.nn
from benchmarks.machine import machine
from longspan.tasks.classify.network import Batch, ClassifyNetwork, InputShape, SequenceEncoder
from longspan.tasks.translate.network import PairBatch, TranslateNetwork

#: Rounds in which both take a turn, batches in a turn, and turns that do not count.
ROUNDS, BATCHES, WARM_UP = 7, 4, 1

Loss = Callable[[Any, Any], Tensor]


@dataclass(frozen=True)
class Case:
    """A network, batches, and the loss of one."""

    title: str
    network: nn.Module
    batches: list[Any]
    loss: Loss


class Packed(nn.LSTM):
    """torch's LSTM with packed sequences behind our layers' arguments."""

    @property
    def num_directions(self) -> int:
        """1, or 2 if bidirectional."""
        return 2 if self.bidirectional else 1

    def forward(  # type: ignore[override]  # lengths in place of packing
        self, x: Tensor, hx: Any = None, *, lengths: Tensor | None = None
    ) -> Any:
        """Return outputs, zero at padding, and the final state."""
        if lengths is None:
            return super().forward(x, hx)
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        output, state = super().forward(packed, hx)
        return pad_packed_sequence(output, total_length=len(x))[0], state


def with_torch(network: nn.Module) -> nn.Module:
    """Return a copy of a network with torch's LSTMs in place of ours, and the same weights."""
    copied = copy.deepcopy(network)
    for parent in list(copied.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, longspan.nn.LSTM):
                packed = Packed(
                    layer.input_size, layer.hidden_size, layer.num_layers,
                    bidirectional=layer.bidirectional,
                )  # fmt: skip
                packed.load_state_dict(layer.state_dict())
                setattr(parent, name, packed)
    return copied


def lengths_like(mean: float, batch: int, generator: np.random.Generator) -> Tensor:
    """Return lengths of sequences that were put together by length, as training does."""
    centre = max(generator.gamma(4.0, mean / 4.0), 3.0)
    drawn = generator.normal(centre, 0.05 * centre + 0.5, batch)
    return torch.from_numpy(np.maximum(np.rint(drawn), 1).astype(np.int64))


def classifier(generator: np.random.Generator, title: str, mean: float, **options: Any) -> Case:
    """Texts of 20,000 words and a few classes."""
    encoder = SequenceEncoder(InputShape("text", 20_000, 400), dropout=0.0, **options)
    network = ClassifyNetwork(encoder, 6)
    batches = []
    for _ in range(BATCHES):
        lengths = lengths_like(mean, 32, generator)
        tokens = generator.integers(0, 20_000, (int(lengths.max()), 32))
        labels = torch.from_numpy(generator.integers(0, 6, 32))
        batches.append(Batch(torch.from_numpy(tokens), lengths, labels))

    def loss(model: Any, batch: Batch) -> Tensor:
        return nn.functional.cross_entropy(model(batch), batch.labels)

    return Case(title, network, batches, loss)


def translator(generator: np.random.Generator) -> Case:
    """Multi30k: 6,000 words, 13 a sentence."""
    network = TranslateNetwork(
        8000, 6000, embedding_size=256, hidden_size=512, dropout=0.0, label_smoothing=0.0
    )
    batches = []
    for _ in range(BATCHES):
        lengths = lengths_like(13, 64, generator)
        own = lengths_like(float(lengths.float().mean()), 64, generator)
        source = torch.from_numpy(generator.integers(2, 8000, (int(own.max()), 64)))
        target = torch.from_numpy(generator.integers(2, 6000, (int(lengths.max()) + 1, 64)))
        batches.append(PairBatch(source, own, target[:-1], target[1:], lengths))

    def loss(model: Any, batch: PairBatch) -> Tensor:
        found = model(batch)
        return found.total / found.weight

    return Case("translator, Multi30k, 512 units, attention", network, batches, loss)


def check(ours: nn.Module, theirs: nn.Module, case: Case) -> None:
    """Compare loss and gradients."""
    found = []
    for model in (theirs, ours):
        model.zero_grad()
        value = case.loss(model, case.batches[0])
        value.backward()
        found.append([value.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1])
    for expected, value in zip(*found, strict=True):
        assert (value - expected).norm() <= 1e-3 * expected.norm() + 1e-6, case.title


def turn(model: nn.Module, optimizer: torch.optim.Optimizer, case: Case) -> float:
    """Return seconds a training step."""
    began = time.perf_counter()
    for batch in case.batches:
        optimizer.zero_grad()
        case.loss(model, batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return (time.perf_counter() - began) / len(case.batches)


def row(case: Case) -> str:
    """Return one line of the table."""
    models = {"torch": with_torch(case.network), "ours": case.network}
    check(models["ours"], models["torch"], case)
    optimizers = {n: torch.optim.AdamW(m.parameters(), foreach=True) for n, m in models.items()}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for number in range(ROUNDS + WARM_UP):
        for name, model in models.items():
            taken = turn(model, optimizers[name], case)
            if number >= WARM_UP:
                seconds[name].append(taken)
    steps = sum(int(b.lengths.sum()) for b in case.batches) / len(case.batches)
    rates = {name: steps / statistics.median(values) for name, values in seconds.items()}
    return (
        f"| {case.title} | {torch.get_num_threads()} | {rates['torch']:,.0f} | "
        f"{rates['ours']:,.0f} | {rates['ours'] / rates['torch']:.2f} |"
    )


def main() -> None:
    """Measure every case with one thread and with two, and print a table."""
    print(f"{machine()}\n")
    print("| network | threads | torch, steps/s | ours, steps/s | ours / torch |")
    print("|---|--:|--:|--:|--:|")
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        generator = np.random.default_rng(0)
        question = {"hidden_size": 128, "bidirectional": True, "pooling": "max"}
        review = {"hidden_size": 128, "pooling": "max"}
        for case in (
            classifier(generator, "classifier, TREC questions, BiLSTM 2 × 128", 10, **question),
            classifier(generator, "classifier, IMDb reviews, LSTM 128", 230, **review),
            translator(generator),
        ):
            print(row(case), flush=True)


if __name__ == "__main__":
    main()
