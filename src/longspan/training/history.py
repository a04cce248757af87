"""What a training leaves behind: its records and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

Record = dict[str, float]


@dataclass
class History:
    """The course of a training.

    Attributes:
        steps: A record for each optimiser step: ``step``, ``epoch``, ``loss``, ``grad_norm``
            (before clipping), ``clipped`` (share of it removed) and ``learning_rate``.
        epochs: A record for each epoch: ``epoch``, ``step``, ``train_loss`` (mean of its steps)
            and, with a validation part, ``validation_loss`` and, where the loss function gives
            one, ``validation_error``.
        flow: A record for each optimiser step whose gradient flow was measured: ``step``, and the
            names of `longspan.training.FlowMeter`.
        best_epoch: The epoch whose weights were kept; None without a validation part.
        best_step: Optimiser steps until then.
        stopped: Why it ended: ``"max_epochs"``, ``"max_steps"`` or ``"patience"``.
    """

    steps: list[Record] = field(default_factory=list)
    epochs: list[Record] = field(default_factory=list)
    flow: list[Record] = field(default_factory=list)
    best_epoch: int | None = None
    best_step: int = 0
    stopped: str = ""
