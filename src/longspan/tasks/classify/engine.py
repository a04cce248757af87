"""Networks trained on sequences of different lengths, and what they say of others."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longspan.data.ragged import Ragged, by_length
from longspan.data.vectors import Aligned
from longspan.nn import PretrainedEmbedding
from longspan.tasks.classify.config import ClassifyConfig, EncoderConfig
from longspan.tasks.classify.network import Batch, ClassifyNetwork, InputShape, SequenceEncoder
from longspan.training import BucketedBatches, Clipping, History, Loss, Plan, train
from longspan.training.loop import LossFunction

#: Optimiser steps for which there are passes by default, and passes at least.
STEPS, PASSES = 1500, 10
#: Sequences that are read at once after training, and their steps with padding, at most.
ROWS, STEPS_AT_ONCE = 256, 2**16


@dataclass(frozen=True)
class Part:
    """A part of the sequences, as the network reads them.

    Attributes:
        sequences: S of them.
        labels: Numbers of their classes, int64 (S,), or None.
    """

    sequences: Ragged
    labels: Tensor | None = None

    def batch(self, numbers: Tensor) -> Batch:
        """Return some of the sequences side by side."""
        labels = None if self.labels is None else self.labels[numbers]
        lengths = self.sequences.lengths[numbers]
        return Batch(self.sequences.padded(numbers), lengths, labels)

    def checksum(self) -> int:
        """Return a number that tells parts apart, for checkpoints."""
        tensors = [self.sequences.values, self.sequences.offsets, self.labels]
        found = 0
        for each in tensors:
            found = found if each is None else zlib.crc32(each.numpy().tobytes(), found)
        return found


def encoder_of(config: EncoderConfig, shape: InputShape) -> SequenceEncoder:
    """Return the network that reads sequences of this shape."""
    more: dict[str, Any] = {}
    if isinstance(config, ClassifyConfig):
        more = {
            "front": config.front, "convolutions": config.convolutions(shape.kind),
            "pool_size": config.pool_size, "dimension_shuffle": config.dimension_shuffle,
            "squeeze_excite": config.squeeze_excite,
        }  # fmt: skip
    return SequenceEncoder(
        shape, cell=config.cell, hidden_size=config.units, num_layers=config.num_layers,
        bidirectional=config.bidirectional, layer_norm=config.layer_norm,
        pooling=config.pooling_of(shape.kind), dropout=config.dropout_of(shape.kind),
        embedding_size=config.embedding_size or 100,
        embedding_dropout=config.embedding_dropout, **more,
    )  # fmt: skip


def build(
    config: ClassifyConfig, shape: InputShape, num_classes: int, vectors: Aligned | None = None
) -> ClassifyNetwork:
    """Return the classifier's network, drawn from the options' seed.

    Args:
        config: The options.
        shape: What it reads.
        num_classes: K.
        vectors: Of the vocabulary, where they come from a file.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = ClassifyNetwork(encoder_of(config, shape), num_classes)
    if vectors is not None:
        embedding = network.encoder.embedding
        assert embedding is not None
        assert isinstance(embedding.embedding, PretrainedEmbedding)
        embedding.embedding.start(*map(torch.from_numpy, (vectors.values, vectors.found)))
    return network


def fit_network(
    network: nn.Module, loss: LossFunction, config: EncoderConfig, part: Part,
    validation: Part | None, **options: Any,
) -> History:  # fmt: skip
    """Train a network; the validation part decides when to stop.

    Args:
        network: What is trained, in place.
        loss: Of a `Batch`.
        config: The options.
        part: The training part.
        validation: Or None.
        options: Of `longspan.training.train`.
    """
    lengths = part.sequences.lengths
    batch_size = config.batch_of(len(lengths))
    source = BucketedBatches(lengths, batch_size, part.batch, seed=config.seed)
    judged = None
    if validation is not None:
        judged = BucketedBatches(
            validation.sequences.lengths, batch_size, validation.batch, shuffle=False
        )
    schedule = config.schedule
    plan = Plan(
        max_epochs=config.max_epochs or max(-(-STEPS // len(source)), PASSES),
        optimizer="adamw",
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        schedule=schedule if judged or schedule != "plateau" else "constant",
        clipping=Clipping(norm=config.max_grad_norm),
        patience=config.patience if judged else None,
        seed=config.seed,
    )
    settings = {**config.model_dump(mode="json", exclude={"classifier"}), "data": part.checksum()}
    history = train(network, source, loss, plan, validation=judged, settings=settings, **options)
    network.eval()
    return history


def classification_loss(config: ClassifyConfig, weights: Tensor) -> LossFunction:
    """Return the loss of a batch: Σ w(y) (-log p(y)), with the classes' weights w, (K,)."""
    return partial(_loss, weights, config.label_smoothing, config.judge == "error")


def _loss(
    weights: Tensor, smoothing: float, by_error: bool, network: nn.Module, batch: Batch, _: Any
) -> Loss:
    assert batch.labels is not None
    scores = network(batch).float()
    # The smoothed part counts while learning; a validation is judged by what is so.
    smoothed = smoothing if network.training else 0.0
    own = F.cross_entropy(scores, batch.labels, reduction="none", label_smoothing=smoothed)
    weight = weights[batch.labels]
    errors = None
    if by_error:
        wrong = float((scores.argmax(1) != batch.labels).sum())
        errors = ((wrong, float(len(scores))),)
    return Loss((weight * own).sum(), weight.sum(), None, errors)


@torch.no_grad()
def read(function: Callable[[Batch], Tensor], network: nn.Module, sequences: Ragged) -> np.ndarray:
    """Return what a network says of each sequence, float64 (S, …).

    Args:
        function: The network, or a part of it: rows from a `Batch`.
        network: Put in evaluation mode.
        sequences: S of them; those of like length are read together.
    """
    network.eval()
    part = Part(sequences)
    batches = list(by_length(sequences.lengths, rows=ROWS, steps=STEPS_AT_ONCE))
    rows = torch.cat([function(part.batch(numbers)) for numbers in batches])
    found = torch.empty_like(rows)
    found[torch.cat(batches)] = rows
    return found.double().numpy()


def temperature_of(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature T that makes -Σ log softmax(s / T)[y] least (Guo et al. 2017).

    Args:
        scores: s, (S, K).
        labels: y, (S,).
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    rows = np.arange(len(labels))

    def nll(log_temperature: float) -> float:
        scaled = scores * np.exp(-log_temperature)
        return -float(log_softmax(scaled, axis=1)[rows, labels].mean())

    found: Any = minimize_scalar(nll, bounds=(-3.0, 3.0), method="bounded")
    return float(np.exp(found.x))
