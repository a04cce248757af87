"""Experiments on real data, where a score takes the place of a criterion: digits and chorales."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from longspan.experiments.experiment import Settings
from longspan.experiments.modern import AT_ONCE, Progress, Watch
from longspan.experiments.network import Network
from longspan.experiments.problem import Kind, Sequences
from longspan.experiments.real import Parts, chorales, digits
from longspan.experiments.record import Record
from longspan.training import Clipping, History, Loss, Plan, ShuffledBatches, train


@dataclass(frozen=True)
class Measured:
    """One experiment with a score.

    Attributes:
        title: What it is called.
        source: The paper.
        data: ``"rows"``, ``"pixels"`` or ``"permuted"`` digits, or ``"chorales"``.
        score: What the score is.
        published: What papers report, in words.
        settings: `max_sequences` is left aside; see the next two.
        max_epochs: Passes over the training part at most.
        patience: Of them without a better validation loss before it stops.
        deviation: Where it differs from the paper.
    """

    title: str
    source: str
    data: str
    score: str
    published: str
    settings: Settings = field(default_factory=Settings)
    max_epochs: int = 5
    patience: int = 5
    deviation: str = ""


@dataclass(frozen=True)
class _Sizes:
    input_size: int
    output_size: int
    kind: Kind


def _digits(
    data: str, title: str, published: str, longest: float, epochs: int, batch_size: int
) -> Measured:
    return Measured(
        title, "Le, Jaitly & Hinton 2015; Cooijmans et al. 2017", data, "accuracy %", published,
        Settings(hidden_size=128, batch_size=batch_size, learning_rate=2e-3, longest=longest,
                 schedule="cosine"),
        max_epochs=epochs, deviation=f"{epochs} passes; 5,000 of the 60,000 training images choose "
        "which is kept.",
    )  # fmt: skip


#: By name; see `longspan.experiments.EXPERIMENTS` for those with a criterion.
MEASURED = {
    "digits-rows": _digits(
        "rows", "Digits row by row, 28 steps", "LSTM about 98.5 to 99 %", 28.0, 5, 100
    ),
    "digits-pixels": _digits(
        "pixels", "Digits pixel by pixel, 784 steps",
        "LSTM 98.9 %, batch-normalised 99.0 %, tanh RNN 35.0 %, IRNN 97.0 %", 784.0, 10, 50,
    ),
    "digits-permuted": _digits(
        "permuted", "Digits pixel by pixel in a fixed random order",
        "LSTM 90.2 %, batch-normalised 95.4 %, tanh RNN 35.0 %, IRNN 82.0 %", 784.0, 10, 50,
    ),
    "chorales": Measured(
        "JSB Chorales, the next quarter note", "Greff et al. 2017", "chorales",
        "negative log-likelihood a quarter note", "best vanilla LSTM 8.38, quoted from memory",
        Settings(hidden_size=100, batch_size=16, learning_rate=3e-3, forget_bias=1.0),
        max_epochs=100, patience=10,
        deviation="One setting for all variants; the paper searched 200 for each.",
    ),
}  # fmt: skip


def run_measured(
    name: str,
    cell: str,
    seed: int,
    data: Path,
    *,
    max_epochs: int | None = None,
    watch: Watch | None = None,
) -> Record:
    """Train a network, keep its best epoch by the validation part, and score the test part.

    Args:
        name: Key of `MEASURED`.
        cell: Key of `longspan.experiments.network.CELLS`.
        seed: Of the weights and the order of the batches.
        data: Directory in which the files are, or up to two levels below.
        max_epochs: In place of its own.
        watch: Told of each epoch.

    Raises:
        InputError: If the data are not there or cannot be read, or there is no such cell.
    """
    experiment = MEASURED[name]
    if max_epochs is not None:
        experiment = replace(experiment, max_epochs=max_epochs)
    parts = chorales(data) if experiment.data == "chorales" else digits(data, experiment.data)
    sizes = _Sizes(parts.train.inputs.shape[2], parts.train.targets.shape[1], parts.kind)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(sizes, cell, experiment.settings)
    began = time.process_time()
    history = _train(network, parts, experiment, seed, watch)
    seconds = time.process_time() - began
    loss, wrong = scores(network, parts.test)
    tested, seen = len(parts.test), len(history.epochs) * len(parts.train)
    classes = parts.kind == "classes"
    return Record(
        name, "modern", cell, seed, success=None, sequences=seen,
        limit=experiment.max_epochs * len(parts.train), wrong=wrong if classes else None,
        tested=tested, error=None, score=100.0 * (1.0 - wrong / tested) if classes else loss,
        seconds=round(seconds, 2), parameters=sum(p.numel() for p in network.parameters()),
        settings={
            **asdict(experiment.settings), "epochs": len(history.epochs),
            "best_epoch": history.best_epoch, "threads": torch.get_num_threads(),
        },
    )  # fmt: skip


def _train(
    network: Network, parts: Parts, experiment: Measured, seed: int, watch: Watch | None
) -> History:
    settings = experiment.settings
    plan = Plan(
        max_epochs=experiment.max_epochs, optimizer="adam", learning_rate=settings.learning_rate,
        schedule=settings.schedule, clipping=Clipping(norm=settings.clip),
        patience=experiment.patience, seed=seed,
    )  # fmt: skip
    batches, validation = (
        ShuffledBatches(
            len(part), size, lambda k, part=part: part.take(k.numpy()), seed=seed, shuffle=shuffle
        )
        for part, size, shuffle in (
            (parts.train, settings.batch_size, True), (parts.validation, AT_ONCE, False)
        )
    )  # fmt: skip
    loggers = [_Told(watch, experiment.max_epochs, len(parts.train))] if watch else []
    return train(network, batches, _loss, plan, validation=validation, loggers=loggers)


def _loss(network: nn.Module, batch: Sequences, carried: Any) -> Loss:
    """Return the sum over targets; the keys of a chord are added up."""
    del carried
    assert isinstance(network, Network)
    outputs, count = network(batch), len(batch.targets)
    keys = outputs.shape[1] if network.kind == "switches" else 1
    return Loss(network.loss(outputs, batch) * (count * keys), count)


@torch.no_grad()
def scores(network: Network, sequences: Sequences) -> tuple[float, int]:
    """Return the mean loss of a target, and how many sequences' likeliest class is wrong."""
    network.eval()
    total, wrong = 0.0, 0
    for begin in range(0, len(sequences), AT_ONCE):
        part = sequences.take(np.arange(begin, min(begin + AT_ONCE, len(sequences))))
        total += float(_loss(network, part, None).total)
        outputs = network(part).numpy()
        wrong += int(np.count_nonzero(outputs.argmax(1) != part.targets.argmax(1)))
    return total / max(len(sequences.targets), 1), wrong


class _Told:
    """Tells who watches of each epoch; a logger of `longspan.training`."""

    def __init__(self, watch: Watch, epochs: int, size: int) -> None:
        self.watch, self.epochs, self.size = watch, epochs, size

    def start(self, position: int, step: int, total_steps: int) -> None: ...

    def step(self, record: dict[str, float]) -> None: ...

    def epoch(self, record: dict[str, float]) -> None:
        seen, limit = int(record["epoch"]) * self.size, self.epochs * self.size
        self.watch(Progress(seen, limit, float("nan"), record["validation_loss"]))

    def flush(self) -> int:
        return 0

    def close(self) -> None: ...
