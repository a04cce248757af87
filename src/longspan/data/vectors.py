"""Word vectors that others have learnt from much text: files of GloVe, word2vec and fastText."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from longspan.errors import InputError, MissingDependencyError

#: How the binary format of word2vec is told from the formats of text.
BINARY = ".bin"


@dataclass(frozen=True)
class WordVectors:
    """Vectors of words.

    Attributes:
        words: The words in the file's order, usually from the most frequent on, W.
        values: Their vectors, float32 (W, E).
    """

    words: tuple[str, ...]
    values: np.ndarray


class VectorShape(NamedTuple):
    """How a vocabulary with vectors from a file is made up.

    Attributes:
        learnt: Tokens, the first ones, that training may move; the others stand in the file alone.
        width: E.
    """

    learnt: int
    width: int


class Aligned(NamedTuple):
    """Vectors in the order of a vocabulary.

    Attributes:
        more: Words that come after the vocabulary's.
        values: float32 (V, E), with zeros where the file has no vector.
        found: Where it has one, (V,).
    """

    more: list[str]
    values: np.ndarray
    found: np.ndarray

    @property
    def shape(self) -> VectorShape:
        """How the vocabulary is made up, with the words that were added."""
        return VectorShape(len(self.values) - len(self.more), self.values.shape[1])


def read_vectors(path: str | Path) -> WordVectors:
    """Read vectors of words.

    The formats are those of GloVe (a word and its numbers in each line), of word2vec and fastText
    as text (the same after a line with both sizes; usually ``.vec`` or ``.txt``), each maybe with
    ``.gz``, and of word2vec as bytes (``.bin``). UTF-8, apart from bytes that make no character.

    Args:
        path: The file.

    Raises:
        InputError: If it cannot be read, or holds something else.
        MissingDependencyError: If it is one of bytes and the package ``gensim`` is not installed.
    """
    path = Path(path)
    try:
        found = _of_bytes(path) if path.suffix == BINARY else _of_text(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, EOFError, zlib.error, IndexError, MemoryError) as error:
        raise InputError(
            f"{path} cannot be read as word vectors: {error}. Expected are the formats of GloVe "
            "and word2vec: in each line a word and its numbers, apart by spaces; or bytes, in a "
            f"file whose name ends in {BINARY}."
        ) from None
    if not found.values.size or not np.isfinite(found.values).all():
        raise InputError(f"{path} must have vectors of finite numbers, and has none or others.")
    return found


def _of_text(path: Path) -> WordVectors:
    """Return vectors of text; the numbers that lack in a line are NaN."""
    import polars as pl

    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        first, second = file.readline(), file.readline()
    sizes = [int(part) for part in first.split() if part.isdigit()]
    header = len(sizes) == len(first.split()) == 2
    width = sizes[1] if header else len(first.split()) - 1
    ends = [] if (second or first).strip(b"\r\n")[-1:] != b" " else ["end"]  # as fastText has it
    columns = ["word", *map(str, range(width)), *ends]
    try:
        table = pl.read_csv(
            path, has_header=False, skip_rows=int(header), separator=" ", quote_char=None,
            schema={name: pl.Float32 if name.isdigit() else pl.String for name in columns},
            encoding="utf8-lossy",
        )  # fmt: skip
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error).splitlines()[0]) from None
    if header and len(table) != sizes[0]:
        raise ValueError(f"its first line says {sizes[0]} words, and it has {len(table)}")
    words = tuple(table["word"].fill_null(""))
    return WordVectors(words, table.drop("word", *ends).fill_null(np.nan).to_numpy())


def _of_bytes(path: Path) -> WordVectors:
    try:
        from gensim.models import KeyedVectors
    except ImportError:
        raise MissingDependencyError(
            f"Word vectors of bytes ({BINARY}) need the package gensim. Install it with: "
            "pip install longspan[vectors]"
        ) from None
    found = KeyedVectors.load_word2vec_format(str(path), binary=True, unicode_errors="replace")
    return WordVectors(tuple(found.index_to_key), np.asarray(found.vectors, np.float32))


def align(
    vectors: WordVectors, vocabulary: Sequence[str], form: Callable[[str], str], limit: int
) -> Aligned:
    """Return vectors in the order of a vocabulary, which grows by words of the file.

    >>> file = WordVectors(("the", "The", "cat"), np.eye(3, dtype=np.float32))
    >>> more, values, found = align(file, ["<unk>", "the"], str.lower, limit=10)
    >>> more, values.argmax(1).tolist(), found.tolist()
    (['cat'], [0, 0, 2], [False, True, True])

    Args:
        vectors: The file's.
        vocabulary: Tokens as the training part has them.
        form: How a word is looked up; of several words with the same form the first counts.
        limit: Words of the file at most that are taken beyond the vocabulary, its first ones.
    """
    place: dict[str, int] = {}
    for k, word in enumerate(vectors.words):
        place.setdefault(form(word), k)
    known = set(vocabulary)
    more = [word for word in place if word and word not in known][:limit]
    rows = np.array([place.get(word, -1) for word in [*vocabulary, *more]], np.int64)
    found = rows >= 0
    return Aligned(more, np.where(found[:, None], vectors.values[rows], np.float32(0)), found)
