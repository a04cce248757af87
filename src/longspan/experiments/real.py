"""Digits and chorales from their files, as sequences."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from longspan.data.files import read_file
from longspan.errors import InputError
from longspan.experiments.problem import Kind, Sequences, at_end, one_hot

#: Keys of a piano; MIDI numbers them from `LOWEST`.
KEYS, LOWEST = 88, 21
#: Training images that are held out to choose the epoch, the last ones.
HELD_OUT = 5000
CHORALES = "jsb-chorales-quarter.json"


class Parts(NamedTuple):
    """A data set in three parts, and what its targets are."""

    train: Sequences
    validation: Sequences
    test: Sequences
    kind: Kind


def find(directory: Path, name: str) -> Path:
    """Return the file of that name in a directory, or up to two levels below it.

    Raises:
        InputError: If it is not there.
    """
    for pattern in (name, f"*/{name}", f"*/*/{name}"):
        found = sorted(directory.glob(pattern))
        if found:
            return found[0]
    raise InputError(
        f"There is no file {name} in {directory}, nor up to two levels below. Say where it is with "
        "--data DIRECTORY."
    )


def digits(directory: Path, order: str) -> Parts:
    """Return MNIST, its images cut into steps.

    Args:
        directory: Where the four files of MNIST are, compressed (``….gz``).
        order: ``"rows"``: 28 steps of 28 pixels; ``"pixels"``: 784 of one; ``"permuted"``: these in
            one random order, drawn once for all.

    Raises:
        InputError: If a file is not there or cannot be read.
    """
    parts = {}
    for part, name in (("train", "train"), ("test", "t10k")):
        images = _idx(find(directory, f"{name}-images-idx3-ubyte.gz"), 3)
        labels = _idx(find(directory, f"{name}-labels-idx1-ubyte.gz"), 1)
        if len(images) != len(labels):
            raise InputError(
                f"There are {len(images)} images in {directory} and {len(labels)} labels of "
                f"{name}. Fetch the files anew."
            )
        parts[part] = _images(images, labels, order)
    whole = parts["train"]
    cut = max(len(whole) - HELD_OUT, len(whole) // 2)
    train, validation = (whole.take(k) for k in np.split(np.arange(len(whole)), [cut]))
    return Parts(train, validation, parts["test"], "classes")


def _images(images: np.ndarray, labels: np.ndarray, order: str) -> Sequences:
    values = images.astype(np.float32) / 255.0
    if order != "rows":
        values = values.reshape(len(values), -1, 1)
    if order == "permuted":
        values = values[:, np.random.default_rng(0).permutation(values.shape[1])]
    lengths = np.full(len(values), values.shape[1])
    return Sequences(values, lengths, at_end(lengths, values.shape[1]), one_hot(labels, 10))


def _idx(path: Path, axes: int) -> np.ndarray:
    """Return the array of bytes in a file of the IDX format."""
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"The file {path} cannot be read: {error}. Fetch it anew.") from None
    sizes = np.frombuffer(data[4 : 4 + 4 * axes], ">u4").astype(int)
    values = np.frombuffer(data, np.uint8, offset=min(4 + 4 * axes, len(data)))
    if data[:3] != b"\0\0\x08" or data[3:4] != bytes([axes]) or values.size != np.prod(sizes):
        raise InputError(
            f"The file {path} is not {axes}-dimensional bytes in the IDX format. Fetch it anew."
        )
    return values.reshape(sizes)


def chorales(directory: Path) -> Parts:
    """Return the JSB Chorales: at every quarter note, which of 88 keys sound at the next one.

    Raises:
        InputError: If the file is not there or cannot be read.
    """
    path = find(directory, CHORALES)
    try:
        found = json.loads(read_file(path))
        train, validation, test = (_rolls(found[name]) for name in ("train", "valid", "test"))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"The file {path} does not hold chorales, lists of chords of MIDI numbers under train, "
            f"valid and test: {error!r}. Fetch it anew."
        ) from None
    return Parts(train, validation, test, "switches")


def _rolls(pieces: list[list[list[int]]]) -> Sequences:
    lengths = np.array([len(piece) - 1 for piece in pieces])
    keys = np.zeros((len(pieces), int(lengths.max(initial=0)) + 1, KEYS), np.float32)
    for number, piece in enumerate(pieces):
        for step, chord in enumerate(piece):
            keys[number, step, np.array(chord, int) - LOWEST] = 1.0
    inside = np.arange(keys.shape[1] - 1) < lengths[:, None]
    return Sequences(keys[:, :-1] * inside[..., None], lengths, inside, keys[:, 1:][inside])
