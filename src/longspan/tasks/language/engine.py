"""The language model's engine: a network trained on streams of tokens, and its exact losses."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from longspan.errors import InputError
from longspan.tasks.language.config import LanguageConfig
from longspan.tasks.language.network import LanguageNetwork
from longspan.training import Clipping, History, Loss, Plan, StreamBatches, train

#: Chunks that each stream should have at least, so that an epoch of a short text has some steps.
CHUNKS = 10
#: Steps of a text whose losses are computed at once.
CHUNK = 2048


class Engine:
    """A network and the options behind it.

    Args:
        config: The options.
        vocab_size: V.
    """

    def __init__(self, config: LanguageConfig, vocab_size: int) -> None:
        self.config, self.vocab_size = config, vocab_size
        embedding_size, layer_sizes = config.sizes
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = LanguageNetwork(
                vocab_size,
                embedding_size=embedding_size,
                layer_sizes=layer_sizes,
                cell=config.cell,
                layer_norm=config.layer_norm,
                softmax=config.softmax,
                tied=config.is_tied,
                samples=config.num_samples,
                cutoffs=config.cutoffs,
                embedding_dropout=config.embedding_dropout,
                dropout=config.dropouts,
                weight_drop=config.weight_drop,
                activation_penalty=config.activation_penalty,
                change_penalty=config.change_penalty,
            )

    def train(self, tokens: np.ndarray, validation: np.ndarray | None, **options: Any) -> History:
        """Train the network; the validation part decides when to stop.

        Args:
            tokens: The training part, (N,) whole numbers below V.
            validation: The same, or None.
            options: Of `longspan.training.train`.
        """
        config = self.config
        source = self._source(tokens, varied=config.varied_bptt)
        later = None if validation is None else self._source(validation)
        if later is None and config.optimizer == "nt_asgd":
            raise InputError(
                "optimizer='nt_asgd' averages once the validation loss no longer falls, so it "
                "needs a validation part: give one, or a validation_share above 0."
            )
        schedule = config.schedule
        plan = Plan(
            max_epochs=config.max_epochs,
            max_steps=config.max_steps,
            optimizer=config.optimizer,
            learning_rate=config.rate,
            weight_decay=config.weight_decay,
            schedule=schedule if later or schedule != "plateau" else "constant",
            clipping=Clipping(norm=config.max_grad_norm),
            patience=config.patience if later else None,
            carry_state=True,
            seed=config.seed,
        )
        settings = {
            **config.model_dump(mode="json"), "vocabulary": self.vocab_size,
            "text": zlib.crc32(tokens.tobytes()),
            "validation text": None if validation is None else zlib.crc32(validation.tobytes()),
        }  # fmt: skip
        history = train(
            self.network, source, loss, plan, validation=later, settings=settings, **options
        )
        self.network.eval()
        return history

    @torch.no_grad()
    def nll(self, tokens: np.ndarray) -> np.ndarray:
        """Return the exact loss in nats of each token but the first, as one stream.

        The state is carried through the whole text, so that each token is predicted from all
        before it.

        Args:
            tokens: (N,) whole numbers below V.

        Returns:
            (N - 1,) float64.
        """
        self.network.eval()
        given = torch.as_tensor(tokens, dtype=torch.int64)[:, None]
        found, state = [], None
        for inputs, targets in zip(given[:-1].split(CHUNK), given[1:].split(CHUNK), strict=True):
            if not len(inputs):
                break
            losses, state = self.network.nll(inputs, targets, state)
            found.append(losses[:, 0].double())
        return torch.cat(found).numpy() if found else np.zeros(0)

    def streams(self, tokens: int) -> int:
        """Return how many streams a text is read in.

        These are `batch_size`, or fewer, so that each has `CHUNKS` chunks.
        """
        config = self.config
        return max(min(config.batch_size, tokens // (CHUNKS * config.bptt_length)), 1)

    def _source(self, tokens: np.ndarray, *, varied: bool = False) -> StreamBatches:
        if len(tokens) < 2:
            raise InputError(
                f"A text to learn from needs at least two tokens, got {len(tokens)}. Give a longer "
                "one, or no validation part (validation_share=0)."
            )
        data: Tensor = torch.as_tensor(tokens, dtype=torch.int64)
        return StreamBatches(
            data, self.streams(len(tokens)), self.config.bptt_length, varied=varied,
            seed=self.config.seed,
        )  # fmt: skip


def loss(model: nn.Module, batch: tuple[Tensor, Tensor], state: Any) -> Loss:
    """Return the network's loss of a chunk, carrying its state."""
    return model(*batch, state)
