"""Text to tokens and back."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longspan.data.text import CODECS, NEWLINE, UNKNOWN, Words, normalise, pieces
from longspan.errors import InputError, MissingDependencyError

TEXT = "the cat sat\non the mat\n\nthe dög sat too\n" * 3
LEARNT = {
    "characters": {"min_count": 1, "vocab_size": None},
    "words": {"min_count": 1, "vocab_size": None},
    "subwords": {"min_count": 1, "vocab_size": 270},
}
CODEC = {kind: CODECS[kind].learn(TEXT, **options) for kind, options in LEARNT.items()}


def test_the_rule_of_normalisation():
    assert normalise("A\u030a\r\nb\rc") == "Å\nb\nc"
    assert normalise("ÅB", lowercase=True) == "åb"


@pytest.mark.parametrize("kind", CODECS)
def test_what_is_encoded_comes_back(kind):
    codec = CODEC[kind]
    assert codec.decode(codec.encode(TEXT)) == TEXT
    assert codec.symbols[codec.newline] == NEWLINE
    assert codec.encode(NEWLINE).tolist() == [codec.newline]
    assert codec.encode("").shape == (0,)
    again = CODECS[kind].from_dict(codec.to_dict())
    assert np.array_equal(again.encode(TEXT), codec.encode(TEXT))
    assert again.symbols == codec.symbols


@pytest.mark.parametrize("kind", CODECS)
def test_numbers_follow_frequency(kind):
    codec = CODEC[kind]
    counts = np.bincount(codec.encode(TEXT), minlength=len(codec.symbols))
    first = 0 if kind == "subwords" else 2
    assert np.all(np.diff(counts[first:]) <= 0)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30).map(normalise))
def test_subwords_write_every_text(text):
    codec = CODEC["subwords"]
    assert codec.decode(codec.encode(text)) == text
    assert "".join(pieces(codec, [codec.newline], codec.encode(text))) == text


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30).map(normalise))
def test_characters_write_what_they_know(text):
    codec = CODEC["characters"]
    expected = "".join(c if c in TEXT else UNKNOWN for c in text)
    assert codec.decode(codec.encode(text)) == expected


def test_words_that_are_rare_or_beyond_the_limit_are_unknown():
    text = "a a a b b c\n"
    assert Words.learn(text, 2, None).symbols == (UNKNOWN, NEWLINE, "a", "b")
    assert Words.learn(text, 1, 3).symbols == (UNKNOWN, NEWLINE, "a")
    assert Words.learn("<unk> x <unk>", 1, None).symbols == (UNKNOWN, NEWLINE, "x")
    assert Words.learn(text, 2, None).encode("a c\n d").tolist() == [2, 0, 1, 0]


def test_pieces_wait_for_whole_characters():
    codec = CODEC["subwords"]
    tokens = codec.encode("日")
    assert len(tokens) == 3
    assert list(pieces(codec, [], tokens)) == ["日"]
    words = CODEC["words"]
    assert list(pieces(words, words.encode("the"), words.encode("cat\nsat"))) == [
        " cat", "\n", "sat",
    ]  # fmt: skip


def test_vocabularies_that_cannot_be():
    for kind in ("characters", "words"):
        for symbols in (["a", "b"], [UNKNOWN, NEWLINE, "a", "a"], []):
            with pytest.raises(InputError, match="must begin with"):
                CODECS[kind](symbols)
    with pytest.raises(InputError, match="single characters"):
        CODECS["characters"]([UNKNOWN, NEWLINE, "ab"])
    with pytest.raises(InputError, match="each of 270 once"):
        CODECS["subwords"](CODEC["subwords"].to_dict()["tokenizer"], [0] * 270)


def test_without_the_package_an_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingDependencyError, match=r"longspan\[text\]"):
        CODECS["subwords"].learn(TEXT, 1, None)
