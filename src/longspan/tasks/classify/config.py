"""The classifier's options: the one place where they live.

The constructors of `Classifier` and `SequenceFeatures`, the flags of ``longspan fit classify`` and
``longspan fit features``, the YAML file and the saved ``config.json`` come from here. This module
does not import torch, so that ``--help`` answers at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1)]

#: With fewer sequences than this, none are held out by default: so few judge by chance.
ENOUGH = 1000
#: Share that is held out by default.
HELD_OUT = 0.1


class EncoderConfig(BaseModel):
    """Options of what reads a sequence and of its training: shared by all that do."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, arbitrary_types_allowed=True
    )

    input: Literal["auto", "series", "text", "image"] = "auto"
    """What the sequences are: numeric ones, texts, or images read row by row. ``auto`` takes
    strings for texts, four axes or three axes of bytes for images, and all else for series."""

    tokens: Literal["words", "characters", "subwords"] = "words"
    """What a text is made of. Words are runs of letters and digits, and each other sign; subwords
    are learnt from the training part and need ``pip install longspan[text]``."""

    lowercase: bool = True
    """Take capital letters of a text for small ones."""

    min_count: Count | None = None
    """Tokens that the training part has less often are unknown ones; by default 2 for words, so
    that the model learns what an unknown word means, and 1 for others."""

    vocab_size: Annotated[int, Field(ge=4)] | None = None
    """Different tokens at most, the most frequent ones; by default all, and 8000 subwords."""

    embedding_size: Count | None = None
    """Numbers that stand for a token; by default 100."""

    embedding_dropout: Share = 0.0
    """Share of the vocabulary that is dropped in a step, as whole words."""

    max_length: Count | None = None
    """Steps of a sequence that are read at most, its first ones; by default all."""

    normalise: bool = True
    """Bring each channel of a series to mean 0 and variance 1, by the training part; pixels are
    brought to the range from 0 to 1 in any case."""

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """The recurrent cell."""

    hidden_size: Count | None = None
    """Hidden units of each layer and direction; by default 128."""

    num_layers: Count = 1
    """Recurrent layers, one above the other."""

    bidirectional: bool = False
    """Read the sequence in both directions."""

    layer_norm: bool = False
    """Layer normalisation inside the LSTM or GRU cell (Ba et al. 2016)."""

    pooling: Literal["last", "mean", "max", "attention"] | None = None
    """How the steps become one vector: the last state, the mean or the largest value of each unit
    over all steps, or a mean whose weights are learnt (Lin et al. 2017). By default ``max`` for
    texts and ``last`` for others."""

    dropout: Share | None = None
    """Dropout of the inputs of a text, between layers and of the pooled vector; by default 0.8 for
    the recurrent part of ``lstm_fcn``, 0.5 for texts and 0.2 for others."""

    batch_size: Count | None = None
    """Sequences in a batch, over all processes; by default 32, or a tenth of the training part if
    that is fewer, but at least 4."""

    max_epochs: Count | None = None
    """Passes over the training part at most; by default as many as make 1500 steps, and at least
    ten."""

    learning_rate: Annotated[float, Field(gt=0.0)] = 2e-3
    """Its peak."""

    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-4
    """Weight decay of the optimiser, AdamW."""

    schedule: Literal["constant", "cosine", "one_cycle", "plateau"] = "cosine"
    """Course of the learning rate over the training."""

    max_grad_norm: Annotated[float, Field(gt=0.0)] | None = 1.0
    """Gradients are clipped to this global norm; None clips nothing."""

    patience: Count | None = 5
    """Epochs without a better validation before training stops; None never stops early."""

    validation_share: Share | None = None
    """Share of the sequences that is held out to judge each epoch; 0 holds out none. By default a
    tenth, and none if there are fewer than 1000 sequences, for so few judge by chance."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Every random draw comes from this number."""

    @field_validator(
        "min_count", "vocab_size", "max_length", "pooling", "dropout", "max_epochs",
        "max_grad_norm", "patience", "batch_size", "validation_share", "hidden_size",
        "embedding_size",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _none_in_words(cls, value: object) -> object:
        """Take the word for it: a command line has no other way to say None."""
        return None if value == "none" else value

    @model_validator(mode="after")
    def _fits_cell(self) -> EncoderConfig:
        if self.layer_norm and self.cell == "rnn":
            raise ValueError("layer_norm needs cell='lstm' or 'gru'; leave one of the two out")
        return self

    @property
    def units(self) -> int:
        """Hidden units of each layer and direction."""
        return self.hidden_size or 128

    @property
    def least_count(self) -> int:
        """How often a token must be in the training part not to be an unknown one."""
        return self.min_count or {"words": 2}.get(self.tokens, 1)

    def share_of(self, sequences: int) -> float:
        """Return the share of so many sequences that is held out."""
        if self.validation_share is not None:
            return self.validation_share
        return HELD_OUT if sequences >= ENOUGH else 0.0

    def batch_of(self, sequences: int) -> int:
        """Return the size of a batch of so many sequences: small parts need noisy steps."""
        return self.batch_size or min(32, max(sequences // 10, 4))

    def pooling_of(self, kind: str) -> str:
        """Return the pooling for a kind of input."""
        return self.pooling or ("max" if kind == "text" else "last")

    def dropout_of(self, kind: str) -> float:
        """Return the dropout for a kind of input: 0 by default for vectors that must hold all."""
        del kind  # the classifier's depends on it
        return self.dropout or 0.0


class ClassifyConfig(EncoderConfig):
    """Options of the classifier, checked together; each field is documented where it stands."""

    hidden_size: Count | None = None
    """Hidden units of each layer and direction; by default 128, and 8 where ``lstm_fcn`` sees each
    channel as one step: a unit has as many weights as the longest series has steps then, and more
    units learn a small training part by heart."""

    front: Literal["none", "cnn", "lstm_fcn"] = "none"
    """What stands before or beside the recurrent layers. ``cnn``: convolutions below them, over
    steps, or over rows and columns of images; ``lstm_fcn``: a fully convolutional network beside
    them (LSTM-FCN, Karim et al. 2018)."""

    filters: tuple[Count, ...] | None = None
    """Filters of each convolution; by default 128, 256 and 128 for ``lstm_fcn``, 64 and 64 for
    ``cnn`` (32 and 64 with images)."""

    kernel_sizes: tuple[Count, ...] | None = None
    """Steps that each convolution sees; by default 8, 5 and 3 for ``lstm_fcn``, 3 each for
    ``cnn``."""

    pool_size: Count = 1
    """Steps that the convolutions of ``cnn`` over series and texts put together, each by its
    maximum; 2 or more shortens long sequences. With images each convolution halves both sides."""

    dimension_shuffle: bool = True
    """Let the recurrent part of ``lstm_fcn`` see each channel as one step, with all its values at
    once, as the paper does; otherwise it reads step by step."""

    squeeze_excite: bool = False
    """Let each convolution over steps but the last weigh its filters by the means of all (Hu et al.
    2018): with ``lstm_fcn`` the MLSTM-FCN for several channels (Karim et al. 2019)."""

    vectors: Path | None = None
    """A file with vectors of words that others learnt from much text: GloVe, word2vec or fastText
    as text, or word2vec as bytes (``.bin``; needs ``pip install longspan[vectors]``). Training
    learns corrections to those of its own words. The model keeps what it needs of the file."""

    vectors_limit: Annotated[int, Field(ge=0)] = 50_000
    """Words of that file at most, its first ones, that the model knows beside those of the training
    part."""

    class_weight: Any = None
    """Weight of each class in the loss: ``"balanced"`` for weights inverse to the classes'
    frequencies, a dictionary from label to weight (1 where it has none; also as JSON, such as
    ``{"rare": 5}``), or None."""

    label_smoothing: Share = 0.0
    """Share of the target's probability that is spread over all classes."""

    judge: Literal["loss", "error"] = "loss"
    """What of the validation part decides which epoch is kept."""

    calibrate: bool = False
    """Divide the scores by a temperature that suits the held-out sequences best (Guo et al. 2017);
    a tenth is held out then by default, however few there are."""

    @field_validator("filters", "kernel_sizes", "vectors", "class_weight", mode="before")
    @classmethod
    def _none_in_words_too(cls, value: object) -> object:
        return None if value in ("none", ["none"], ("none",)) else value

    @field_validator("class_weight", mode="before")
    @classmethod
    def _dictionary_as_json(cls, value: object) -> object:
        if not (isinstance(value, str) and value.lstrip().startswith("{")):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(
                f'class_weight = {value!r} is not JSON, such as {{"rare": 5}}: {error}'
            ) from None

    @model_validator(mode="after")
    def _fits_together(self) -> ClassifyConfig:
        a, b = self.filters, self.kernel_sizes
        if (a is not None or b is not None) and self.front == "none":
            raise ValueError("filters and kernel_sizes need front='cnn' or 'lstm_fcn'")
        if self.squeeze_excite and self.front == "none":
            raise ValueError("squeeze_excite needs front='cnn' or 'lstm_fcn'")
        if a is not None and b is not None and len(a) != len(b):
            raise ValueError(
                f"{len(a)} filters and {len(b)} kernel_sizes; give one of each a layer"
            )
        if self.vectors is not None and self.tokens != "words":
            raise ValueError("vectors are those of words, and need tokens='words'")
        if self.vectors is not None and self.embedding_size is not None:
            raise ValueError("vectors have a width of their own; leave embedding_size out")
        if self.calibrate and self.validation_share == 0.0:
            raise ValueError("calibrate needs a validation part: give validation_share above 0")
        if not (self.class_weight is None or self.class_weight == "balanced"
                or isinstance(self.class_weight, dict)):  # fmt: skip
            raise ValueError("class_weight must be None, 'balanced' or a dictionary of weights")
        return self

    @property
    def units(self) -> int:
        """Hidden units of each layer and direction."""
        shuffled = self.front == "lstm_fcn" and self.dimension_shuffle
        return self.hidden_size or (8 if shuffled else 128)

    def share_of(self, sequences: int) -> float:
        """Return the share of so many sequences that is held out."""
        if self.validation_share is None and self.calibrate:
            return HELD_OUT
        return super().share_of(sequences)

    def dropout_of(self, kind: str) -> float:
        """Return the dropout for a kind of input."""
        if self.dropout is not None:
            return self.dropout
        return 0.8 if self.front == "lstm_fcn" else 0.5 if kind == "text" else 0.2

    def convolutions(self, kind: str) -> list[tuple[int, int]]:
        """Return (filters, kernel size) of each convolution."""
        usual = {
            "lstm_fcn": ((128, 256, 128), (8, 5, 3)),
            "cnn": ((32, 64), (3, 3)) if kind == "image" else ((64, 64), (3, 3)),
            "none": ((), ()),
        }[self.front]
        filters, sizes = self.filters, self.kernel_sizes
        filters = filters or (usual[0] if sizes is None else (usual[0][-1],) * len(sizes))
        sizes = sizes or (usual[1] if len(filters) == len(usual[1]) else (3,) * len(filters))
        return list(zip(filters, sizes, strict=True))


class AutoencoderConfig(EncoderConfig):
    """Options of features that are learnt without labels: those of ``longspan fit features``."""

    hidden_size: Count | None = None
    """Hidden units of each layer and direction; by default 64."""

    @property
    def units(self) -> int:
        """Hidden units of each layer and direction."""
        return self.hidden_size or 64


class FeaturesConfig(AutoencoderConfig):
    """Options of `SequenceFeatures`, checked together."""

    classifier: Any = None
    """A `Classifier` whose pooled vectors are the features. One that is fitted is used as it is;
    one that is not is fitted to the labels first. None learns without labels: an autoencoder, whose
    vector lets a second network write the sequence again from its end (Srivastava et al. 2015)."""
