"""Hearing of trainings that happen inside other functions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from longspan.training import Loss, Plan, ShuffledBatches, listening, train


class Ear:
    """Writes down what it hears."""

    def __init__(self, raises=None):
        self.heard, self.raises = [], raises

    def start(self, position, step, total_steps):
        self.heard.append(("start", position, step, total_steps))

    def step(self, record):
        self.heard.append("step")
        if self.raises is not None:
            raise self.raises

    def epoch(self, record):
        self.heard.append("epoch")

    def flush(self):
        return 0

    def close(self):
        self.heard.append("close")


def fit(loggers=()):
    torch.manual_seed(0)
    model = nn.Linear(1, 1)
    x = torch.arange(6.0)[:, None]
    batches = ShuffledBatches(6, 3, lambda numbers: x[numbers])
    history = train(
        model, batches, lambda m, batch, _: Loss(m(batch).square().sum(), len(batch)),
        Plan(max_epochs=2), loggers=loggers,
    )  # fmt: skip
    return model, history


ALL = [("start", 0, 0, 4), "step", "step", "epoch", "step", "step", "epoch", "close"]


def test_listeners_hear_what_loggers_do_and_change_nothing():
    quiet, _ = fit()
    outer, inner, own = Ear(), Ear(), Ear()
    with listening(outer):
        with listening(inner):
            heard, _ = fit([own])
        fit()
    fit()
    assert own.heard == inner.heard == ALL
    assert outer.heard == ALL + ALL
    assert torch.equal(heard.weight, quiet.weight)


def test_what_a_listener_raises_ends_the_training_and_the_block():
    ear, other = Ear(KeyError("enough")), Ear()
    with pytest.raises(KeyError), listening(ear, other):
        fit()
    assert ear.heard == [("start", 0, 0, 4), "step", "close"]
    assert other.heard == [("start", 0, 0, 4), "close"]
    fit()
    assert len(ear.heard) == 3
