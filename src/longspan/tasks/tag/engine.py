"""The tagger's engine: a network trained on encoded sequences, and what it says of others."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longspan.data.ragged import by_length
from longspan.nn import PretrainedEmbedding
from longspan.tasks.tag.config import TagConfig
from longspan.tasks.tag.encoding import EncodedText, Encoder
from longspan.tasks.tag.network import TagInputs, TagNetwork
from longspan.tasks.tag.spans import SpanLabels
from longspan.training import BucketedBatches, Clipping, History, Loss, Plan, train

#: Words, with padding, that are labelled at once.
WORDS_AT_ONCE = 8192

Errors = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Decoded:
    """What the network says of S sequences.

    Attributes:
        labels: The most probable labels of each, by number.
        log_probability: ln of their probability, (S,).
        intents: The most probable intent of each, by number, (S,), or None.
        intent_probability: Its probability, (S,), or None.
    """

    labels: list[np.ndarray]
    log_probability: np.ndarray
    intents: np.ndarray | None
    intent_probability: np.ndarray | None


class Engine:
    """A network and the options behind it.

    Args:
        config: The options.
        encoder: What the training part taught.
    """

    def __init__(self, config: TagConfig, encoder: Encoder) -> None:
        self.config = config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = TagNetwork(
                num_words=encoder.num_words,
                num_characters=encoder.num_characters,
                num_labels=len(encoder.labels),
                num_intents=len(encoder.intents),
                constraints=encoder.constraints(),
                rare=encoder.rare_mask(),
                rare_rate=config.rare_rate,
                crf=config.crf,
                word_size=encoder.word_size,
                learnt=None if encoder.vectors is None else encoder.vectors.learnt,
                character_encoder=config.character_encoder,
                character_embedding_size=config.character_embedding_size,
                character_size=config.character_size,
                cell=config.cell,
                hidden_size=config.hidden_size,
                num_layers=config.num_layers,
                dropout=config.dropout,
                recurrent_dropout=config.recurrent_dropout,
            )
        if encoder.given is not None:
            assert isinstance(self.network.word_embedding, PretrainedEmbedding)
            _, values, found = encoder.given
            self.network.word_embedding.start(torch.from_numpy(values), torch.from_numpy(found))
        self.num_labels, self.spans = len(encoder.labels), encoder.inner is not None

    def train(self, text: EncodedText, validation: EncodedText | None, **options: Any) -> History:
        """Train the network; the validation part decides when to stop, by `errors`.

        Args:
            text: The training part, with at least one word.
            validation: The same, or None.
            options: Of `longspan.training.train`.
        """
        config = self.config
        later = None
        if validation is not None and len(_filled(validation)):
            later = self._source(validation, shuffle=False)
        schedule = config.schedule
        plan = Plan(
            max_epochs=config.max_epochs,
            max_steps=config.max_steps,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            schedule=schedule if later or schedule != "plateau" else "constant",
            clipping=Clipping(norm=config.max_grad_norm),
            patience=config.patience if later else None,
            seed=config.seed,
        )
        settings = {
            **config.model_dump(mode="json"), "text": _checksum(text),
            "validation text": None if validation is None else _checksum(validation),
        }  # fmt: skip
        history = train(
            self.network, self._source(text), self._loss(validation), plan, validation=later,
            settings=settings, **options,
        )  # fmt: skip
        self.network.eval()
        return history

    @torch.no_grad()
    def decode(self, text: EncodedText) -> Decoded:
        """Return the most probable labels and intents."""
        labels: list[np.ndarray] = [np.zeros(0, np.int64)] * len(text)
        log_probability = torch.zeros(len(text), dtype=torch.float64)
        intents = torch.zeros(len(text), dtype=torch.int64)
        certainty = torch.zeros(len(text), dtype=torch.float64)
        for numbers, inputs, scores, whole in self._batches(text):
            chain = self.network.chain
            best, score = chain.viterbi(scores, inputs.lengths)
            log_z = chain.log_partition(scores, inputs.lengths)
            log_probability[numbers] = (score - log_z).clamp(max=0.0)
            columns = best.t().numpy()
            for row, own, length in zip(numbers.tolist(), columns, inputs.lengths, strict=True):
                labels[row] = own[: int(length)]
            if whole is not None:
                certainty[numbers], intents[numbers] = whole.softmax(-1).max(-1)
        if self.network.intents is None:
            return Decoded(labels, log_probability.numpy(), None, None)
        return Decoded(labels, log_probability.numpy(), intents.numpy(), certainty.numpy())

    @torch.no_grad()
    def k_best(self, text: EncodedText, k: int) -> list[list[tuple[np.ndarray, float]]]:
        """Return the k most probable labellings of each sequence with their probabilities."""
        found: list[list[tuple[np.ndarray, float]]] = [[] for _ in range(len(text))]
        for numbers, inputs, scores, _ in self._batches(text):
            chain = self.network.chain
            paths, values = chain.k_best(scores, k, inputs.lengths)
            log_p = values - chain.log_partition(scores, inputs.lengths)
            for b, row in enumerate(numbers.tolist()):
                own = paths[:, : int(inputs.lengths[b]), b].numpy()
                p = log_p[:, b].clamp(max=0.0).exp().tolist()
                real = torch.isfinite(values[:, b]).tolist()
                found[row] = [(own[n], p[n]) for n in range(k) if real[n]]
        return found

    @torch.no_grad()
    def marginals(self, text: EncodedText) -> tuple[list[np.ndarray], np.ndarray | None]:
        """Return P(label) at each step and P(intent), in float64.

        Returns:
            An array (T, K) for each sequence, and one (S, N), or None without intents.
        """
        found = [np.zeros((0, self.num_labels))] * len(text)
        head = self.network.intents
        intents = None if head is None else np.zeros((len(text), head.output.out_features))
        for numbers, inputs, scores, whole in self._batches(text):
            own = self.network.chain.marginals(scores, inputs.lengths)
            for b, row in enumerate(numbers.tolist()):
                found[row] = own[: int(inputs.lengths[b]), b].numpy()
            if intents is not None and whole is not None:
                intents[numbers.numpy()] = whole.softmax(-1).numpy()
        return found, intents

    def _batches(self, text: EncodedText) -> Iterator[tuple[Tensor, TagInputs, Tensor, Any]]:
        """Yield numbers of sequences of like length, their batch, and their scores in float64."""
        self.network.eval()
        for numbers in by_length(text.words.lengths, steps=WORDS_AT_ONCE):
            inputs = text.gather(numbers)
            scores, intents = self.network(inputs)
            yield numbers, inputs, scores.double(), intents if intents is None else intents.double()

    def _source(self, text: EncodedText, *, shuffle: bool = True) -> BucketedBatches:
        """Return batches of the sequences that have words: the others teach nothing."""
        filled = _filled(text)
        return BucketedBatches(
            text.words.lengths[filled], self.config.batch_size,
            lambda numbers: text.gather(filled[numbers]), seed=self.config.seed, shuffle=shuffle,
        )  # fmt: skip

    def _loss(self, validation: EncodedText | None) -> Callable[[nn.Module, TagInputs, Any], Loss]:
        """Return the loss of a batch; of the validation part also its errors."""
        table = None
        if validation is not None and self.spans:
            table = SpanLabels(validation.label_names)

        def loss(model: nn.Module, inputs: TagInputs, state: Any) -> Loss:
            scores, intents = model(inputs)
            if model.training:
                return self._sum(scores, intents, inputs)
            return self._judge(scores, intents, inputs, table)

        return loss

    def _sum(self, scores: Tensor, intents: Tensor | None, inputs: TagInputs) -> Loss:
        """Return -ln P of labels and intents, summed over sequences."""
        total = self.network.label_loss(scores, inputs).sum()
        if intents is not None and inputs.intents is not None:
            own = F.cross_entropy(intents, inputs.intents, reduction="sum")
            total = total + self.config.intent_weight * own
        return Loss(total, len(inputs.lengths))

    def _judge(
        self, scores: Tensor, intents: Tensor | None, inputs: TagInputs, table: SpanLabels | None
    ) -> Loss:
        """Return loss and errors; what training did not see counts as wrong, without a loss."""
        assert inputs.labels is not None
        known = (inputs.labels < self.num_labels).all(0)
        if intents is not None and inputs.intents is not None:
            known &= inputs.intents < intents.shape[1]
        found = Loss(scores.new_zeros(()), 0)
        if bool(known.any()):
            own = None if intents is None else intents[known]
            found = self._sum(scores[:, known], own, _rows(inputs, known))
        best, _ = self.network.chain.viterbi(scores, inputs.lengths)
        wrong = errors(inputs.labels, best, inputs.lengths, table)
        if intents is not None and inputs.intents is not None:
            missed = intents.argmax(-1) != inputs.intents
            wrong = (*wrong, (float(missed.sum()), float(len(missed))))
        return found._replace(errors=wrong)


def errors(gold: Tensor, found: Tensor, lengths: Tensor, table: SpanLabels | None) -> Errors:
    """Return how wrong labels are, as a sum and its weight: 1 - F1 of spans, or 1 - accuracy.

    Args:
        gold: Numbers of the right labels, (T, B).
        found: Those to judge, (T, B); padding may be anything in both.
        lengths: (B,).
        table: The labels of spans, or None for plain labels.
    """
    inside = (torch.arange(len(gold))[:, None] < lengths).t()
    right, judged = gold.t()[inside], found.t()[inside]
    if table is None:
        return ((float((right != judged).sum()), float(len(right))),)
    first = torch.zeros_like(inside)
    first[:, :1] = True
    counts = table.count(right.numpy(), judged.numpy(), first[inside].numpy()).sum(0)
    there, seen, hit = map(float, counts)
    return ((there + seen - 2.0 * hit, there + seen),)


def _rows(inputs: TagInputs, keep: Tensor) -> TagInputs:
    """Return what the loss reads, of some of the sequences."""
    assert inputs.labels is not None
    return TagInputs(
        words=inputs.words[:, keep], forms=inputs.forms[:, keep], characters=inputs.characters,
        character_lengths=inputs.character_lengths, lengths=inputs.lengths[keep],
        labels=inputs.labels[:, keep],
        intents=None if inputs.intents is None else inputs.intents[keep],
    )  # fmt: skip


def _filled(text: EncodedText) -> Tensor:
    """Return the numbers of the sequences that have words."""
    return (text.words.lengths > 0).nonzero()[:, 0]


def _checksum(text: EncodedText) -> int:
    """Return a number that tells texts apart, so that no run is resumed with another."""
    found = zlib.crc32("\n".join(text.label_names).encode())
    for tensor in (text.words.values, text.words.offsets, text.characters.values,
                   text.forms, text.labels, text.intents):  # fmt: skip
        if tensor is not None:
            found = zlib.crc32(tensor.numpy().tobytes(), found)
    return found
