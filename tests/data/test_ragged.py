"""Sequences of different lengths in one tensor."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longspan.data.ragged import Ragged
from longspan.errors import InputError


def test_sequences_side_by_side():
    arrays = [np.arange(2 * n, dtype=np.float64).reshape(n, 2) for n in (3, 0, 1)]
    held = Ragged.of_arrays(arrays)
    assert len(held) == 3
    assert held.values.dtype == torch.float32
    assert held.lengths.tolist() == [3, 0, 1]
    padded = held.padded(torch.tensor([2, 1, 0, 2]))
    assert padded.shape == (3, 4, 2)
    for column, number in enumerate([2, 1, 0, 2]):
        own = arrays[number]
        np.testing.assert_array_equal(padded[: len(own), column], own)
        assert not padded[len(own) :, column].any()
    np.testing.assert_array_equal(held[0], arrays[0])


def test_edges():
    empty = Ragged.of([[], []])
    assert empty.padded(torch.tensor([0, 1])).shape == (0, 2)
    assert Ragged.of([]).padded(torch.tensor([], dtype=torch.int64)).shape == (0, 0)
    assert Ragged.of([[7]]).padded(torch.tensor([0])).tolist() == [[7]]
    with pytest.raises(InputError, match="at least one sequence"):
        Ragged.of_arrays([])
    with pytest.raises(InputError, match="same channels"):
        Ragged.of_arrays([np.zeros((2, 1)), np.zeros((2, 3))])
