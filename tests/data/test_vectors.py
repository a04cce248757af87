"""Files of word vectors."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from gensim.models import KeyedVectors

from longspan.data.vectors import WordVectors, align, read_vectors
from longspan.errors import InputError

WORDS = ("the", "Straße", "naïve", "3")
VALUES = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


def glove(path, words=WORDS, values=VALUES):
    rows = zip(words, values.tolist(), strict=True)
    lines = (" ".join([word, *map(repr, row)]) for word, row in rows)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def word2vec(path, binary):
    made = KeyedVectors(5)
    made.add_vectors(list(WORDS), VALUES)
    made.save_word2vec_format(str(path), binary=binary)
    return path


def packed(path):
    path.write_bytes(gzip.compress(word2vec(path.with_suffix(".vec"), False).read_bytes()))
    return path


def fasttext(path):
    """Write lines that end in a space, as fastText does."""
    lines = word2vec(path, False).read_text("utf-8").splitlines()
    path.write_text("\n".join([lines[0], *(f"{line} " for line in lines[1:])]) + "\n", "utf-8")
    return path


FORMATS = {
    "glove.txt": glove,
    "word2vec.vec": lambda path: word2vec(path, False),
    "word2vec.bin": lambda path: word2vec(path, True),
    "packed.gz": packed,
    "fasttext.vec": fasttext,
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name, tmp_path):
    found = read_vectors(FORMATS[name](tmp_path / name))
    assert found.words == WORDS
    assert np.array_equal(found.values, VALUES)
    assert found.values.dtype == np.float32


BAD = {
    "number": "the 0.5 wrong\n",
    "fewer": "the 0.5 0.5\na 0.5\n",
    "empty": "",
    "nan": "the nan 0.5\n",
    "one line too few": "3 2\nthe 0.5 0.5\n",
}


@pytest.mark.parametrize("kind", BAD)
def test_files_that_hold_something_else(kind, tmp_path):
    path = tmp_path / "bad.txt"
    path.write_text(BAD[kind])
    with pytest.raises(InputError, match=r"bad\.txt"):
        read_vectors(path)
    other = tmp_path / "bad.bin"
    other.write_bytes(b"\0\1\2 no vectors")
    with pytest.raises(InputError, match=r"bad\.bin cannot be read as word vectors"):
        read_vectors(other)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_vectors(tmp_path / "none.txt")
    with pytest.raises(InputError, match=r"cannot be read"):
        read_vectors(tmp_path)


def test_vectors_in_the_order_of_a_vocabulary():
    values = np.arange(10, dtype=np.float32).reshape(5, 2) + 1
    file = WordVectors(("The", "the", "b", "c", "d"), values)
    more, rows, found = align(file, ["<unk>", "c", "the", "x"], str.lower, limit=1)
    assert more == ["b"]
    assert rows.tolist() == [[0, 0], [7, 8], [1, 2], [0, 0], [5, 6]]
    assert found.tolist() == [False, True, True, False, True]
    assert align(file, ["c"], str.lower, limit=0).more == []
    assert align(file, ["c"], str, limit=9).more == ["The", "the", "b", "d"]
