"""Evaluation mode for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode, and each of its modules back in its own mode at the end.

    `Module.train` would put all of them in one mode, those that were frozen on purpose too.

    >>> network = nn.Sequential(nn.BatchNorm1d(3).eval(), nn.Dropout())
    >>> with evaluating(network):
    ...     network[1].training
    False
    >>> [module.training for module in network]
    [False, True]

    Args:
        network: The network.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
