"""From what a user has to what the network reads, by what the training part holds."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from longspan.data.ragged import Ragged
from longspan.data.series import as_series
from longspan.data.text import CODECS, Codec, Words, normalise
from longspan.data.vectors import Aligned, align, read_vectors
from longspan.errors import InputError
from longspan.tasks.classify.config import ClassifyConfig, EncoderConfig
from longspan.tasks.classify.network import InputShape

#: A word with its apostrophe, or a sign; line ends have a token of their own.
WORD = re.compile(r"\w+(?:'\w+)*|[^\w\s]|\n")


def words(text: str) -> str:
    r"""Return a text with spaces around all words and signs.

    >>> words("Don't stop, now!\n")
    "Don't stop , now ! \n"
    >>> words("नमस्ते दुनिया।")
    'नमस्ते दुनिया ।'
    """
    marked = not text.isascii() and any(map(_is_mark, set(text)))
    return " ".join((_word_with_marks() if marked else WORD).findall(text))


def _is_mark(sign: str) -> bool:
    r"""Return whether a sign combines with that before it, as vowel signs do; none is a ``\w``."""
    return unicodedata.category(sign).startswith("M")


@cache
def _word_with_marks() -> re.Pattern[str]:
    """Return `WORD` whose letters keep their marks; the marks of other signs stay apart."""
    numbers = [k for k in range(sys.maxunicode + 1) if _is_mark(chr(k))]
    begins = [k for k, before in zip(numbers, [-1, *numbers], strict=False) if k - 1 != before]
    ends = [k for k, after in zip(numbers, [*numbers[1:], -1], strict=True) if k + 1 != after]
    marks = "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(begins, ends, strict=True))
    letter = rf"(?:[^\W\d_][{marks}]+|\w)"
    return re.compile(rf"{letter}+(?:'{letter}+)*|[^\w\s]|\n")


def kind_of(data: Any) -> str:
    """Return whether sequences are texts, images or series."""
    if isinstance(data, np.ndarray) and (data.ndim == 4 or (data.ndim == 3 and data.dtype == "u1")):
        return "image"
    if isinstance(data, np.ndarray) and data.dtype.kind in "UT":
        return "text"
    if isinstance(data, Sequence) or (isinstance(data, np.ndarray) and data.dtype.kind == "O"):
        first = next(iter(data), None)
        return "text" if isinstance(first, str) else "series"
    return "series"


@dataclass(frozen=True)
class Inputs:
    """What the training part taught about sequences: vocabulary, means, sizes.

    Attributes:
        config: The options.
        shape: What the network reads.
        codec: What turns a text into tokens, or None.
        mean: What is taken from each channel, float64 (C,), or None.
        scale: By what it is divided then.
        vectors: Those of the vocabulary that a file has, from `learn` alone: they are the network's
            once it is built.
    """

    config: EncoderConfig
    shape: InputShape
    codec: Codec | None = None
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None
    vectors: Aligned | None = None

    @classmethod
    def learn(cls, config: EncoderConfig, data: Any, kind: str) -> Inputs:
        """Return what a training part teaches.

        Args:
            config: The options.
            data: Texts; images (N, rows, columns) or (N, rows, columns, colours); or arrays.
            kind: Which of them.
        """
        if kind == "text":
            texts = [_prepared(each, config) for each in data]
            codec = CODECS[config.tokens].learn(
                "\n".join(texts), config.least_count, config.vocab_size
            )
            longest = max(len(_tokens(codec, text, config)) for text in texts)
            return cls(config, InputShape(kind, len(codec.symbols), longest), codec)._with_vectors()
        arrays = as_rows(data) if kind == "image" else data
        arrays = [each[: config.max_length] for each in arrays]
        steps = np.concatenate(arrays).astype(np.float64, copy=False)
        size, longest = steps.shape[1], max(map(len, arrays))
        if kind == "image":
            _, columns, colours = size_of(data)
            image = (longest, columns, colours)
            scale = np.full(size, max(np.abs(steps).max(), 1e-12))
            return cls(config, InputShape(kind, size, longest, image), None, 0 * scale, scale)
        mean, scale = np.zeros(size), np.ones(size)
        if config.normalise:
            mean, scale = steps.mean(0), steps.std(0)
            # A constant channel; what float64 rounds of one far from 0 is no signal either.
            scale[scale <= np.maximum(1e-9, 1e-13 * np.abs(mean))] = 1.0
        return cls(config, InputShape(kind, size, longest), None, mean, scale)

    def _with_vectors(self) -> Inputs:
        """Return the same with the words and vectors of the file that the options name."""
        config, codec = self.config, self.codec
        if not isinstance(config, ClassifyConfig) or config.vectors is None or codec is None:
            return self
        form = partial(normalise, lowercase=config.lowercase)
        found = align(read_vectors(config.vectors), codec.symbols, form, config.vectors_limit)
        symbols = [*codec.symbols, *found.more]
        shape = replace(self.shape, size=len(symbols), vectors=found.shape)
        return replace(self, shape=shape, codec=Words(symbols), vectors=found)

    def encode(self, data: Any) -> Ragged:
        """Return sequences, checked before (see `checked`), as the network reads them."""
        config = self.config
        if self.codec is not None:
            codec = self.codec
            texts = [_tokens(codec, _prepared(each, config), config) for each in data]
            return Ragged.of_arrays(texts, np.int64)
        assert self.mean is not None
        assert self.scale is not None
        arrays = as_rows(data) if self.shape.kind == "image" else data
        # Not in float32 before the mean is taken: far from 0 that has no digits for the signal.
        return Ragged.of_arrays(
            [(each[: config.max_length] - self.mean) / self.scale for each in arrays]
        )

    def unknown_share(self, found: Ragged) -> float:
        """Return the share of a text's tokens that the vocabulary does not have."""
        if self.codec is None or self.codec.unknown is None or not len(found.values):
            return 0.0
        return float((found.values == self.codec.unknown).float().mean())

    def check_fits(self, data: Any) -> None:
        """Refuse sequences of other channels or sizes than those of the training part.

        Raises:
            InputError: If they differ.
        """
        if self.shape.kind == "image":
            own, expected = size_of(data), self.shape.image
            if self.config.max_length is not None:
                own = (min(own[0], self.config.max_length), *own[1:])
            if own != expected:
                raise InputError(
                    f"Images must have the shape (rows, columns, colours) = {expected} of those in "
                    f"training, got {own}. Bring them to the same size."
                )
        elif self.shape.kind == "series" and data[0].shape[1] != self.shape.size:
            raise InputError(
                f"Sequences must have the {self.shape.size} channels of those in training, got "
                f"{data[0].shape[1]}."
            )


