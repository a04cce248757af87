"""Batch normalisation of pre-activations inside recurrent layers.

It is built by a layer for one direction and handed to the scan as a `Normaliser`. Gain and
shift are the two rows of one parameter, ``norm_ih_l0`` say, of shape (2, width).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from longspan.cells.layer_norm import EPSILON


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalisation of a recurrent layer's pre-activations; padding takes no part.

    With `per_step` False, statistics are over time and batch (Laurent et al. 2016). With True,
    each time step has its own, up to the number of rows of `mean`; at evaluation, later steps use
    the last's (Cooijmans et al. 2017). A time step is a place in the sequence, in reverse too.

    Attributes:
        weight: Gain and shift, (2, width).
        mean: Running mean, (steps, width); updated in training.
        var: Running variance, (steps, width); updated in training.
        training: Whether to normalise by the batch and update the running statistics.
        per_step: Whether each time step has statistics of its own.
        momentum: Weight of a batch in the running statistics.
    """

    weight: Tensor
    mean: Tensor
    var: Tensor
    training: bool
    per_step: bool
    momentum: float = 0.1

    def __call__(self, values: Tensor, t: int | None, rows: Tensor | None) -> Tensor:
        """Normalise (B, width) of step t, or (T, B, width) of all steps when t is None."""
        if not self.per_step:
            mean, var = self._statistics(values, rows, (0, 1), slice(0, 1))
        elif t is None:
            steps = torch.arange(len(values), device=values.device)
            mean, var = self._statistics(values, rows, (1,), steps)
            mean, var = mean[:, None], var[:, None]
        else:
            mean, var = self._statistics(values, rows, (0,), torch.tensor([t]))
        return self.weight[0] * (values - mean) * torch.rsqrt(var + EPSILON) + self.weight[1]

    def _statistics(
        self, values: Tensor, rows: Tensor | None, axes: tuple[int, ...], steps: Tensor | slice
    ) -> tuple[Tensor, Tensor]:
        if not self.training:
            if isinstance(steps, Tensor):
                steps = steps.clamp(max=len(self.mean) - 1)
            return self.mean[steps], self.var[steps]
        weight = torch.ones_like(values[..., :1]) if rows is None else rows[..., None].to(values)
        total = weight.sum(axes)
        count = total.clamp(min=1.0)
        mean = (values * weight).sum(axes) / count
        centred = (values - _broadcast(mean, values, axes)) * weight
        var = centred.square().sum(axes) / count
        self._update(mean.detach(), var.detach(), total, steps)
        return mean, var

    def _update(self, mean: Tensor, var: Tensor, total: Tensor, steps: Tensor | slice) -> None:
        """Move the running statistics, except where no row is left to learn from."""
        width = self.mean.shape[-1]
        mean, var = mean.reshape(-1, width), var.reshape(-1, width)
        rate = self.momentum * (total > 0).reshape(-1, 1).to(mean)
        if isinstance(steps, slice):
            self.mean[steps] += rate * (mean - self.mean[steps])
            self.var[steps] += rate * (var - self.var[steps])
            return
        own = steps < len(self.mean)
        steps, mean, var, rate = steps[own], mean[own], var[own], rate[own]
        self.mean[steps] += rate * (mean - self.mean[steps])
        self.var[steps] += rate * (var - self.var[steps])


def _broadcast(mean: Tensor, values: Tensor, axes: tuple[int, ...]) -> Tensor:
    return mean[:, None] if axes == (1,) and values.dim() == 3 else mean
