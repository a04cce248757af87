"""Optimisers by name, and averaging of weights with the non-monotonic trigger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from longspan.errors import InputError, unknown_name

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adamw": lambda p, lr, decay: AdamW(p, lr=lr, weight_decay=decay, foreach=True),
    "adam": lambda p, lr, decay: Adam(p, lr=lr, weight_decay=decay, foreach=True),
    "sgd": lambda p, lr, decay: SGD(p, lr=lr, weight_decay=decay, momentum=0.9, foreach=True),
    "nt_asgd": lambda p, lr, decay: SGD(p, lr=lr, weight_decay=decay, foreach=True),
}


def build_optimizer(
    name: str, parameters: Sequence[nn.Parameter], learning_rate: float, weight_decay: float
) -> Optimizer:
    """Return the optimiser of that name.

    Raises:
        InputError: If there is no such optimiser, or the learning rate is not positive.
    """
    if name not in OPTIMIZERS:
        raise InputError(unknown_name("optimizer", name, OPTIMIZERS))
    if not learning_rate > 0.0:
        raise InputError(f"`learning_rate` must be positive, got {learning_rate!r}.")
    return OPTIMIZERS[name](parameters, learning_rate, weight_decay)


class Averaging:
    """Averages the weights once the validation loss stops falling: NT-ASGD (Merity et al. 2018).

    The trigger: the loss is above the lowest of all but the last `patience` epochs. From then on
    the mean of the weights over all later steps is what is validated and kept.

    Args:
        parameters: What is averaged.
        patience: Epochs of grace, n in the paper.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], patience: int = 5) -> None:
        self.parameters: list[Tensor] = list(parameters)
        self.patience = patience
        self.losses: list[float] = []
        self.mean: list[Tensor] | None = None
        self.count = 0

    def note(self, loss: float) -> None:
        """Take note of an epoch's validation loss, and start to average if it calls for it."""
        earlier = self.losses[: -self.patience]
        if self.mean is None and earlier and loss > min(earlier):
            self.mean = [p.detach().clone() for p in self.parameters]
            self.count = 1
        self.losses.append(loss)

    @torch.no_grad()
    def step(self) -> None:
        """Take the current weights into the mean."""
        if self.mean is not None:
            self.count += 1
            torch._foreach_lerp_(self.mean, self.parameters, 1.0 / self.count)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange weights and mean: before a validation, and after it."""
        if self.mean is not None:
            for p, m in zip(self.parameters, self.mean, strict=True):
                kept = p.detach().clone()
                p.copy_(m)
                m.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"losses": self.losses, "mean": self.mean, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a checkpoint's state."""
        self.losses, self.mean, self.count = state["losses"], state["mean"], state["count"]
