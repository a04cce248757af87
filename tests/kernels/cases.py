"""Random calls of a recurrent layer for the tests of the kernels, and how results are compared."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from longspan import kernels
from longspan.cells import GRU, LSTM, RNN, Cell, LayerNorm, Layout, Noise, scan

FLAGS = {
    "lstm": (
        "peephole", "coupled_gates", "input_gate", "forget_gate", "output_gate",
        "input_activation", "output_activation", "full_gate_recurrence", "projection",
    ),
    "gru": ("reset_after",),
    "rnn": ("relu",),
}  # fmt: skip
OUTSIDE = (
    "bias", "layer_norm", "zoneout", "zoneout_mask", "recurrent_dropout", "update_dropout",
    "lengths", "reset", "reverse", "record",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """What is run: options by name, and sizes."""

    kind: str = "lstm"
    options: frozenset[str] = frozenset()
    T: int = 5
    B: int = 3
    inputs: int = 4
    H: int = 19
    threads: int = 1
    seed: int = 0
    gates: bool = field(default=False)

    def has(self, name: str) -> bool:
        return name in self.options

    @property
    def cell(self) -> Cell:
        if self.kind == "rnn":
            return RNN("relu" if self.has("relu") else "tanh")
        if self.kind == "gru":
            return GRU(reset_after=not self.has("reset_after"))
        # Options that are True by default are switched off by being named.
        off = [f for f in FLAGS["lstm"] if f.endswith(("_gate", "_activation"))]
        return LSTM(
            proj_size=(self.H + 1) // 2 if self.has("projection") and self.H > 1 else 0,
            **{name: self.has(name) for name in ("peephole", "coupled_gates")},
            full_gate_recurrence=self.has("full_gate_recurrence"),
            **{name: not self.has(name) for name in off},
        )

    def possible(self) -> bool:
        coupled = self.has("coupled_gates") and (self.has("input_gate") or self.has("forget_gate"))
        first = self.kind == "gru" and self.has("reset_after") and self.has("layer_norm")
        # One or two values are equal or opposite once normalised: nothing is left to be compared.
        few = self.has("layer_norm") and self.H < 4
        return not (coupled or first or few)

    def call(self) -> kernels.Call:
        make = torch.Generator().manual_seed(self.seed)

        def draw(*shape: int, scale: float = 1.0) -> Tensor:
            return scale * torch.randn(*shape, generator=make, dtype=torch.float64)

        def mask(*shape: int, rate: float = 0.7) -> Tensor:
            return (torch.rand(*shape, generator=make) < rate).double()

        cell, T, B, H = self.cell, self.T, self.B, self.H
        sizes = cell.state_sizes(H)
        shapes = cell.shapes(self.inputs, H, self.has("bias"))
        params = {n: draw(*s, scale=s[-1] ** -0.5) for n, s in shapes.items()}
        width = len(cell.gates) * H
        places = {"ih": width, "hh": width} | ({"c": H} if "c" in cell.states else {})
        normalisers = {p: LayerNorm(draw(2, w)) for p, w in places.items()}
        zone = self.has("zoneout") or self.has("zoneout_mask")
        masks = self.has("zoneout_mask")
        noise = Noise(
            hidden=mask(B, sizes[0]) / 0.7 if self.has("recurrent_dropout") else None,
            update=mask(T, B, H) / 0.7 if self.has("update_dropout") else None,
            zoneout_c=(mask(T, B, H, rate=0.2) if masks else 0.2)
            if zone and "c" in cell.states else None,
            zoneout_h=(mask(T, B, sizes[0], rate=0.3) if masks else 0.3) if zone else None,
        )  # fmt: skip
        lengths = torch.randint(0, T + 1, (B,), generator=make) if self.has("lengths") else None
        reset = mask(T, B, rate=0.3).bool() if self.has("reset") else None
        return kernels.Call(
            cell, draw(T, B, self.inputs), tuple(draw(B, s) for s in sizes), params,
            Layout(lengths, reset, self.has("reverse")), noise,
            normalisers if self.has("layer_norm") else {}, self.has("record"),
        )  # fmt: skip


def cast(call: kernels.Call, dtype: torch.dtype) -> kernels.Call:
    def to(value):
        return value.to(dtype) if isinstance(value, Tensor) else value

    n = call.noise
    return call._replace(
        x=to(call.x),
        state=tuple(map(to, call.state)),
        params={k: to(v) for k, v in call.params.items()},
        noise=Noise(to(n.hidden), to(n.update), to(n.zoneout_c), to(n.zoneout_h)),
        normalisers={k: LayerNorm(to(v.weight)) for k, v in call.normalisers.items()},
    )


def with_parameters(call: kernels.Call) -> kernels.Call:
    """Return the call of a layer: its weights are parameters."""
    params = {k: v if v is None else torch.nn.Parameter(v) for k, v in call.params.items()}
    return call._replace(params=params)


def leaves(call: kernels.Call) -> dict[str, Tensor]:
    named = {"x": call.x} | {f"state{k}": s for k, s in enumerate(call.state)} | call.params
    named |= {f"norm_{k}": v.weight for k, v in call.normalisers.items()}
    return {k: v.requires_grad_() for k, v in named.items() if v is not None}


def results(run, call: kernels.Call) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the outputs and the gradients of a fixed weighted sum of them."""
    inputs = leaves(call)
    result = run(call)
    values = {"output": result.output}
    values |= {f"final{k}": s for k, s in enumerate(result.state)}
    values |= {f"gate_{k}": g for k, g in (result.gates or {}).items()}
    make = torch.Generator().manual_seed(7)
    loss = sum(
        (v * torch.randn(v.shape, generator=make, dtype=torch.float64).to(v)).sum()
        for v in values.values()
    )
    found = torch.autograd.grad(loss, list(inputs.values()), allow_unused=True)
    gradients = {
        name: torch.zeros_like(t) if g is None else g
        for (name, t), g in zip(inputs.items(), found, strict=True)
    }
    return {k: v.detach() for k, v in values.items()}, gradients


def reference(call: kernels.Call):
    return scan(
        call.cell, call.x, call.state, call.params, layout=call.layout, noise=call.noise,
        normalisers=call.normalisers, record_gates=call.record_gates,
    )  # fmt: skip


def assert_close(
    found: dict[str, Tensor],
    expected: dict[str, Tensor],
    tolerance: float,
    least: float = 0.1,
) -> None:
    """Compare within a share of each tensor's largest value, or of `least` if that is smaller.

    Inputs are of order one, so a result far below that is what rounding errors of its terms left.
    """
    assert found.keys() == expected.keys()
    for name, e in expected.items():
        size = float(e.abs().max()) if e.numel() else 0.0
        error = float((found[name].double() - e).abs().max()) if e.numel() else 0.0
        assert error <= tolerance * max(size, least), f"{name}: {error} of {size}"
