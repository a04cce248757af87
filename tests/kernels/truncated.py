"""The online learner's specification: plain PyTorch, `detach` where the paper cuts errors off.

Weights change in the middle of a sequence, while the derivatives of the states by them go on. So
autograd sees them as constants plus zeros that never change: it is by the zeros that it derives.
"""

from __future__ import annotations

import torch
from torch import Tensor

from longspan.kernels.online import GATES, SQUASHES, OnlineNetwork

NAMES = ("hidden", "output", "peepholes")


def squash(name: str, x: Tensor) -> Tensor:
    scale, shift = SQUASHES[name]
    return scale * torch.sigmoid(x) + shift if scale else x


class Truncated:
    """As `OnlineLearner`; weights by name in `weights`. Symbols come as vectors with a one."""

    def __init__(self, network: OnlineNetwork, weights: dict[str, Tensor]) -> None:
        self.n, self.weights = network, {name: w.clone() for name, w in weights.items()}
        self.zeros = {
            name: torch.zeros_like(w).requires_grad_() for name, w in self.weights.items()
        }
        self.changes = {name: torch.zeros_like(w) for name, w in self.weights.items()}
        self.reset()

    def reset(self) -> None:
        self.states = torch.zeros(self.n.all_cells, dtype=torch.float64)
        back = self.n.sources - self.n.input_size - 1
        self.back = torch.zeros(back, dtype=torch.float64)

    def weight(self, name: str) -> Tensor:
        return self.weights[name] + self.zeros[name]

    def seen(self, gate: str, states: Tensor) -> Tensor:
        """What the peepholes of one kind of gate add, (B,): no error leaves through them."""
        if not self.n.peephole:
            return torch.zeros(self.n.blocks, dtype=torch.float64)
        cells = states.detach().reshape(self.n.blocks, self.n.cells)
        return (self.weight("peepholes")[GATES.index(gate)].T * cells).sum(1)

    def step(self, x: Tensor, cells: bool) -> Tensor:
        """Return the outputs, (P,)."""
        n = self.n
        one = torch.ones(1, dtype=torch.float64)
        outputs = torch.zeros(n.all_cells, dtype=torch.float64)
        if cells:
            # What comes from the last step is a constant: errors leave no block by its inputs.
            nets = torch.cat([x, self.back.detach(), one]) @ self.weight("hidden")
            gates = {}
            for gate in GATES:
                if gate in n.gates:
                    nets_of = nets[n.first(gate) : n.first(gate) + n.blocks]
                    gates[gate] = lambda s, net=nets_of, gate=gate: torch.sigmoid(
                        net + self.seen(gate, s)
                    )
                else:
                    gates[gate] = lambda s: torch.ones(n.blocks, dtype=torch.float64)
            of_cells = [
                gates[gate](self.states).repeat_interleave(n.cells) for gate in ("input", "forget")
            ]
            activations = [gates[gate](self.states) for gate in GATES[:2] if gate in n.gates]
            z = squash(n.g, nets[: n.all_cells])
            self.states = of_cells[1] * self.states + of_cells[0] * z
            o = gates["output"](self.states)
            outputs = o.repeat_interleave(n.cells) * squash(n.h, self.states)
            if "output" in n.gates:
                activations.append(o)
            if n.recurrent:
                self.back = torch.cat([outputs, *(activations if n.gate_recurrence else [])])
        above = torch.cat([outputs, *([x] if n.direct else []), one])
        return squash(n.f, above @ self.weight("output"))

    def learn(self, output: Tensor, target: Tensor, rate: float, momentum: float) -> None:
        loss = (target - output).square().sum() / 2
        slopes = torch.autograd.grad(
            loss, list(self.zeros.values()), retain_graph=True, allow_unused=True
        )
        for name, slope in zip(self.zeros, slopes, strict=True):
            slope = torch.zeros_like(self.weights[name]) if slope is None else slope
            self.keep_absent(name, slope)
            self.changes[name] = momentum * self.changes[name] - rate * slope
            self.weights[name] = self.weights[name] + self.changes[name]

    def keep_absent(self, name: str, slope: Tensor) -> None:
        """Weights that do not exist are not learnt."""
        n = self.n
        if name == "hidden" and "cells" not in n.biased:
            slope[-1, : n.all_cells] = 0
        if name == "hidden" and "gates" not in n.biased:
            slope[-1, n.all_cells :] = 0
        if name == "output" and "outputs" not in n.biased:
            slope[-1] = 0

    def run(
        self, x, lengths, mask, targets, rate, decay=1.0, momentum=0.0, continued=False, cells=True
    ):
        """Return the outputs where there was a target."""
        found, t = [], 0
        for place, length in enumerate(lengths):
            if place or not continued:
                self.reset()
            for _ in range(length):
                output = self.step(x[t], cells)
                if mask[t]:
                    target = targets[len(found)]
                    found.append(output.detach())
                    if rate:
                        self.learn(output, target, rate, momentum)
                t += 1
                rate *= decay
        return torch.stack(found) if found else torch.zeros(0, self.n.output_size)
