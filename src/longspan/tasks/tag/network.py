"""The tagger's network: words and their characters, read both ways, and labels in a chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import longspan.nn
from longspan.nn import CRF, CharacterEncoder, PretrainedEmbedding

#: Numbers of padding and of words that are not known.
PADDING, UNKNOWN = 0, 1


@dataclass(frozen=True)
class TagInputs:
    """A batch: T words of B sequences; its W different words by C characters.

    Attributes:
        words: Numbers of the words, (T, B).
        forms: Which of the W different words each is, (T, B).
        characters: Numbers of the characters of those, (C, W).
        character_lengths: Their lengths, (W,).
        lengths: Words of each sequence, (B,).
        labels: Numbers of the labels, (T, B), or None.
        intents: Numbers of the labels of the whole, (B,), or None.
    """

    words: Tensor
    forms: Tensor
    characters: Tensor
    character_lengths: Tensor
    lengths: Tensor
    labels: Tensor | None = None
    intents: Tensor | None = None


class TagNetwork(nn.Module):
    """Scores of the labels of each word, and of the whole sequence.

    Vectors of words and of their characters are joined and read by a bidirectional recurrent
    network; a linear layer gives the scores of a conditional random field (Lample et al. 2016; Ma &
    Hovy 2016). For the intent, attention takes a weighted mean over the words (Liu & Lane 2016).

    Args:
        num_words: Words, with padding and the unknown word.
        num_characters: Characters, with padding and the unknown one.
        num_labels: K.
        num_intents: Labels of the whole; 0 for none.
        constraints: For `CRF`: which labels may be where. None allows all.
        rare: Which words are taken for the unknown one at times in training, bool (num_words,).
        rare_rate: How often.
        crf: Whether transitions are learnt; otherwise labels are independent but for constraints.
        word_size: Width of the word vectors.
        learnt: How many words, the first ones, have vectors that are learnt, where those of all
            come from a file; otherwise None.
        character_encoder: ``"cnn"``, ``"lstm"`` or ``"none"``.
        character_embedding_size: Width of the character vectors.
        character_size: Width of what the characters say of a word.
        cell: ``"lstm"`` or ``"gru"``.
        hidden_size: Units of each direction.
        num_layers: Recurrent layers.
        dropout: Of what the recurrent layers read and give.
        recurrent_dropout: Inside the recurrence.
    """

    rare: Tensor

    def __init__(
        self,
        *,
        num_words: int,
        num_characters: int,
        num_labels: int,
        num_intents: int = 0,
        constraints: dict[str, Tensor] | None = None,
        rare: Tensor | None = None,
        rare_rate: float = 0.5,
        crf: bool = True,
        word_size: int = 100,
        learnt: int | None = None,
        character_encoder: str = "cnn",
        character_embedding_size: int = 30,
        character_size: int = 50,
        cell: str = "lstm",
        hidden_size: int = 100,
        num_layers: int = 1,
        dropout: float = 0.5,
        recurrent_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.crf, self.rare_rate = crf, rare_rate
        if learnt is None:
            self.word_embedding = nn.Embedding(num_words, word_size, padding_idx=PADDING)
            bound = (3.0 / word_size) ** 0.5
            with torch.no_grad():
                self.word_embedding.weight[1:].uniform_(-bound, bound)
        else:
            std = word_size**-0.5
            self.word_embedding = PretrainedEmbedding(num_words, word_size, learnt, std)
        nothing = torch.zeros(num_words, dtype=torch.bool)
        self.register_buffer("rare", nothing if rare is None else rare, persistent=False)
        self.characters = None
        if character_encoder != "none":
            self.characters = CharacterEncoder(
                num_characters, kind=character_encoder, output_size=character_size,
                embedding_size=character_embedding_size,
            )  # fmt: skip
        layer: Any = {"lstm": longspan.nn.LSTM, "gru": longspan.nn.GRU}[cell]
        options: dict[str, Any] = {"recurrent_dropout": recurrent_dropout}
        self.recurrent = layer(
            word_size + (character_size if self.characters else 0), hidden_size, num_layers,
            dropout=dropout if num_layers > 1 else 0.0, bidirectional=True, **options,
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * hidden_size, num_labels)
        self.chain = CRF(num_labels, **(constraints or {}))
        if not crf:  # constraints alone remain
            for p in self.chain.parameters():
                nn.init.zeros_(p).requires_grad_(False)
        self.intents = _Intents(2 * hidden_size, num_intents) if num_intents else None

    def forward(self, inputs: TagInputs) -> tuple[Tensor, Tensor | None]:
        """Return scores of the labels, (T, B, K), and of the intents, (B, N) or None.

        What stands at padding is never read, and its scores mean nothing.
        """
        parts = [self.word_embedding(self._with_unknown(inputs.words))]
        if self.characters is not None:
            known = self.characters(inputs.characters, inputs.character_lengths)
            parts.append(known[inputs.forms])
        x = self.dropout(torch.cat(parts, -1))
        h = x.new_zeros(*x.shape[:2], self.output.in_features)
        if len(x):
            h = self.dropout(self.recurrent(x, lengths=inputs.lengths)[0])
        intents = self.intents(h, inputs.lengths) if self.intents is not None else None
        return self.output(h), intents

    def _with_unknown(self, words: Tensor) -> Tensor:
        """Take rare words for the unknown one now and then, so that it learns what it stands for.

        Lample et al. (2016): words seen once, half of the time.
        """
        if not self.training or self.rare_rate == 0.0:
            return words
        drawn = torch.rand(words.shape, device=words.device) < self.rare_rate
        return torch.where(drawn & self.rare[words], UNKNOWN, words)

    def label_loss(self, scores: Tensor, inputs: TagInputs) -> Tensor:
        """Return -log P(labels) of each sequence, (B,)."""
        assert inputs.labels is not None
        if self.crf:
            return self.chain(scores, inputs.labels, inputs.lengths)
        steps = torch.arange(len(scores), device=scores.device)[:, None]
        inside = steps < inputs.lengths
        labels = torch.where(inside, inputs.labels, 0)
        losses = F.cross_entropy(scores.movedim(-1, 1), labels, reduction="none")
        return torch.where(inside, losses, 0.0).sum(0)


class _Intents(nn.Module):
    """Scores of the whole sequence from a mean whose weights are learnt; empty ones from zeros."""

    def __init__(self, size: int, count: int) -> None:
        super().__init__()
        self.attention = nn.Linear(size, size)
        self.weight = nn.Linear(size, 1, bias=False)
        self.output = nn.Linear(size, count)

    def forward(self, h: Tensor, lengths: Tensor) -> Tensor:
        inside = torch.arange(len(h), device=h.device)[:, None] < lengths
        weights = self.weight(torch.tanh(self.attention(h)))[..., 0]
        # Not -∞: a column without a word would be 0 / 0.
        weights = torch.where(inside, weights, -1e30).softmax(0) * inside
        return self.output((weights[..., None] * h).sum(0))
