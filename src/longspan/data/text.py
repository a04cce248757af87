"""From text to numbered tokens and back: characters, words, or subwords.

A text is normalised first (see `normalise`). A vocabulary is learnt from the training part alone.
Tokens are numbered from the most frequent on, after those that are always there. A text begins as
after the end of a line, so `NEWLINE` stands before its first token.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from longspan.errors import InputError, MissingDependencyError

#: What stands for a token that the vocabulary lacks, and the end of a line.
UNKNOWN, NEWLINE = "<unk>", "\n"
#: Size of a vocabulary of subwords, where none is given.
SUBWORDS = 8000


def normalise(text: str, lowercase: bool = False) -> str:
    r"""Return the text in Unicode's form NFC, with ends of lines as ``\n``, maybe in small letters.

    >>> normalise("Cafe\u0301\r\n", lowercase=True)
    'café\n'
    """
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    return text.lower() if lowercase else text


class Codec(Protocol):
    """What turns text into tokens and back.

    Attributes:
        symbols: Each token as it is written, V.
        unknown: Number of the token for what is not in the vocabulary, or None where there is no
            such thing.
        newline: Number of the end of a line.
    """

    symbols: tuple[str, ...]
    unknown: int | None
    newline: int

    def encode(self, text: str) -> np.ndarray:
        """Return the tokens of a normalised text, int64 (N,)."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        r"""Return the text of tokens; at its end an unfinished character may be ``\ufffd``."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        ...


class Characters:
    """Each Unicode code point is a token.

    >>> codec = Characters.learn("to be", min_count=1, vocab_size=None)
    >>> codec.decode(codec.encode("bet!"))
    'bet<unk>'

    Args:
        symbols: The vocabulary: `UNKNOWN`, `NEWLINE`, and characters from the most frequent on.
    """

    unknown: ClassVar[int | None] = 0
    newline: ClassVar[int] = 1

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = tuple(symbols)
        _check_symbols(self.symbols)
        if any(len(symbol) != 1 for symbol in self.symbols[1:]):
            raise InputError("A vocabulary of characters must hold single characters.")
        self._table = np.zeros(0x110000, np.int32)  # by code point; others are unknown
        points = [ord(symbol) for symbol in self.symbols[1:]]
        self._table[points] = np.arange(1, len(self.symbols))

    @classmethod
    def learn(cls, text: str, min_count: int, vocab_size: int | None) -> Characters:
        """Return the codec of a training text."""
        points, counts = np.unique(_code_points(text), return_counts=True)
        found = zip(map(chr, points.tolist()), counts.tolist(), strict=True)
        return cls(_most_frequent(Counter(dict(found)), min_count, vocab_size))

    def encode(self, text: str) -> np.ndarray:
        """Return the tokens of a normalised text, int64 (N,)."""
        return self._table[_code_points(text)].astype(np.int64)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens."""
        return "".join(self.symbols[k] for k in tokens)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"symbols": list(self.symbols)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Characters:
        """Return the codec that `to_dict` described."""
        return cls(_texts(values["symbols"]))


class Words:
    r"""What stands between spaces is a token, and so is the end of each line.

    >>> codec = Words.learn("to be or\nnot to be", min_count=2, vocab_size=None)
    >>> codec.symbols
    ('<unk>', '\n', 'be', 'to')
    >>> codec.decode(codec.encode("To be\nto  be"))
    '<unk> be\nto be'

    Args:
        symbols: The vocabulary: `UNKNOWN`, `NEWLINE`, and words from the most frequent on.
    """

    unknown: ClassVar[int | None] = 0
    newline: ClassVar[int] = 1

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = tuple(symbols)
        _check_symbols(self.symbols)
        self._numbers = {symbol: k for k, symbol in enumerate(self.symbols)}

    @classmethod
    def learn(cls, text: str, min_count: int, vocab_size: int | None) -> Words:
        """Return the codec of a training text."""
        return cls(_most_frequent(Counter(text.split()), min_count, vocab_size))

    def encode(self, text: str) -> np.ndarray:
        """Return the tokens of a normalised text, int64 (N,)."""
        found: list[int] = []
        for k, line in enumerate(text.split("\n")):
            if k:
                found.append(self.newline)
            found += [self._numbers.get(word, 0) for word in line.split()]
        return np.array(found, np.int64)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, words apart by one space."""
        words = [self.symbols[k] for k in tokens]
        return " ".join(words).replace(" \n", "\n").replace("\n ", "\n")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"symbols": list(self.symbols)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Words:
        """Return the codec that `to_dict` described."""
        return cls(_texts(values["symbols"]))