def checked(data: Any, kind: str) -> Any:
    """Return sequences of a kind in one form: a list of texts or of arrays (T, C), or an array.

    Raises:
        InputError: If they are something else; the message names the sequence.
    """
    if kind == "series":
        return as_series(data)
    if kind == "image":
        return _images(data)
    texts = list(data) if not isinstance(data, str) else [data]
    if not texts:
        raise InputError("There must be at least one text, got none.")
    for k, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(
                f"Text {k} (counted from 0) is a {type(text).__name__}; each must be a string."
            )
    return texts


def _images(data: Any) -> np.ndarray:
    found = np.asarray(data)
    if found.ndim not in (3, 4) or 0 in found.shape or found.dtype.kind not in "biuf":
        raise InputError(
            "Images must be an array (N, rows, columns) or (N, rows, columns, colours) of numbers, "
            f"got shape {found.shape} and dtype {found.dtype}."
        )
    if not np.isfinite(found).all():
        where = np.argwhere(~np.isfinite(found))[0]
        raise InputError(
            f"Image {where[0]} contains NaN or infinity in row {where[1]} (counted from 0)."
        )
    return found


def size_of(images: np.ndarray) -> tuple[int, int, int]:
    """Return the rows, columns and colours of images."""
    return images.shape[1], images.shape[2], images.shape[3] if images.ndim == 4 else 1


def as_rows(images: np.ndarray) -> np.ndarray:
    """Return images as sequences of rows, (N, rows, columns · colours), float32."""
    return images.reshape(len(images), images.shape[1], -1).astype(np.float32)


def _prepared(text: str, config: EncoderConfig) -> str:
    text = normalise(text, config.lowercase)
    return words(text) if config.tokens == "words" else text


def _tokens(codec: Codec, text: str, config: EncoderConfig) -> np.ndarray:
    """Return the tokens of a text behind the sign for its beginning, so that none is empty."""
    return np.concatenate([[codec.newline], codec.encode(text)])[: config.max_length]
