"""Stacks of recurrent layers in one or both directions: what `LSTM`, `GRU` and `RNN` share.

The contract is torch.nn's: the same constructor, forward, ``state_dict`` and shapes, with options
beyond. Shapes: T steps, B rows, I inputs, H hidden units, L layers, D directions, P outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from longspan import kernels
from longspan.cells import Cell, LayerNorm, Layout, Noise, Normaliser
from longspan.cells.cell import State
from longspan.nn import init as initialisers
from longspan.nn.normalisation import BatchNorm
from longspan.nn.options import check_fits_cell, check_options, probability, zoneout_pair
from longspan.nn.ragged import Batch, arrange, restore

#: Longest dependency that ``init="chrono"`` assumes, in steps.
CHRONO_LONGEST = 784.0
#: Time steps with statistics of their own under ``batch_norm="recurrent"``.
BATCH_NORM_STEPS = 100


class Recurrent(nn.Module):
    """Base of the recurrent layers; use `LSTM`, `GRU` or `RNN`.

    Args:
        cell: What each layer computes; chosen by the subclass.
        input_size: Inputs a step, I.
        hidden_size: Hidden units, H.
        num_layers: Layers, one above the other.
        bias: Whether the layers have biases.
        batch_first: Whether input and output are (B, T, ·) instead of (T, B, ·).
        dropout: Of each layer's output but the last's, in training.
        bidirectional: Run a second network from the end to the start, and join their outputs.
        device: Of the parameters.
        dtype: Of the parameters.
        proj_size: Width of the projected output of an LSTM, 0 for none.
        layer_norm: Normalise W x and U h, and the LSTM's cell (Ba et al. 2016).
        batch_norm: ``"sequence"``: of W x over time and batch (Laurent et al. 2016);
            ``"recurrent"``: also of U h and the cell, with statistics per time step (Cooijmans et
            al. 2017). Padding takes no part.
        zoneout: Share of units that keep their old value at a step, one number or (cell, hidden);
            at evaluation the expected value (Krueger et al. 2017).
        recurrent_dropout: Of h before the recurrent product, with a mask that stays the same over
            time (Gal & Ghahramani 2016).
        update_dropout: Of the candidate, a new mask each step (Semeniuta et al. 2016).
        forget_bias: Initial bias of the LSTM's forget gate; None leaves it to `init`.
        init: ``"torch"``: U(-1/√H, 1/√H); ``"orthogonal"`` recurrent matrices; ``"chrono"``: these
            and gate biases spread over time scales (Tallec & Ollivier 2018); ``"identity"``
            recurrent matrices (Le et al. 2015).

    Raises:
        InputError: If an option's value cannot be used.
    """

    #: Where backward adds up how much gradient reaches each step, one `kernels.Flow` a layer and
    #: direction, in the order of the state; None while nobody measures (`training.FlowMeter`).
    flows: list[kernels.Flow] | None = None

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: int = 0,
        layer_norm: bool = False,
        batch_norm: str | None = None,
        zoneout: float | tuple[float, float] = 0.0,
        recurrent_dropout: float = 0.0,
        update_dropout: float = 0.0,
        forget_bias: float | None = None,
        init: str = "torch",
    ) -> None:
        super().__init__()
        check_options(input_size, hidden_size, num_layers, proj_size, init, batch_norm, layer_norm)
        check_fits_cell(cell, hidden_size, proj_size, bias, init, forget_bias)
        self.cell = cell
        self.input_size, self.hidden_size = input_size, hidden_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout = probability("dropout", dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self.layer_norm, self.batch_norm = layer_norm, batch_norm
        self.zoneout = zoneout_pair(zoneout)
        self.recurrent_dropout = probability("recurrent_dropout", recurrent_dropout)
        self.update_dropout = probability("update_dropout", update_dropout)
        self.forget_bias, self.init = forget_bias, init
        #: The cell's parameters and what they are called here, a list a layer and direction.
        self._parameter_names: list[list[tuple[str, str]]] = []
        for layer in range(num_layers):
            for direction in range(self.num_directions):
                self._register(layer, direction, {"device": device, "dtype": dtype})
        self.reset_parameters()

    @property
    def num_directions(self) -> int:
        """1, or 2 if bidirectional."""
        return 2 if self.bidirectional else 1

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters of each layer and direction in turn, as in torch."""
        names = ((name for _, name in pairs) for pairs in self._parameter_names)
        return [[getattr(self, name) for name in each] for each in names]

    @property
    def output_size(self) -> int:
        """Width of one direction's output, P."""
        return self.cell.state_sizes(self.hidden_size)[0]

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | Sequence[Any] | None = None,
        return_gates: bool = False,
    ) -> Any:
        """Run the layers over a batch of sequences.

        Args:
            input: (T, B, I), (B, T, I) with `batch_first`, (T, I) unbatched, or a PackedSequence.
            hx: Initial state, (L·D, B, ·), or (L·D, ·) unbatched; a tuple where the cell has more
                than one state. Zeros by default.
            lengths: Valid steps of each row, (B,), on any device or a list; 0 is allowed. What
                lies beyond is never read; its outputs are zero, and the final state is that after
                the last valid step.
            reset: True where a row begins a new sequence before that step; shaped as the input
                without its last axis, a tensor or nested lists. The row goes on from a zero state.
            return_gates: Also return every step's gates.

        Returns:
            Output, (T, B, D·P) in the input's layout, and the final state in the layout of `hx`.
            With `return_gates` also a list with one dictionary a layer and direction (ordered as
            the state): gate name → (T, B, H) in the input's layout.

        Raises:
            InputError: If a shape, dtype or value does not fit.
        """
        batch = arrange(self, input, hx, lengths, reset)
        x, final, gates = batch.input, [], []
        prepared = None if return_gates else self._prepared(batch)
        for layer in range(self.num_layers):
            if layer and self.training and self.dropout:
                x = nn.functional.dropout(x, self.dropout)
            outputs = []
            for direction in range(self.num_directions):
                if prepared:
                    index = layer * self.num_directions + direction
                    result = prepared[index].run(x, [s[index] for s in batch.state])
                else:
                    result = kernels.run(self._call(layer, direction, x, batch, return_gates))
                outputs.append(result.output)
                final.append(result.state)
                gates.append(result.gates)
            x = torch.cat(outputs, -1) if self.bidirectional else outputs[0]
        stacked = tuple(torch.stack(s) for s in zip(*final, strict=True))
        return restore(self, batch, x, stacked, gates if return_gates else None)

    def reset_parameters(self) -> None:
        """Draw all parameters anew, as the options `init` and `forget_bias` say."""
        for name, parameter in self.named_parameters():
            if name.startswith("norm_"):
                nn.init.constant_(parameter[0], 0.1 if self.batch_norm else 1.0)
                nn.init.zeros_(parameter[1])
            else:
                initialisers.torch_uniform_(parameter, self.hidden_size)
        for layer in range(self.num_layers):
            for direction in range(self.num_directions):
                self._initialise(self._parameters_of(layer, direction))

    def flatten_parameters(self) -> None:
        """Do nothing; kept so that code written for torch.nn runs unchanged."""

    def extra_repr(self) -> str:
        """Return the arguments that differ from their defaults."""
        words = [f"{self.input_size}, {self.hidden_size}"]
        for name, default in _DEFAULTS.items():
            value = getattr(self, name)
            if value != default:
                words.append(f"{name}={value!r}")
        return ", ".join([*words, f"cell={self.cell}"])

    def _register(self, layer: int, direction: int, factory: dict[str, Any]) -> None:
        width = self.input_size if layer == 0 else self.output_size * self.num_directions
        suffix = _suffix(layer, direction)
        shapes = self.cell.shapes(width, self.hidden_size, self.bias)
        self._parameter_names.append([(name, f"{name}_{suffix}") for name in shapes])
        for (_, full), shape in zip(self._parameter_names[-1], shapes.values(), strict=True):
            self.register_parameter(full, nn.Parameter(torch.empty(shape, **factory)))
        for place, size in self._norm_sizes().items():
            name = f"norm_{place}_{suffix}"
            self.register_parameter(name, nn.Parameter(torch.empty(2, size, **factory)))
            if self.batch_norm:
                steps = BATCH_NORM_STEPS if self.batch_norm == "recurrent" else 1
                self.register_buffer(f"{name}_mean", torch.zeros(steps, size, **factory))
                self.register_buffer(f"{name}_var", torch.ones(steps, size, **factory))

    def _norm_sizes(self) -> dict[str, int]:
        """Return the width of each place that is normalised."""
        if not (self.layer_norm or self.batch_norm):
            return {}
        gates = len(self.cell.gates) * self.hidden_size
        if self.batch_norm == "sequence":
            return {"ih": gates}
        sizes = {"ih": gates, "hh": gates}
        return sizes | {"c": self.hidden_size} if "c" in self.cell.states else sizes

    def _parameters_of(self, layer: int, direction: int) -> dict[str, Tensor]:
        # torch's own look-up, four times as slow, is for what a parametrization put elsewhere.
        own: dict[str, Any] = self._parameters
        return {
            name: own[full] if full in own else getattr(self, full)
            for name, full in self._parameter_names[layer * self.num_directions + direction]
        }

    def _initialise(self, params: dict[str, Tensor]) -> None:
        gates = self.cell.gates
        if self.init in ("orthogonal", "chrono"):
            initialisers.orthogonal_(params["weight_hh"], len(gates))
        if self.init == "identity":
            initialisers.identity_(params["weight_hh"], len(gates))
        if self.init == "chrono":
            nn.init.zeros_(params["bias_hh"])
            initialisers.chrono_(params["bias_ih"], gates, CHRONO_LONGEST)
        if self.forget_bias is not None:
            initialisers.forget_bias_(params["bias_ih"], gates, self.forget_bias)
            initialisers.forget_bias_(params["bias_hh"], gates, 0.0)

    def _call(
        self, layer: int, direction: int, x: Tensor, batch: Batch, record: bool
    ) -> kernels.Call:
        index = layer * self.num_directions + direction
        state = tuple(s[index] for s in batch.state)
        return kernels.Call(
            self.cell,
            x,
            state,
            self._parameters_of(layer, direction),
            Layout(batch.lengths, batch.reset, reverse=direction == 1),
            self._noise(x, state),
            self._normalisers(layer, direction),
            record,
            f"layer {layer}" + (" reverse" if direction else ""),
            flow=None if self.flows is None else self.flows[index],
        )

    def _prepared(self, batch: Batch) -> list[kernels.PreparedLayer] | None:
        """Return all layers and directions with their weights packed, where that may be done."""
        if self.batch_norm or (self.training and self._is_noisy):
            return None
        if batch.lengths is not None or batch.reset is not None:
            return None
        return kernels.prepare(
            self,
            (self.cell, self.zoneout, self.layer_norm),
            batch.input,
            lambda: [
                self._call(layer, direction, batch.input, batch, False)
                for layer in range(self.num_layers)
                for direction in range(self.num_directions)
            ],
        )

    @property
    def _is_noisy(self) -> bool:
        return any(self.zoneout) or bool(self.recurrent_dropout or self.update_dropout)

    def _noise(self, x: Tensor, state: State) -> Noise:
        zone_c, zone_h = self.zoneout
        if not self._is_noisy:
            return _NO_NOISE
        sizes = self.cell.state_sizes(self.hidden_size)
        shape = x.shape[:2]

        def zone(rate: float, width: int) -> Tensor | float | None:
            if not rate:
                return None
            return kernels.random_mask(rate, (*shape, width), x) if self.training else rate

        def mask(rate: float, *size: int) -> Tensor | None:
            if not rate or not self.training:
                return None
            return kernels.random_mask(1.0 - rate, size, x, 1.0 / (1.0 - rate))

        return Noise(
            hidden=mask(self.recurrent_dropout, shape[1], sizes[0]),
            update=mask(self.update_dropout, *shape, self.hidden_size),
            zoneout_c=zone(zone_c, self.hidden_size) if "c" in self.cell.states else None,
            zoneout_h=zone(zone_h, sizes[0]),
        )

    def _normalisers(self, layer: int, direction: int) -> dict[str, Normaliser]:
        result: dict[str, Normaliser] = {}
        for place in self._norm_sizes():
            name = f"norm_{place}_{_suffix(layer, direction)}"
            weight = getattr(self, name)
            if self.layer_norm:
                result[place] = LayerNorm(weight)
                continue
            result[place] = BatchNorm(
                weight,
                getattr(self, f"{name}_mean"),
                getattr(self, f"{name}_var"),
                self.training,
                per_step=self.batch_norm == "recurrent",
            )
        return result


_NO_NOISE = Noise()
_DEFAULTS = {
    "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False,
    "layer_norm": False, "batch_norm": None, "zoneout": (0.0, 0.0), "recurrent_dropout": 0.0,
    "update_dropout": 0.0, "forget_bias": None, "init": "torch",
}  # fmt: skip


def _suffix(layer: int, direction: int) -> str:
    return f"l{layer}" + ("_reverse" if direction else "")
