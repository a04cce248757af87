"""The translator's options: the one place where they live.

The constructor of `Translator`, the flags of ``longspan fit translate``, the YAML file and the
saved ``config.json`` all come from `TranslateConfig`. This module does not import torch, so that
``longspan fit translate --help`` answers at once.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1)]
Tokens = Literal["words", "characters", "subwords"]


class TranslateConfig(BaseModel):
    """Options of the translator, checked together; each field is documented where it stands."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    tokens: Tokens = "words"
    """What is read and written one after the other. ``words`` are what stands between spaces;
    ``subwords`` are learnt from the training part by byte-pair encoding and need ``pip install
    longspan[text]``."""

    target_tokens: Tokens | None = None
    """The same for the target, where it differs: letters to sounds, say, are ``characters`` to
    ``words``."""

    shared: bool = False
    """Source and target have one vocabulary and one embedding."""

    lowercase: bool = False
    """Take capital letters for small ones."""

    min_count: Count | None = None
    """Tokens that the training part has less often are unknown ones; by default 2 for words, so
    that the network learns where unknown words stand, and 1 for characters."""

    vocab_size: Annotated[int, Field(ge=4)] | None = None
    """Different tokens of each side at most, the most frequent ones; by default all, and 8000
    subwords."""

    cell: Literal["lstm", "gru"] = "lstm"
    """The recurrent cell."""

    hidden_size: Count = 256
    """Hidden units of each layer; a bidirectional encoder has half of them in each direction."""

    embedding_size: Count = 256
    """Numbers that stand for a token, and width of what the softmax reads."""

    encoder_layers: Count = 1
    """Layers of the encoder, one above the other."""

    decoder_layers: Count = 1
    """Layers of the decoder."""

    bidirectional: bool = True
    """The encoder reads in both directions."""

    attention: Literal["additive", "dot", "general", "concat", "none"] = "general"
    """How the decoder's state is compared with the steps of the source: ``additive`` is the score
    of Bahdanau et al. (2015), ``dot``, ``general`` and ``concat`` are those of Luong et al. (2015);
    with ``none`` the decoder gets nothing but the encoder's last state (Sutskever et al. 2014)."""

    attention_size: Count | None = None
    """Width of additive scores; by default `hidden_size`."""

    input_feeding: bool = False
    """The decoder also reads what the softmax read at the step before (Luong et al. 2015). Steps
    then go one by one in training, which takes longer."""

    tied: bool = True
    """Use the target's embedding matrix in the softmax too (Press & Wolf 2017)."""

    dropout: Share = 0.3
    """Dropout of embeddings, between layers and before the softmax."""

    label_smoothing: Share = 0.1
    """Share of each target that is spread over the whole vocabulary in training (Szegedy et al.
    2016)."""

    scheduled_sampling: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Share of steps, at the end of training, at which the decoder reads a token drawn from its
    own distribution in place of the right one; it rises from 0 in equal steps (Bengio et al. 2015).
    Steps then go one by one in training, which takes longer."""

    copy_unknown: bool = True
    """In place of an unknown token write the token of the source that the decoder looked at most
    (Luong et al. 2015b); without attention it stays as it is."""

    context_turns: Annotated[int, Field(ge=0)] = 0
    """In a dialogue, how many turns before the one that is answered are part of the source."""

    batch_size: Count = 64
    """Pairs in an optimiser step, over all processes together; those of like length go together."""

    max_epochs: Count = 15
    """Upper limit of passes over the training part."""

    max_steps: Count | None = None
    """Upper limit of optimiser steps, whatever the number of epochs."""

    learning_rate: Annotated[float, Field(gt=0.0)] = 2e-3
    """Peak learning rate of AdamW."""

    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-4
    """Weight decay of AdamW."""

    schedule: Literal["constant", "cosine", "one_cycle", "plateau"] = "cosine"
    """Course of the learning rate over the training."""

    max_grad_norm: Annotated[float, Field(gt=0.0)] | None = 1.0
    """Gradients are clipped to this global norm; None clips nothing."""

    patience: Count | None = 5
    """Epochs without a better validation loss before training stops; None never stops early."""

    validation_share: Share = 0.05
    """Share of the pairs, drawn at random, that is kept for early stopping if no validation pairs
    are given; 0 keeps none. Turns of one dialogue stay together, and pairs with the same source are
    never kept and learnt from."""

    beam_size: Count = 5
    """Translations that are followed at once; 1 always takes the likeliest token."""

    length_penalty: Annotated[float, Field(ge=0.0, le=5.0)] = 0.6
    """α: log-probabilities are divided by ((5 + length) / 6)^α, so that short translations have no
    advantage (Wu et al. 2016); 0 leaves them as they are."""

    max_length: Count | None = None
    """Tokens of a translation at most; by default as many as the longest target of the training
    part has, or twice those of the source if these are more."""

    bleu_tokens: Literal["13a", "none", "intl", "char", "zh"] = "13a"
    """How sacrebleu cuts texts into words for BLEU; ``none`` takes what stands between spaces."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Every random draw comes from this number."""

    @field_validator(
        "target_tokens", "min_count", "vocab_size", "attention_size", "max_steps", "max_grad_norm",
        "patience", "max_length",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _none_in_words(cls, value: object) -> object:
        """Take the word for it: a command line has no other way to say None."""
        return None if value == "none" else value

    @model_validator(mode="after")
    def _fits_together(self) -> TranslateConfig:
        if self.shared and self.kinds[0] != self.kinds[1]:
            raise ValueError(
                f"shared needs tokens of one kind, got {self.kinds[0]} and {self.kinds[1]}; leave "
                "target_tokens out, or use shared=False"
            )
        if self.bidirectional and self.hidden_size % 2:
            raise ValueError(
                f"a bidirectional encoder needs an even hidden_size, got {self.hidden_size}"
            )
        if self.attention_size is not None and self.attention != "additive":
            raise ValueError("attention_size is for attention='additive'; leave it out")
        return self

    @property
    def kinds(self) -> tuple[str, str]:
        """Kinds of tokens of source and target."""
        return self.tokens, self.target_tokens or self.tokens

    def least_count(self, kind: str) -> int:
        """Return how often a token must be in the training part not to be an unknown one."""
        return self.min_count or {"words": 2}.get(kind, 1)
