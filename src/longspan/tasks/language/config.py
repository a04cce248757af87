"""The language model's options: the one place where they live.

The constructor of `LanguageModel`, the flags of ``longspan fit language``, the YAML file and the
saved ``config.json`` all come from `LanguageConfig`. This module does not import torch, so that
``longspan fit language --help`` answers at once.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1)]

#: Learning rates that suit each optimiser, where none is given.
LEARNING_RATES = {"adamw": 4e-3, "adam": 4e-3, "sgd": 1.0, "nt_asgd": 30.0}


class LanguageConfig(BaseModel):
    """Options of the language model, checked together; each field is documented where it stands."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    tokens: Literal["characters", "words", "subwords"] = "characters"
    """What is predicted one after the other. ``words`` are what stands between spaces, and the ends
    of lines; ``subwords`` are learnt from the training part by byte-pair encoding and need ``pip
    install longspan[text]``."""

    lowercase: bool = False
    """Take capital letters for small ones."""

    min_count: Count | None = None
    """Tokens that the training part has less often are unknown ones; by default 2 for words, so
    that the model learns where unknown words stand, and 1 for characters."""

    vocab_size: Annotated[int, Field(ge=4)] | None = None
    """Different tokens at most, the most frequent ones; by default all, and 8000 subwords."""

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    """The recurrent cell."""

    hidden_size: Count = 256
    """Hidden units in each layer."""

    num_layers: Count = 2
    """Recurrent layers, one above the other."""

    layer_sizes: tuple[Count, ...] | None = None
    """Hidden units of each layer, where they differ, in place of `hidden_size` and `num_layers`."""

    embedding_size: Count | None = None
    """Numbers that stand for a token; by default as many as the last layer has units."""

    layer_norm: bool = False
    """Layer normalisation inside the LSTM or GRU cell (Ba et al. 2016)."""

    softmax: Literal["full", "sampled", "adaptive"] = "full"
    """How the next token's probabilities are computed in training: over all tokens; over those
    that come and `num_samples` drawn ones; or in clusters by frequency, rare tokens with fewer
    features. At evaluation all are exact."""

    tied: bool | None = None
    """Use the embedding's matrix in the softmax too (Press & Wolf 2017); by default except with
    ``softmax="adaptive"``, where it cannot be."""

    num_samples: Count = 1000
    """Tokens that a sampled softmax draws in each step."""

    cutoffs: tuple[Count, ...] | None = None
    """Where the clusters of an adaptive softmax begin, tokens being numbered from the most
    frequent on; by default at a tenth and a third of the vocabulary."""

    dropout: Share = 0.2
    """Dropout after the embedding, between layers and before the softmax, with the same units for
    all steps of a stream in a chunk (Gal & Ghahramani 2016)."""

    input_dropout: Share | None = None
    """Dropout after the embedding, if it is not `dropout`."""

    output_dropout: Share | None = None
    """Dropout before the softmax, if it is not `dropout`."""

    embedding_dropout: Share = 0.0
    """Share of the vocabulary that is dropped, as whole words (Merity et al. 2018)."""

    weight_drop: Share = 0.0
    """Share of recurrent weights that are dropped (Merity et al. 2018)."""

    activation_penalty: Annotated[float, Field(ge=0.0)] = 0.0
    """α, weight of the mean square of the last layer's outputs in the loss, AR; AWD-LSTM has 2."""

    change_penalty: Annotated[float, Field(ge=0.0)] = 0.0
    """β, weight of the mean square of their change from step to step, TAR; AWD-LSTM has 1."""

    batch_size: Count = 32
    """Streams that are read in parallel, over all processes together; fewer where the text is too
    short for ten chunks of each."""

    bptt_length: Count = 100
    """Steps through which gradients go back; the state goes on from one chunk to the next."""

    varied_bptt: bool = False
    """Draw the length of each chunk around `bptt_length` (Merity et al. 2018)."""

    max_epochs: Count = 20
    """Upper limit of passes over the training part."""

    max_steps: Count | None = None
    """Upper limit of optimiser steps, whatever the number of epochs."""

    optimizer: Literal["adamw", "adam", "sgd", "nt_asgd"] = "adamw"
    """``nt_asgd`` is plain SGD that begins to average the weights when the validation loss no
    longer falls (Merity et al. 2018); use it with ``schedule="constant"``."""

    learning_rate: Annotated[float, Field(gt=0.0)] | None = None
    """Its peak; by default 0.004 for Adam, 1 for SGD (with momentum), 30 for NT-ASGD."""

    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-4
    """Weight decay of the optimiser."""

    schedule: Literal["constant", "cosine", "one_cycle", "plateau"] = "cosine"
    """Course of the learning rate over the training."""

    max_grad_norm: Annotated[float, Field(gt=0.0)] | None = 0.25
    """Gradients are clipped to this global norm; None clips nothing."""

    patience: Count | None = 5
    """Epochs without a better validation loss before training stops; None never stops early. With
    NT-ASGD give it more than 5."""

    validation_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    """Share of the text, its end, that is kept for early stopping if no validation text is given;
    0 keeps none."""

    ngram_order: Count | None = None
    """Longest run of tokens that the baseline counts, interpolated Kneser-Ney; by default 3, and 5
    for characters."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Every random draw comes from this number."""

    @field_validator(
        "min_count", "vocab_size", "layer_sizes", "embedding_size", "tied", "cutoffs",
        "input_dropout", "output_dropout", "max_steps", "learning_rate", "max_grad_norm",
        "patience", "ngram_order",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _none_in_words(cls, value: object) -> object:
        """Take the word for it: a command line has no other way to say None."""
        return None if value in ("none", ["none"], ("none",)) else value

    @model_validator(mode="after")
    def _fits_together(self) -> LanguageConfig:
        if self.layer_norm and self.cell == "rnn":
            raise ValueError("layer_norm needs cell='lstm' or 'gru'; leave one of the two out")
        if self.tied and self.softmax == "adaptive":
            raise ValueError(
                "an adaptive softmax has matrices of other shapes than the embedding and cannot be "
                "tied to it; use tied=False, or softmax='full' or 'sampled'"
            )
        if self.cutoffs is not None and self.softmax != "adaptive":
            raise ValueError("cutoffs are for softmax='adaptive'; leave them out")
        if self.layer_sizes is not None and not self.layer_sizes:
            raise ValueError("layer_sizes needs a size for each layer, e.g. 1150 1150 400")
        if self.is_tied and self.layer_sizes is not None and self.embedding_size is not None:
            last = self.layer_sizes[-1]
            if last != self.embedding_size:
                raise ValueError(
                    f"tied needs a last layer of the embedding's size, got {last} and "
                    f"{self.embedding_size}; make them equal, or use tied=False"
                )
        return self

    @property
    def least_count(self) -> int:
        """How often a token must be in the training part not to be an unknown one."""
        return self.min_count or {"words": 2}.get(self.tokens, 1)

    @property
    def order(self) -> int:
        """Longest run of tokens that the baseline counts."""
        return self.ngram_order or {"characters": 5}.get(self.tokens, 3)

    @property
    def is_tied(self) -> bool:
        """Whether the softmax uses the embedding's matrix."""
        return self.softmax != "adaptive" if self.tied is None else self.tied

    @property
    def sizes(self) -> tuple[int, tuple[int, ...]]:
        """Size of the embedding, and the hidden units of each layer.

        With a tied softmax the last layer has as many units as the embedding has numbers.
        """
        layers = self.layer_sizes or (self.hidden_size,) * self.num_layers
        embedding = self.embedding_size or layers[-1]
        return embedding, (*layers[:-1], embedding if self.is_tied else layers[-1])

    @property
    def dropouts(self) -> tuple[float, float, float]:
        """Shares dropped after the embedding, between layers and before the softmax."""
        first, last = self.input_dropout, self.output_dropout
        return (
            self.dropout if first is None else first,
            self.dropout,
            self.dropout if last is None else last,
        )

    @property
    def rate(self) -> float:
        """The learning rate's peak."""
        return self.learning_rate or LEARNING_RATES[self.optimizer]
