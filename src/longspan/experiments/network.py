"""Today's network for any problem: one recurrent layer and a linear output."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from longspan.errors import InputError, unknown_name
from longspan.experiments.experiment import Settings
from longspan.experiments.problem import Kind, Sequences, Sizes
from longspan.nn import GRU, LSTM, RNN
from longspan.nn.init import chrono_, forget_bias_, orthogonal_

#: The eight variants of Greff et al. 2017 and what they vary, which has peepholes.
VARIANTS: dict[str, Callable[..., Any]] = {
    "vanilla": partial(LSTM, peephole=True),
    "nig": partial(LSTM, peephole=True, input_gate=False),
    "nfg": partial(LSTM, peephole=True, forget_gate=False),
    "nog": partial(LSTM, peephole=True, output_gate=False),
    "niaf": partial(LSTM, peephole=True, input_activation=False),
    "noaf": partial(LSTM, peephole=True, output_activation=False),
    "np": LSTM,
    "cifg": partial(LSTM, peephole=True, coupled_gates=True),
    "fgr": partial(LSTM, peephole=True, full_gate_recurrence=True),
}
#: ``lstm-ln`` is the LSTM with layer normalisation (Ba, Kiros & Hinton 2016).
CELLS: dict[str, Callable[..., Any]] = {
    "lstm": LSTM, "lstm-ln": partial(LSTM, layer_norm=True), "gru": GRU, "rnn": RNN,
} | VARIANTS  # fmt: skip
#: Symbols beyond this many are embedded in as many dimensions, in place of vectors with one 1.
WIDEST = 32

_ACTIVATIONS: dict[Kind, Callable[[Tensor], Tensor]] = {
    "numbers": lambda y: y, "classes": lambda y: y.softmax(-1), "switches": torch.sigmoid,
}  # fmt: skip
_LOSSES: dict[Kind, Callable[..., Tensor]] = {
    "numbers": nn.functional.mse_loss,
    "classes": nn.functional.cross_entropy,
    "switches": nn.functional.binary_cross_entropy_with_logits,
}


class Network(nn.Module):
    """One recurrent layer and a linear output.

    Recurrent matrices start orthogonal; many symbols are embedded first.

    Args:
        problem: What sizes it needs.
        cell: Key of `CELLS`.
        settings: Hidden size and the gates' biases.

    Raises:
        InputError: If there is no such cell.
    """

    def __init__(self, problem: Sizes, cell: str, settings: Settings) -> None:
        super().__init__()
        if cell not in CELLS:
            raise InputError(unknown_name("cell", cell, CELLS))
        self.input_size = problem.input_size
        self.kind: Kind = problem.kind
        embeds = self.kind == "classes" and self.input_size > WIDEST
        width = WIDEST if embeds else self.input_size
        self.embedding = nn.Embedding(self.input_size, width) if embeds else None
        self.layer = CELLS[cell](width, settings.hidden_size, batch_first=True)
        self.direct = settings.direct
        features = settings.hidden_size + (width if self.direct else 0)
        self.output = nn.Linear(features, problem.output_size)
        _initialise(self.layer, settings)

    def forward(self, sequences: Sequences) -> Tensor:
        """Return the outputs before their activation at the steps with a target, (N, P)."""
        if self.embedding is not None:
            x = self.embedding(torch.from_numpy(sequences.inputs))
        else:
            x = torch.from_numpy(sequences.dense(self.input_size))
        found, _ = self.layer(x, lengths=torch.from_numpy(sequences.lengths))
        asked = torch.from_numpy(sequences.mask)
        features = torch.cat([found[asked], x[asked]], 1) if self.direct else found[asked]
        return self.output(features)

    def loss(self, outputs: Tensor, sequences: Sequences) -> Tensor:
        """Return the mean loss over all targets, a scalar."""
        return _LOSSES[self.kind](outputs, torch.from_numpy(sequences.targets))

    def answers(self, outputs: Tensor) -> np.ndarray:
        """Return outputs on the targets' scale, (N, P)."""
        return _ACTIVATIONS[self.kind](outputs.detach()).numpy()


@torch.no_grad()
def _initialise(layer: Any, settings: Settings) -> None:
    """Make recurrent matrices orthogonal, and set the biases of gates as the settings say."""
    gates = layer.cell.gates
    orthogonal_(layer.weight_hh_l0, len(gates))
    if settings.forget_bias == "chrono":
        if {"f", "z"} & set(gates):
            layer.bias_hh_l0.zero_()
            chrono_(layer.bias_ih_l0, gates, settings.longest)
    elif "f" in gates:
        forget_bias_(layer.bias_ih_l0, gates, settings.forget_bias)
        forget_bias_(layer.bias_hh_l0, gates, 0.0)