class Subwords:
    """Pieces of words by byte-pair encoding on bytes (Sennrich et al. 2016), so none is unknown.

    Args:
        model: The tokenizer of the package ``tokenizers``, as JSON text.
        order: Its numbers in the order of ours.

    Raises:
        MissingDependencyError: If the package ``tokenizers`` is not installed.
    """

    unknown: ClassVar[int | None] = None

    def __init__(self, model: str, order: Sequence[int]) -> None:
        self._tokenizer = _tokenizers().Tokenizer.from_str(model)
        size = self._tokenizer.get_vocab_size()
        if sorted(order) != list(range(size)):
            raise InputError(f"The order of subwords must name each of {size} once.")
        self._order = np.array(order, np.int64)
        self._place = np.argsort(self._order)
        self.symbols = tuple(self._tokenizer.decode([int(k)]) for k in self._order)
        self.newline = int(self.encode(NEWLINE)[0])

    @classmethod
    def learn(cls, text: str, min_count: int, vocab_size: int | None) -> Subwords:
        """Return the codec of a training text."""
        package = _tokenizers()
        tokenizer = package.Tokenizer(package.models.BPE())
        tokenizer.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = package.decoders.ByteLevel()
        trainer = package.trainers.BpeTrainer(
            vocab_size=vocab_size or SUBWORDS, min_frequency=max(min_count, 2),
            initial_alphabet=sorted(package.pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )  # fmt: skip
        tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
        size, model = tokenizer.get_vocab_size(), tokenizer.to_str()
        counts = np.bincount(cls(model, range(size)).encode(text), minlength=size)
        return cls(model, np.argsort(-counts, kind="stable").tolist())

    def encode(self, text: str) -> np.ndarray:
        """Return the tokens of a normalised text, int64 (N,)."""
        lines = text.splitlines(keepends=True)
        found = [each.ids for each in self._tokenizer.encode_batch_fast(lines)]
        return self._place[np.array([k for ids in found for k in ids], np.int64)]

    def decode(self, tokens: Sequence[int]) -> str:
        r"""Return the text of tokens; at its end an unfinished character is ``\ufffd``."""
        return self._tokenizer.decode(self._order[list(tokens)].tolist())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"tokenizer": self._tokenizer.to_str(), "order": self._order.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Subwords:
        """Return the codec that `to_dict` described."""
        model, order = values["tokenizer"], values["order"]
        if not isinstance(model, str) or not all(isinstance(k, int) for k in order):
            raise TypeError("a tokenizer is text, and its order whole numbers")
        return cls(model, order)


CODECS: dict[str, Any] = {"characters": Characters, "words": Words, "subwords": Subwords}


def pieces(codec: Codec, before: Sequence[int], tokens: Iterable[int]) -> Iterator[str]:
    r"""Yield the text that each token adds, as soon as it is whole.

    >>> codec = Words.learn("a b\na", min_count=1, vocab_size=None)
    >>> list(pieces(codec, codec.encode("a"), codec.encode("b\na b")))
    [' b', '\n', 'a', ' b']

    Args:
        codec: Of the tokens.
        before: Tokens that the text begins with; the last few are enough.
        tokens: What follows them.
    """
    held = list(before)[-1:]
    written = codec.decode(held)
    for token in tokens:
        held.append(int(token))
        text = codec.decode(held)
        if text.endswith("\ufffd"):  # a character of which bytes are still to come
            continue
        yield text[len(written) :]
        held = held[-1:]
        written = codec.decode(held)


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _most_frequent(counts: Counter[str], min_count: int, vocab_size: int | None) -> list[str]:
    for always in (UNKNOWN, NEWLINE):
        counts.pop(always, None)
    often = [(-count, symbol) for symbol, count in counts.items() if count >= min_count]
    often.sort()  # equals by themselves, so that the order of the text does not matter
    room = None if vocab_size is None else vocab_size - 2
    return [UNKNOWN, NEWLINE, *[symbol for _, symbol in often[:room]]]


def _check_symbols(symbols: tuple[str, ...]) -> None:
    if symbols[:2] != (UNKNOWN, NEWLINE) or len(set(symbols)) != len(symbols):
        raise InputError(
            f"A vocabulary must begin with {UNKNOWN!r} and {NEWLINE!r} and have no token twice."
        )


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("a vocabulary is a list of texts")
    return values


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise MissingDependencyError(
            "Subwords need the package tokenizers: pip install 'longspan[text]'"
        ) from error
    return tokenizers
