"""Output layers over many classes: full, sampled and adaptive softmax.

All offer `loss` (for training), `nll` (exact, each row's) and `log_probs` (all classes).
Shapes: N rows, P features, V classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longspan.errors import InputError
from longspan.nn.cross_entropy import linear_cross_entropy, linear_nll, sampled_cross_entropy


class Softmax(nn.Module):
    """log softmax(W x + b), whose W may be an embedding's (Press & Wolf 2017).

    >>> import torch
    >>> output = Softmax(3, 5)
    >>> output.log_probs(torch.zeros(2, 3)).shape
    torch.Size([2, 5])

    Args:
        num_features: P.
        num_classes: V.
        tied: An embedding of V entries of size P whose matrix serves as W; it stays a parameter
            of the embedding alone.
        samples: Classes drawn in place of all others when training, see
            `longspan.nn.cross_entropy.sampled_cross_entropy`; None computes all.

    Raises:
        InputError: If the embedding has another shape, or no class is to be drawn.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        *,
        tied: nn.Embedding | None = None,
        samples: int | None = None,
    ) -> None:
        super().__init__()
        if tied is not None and tied.weight.shape != (num_classes, num_features):
            raise InputError(
                f"A tied embedding must have shape (classes, features) = ({num_classes}, "
                f"{num_features}), got {tuple(tied.weight.shape)}. Give the last layer the size of "
                "the embedding, or do not tie them."
            )
        if samples is not None and samples < 1:
            raise InputError(f"`samples` must be at least 1, or None for all, got {samples}.")
        self.samples = samples
        self._tied = (tied,)  # in a tuple, so that it does not become a part of this module
        if tied is None:
            self.own_weight = nn.Parameter(torch.empty(num_classes, num_features))
            nn.init.uniform_(self.own_weight, -0.1, 0.1)
        self.bias = nn.Parameter(torch.zeros(num_classes))

    @property
    def weight(self) -> Tensor:
        """W, (V, P)."""
        return self.own_weight if self._tied[0] is None else self._tied[0].weight

    def loss(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return the loss summed over rows; in training from samples, where that is asked for.

        Args:
            features: (N, P).
            targets: int64 (N,).
        """
        if self.training and self.samples is not None:
            return sampled_cross_entropy(features, self.weight, self.bias, targets, self.samples)
        return linear_cross_entropy(features, self.weight, self.bias, targets)

    def nll(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return each row's exact loss, (N,), without gradients."""
        return linear_nll(features, self.weight, self.bias, targets)

    def log_probs(self, features: Tensor) -> Tensor:
        """Return log-probabilities of all classes, (N, V)."""
        return F.log_softmax(F.linear(features, self.weight, self.bias), 1)


class AdaptiveSoftmax(nn.Module):
    """Frequent classes first, rare ones in clusters of smaller width (Grave et al. 2017).

    A wrapper of ``torch.nn.AdaptiveLogSoftmaxWithLoss`` in which every parameter takes part in
    every loss, as training in several processes needs.

    Args:
        num_features: P.
        num_classes: V; classes are numbered from the most frequent on.
        cutoffs: Where the clusters begin; by default a tenth and a third of V.

    Raises:
        InputError: If the cutoffs do not rise between 1 and V - 1, or P is too small for so many.
    """

    def __init__(
        self, num_features: int, num_classes: int, cutoffs: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        chosen = [num_classes // 10, num_classes // 3] if cutoffs is None else list(cutoffs)
        edges = [0, *chosen, num_classes]
        if not chosen or any(b <= a for a, b in pairwise(edges)):
            raise InputError(
                f"The cutoffs of an adaptive softmax must rise between 1 and the number of "
                f"classes - 1 = {num_classes - 1}, got {chosen}. For so few classes use a full "
                "softmax."
            )
        if num_features < 4 ** len(chosen):
            raise InputError(
                f"An adaptive softmax with {len(chosen)} clusters quarters the features for each "
                f"and needs at least {4 ** len(chosen)}, got {num_features}. Use a full softmax."
            )
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(num_features, num_classes, chosen)

    def loss(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return the loss summed over rows; arguments as `Softmax.loss`."""
        return -self._picked(features, targets).sum() + self._nothing()

    def nll(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return each row's loss, (N,), without gradients."""
        with torch.no_grad():
            return -self._picked(features, targets)

    def log_probs(self, features: Tensor) -> Tensor:
        """Return log-probabilities of all classes, (N, V)."""
        return self.softmax.log_prob(features)

    def _picked(self, features: Tensor, targets: Tensor) -> Tensor:
        if not len(features):
            return features.new_zeros(0)
        return self.softmax(features, targets).output

    def _nothing(self) -> Tensor:
        """Return zero, with a gradient of zero for clusters that no target was in."""
        parameters = list(self.softmax.tail.parameters())
        return torch.stack([p.view(-1)[0] for p in parameters]).sum() * 0.0
