"""Convolutions over steps of sequences of different lengths, with batch normalisation.

Beyond its end each sequence is followed by zeros, and only its own steps count in means and
variances: so neither padding nor the company in a batch's padding changes what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from longspan.nn.ragged import every_length


class SequenceNorm(nn.Module):
    """Batch normalisation over the valid steps of a batch (Ioffe & Szegedy 2015).

    y = γ (x - μ) / √(σ² + ε) + β by channel; in training μ and σ² are those of the batch, of all
    processes together, and otherwise running averages.

    Args:
        channels: F.
        momentum: Share of a new batch in the running averages.
        eps: ε.
    """

    mean: Tensor
    var: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """Return x, (B, F, T), normalised; `inside`, (B, 1, T), is 1 at valid steps, 0 beyond."""
        together = dist.is_initialized() and dist.get_world_size() > 1
        rows = x.shape[0] * x.shape[2]
        if self.training and (together or rows < 2 or not bool(inside.all())):
            mean, var = self._statistics(x, inside, together)
            scale = self.weight * torch.rsqrt(var + self.eps)
            return x * scale[:, None] + (self.bias - mean * scale)[:, None]
        return nn.functional.batch_norm(
            x, self.mean, self.var, self.weight, self.bias, self.training, self.momentum, self.eps
        )

    def _statistics(self, x: Tensor, inside: Tensor, together: bool) -> tuple[Tensor, Tensor]:
        count = inside.sum()
        total = (x * inside).sum((0, 2))
        if together:
            count, total = _sum(torch.cat([count[None], total])).split([1, len(total)])
        mean = total / count.clamp(min=1)
        squares = ((x - mean[:, None]).square() * inside).sum((0, 2))
        if together:
            squares = _sum(squares)
        if count < 2:  # a single step has no variance
            return self.mean, self.var
        var = squares / count
        with torch.no_grad():
            self.mean.lerp_(mean, self.momentum)
            self.var.lerp_(squares / (count - 1), self.momentum)
        return mean, var


def _sum(values: Tensor) -> Tensor:
    """Return the sum over all processes, with its gradient."""
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(values)


class SqueezeExcite(nn.Module):
    """A weight for each channel of a sequence, from the means of all (Hu et al. 2018).

    s = mean of x over the valid steps; y = x · σ(W2 relu(W1 s)), without biases.

    Args:
        channels: F.
        reduction: How many times fewer units stand between.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        between = max(channels // reduction, 1)
        self.squeeze = nn.Linear(channels, between, bias=False)
        self.excite = nn.Linear(between, channels, bias=False)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """Return x, (B, F, T), weighed; it and `inside`, (B, 1, T), are 0 beyond valid steps."""
        mean = x.sum(2) / inside.sum(2).clamp(min=1)
        weights = torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))
        return x * weights[..., None]


class SequenceConvolutions(nn.Module):
    """Convolutions over steps, each with batch normalisation and ReLU (Wang et al. 2017).

    Shapes: T steps, B rows, I inputs, F filters of the last convolution. Each keeps T.

    >>> net = SequenceConvolutions(3, [(8, 5), (4, 3)])
    >>> net(torch.zeros(7, 2, 3), torch.tensor([7, 4])).shape
    torch.Size([7, 2, 4])

    Args:
        input_size: I.
        layers: (filters, kernel size) of each.
        squeeze_excite: Whether each but the last weighs its filters by `SqueezeExcite`, as
            MLSTM-FCN does (Karim et al. 2019).
    """

    def __init__(
        self, input_size: int, layers: list[tuple[int, int]], squeeze_excite: bool = False
    ) -> None:
        super().__init__()
        sizes = [input_size, *[filters for filters, _ in layers]]
        self.reaches = [kernel - 1 for _, kernel in layers]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, filters, kernel)
            for before, (filters, kernel) in zip(sizes[:-1], layers, strict=True)
        )
        self.norms = nn.ModuleList(SequenceNorm(filters) for filters, _ in layers)
        self.weighing = nn.ModuleList(
            SqueezeExcite(filters) for filters, _ in (layers[:-1] if squeeze_excite else [])
        )
        self.output_size = sizes[-1]

    def forward(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """Return features of each step, (T, B, F), zeros at padding, from x, (T, B, I).

        Args:
            x: (T, B, I); what stands at padding does not matter.
            lengths: Valid steps of each row, (B,); all full by default.

        Raises:
            InputError: If there is not one length from 0 to T for each row.
        """
        known = every_length(lengths, x)
        valid = (torch.arange(len(x), device=x.device) < known[:, None])[:, None]
        x, inside = torch.where(valid, x.permute(1, 2, 0), 0.0), valid.to(x.dtype)
        layers = zip(self.convolutions, self.norms, self.reaches, strict=True)
        for k, (convolution, norm, reach) in enumerate(layers):
            wide = nn.functional.pad(x, (reach // 2, reach - reach // 2))
            x = torch.relu(norm(convolution(wide), inside)) * inside
            if k < len(self.weighing):
                x = self.weighing[k](x, inside)
        return x.permute(2, 0, 1)


class SequencePool(nn.Module):
    """The maximum of each so many steps.

    Args:
        size: Steps that become one; the last may have fewer.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return x, (T, B, F), and lengths, (B,), shortened."""
        if self.size == 1:
            return x, lengths
        inside = (torch.arange(len(x), device=x.device)[:, None] < lengths)[..., None]
        steps = -(-len(x) // self.size)
        x = nn.functional.pad(
            x.masked_fill(~inside, -torch.inf), (0, 0, 0, 0, 0, steps * self.size - len(x)),
            value=-torch.inf,
        )  # fmt: skip
        x = x.unflatten(0, (steps, self.size)).amax(1)
        shorter = (lengths + self.size - 1) // self.size
        kept = (torch.arange(steps, device=x.device)[:, None] < shorter)[..., None]
        return torch.where(kept, x, 0.0), shorter
