"""The translator's engine: a network trained on pairs, its exact losses, and what it writes."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from longspan.data.ragged import Ragged, by_length
from longspan.tasks.translate.config import TranslateConfig
from longspan.tasks.translate.network import PairBatch, TranslateNetwork
from longspan.tasks.translate.search import Beam, Found, search
from longspan.training import BucketedBatches, Clipping, History, Loss, Plan, train

#: Pairs that are scored or translated at once.
BATCH = 64


class Engine:
    """A network and the options behind it.

    Args:
        config: The options.
        sizes: Tokens of source and target.
        symbols: What ends a source, and what begins and ends a target.
        longest: Tokens of the longest target of the training part.
    """

    def __init__(
        self, config: TranslateConfig, sizes: tuple[int, int], symbols: tuple[int, int],
        longest: int,
    ) -> None:  # fmt: skip
        self.config, self.sizes, self.symbols, self.longest = config, sizes, symbols, longest
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = TranslateNetwork(
                *sizes,
                shared=config.shared,
                cell=config.cell,
                embedding_size=config.embedding_size,
                hidden_size=config.hidden_size,
                encoder_layers=config.encoder_layers,
                decoder_layers=config.decoder_layers,
                bidirectional=config.bidirectional,
                attention=config.attention,
                attention_size=config.attention_size,
                input_feeding=config.input_feeding,
                tied=config.tied,
                dropout=config.dropout,
                label_smoothing=config.label_smoothing,
                sampling=config.scheduled_sampling,
            )

    def train(
        self, pairs: tuple[Ragged, Ragged], validation: tuple[Ragged, Ragged] | None,
        **options: Any,
    ) -> History:  # fmt: skip
        """Train the network; the validation part decides when to stop.

        Args:
            pairs: Sources and targets, each ended by its symbol.
            validation: The same, or None.
            options: Of `longspan.training.train`.
        """
        config = self.config
        source = self._batches(pairs, config.batch_size, shuffle=True)
        later = None if validation is None else self._batches(validation, BATCH, shuffle=False)
        plan = Plan(
            max_epochs=config.max_epochs,
            max_steps=config.max_steps,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            schedule=config.schedule if later or config.schedule != "plateau" else "constant",
            clipping=Clipping(norm=config.max_grad_norm),
            patience=config.patience if later else None,
            seed=config.seed,
        )
        steps = config.max_epochs * len(source)
        self.network.sampling_steps = max(min(steps, config.max_steps or steps), 1)
        settings = {
            **config.model_dump(mode="json"), "vocabularies": self.sizes,
            "texts": _checksums(pairs),
            "validation texts": None if validation is None else _checksums(validation),
        }  # fmt: skip
        history = train(
            self.network, source, loss, plan, validation=later, settings=settings, **options
        )
        self.network.eval()
        return history

    def nll(self, sources: Ragged, targets: Ragged) -> np.ndarray:
        """Return -log p of each target given its source, its end included, (N,) float64."""
        self.network.eval()
        found = torch.zeros(len(sources), dtype=torch.float64)
        for numbers in by_length(sources.lengths, rows=BATCH):
            found[numbers] = self.network.nll(self.batch(sources, targets, numbers)).double()
        return found.numpy()

    def translate(
        self, sources: Ragged, beam: Beam, max_length: int | None = None
    ) -> list[list[Found]]:
        """Return the best translations of each source, the best first."""
        self.network.eval()
        found: list[list[Found]] = [[] for _ in range(len(sources))]
        for numbers in by_length(sources.lengths, rows=BATCH):
            lengths = sources.lengths[numbers]
            limits = (2 * lengths).clamp(min=self.longest)
            fixed = max_length or self.config.max_length
            if fixed is not None:
                limits = torch.full_like(limits, fixed)
            best = search(
                self.network, sources.padded(numbers), lengths, limits, beam,
                symbol=self.symbols[1],
            )  # fmt: skip
            for number, each in zip(numbers.tolist(), best, strict=True):
                found[number] = each
        return found

    @torch.no_grad()
    def weights(self, sources: Ragged, targets: Ragged) -> list[np.ndarray]:
        """Return each pair's attention, (T, S) for T tokens of the target and its end."""
        self.network.eval()
        found: list[np.ndarray] = [np.zeros(0)] * len(sources)
        for numbers in by_length(sources.lengths, rows=BATCH):
            batch = self.batch(sources, targets, numbers)
            weights = self.network.features(batch)[1]
            assert weights is not None
            for place, number in enumerate(numbers.tolist()):
                rows, columns = int(batch.lengths[place]), int(batch.source_lengths[place])
                found[number] = weights[:rows, place, :columns].numpy().copy()
        return found

    def batch(self, sources: Ragged, targets: Ragged, numbers: Tensor) -> PairBatch:
        """Return some pairs side by side."""
        wanted = targets.padded(numbers)
        first = wanted.new_full((1, len(numbers)), self.symbols[1])
        return PairBatch(
            sources.padded(numbers), sources.lengths[numbers], torch.cat([first, wanted[:-1]]),
            wanted, targets.lengths[numbers],
        )  # fmt: skip

    def _batches(
        self, pairs: tuple[Ragged, Ragged], batch_size: int, *, shuffle: bool
    ) -> BucketedBatches:
        sources, targets = pairs
        # By the target's length, and among equals by the source's: little of either is padded.
        lengths = targets.lengths * (int(sources.lengths.max()) + 1) + sources.lengths
        return BucketedBatches(
            lengths, batch_size, lambda numbers: self.batch(sources, targets, numbers),
            seed=self.config.seed, shuffle=shuffle,
        )  # fmt: skip


def loss(model: nn.Module, batch: PairBatch, state: Any) -> Loss:
    """Return the network's loss of a batch."""
    del state
    return model(batch)


def _checksums(pairs: tuple[Ragged, Ragged]) -> list[int]:
    """Return numbers that tell texts apart, so that no run is resumed with others."""
    return [zlib.crc32(side.values.numpy().tobytes()) for side in pairs]
