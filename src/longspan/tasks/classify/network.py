"""The classifier's network: what reads a sequence into one vector, and scores of the classes.

Shapes: T steps, B rows, C channels or inputs, H hidden units, D directions, F features, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from longspan.data.vectors import VectorShape
from longspan.nn import GRU, LSTM, RNN, EmbeddingDropout, PretrainedEmbedding
from longspan.nn.convolution import SequenceConvolutions, SequencePool
from longspan.nn.pooling import Pooling

CELLS = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
#: Standard deviation of a token's vector before training.
EMBEDDING_STD = 0.1


class Batch(NamedTuple):
    """Sequences side by side.

    Attributes:
        inputs: Channels of each step, (T, B, C), or numbers of tokens, (T, B).
        lengths: Steps of each row, (B,).
        labels: Numbers of the classes, (B,), or None.
    """

    inputs: Tensor
    lengths: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class InputShape:
    """What a network reads.

    Attributes:
        kind: ``"series"``, ``"text"`` or ``"image"``.
        size: Channels of a step, or the size of the vocabulary.
        longest: Steps of the longest sequence of the training part.
        image: Rows, columns and colours of an image.
        vectors: How the vocabulary is made up where its vectors come from a file.
    """

    kind: str
    size: int
    longest: int
    image: tuple[int, int, int] | None = None
    vectors: VectorShape | None = None


class SequenceEncoder(nn.Module):
    """Reads sequences, each into one vector (B, F); F is `output_size`.

    Args:
        shape: What it reads.
        cell: ``"lstm"``, ``"gru"`` or ``"rnn"``.
        hidden_size: H.
        num_layers: Recurrent layers.
        bidirectional: Whether they read in both directions.
        layer_norm: Whether they are normalised inside.
        pooling: See `longspan.nn.pooling.Pooling`.
        dropout: Of a text's inputs, between layers, and of the pooled vector.
        embedding_size: Numbers that stand for a token of a text.
        embedding_dropout: Share of the vocabulary that is dropped.
        front: ``"none"``, ``"cnn"`` (below the recurrent layers) or ``"lstm_fcn"`` (beside them).
        convolutions: (filters, kernel size) of each convolution of the front.
        pool_size: Steps that ``"cnn"`` puts together.
        dimension_shuffle: Whether ``"lstm_fcn"`` reads channels as steps.
        squeeze_excite: Whether convolutions over steps weigh their filters.
    """

    def __init__(
        self,
        shape: InputShape,
        *,
        cell: str = "lstm",
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        layer_norm: bool = False,
        pooling: str = "last",
        dropout: float = 0.0,
        embedding_size: int = 100,
        embedding_dropout: float = 0.0,
        front: str = "none",
        convolutions: list[tuple[int, int]] | None = None,
        pool_size: int = 1,
        dimension_shuffle: bool = True,
        squeeze_excite: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.front = shape, front
        size = shape.size
        self.embedding = None
        self.input_dropout = nn.Dropout(dropout if shape.kind == "text" else 0.0)
        if shape.kind == "text":
            vectors = _embedding(shape, embedding_size)
            self.embedding = EmbeddingDropout(vectors, embedding_dropout)
            size = vectors.embedding_dim
        layers = convolutions or []
        self.convolutions = self.images = None
        self.shuffled = front == "lstm_fcn" and dimension_shuffle
        if front == "cnn" and shape.image is not None:
            self.images = ImageConvolutions(shape.image, layers)
            size = self.images.output_size
        elif front != "none":
            self.convolutions = SequenceConvolutions(size, layers, squeeze_excite)
            self.pool = SequencePool(pool_size if front == "cnn" else 1)
            size = self.convolutions.output_size if front == "cnn" else size
        directions = 2 if bidirectional else 1
        options = {"layer_norm": True} if layer_norm else {}
        self.recurrent = CELLS[cell](
            shape.longest if self.shuffled else size, hidden_size, num_layers,
            dropout=dropout if num_layers > 1 else 0.0, bidirectional=bidirectional, **options,
        )  # fmt: skip
        self.pooling = Pooling(pooling, directions * hidden_size, bidirectional)
        self.mean = Pooling("mean", 0)
        self.dropout = nn.Dropout(dropout)
        self.output_size = directions * hidden_size
        if front == "lstm_fcn" and self.convolutions is not None:
            self.output_size += self.convolutions.output_size

    def forward(self, batch: Batch) -> Tensor:
        """Return the vectors, (B, F)."""
        x, lengths = batch.inputs, batch.lengths
        if self.embedding is not None:
            x = self.input_dropout(self.embedding(x))
        if self.images is not None:
            x, lengths = self.images(x)
        elif self.front == "cnn" and self.convolutions is not None:
            x, lengths = self.pool(self.convolutions(x, lengths), lengths)
        if self.front != "lstm_fcn" or self.convolutions is None:
            return self.dropout(self._recur(x, lengths))
        beside = self.mean(self.convolutions(x, lengths), lengths)
        if self.shuffled:
            x, lengths = self._shuffle(x, lengths)
        return torch.cat([self.dropout(self._recur(x, lengths)), beside], -1)

    def _recur(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.pooling(self.recurrent(x, lengths=lengths)[0], lengths)

    def _shuffle(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return each channel as one step, (C, B, longest): cut there, or zeros to its end."""
        longest = self.shape.longest
        x = x[:longest].permute(2, 1, 0)
        inside = torch.arange(x.shape[-1], device=x.device) < lengths[:, None]
        x = nn.functional.pad(torch.where(inside, x, 0.0), (0, longest - x.shape[-1]))
        return x, torch.full_like(lengths, len(x))


