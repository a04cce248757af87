"""What an autoencoder's vectors hold: how well sequences come back from them, and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from longspan.data.ragged import Ragged
from longspan.tasks.classify.autoencoder import Autoencoder
from longspan.tasks.classify.engine import read

#: Sequences of the picture, at most.
POINTS = 2000


@dataclass(frozen=True)
class Reconstruction:
    """How well sequences that the network did not see are written again from their vectors.

    Attributes:
        scores: Mean error of a step, ``scores["model"]["error"]``, and that of writing the
            training part's mean (for texts: its frequencies of tokens) at every step,
            ``scores["mean"]["error"]``. For numbers it is the mean square over the channels as the
            network reads them; for texts -ln p of the token.
        sequences: How many.
    """

    scores: dict[str, dict[str, float]]
    sequences: int

    @property
    def held(self) -> float:
        """Share of the mean's error that is gone: 1 if nothing is lost, 0 if all is."""
        own, usual = self.scores["model"]["error"], self.scores["mean"]["error"]
        return 1.0 - own / usual if usual else 0.0


@dataclass(frozen=True)
class Picture:
    """Vectors in two dimensions, by their principal components.

    Attributes:
        points: (N, 2).
        shares: Of the vectors' variance along each.
        labels: Of the sequences, where the data have some.
    """

    points: np.ndarray
    shares: tuple[float, float]
    labels: tuple[Any, ...] | None = None


def reconstruction(network: Autoencoder, learnt: Ragged, tested: Ragged) -> Reconstruction:
    """Return how well sequences are written again.

    Args:
        network: Trained.
        learnt: The training part.
        tested: Other sequences.
    """
    errors = read(network.errors, network, tested)
    steps = len(tested.values)
    scores = {"model": {"error": float(errors.sum()) / steps},
              "mean": {"error": _usual(network, learnt, tested)}}  # fmt: skip
    return Reconstruction(scores, len(tested))


def _usual(network: Autoencoder, learnt: Ragged, tested: Ragged) -> float:
    """Return the error of a step if all steps are taken for the training part's mean."""
    if learnt.values.ndim > 1:
        found = tested.values.double() - learnt.values.double().mean(0)
        return float(found.square().mean())
    size = network.output.out_features
    counts = np.bincount(learnt.values.numpy(), minlength=size) + 1.0  # an unseen token has p > 0
    return float(-np.log(counts / counts.sum())[tested.values.numpy()].mean())


def picture(encoder: nn.Module, sequences: Ragged, labels: np.ndarray | None, seed: int) -> Picture:
    """Return the picture of sequences' vectors, of some of them if there are many.

    Args:
        encoder: What reads sequences.
        sequences: The sequences.
        labels: Of each, or None.
        seed: Of the choice.
    """
    from sklearn.decomposition import PCA

    count = len(sequences)
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[:POINTS])
    if len(chosen) < count:
        arrays = [sequences[k].numpy() for k in chosen.tolist()]
        sequences = Ragged.of_arrays(arrays, arrays[0].dtype.type)
    vectors = read(encoder, encoder, sequences)
    points, shares = np.zeros((len(vectors), 2)), np.zeros(2)
    size = min(2, *vectors.shape)
    if np.ptp(vectors, axis=0).any():
        found = PCA(size, svd_solver="full").fit(vectors)
        points[:, :size] = found.transform(vectors)
        shares[:size] = found.explained_variance_ratio_
    own = None if labels is None else tuple(labels[chosen].tolist())
    return Picture(points, (float(shares[0]), float(shares[1])), own)
