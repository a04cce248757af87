"""Three ways to reach the horizon: direct, encoder–decoder, recursive.

A body turns `Steps` into features for the output layer. Shapes as in `network`; E inputs that are
known at every step, past or future.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from longspan import nn as recurrent

#: Inputs that a step's target makes.
OWN = 3


@dataclass(frozen=True)
class Steps:
    """The inputs of a body, in scaled units.

    Attributes:
        own: What is known of the target at each step, (B, L + H, OWN): its value, filled where it
            is not observed; its difference from the value one season before, which a naive
            forecast would have missed; and 1 where it is observed, else 0.
        past: Past covariates, (B, L, P).
        every: Lagged values, covariates known in advance, calendar and statics, (B, L + H, E).
        reset: True where a series begins inside its context, (B, L), or None.
        context_length: L.
    """

    own: Tensor
    past: Tensor
    every: Tensor
    reset: Tensor | None
    context_length: int

    def context(self) -> Tensor:
        """Return all that is known of each context step, (B, L, OWN + P + E)."""
        n = self.context_length
        return torch.cat([self.own[:, :n], self.past, self.every[:, :n]], -1)

    def ahead(self) -> Tensor:
        """Return what is known in advance of each horizon step, (B, H, E)."""
        return self.every[:, self.context_length :]


class Body(nn.Module):
    """Base of the bodies."""

    #: Width of the features.
    output_size: int


class Direct(Body):
    """All steps at once from the encoder's last output, as in MQ-RNN (Wen et al. 2017).

    The last output is mapped to a small context of each horizon step; with what is known in
    advance of that step it goes to the output layer.
    """

    def __init__(
        self, num_past: int, num_every: int, *, horizon: int, hidden_size: int, **options: Any
    ) -> None:
        super().__init__()
        self.horizon, self.step_size = horizon, min(16, hidden_size)
        self.encoder = _recurrent(OWN + num_past + num_every, hidden_size, **options)
        self.spread = nn.Linear(hidden_size, horizon * self.step_size)
        self.output_size = hidden_size + self.step_size + num_every

    def forward(self, steps: Steps) -> Tensor:
        """Return features (B, H, output_size)."""
        output, _ = self.encoder(steps.context(), reset=steps.reset)
        last = output[:, -1]
        each = torch.relu(self.spread(last)).view(len(last), self.horizon, self.step_size)
        whole = last[:, None].expand(-1, self.horizon, -1)
        return torch.cat([whole, each, steps.ahead()], -1)


class EncoderDecoder(Body):
    """A second recurrent network starts from the encoder's state and runs over the horizon.

    Sutskever et al. (2014), but its inputs are what is known in advance, not its own outputs: no
    error is fed back.
    """

    def __init__(
        self, num_past: int, num_every: int, *, horizon: int, hidden_size: int, **options: Any
    ) -> None:
        super().__init__()
        self.encoder = _recurrent(OWN + num_past + num_every, hidden_size, **options)
        # One more input says how far along the horizon a step is: without covariates, calendar
        # and seasons the decoder would have nothing to read.
        self.decoder = _recurrent(1 + num_every, hidden_size, **options)
        self.position: Tensor
        self.register_buffer("position", torch.arange(1, horizon + 1) / horizon, persistent=False)
        self.output_size = hidden_size + num_every

    def forward(self, steps: Steps) -> Tensor:
        """Return features (B, H, output_size)."""
        _, state = self.encoder(steps.context(), reset=steps.reset)
        ahead = steps.ahead()
        position = self.position[None, :, None].expand(len(ahead), -1, -1)
        output, _ = self.decoder(torch.cat([position, ahead], -1), state)
        return torch.cat([output, ahead], -1)


class Recursive(Body):
    """One step ahead, again and again, as in DeepAR (Salinas et al. 2020).

    The input of step t is the target of step t - 1 and what is known in advance of step t.
    """

    def __init__(
        self, num_past: int, num_every: int, *, horizon: int, hidden_size: int, **options: Any
    ) -> None:
        super().__init__()
        del num_past, horizon  # past covariates end at the origin, and any horizon can be reached
        self.recurrent = _recurrent(OWN + num_every, hidden_size, **options)
        self.output_size = hidden_size + num_every

    def forward(self, steps: Steps) -> Tensor:
        """Return features of all steps but the first, (B, L + H - 1, output_size)."""
        features, _ = self.read(steps, steps.own.shape[1] - 1)
        return features

    def read(self, steps: Steps, count: int) -> tuple[Tensor, Any]:
        """Return features of the `count` steps after the first, and the state after them."""
        reset = steps.reset
        if reset is not None:
            after = reset.new_zeros(len(reset), count)
            after[:, : reset.shape[1]] = reset[:, :count]
            reset = after
        return self.step(steps.own[:, :count], steps.every[:, 1 : count + 1], reset=reset)

    def step(
        self, own: Tensor, every: Tensor, state: Any = None, reset: Any = None
    ) -> tuple[Tensor, Any]:
        """Run over T steps; own (B, T, OWN) is of the step before, every (B, T, E) of the step."""
        inputs = torch.cat([own, every], -1)
        output, state = self.recurrent(inputs, state, reset=reset)
        return torch.cat([output, every], -1), state


BODIES: dict[str, type[Body]] = {
    "direct": Direct,
    "encoder_decoder": EncoderDecoder,
    "recursive": Recursive,
}


def _recurrent(
    input_size: int,
    hidden_size: int,
    *,
    cell: str,
    num_layers: int,
    dropout: float,
    layer_norm: bool,
) -> nn.Module:
    options: dict[str, Any] = {"num_layers": num_layers, "batch_first": True}
    options["dropout"] = dropout if num_layers > 1 else 0.0
    if cell == "lstm":
        options |= {"layer_norm": layer_norm, "forget_bias": 1.0}
    kinds = {"lstm": recurrent.LSTM, "gru": recurrent.GRU, "rnn": recurrent.RNN}
    return kinds[cell](input_size, hidden_size, **options)