def _embedding(shape: InputShape, embedding_size: int) -> nn.Embedding | PretrainedEmbedding:
    if shape.vectors is not None:
        learnt, width = shape.vectors
        return PretrainedEmbedding(shape.size, width, learnt, EMBEDDING_STD)
    vectors = nn.Embedding(shape.size, embedding_size)
    # Vectors of length 1 would hardly move in the steps that a small data set takes.
    nn.init.normal_(vectors.weight, std=EMBEDDING_STD)
    return vectors


class ImageConvolutions(nn.Module):
    """Convolutions over rows and columns, each followed by a maximum over 2 × 2 places.

    What is left of the rows are the steps of a sequence, each with all its columns and filters.

    Args:
        image: Rows, columns and colours.
        layers: (filters, kernel size) of each.
    """

    def __init__(self, image: tuple[int, int, int], layers: list[tuple[int, int]]) -> None:
        super().__init__()
        rows, columns, self.colours = image
        sizes = [self.colours, *[filters for filters, _ in layers]]
        parts: list[nn.Module] = []
        for before, (filters, kernel) in zip(sizes[:-1], layers, strict=True):
            halved = 2 if min(rows, columns) > 1 else 1
            parts += [nn.Conv2d(before, filters, kernel, padding="same"), nn.ReLU()]
            parts += [nn.MaxPool2d(halved)]
            rows, columns = rows // halved, columns // halved
        self.layers = nn.Sequential(*parts)
        self.output_size = columns * sizes[-1]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return a sequence (T', B, columns · filters) and its lengths, from rows (T, B, C)."""
        pixels = x.unflatten(-1, (-1, self.colours)).permute(1, 3, 0, 2)
        found = self.layers(pixels).permute(2, 0, 3, 1).flatten(2)
        return found, torch.full((x.shape[1],), len(found), device=x.device)


class ClassifyNetwork(nn.Module):
    """An encoder and the scores of the classes, linear in its vector.

    Args:
        encoder: What reads.
        num_classes: K.
    """

    def __init__(self, encoder: SequenceEncoder, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.output = nn.Linear(encoder.output_size, num_classes)

    def forward(self, batch: Batch) -> Tensor:
        """Return the scores, (B, K): log-probabilities up to a constant of each row."""
        return self.output(self.encoder(batch))
