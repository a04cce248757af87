"""What a training is told: how to train (`Plan`), and what a loss function returns (`Loss`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, NamedTuple

from torch import Tensor, nn

from longspan.errors import InputError
from longspan.training.clipping import Clipping


class Loss(NamedTuple):
    """What a loss function returns.

    Attributes:
        total: Sum of the losses of the batch, a scalar.
        weight: Number of terms in the sum.
        state: What to carry to the next batch: any nest of tuples, lists, dictionaries, tensors
            and numbers, or None.
        errors: What a validation is judged by in place of the loss, the lower the better: sums
            and their weights, of which the mean of all ratios is taken. None judges by the loss.
    """

    total: Tensor
    weight: Tensor | float
    state: Any = None
    errors: tuple[tuple[float, float], ...] | None = None


LossFunction = Callable[[nn.Module, Any, Any], Loss]


@dataclass(frozen=True)
class Plan:
    """How to train; every option has a default that works.

    Attributes:
        max_epochs: Passes over the batches at most.
        max_steps: Optimiser steps at most.
        optimizer: ``"adamw"``, ``"adam"``, ``"sgd"`` or ``"nt_asgd"``.
        learning_rate: Its peak.
        weight_decay: Of the optimiser.
        schedule: ``"constant"``, ``"cosine"``, ``"one_cycle"`` or ``"plateau"``.
        warmup_steps: Steps in which the learning rate rises first.
        clipping: What gradients are clipped by.
        accumulate: Batches whose gradients make one step.
        bfloat16: Compute forward and backward in bfloat16 where that is safe (autocast).
        patience: Epochs without a better validation loss before it stops.
        carry_state: Hand the loss's state to the next batch of the same epoch, detached.
        seed: Of dropout and other draws of the model; the batches have their own.
    """

    max_epochs: int = 1
    max_steps: int | None = None
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup_steps: int = 0
    clipping: Clipping = field(default_factory=Clipping)
    accumulate: int = 1
    bfloat16: bool = False
    patience: int | None = None
    carry_state: bool = False
    seed: int = 0


def check(plan: Plan, validated: bool) -> None:
    """Refuse a plan that cannot be followed.

    Args:
        plan: The plan.
        validated: Whether there is a validation part.

    Raises:
        InputError: If it cannot.
    """
    for name, least in _WHOLE.items():
        check_whole(name, getattr(plan, name), least)
    if not isinstance(plan.clipping, Clipping):
        raise InputError(
            f"`clipping` must be a Clipping, got {plan.clipping!r}. Clipping(norm=1.0) is usual, "
            "and Clipping() clips nothing."
        )
    if not validated and (plan.patience or plan.schedule == "plateau"):
        raise InputError("patience and the plateau schedule need a validation part.")


#: Numbers of a plan that count something, and the least they may be.
_WHOLE = {"max_epochs": 1, "max_steps": 1, "accumulate": 1, "patience": 1, "warmup_steps": 0}


def check_whole(name: str, value: Any, least: int) -> None:
    """Refuse what does not count: the loop would wait for a number of steps that never comes.

    Args:
        name: What the caller calls it.
        value: The number; None is allowed.
        least: The least that it may be.

    Raises:
        InputError: If it is no whole number, or below `least`.
    """
    if value is not None and not (isinstance(value, Integral) and int(value) >= least):
        raise InputError(f"`{name}` must be a whole number, at least {least}, got {value!r}.")
