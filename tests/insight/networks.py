"""Small networks, and their states by a loop of another kind, for the tests of what is seen."""

from __future__ import annotations

import torch
from tests.conformance.test_cells import CASES as ALL_CASES
from torch import Tensor, nn

from longspan.cells import Layout, Step, input_gates
from longspan.nn import GRU, LSTM, RNN

LAYERS = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
#: Every cell with every option, and all of an LSTM's at once in a stack of both directions.
CASES = [
    *ALL_CASES,
    (
        "lstm",
        {
            "peephole": True, "coupled_gates": True, "layer_norm": True, "proj_size": 2,
            "zoneout": (0.1, 0.2), "full_gate_recurrence": True, "bidirectional": True,
            "num_layers": 2,
        },
    ),
    ("gru", {"num_layers": 2, "bidirectional": True, "zoneout": 0.2, "layer_norm": True}),
]  # fmt: skip
T, B, I, H = 6, 4, 2, 3
LENGTHS = torch.tensor([6, 0, 3, 5])


def build(name: str, options: dict):
    torch.manual_seed(1)
    layer = LAYERS[name](I, H, dtype=torch.float64, **options)
    for parameter in layer.parameters():  # gains of one and shifts of zero hide mistakes
        nn.init.normal_(parameter, std=0.6)
    return layer.eval()


def resets() -> Tensor:
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[2, 0] = reset[0, 1] = reset[1, 2] = reset[4, 2] = reset[4, 3] = True
    return reset


def states_by_hand(layer: nn.Module, x: Tensor, lengths: Tensor, reset: Tensor):
    """Each sequence on its own, step by step: output, and states by layer, direction, row, step.

    Nothing of the scan is used: no batch, no padding, no reset. A row falls into the sequences
    between its resets.
    """
    found = []
    for index in range(layer.num_layers):
        outputs = []
        for direction in range(layer.num_directions):
            states: list[dict[int, tuple[Tensor, ...]]] = [{} for _ in lengths]
            for row, length in enumerate(lengths.tolist()):
                starts = [t for t in range(1, length) if reset[t, row]]
                for begin, end in zip([0, *starts], [*starts, length], strict=True):
                    if end > begin:
                        part = _sequence(layer, index, direction, x[:, row : row + 1], begin, end)
                        states[row] |= part
            found.append(states)
            outputs.append(_output(states, x, layer.output_size))
        x = torch.cat(outputs, -1)
    return x, found


def _sequence(layer, index: int, direction: int, x: Tensor, begin: int, end: int):
    params = layer._parameters_of(index, direction)
    normalisers = layer._normalisers(index, direction)
    noise = layer._noise(x, ())
    state = tuple(x.new_zeros(1, width) for width in layer.cell.state_sizes(layer.hidden_size))
    gates = input_gates(x, params, Layout(), normalisers)
    states = {}
    for t in reversed(range(begin, end)) if direction else range(begin, end):
        state, _ = layer.cell.step(gates[t], state, Step(params, noise, t, None, normalisers))
        states[t] = state
    return states


def _output(states, x: Tensor, width: int) -> Tensor:
    zero = x.new_zeros(width)
    rows = [
        torch.stack([of_row[t][0][0] if t in of_row else zero for t in range(len(x))])
        for of_row in states
    ]
    return torch.stack(rows, 1)


class Nested(nn.Module):
    """Two recurrent modules at some depth, ragged, with a pooled output."""

    def __init__(self) -> None:
        super().__init__()
        self.below = nn.ModuleDict({"first": GRU(I, H, bidirectional=True)})
        self.above = LSTM(2 * H, H, num_layers=2)
        self.head = nn.Linear(H, 1)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.head(
            self.above(self.below["first"](x, lengths=lengths)[0], lengths=lengths)[0].sum(0)
        )


def delay_line(steps: int) -> RNN:
    """A simple network whose last unit is the (positive) input of so many steps before."""
    layer = RNN(1, steps + 1, nonlinearity="relu", bias=False)
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        layer.weight_ih_l0[0] = 1.0
        layer.weight_hh_l0.copy_(torch.diag(torch.ones(steps), -1))
    return layer


def leaky_integrator(kept: float, **options) -> RNN:
    """h' = kept · h + x, for positive inputs."""
    layer = RNN(1, 1, nonlinearity="relu", bias=False, **options)
    with torch.no_grad():
        layer.weight_ih_l0.fill_(1.0)
        layer.weight_hh_l0.fill_(kept)
    return layer


def leaky_lstm(kept: float) -> LSTM:
    """c' = f c + x with a forget gate that always is `kept`, and h = c."""
    layer = LSTM(
        1, 1, input_gate=False, output_gate=False, input_activation=False, output_activation=False
    )
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.bias_ih_l0[0] = torch.logit(torch.tensor(kept))
        layer.weight_ih_l0[1] = 1.0
    return layer
