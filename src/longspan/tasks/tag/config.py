"""The tagger's options: the one place where they live.

This module imports neither torch nor any table library, so that ``longspan fit tag --help`` answers
at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class TagConfig(BaseModel):
    """Options of the tagger, checked together; every field is documented where it stands."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    cell: Literal["lstm", "gru"] = "lstm"
    """The recurrent cell; it runs in both directions."""

    hidden_size: Annotated[int, Field(ge=1)] = 100
    """Hidden units of each direction."""

    num_layers: Annotated[int, Field(ge=1)] = 1
    """Recurrent layers, one above the other."""

    word_size: Annotated[int, Field(ge=1)] | None = None
    """Width of the word vectors; by default 100, or that of `vectors`."""

    vectors: Path | None = None
    """A file with vectors of words that others learnt from much text: GloVe, word2vec or fastText
    as text, or word2vec as bytes (``.bin``; needs ``pip install longspan[vectors]``). Training
    learns corrections to those of its own words. The model keeps what it needs of the file."""

    vectors_limit: Annotated[int, Field(ge=0)] = 50_000
    """Words of that file at most, its first ones, that the model knows beside those of the training
    part."""

    character_encoder: Literal["cnn", "lstm", "none"] = "cnn"
    """What reads the characters of each word: a convolution (Ma & Hovy 2016), a bidirectional LSTM
    (Lample et al. 2016), or nothing."""

    character_size: Annotated[int, Field(ge=2)] = 50
    """Width of what the characters say of a word; even for ``character_encoder="lstm"``."""

    character_embedding_size: Annotated[int, Field(ge=1)] = 30
    """Width of the character vectors."""

    crf: bool = True
    """Learn which label follows which by a conditional random field; otherwise labels are
    independent, except for what the scheme forbids."""

    scheme: Literal["auto", "bio", "bioes", "none"] = "auto"
    """How the network writes spans: ``auto`` takes ``bioes`` where the labels are those of spans,
    in any scheme, and plain labels otherwise; ``none`` takes every label as it is. Predictions come
    in the scheme of the training data."""

    intent_weight: Annotated[float, Field(gt=0.0)] = 1.0
    """Weight of a sequence's intent beside its labels in the loss, where there are intents."""

    lowercase: bool = True
    """Look words up in lower case; their characters are read as they are."""

    digits: bool = True
    """Look words up with 0 for every digit; their characters are read as they are."""

    min_count: Annotated[int, Field(ge=1)] = 1
    """How often a word must occur in the training part to be known."""

    rare_rate: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of words seen once that training takes for the unknown word, each time anew (Lample et
    al. 2016)."""

    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5
    """Dropout of what the recurrent layers read and give."""

    recurrent_dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Dropout inside the recurrence, with a mask that stays the same over time."""

    max_epochs: Annotated[int, Field(ge=1)] = 40
    """Upper limit of passes over the training part."""

    max_steps: Annotated[int, Field(ge=1)] | None = None
    """Upper limit of optimiser steps, whatever the number of epochs."""

    batch_size: Annotated[int, Field(ge=1)] = 16
    """Sequences in an optimiser step, over all processes together."""

    learning_rate: Annotated[float, Field(gt=0.0)] = 2e-3
    """Peak learning rate of AdamW."""

    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-4
    """Weight decay of AdamW."""

    schedule: Literal["constant", "cosine", "one_cycle", "plateau"] = "cosine"
    """Course of the learning rate over the training."""

    max_grad_norm: Annotated[float, Field(gt=0.0)] | None = 5.0
    """Gradients are clipped to this global norm; None clips nothing."""

    patience: Annotated[int, Field(ge=1)] | None = 10
    """Epochs without a better validation before training stops; None never stops early."""

    validation_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """Share of the training sequences that is kept for early stopping where no validation data
    are given; 0 keeps none."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Every random draw comes from this number."""

    @field_validator(
        "max_steps", "max_grad_norm", "patience", "word_size", "vectors", mode="before"
    )
    @classmethod
    def _none_in_words(cls, value: object) -> object:
        """Take the word for it: a command line has no other way to say None."""
        return None if value == "none" else value

    @model_validator(mode="after")
    def _fits_together(self) -> TagConfig:
        if self.vectors is not None and self.word_size is not None:
            raise ValueError("vectors have a width of their own; leave word_size out")
        if self.character_encoder == "lstm" and self.character_size % 2:
            raise ValueError(
                "character_encoder='lstm' has two directions and needs an even character_size, got "
                f"{self.character_size}"
            )
        return self
