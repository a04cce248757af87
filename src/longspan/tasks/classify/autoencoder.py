"""An autoencoder of sequences: a vector from which a second network writes the sequence again.

The second network sees the vector at each step and nothing else, and writes the sequence from its
end (Srivastava et al. 2015), so that what stands in the vector must suffice. Shapes: T steps, B
rows, F features, C channels, V tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from longspan.tasks.classify.config import FeaturesConfig
from longspan.tasks.classify.engine import encoder_of
from longspan.tasks.classify.network import CELLS, Batch, InputShape
from longspan.training import Loss


class Autoencoder(nn.Module):
    """An encoder, and a decoder that is needed in training alone.

    Args:
        config: The options.
        shape: What is read and written.
    """

    def __init__(self, config: FeaturesConfig, shape: InputShape) -> None:
        super().__init__()
        self.encoder = encoder_of(config, shape)
        self.decoder = CELLS[config.cell](self.encoder.output_size, config.units)
        self.output = nn.Linear(config.units, shape.size)

    def forward(self, batch: Batch) -> Tensor:
        """Return the loss of each step, (T, B), 0 at padding.

        It is the mean square over the channels, or -ln p of the token.
        """
        steps = len(batch.inputs)
        vector = self.encoder(batch)
        h, _ = self.decoder(vector.expand(steps, -1, -1), lengths=batch.lengths)
        found, target = self.output(h), from_the_end(batch.inputs, batch.lengths)
        if target.ndim == 2:
            own = F.cross_entropy(found.movedim(-1, 1), target, reduction="none")
        else:
            own = (found - target).square().mean(-1)
        inside = torch.arange(steps, device=own.device)[:, None] < batch.lengths
        return torch.where(inside, own, 0.0)

    def errors(self, batch: Batch) -> Tensor:
        """Return the loss of each sequence, summed over its steps, (B,)."""
        return self(batch).sum(0)


def from_the_end(inputs: Tensor, lengths: Tensor) -> Tensor:
    """Return each row's valid steps in the opposite order, (T, B, …); padding stays where it is.

    >>> from_the_end(torch.tensor([[1, 4], [2, 5], [3, 0]]), torch.tensor([3, 2])).tolist()
    [[3, 5], [2, 4], [1, 0]]
    """
    steps = torch.arange(len(inputs), device=inputs.device)[:, None]
    places = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return inputs[places, torch.arange(inputs.shape[1], device=inputs.device)]


def reconstruction_loss(network: nn.Module, batch: Batch, _: Any) -> Loss:
    """Return the sum of the losses of all steps."""
    return Loss(network(batch).sum(), batch.lengths.sum())
