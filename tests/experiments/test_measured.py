"""Digits and chorales: from files made here, and from the real ones where they are."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from longspan.errors import InputError
from longspan.experiments import measured
from longspan.experiments.measured import MEASURED, run_measured
from longspan.experiments.network import VARIANTS
from longspan.experiments.real import CHORALES, LOWEST, chorales, digits

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("LONGSPAN_DATA", ROOT / "../shared/data"))


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


@pytest.fixture
def images(tmp_path):
    """40 and 12 images of 4 × 4 pixels: the brightest row says which class it is."""
    rng = np.random.default_rng(0)
    for name, count in (("train", 40), ("t10k", 12)):
        labels = np.arange(count) % 4
        pixels = rng.integers(0, 100, (count, 4, 4))
        pixels[np.arange(count), labels] = 255
        write_idx(tmp_path / f"{name}-images-idx3-ubyte.gz", pixels)
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte.gz", labels)
    return tmp_path


@pytest.fixture
def pieces(tmp_path):
    """A scale up and down, chord by chord; one piece has a rest."""
    scale = [[60, 67], [62, 69], [64, 71], [62, 69]] * 4
    found = {"train": [scale, scale[1:], [*scale[:3], [], *scale]], "valid": [scale],
             "test": [scale[2:]]}  # fmt: skip
    (tmp_path / CHORALES).write_text(json.dumps(found))
    return tmp_path


@pytest.fixture
def small(monkeypatch):
    made = {
        name: replace(each, max_epochs=30, settings=replace(
            each.settings, hidden_size=16, batch_size=4, learning_rate=0.02, schedule="constant"))
        for name, each in MEASURED.items()
    }  # fmt: skip
    monkeypatch.setattr(measured, "MEASURED", made)


def test_digits(images):
    rows, pixels, permuted = (digits(images, order) for order in ("rows", "pixels", "permuted"))
    assert rows.train.inputs.shape == (20, 4, 4)  # half of so few are held out
    assert pixels.test.inputs.shape == permuted.test.inputs.shape == (12, 16, 1)
    np.testing.assert_array_equal(rows.test.inputs.reshape(12, 16, 1), pixels.test.inputs)
    order = [int(np.flatnonzero(pixels.test.inputs[0] == p)[0]) for p in permuted.test.inputs[0]
             if (pixels.test.inputs[0] == p).sum() == 1]  # fmt: skip
    assert order != sorted(order)
    for k in range(12):
        np.testing.assert_array_equal(
            np.sort(permuted.test.inputs[k], 0), np.sort(pixels.test.inputs[k], 0)
        )
    np.testing.assert_array_equal(rows.test.targets.argmax(1), np.arange(12) % 4)
    np.testing.assert_array_equal(rows.validation.targets.argmax(1), np.arange(20, 40) % 4)
    assert rows.train.inputs.max() == 1.0


def test_chorales(pieces):
    found = chorales(pieces)
    assert found.train.lengths.tolist() == [15, 14, 19]
    assert found.train.inputs.shape == (3, 19, 88)
    keys = np.flatnonzero(found.test.inputs[0, 0]) + LOWEST
    assert keys.tolist() == [64, 71]
    following = found.test.targets
    np.testing.assert_array_equal(following[:-1], found.test.inputs[0, 1:])
    assert not found.train.inputs[2, 3].any()
    assert not found.train.inputs[1, 14:].any()


def test_digits_are_learnt(images, small):
    seen = []
    first, again = (
        run_measured("digits-rows", "lstm", 0, images, watch=seen.append) for _ in range(2)
    )
    assert first.success is None
    assert first.score >= 75.0
    assert first.wrong == round(12 * (1 - first.score / 100))
    assert replace(first, seconds=0) == replace(again, seconds=0)
    assert first.sequences == 20 * first.settings["epochs"] <= first.limit
    assert seen[0].sequences == 20


def test_chorales_are_learnt(pieces, small):
    long = run_measured("chorales", "vanilla", 0, pieces, max_epochs=150)
    short = run_measured("chorales", "vanilla", 0, pieces, max_epochs=1)
    assert long.wrong is None
    assert long.score < 2.0 < short.score < 88 * np.log(2) * 1.2
    assert short.settings["epochs"] == 1


def test_the_likelihood_is_that_of_a_quarter_note(pieces):
    """Summed over the keys, a mean over notes: by hand, for a network that knows nothing."""
    import torch

    from longspan.experiments.experiment import Settings
    from longspan.experiments.network import Network

    part = chorales(pieces).test
    network = Network(measured._Sizes(88, 88, "switches"), "lstm", Settings(hidden_size=4))
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.bias.fill_(-1.0)
    p = 1.0 / (1.0 + np.e)
    wanted = -(2 * np.log(p) + 86 * np.log(1 - p))
    assert measured.scores(network, part)[0] == pytest.approx(wanted, rel=1e-5)


def test_mistakes(tmp_path, images):
    with pytest.raises(InputError, match=r"no file jsb-chorales-quarter.json in .*--data"):
        chorales(tmp_path)
    for text in ("{", "[]", '{"train": []}', '{"train": [[["x"]]], "valid": [], "test": []}',
                 '{"train": [[[200]]], "valid": [], "test": []}'):  # fmt: skip
        (tmp_path / CHORALES).write_text(text)
        with pytest.raises(InputError, match=r"does not hold chorales.*Fetch it anew"):
            chorales(tmp_path)
    labels = images / "t10k-labels-idx1-ubyte.gz"
    write_idx(labels, np.arange(5))
    with pytest.raises(InputError, match=r"12 images in .* and 5 labels of t10k"):
        digits(images, "rows")
    for data in (b"", gzip.compress(b""), gzip.compress(b"\0\0\x08\x01"),
                 gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9, 1])), b"\x1f\x8b\x08"):  # fmt: skip
        labels.write_bytes(data)
        with pytest.raises(InputError, match="Fetch it anew"):
            digits(images, "rows")


def test_files_are_found_below(images, tmp_path):
    deep = tmp_path / "image" / "mnist"
    deep.mkdir(parents=True)
    for path in images.glob("*.gz"):
        path.rename(deep / path.name)
    assert len(digits(tmp_path, "rows").test) == 12


def test_greffs_eight_variants():
    assert set(VARIANTS) == {"vanilla", "nig", "nfg", "nog", "niaf", "noaf", "np", "cifg", "fgr"}


@pytest.mark.skipif(not (DATA / "music").is_dir(), reason="needs the chorales in LONGSPAN_DATA")
def test_real_chorales():
    parts = chorales(DATA)
    assert [len(part) for part in parts[:3]] == [229, 76, 77]
    assert parts.train.targets.sum(1).max() == 4
