"""`LSTM`, `GRU` and `RNN`: drop-ins for torch.nn, with options beyond it."""

from __future__ import annotations

from typing import Any

from longspan import cells
from longspan.errors import InputError
from longspan.nn.recurrent import Recurrent


class LSTM(Recurrent):
    """Long short-term memory; a drop-in for ``torch.nn.LSTM``.

    The equations are in `longspan.cells.LSTM`; all options combine. Parameters have torch's names,
    order and shapes, so a ``state_dict`` moves both ways; options add theirs: ``weight_ch_l0``
    (peepholes of i, f, o), ``weight_gg_l0`` (full gate recurrence), ``norm_ih_l0``,
    ``norm_hh_l0``, ``norm_c_l0`` (rows: gain, shift). Leaving a gate out leaves its rows out.

    >>> import torch
    >>> lstm = LSTM(3, 5, batch_first=True, peephole=True, layer_norm=True)
    >>> output, (h, c) = lstm(torch.zeros(2, 7, 3), lengths=[7, 4])
    >>> output.shape, h.shape
    (torch.Size([2, 7, 5]), torch.Size([1, 2, 5]))

    Args:
        proj_size: Width of the projected output, 0 for none (Sak et al. 2014).
        peephole: Gates see the cell state (Gers et al. 2002).
        coupled_gates: The input gate is one minus the forget gate.
        input_gate: False leaves it out; likewise `forget_gate`, `output_gate`, `input_activation`
            and `output_activation` (Greff et al. 2017).
        forget_gate: See `input_gate`.
        output_gate: See `input_gate`.
        input_activation: See `input_gate`.
        output_activation: See `input_gate`.
        full_gate_recurrence: Gates see the gates of the step before; these become a third state.
        forget_bias: Initial bias of the forget gate; None leaves it to `init`.

    Further arguments, and what is raised: see `Recurrent`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        peephole: bool = False,
        coupled_gates: bool = False,
        input_gate: bool = True,
        forget_gate: bool = True,
        output_gate: bool = True,
        input_activation: bool = True,
        output_activation: bool = True,
        full_gate_recurrence: bool = False,
        **options: Any,
    ) -> None:
        cell = cells.LSTM(
            proj_size=proj_size,
            peephole=peephole,
            coupled_gates=coupled_gates,
            input_gate=input_gate,
            forget_gate=forget_gate,
            output_gate=output_gate,
            input_activation=input_activation,
            output_activation=output_activation,
            full_gate_recurrence=full_gate_recurrence,
        )
        super().__init__(
            cell, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            device, dtype, proj_size=proj_size, **options,
        )  # fmt: skip


class GRU(Recurrent):
    """Gated recurrent unit; a drop-in for ``torch.nn.GRU``.

    The equations are in `longspan.cells.GRU`.

    Args:
        reset_after: Whether the reset gate acts after the recurrent product, as in torch and
            cuDNN, or before it (Cho et al. 2014). Before it, there is no product U h that
            ``layer_norm`` or ``batch_norm="recurrent"`` could normalise.

    Further arguments, and what is raised: see `Recurrent`.
    """

    def __init__(
        self,
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
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        normalised = options.get("layer_norm") or options.get("batch_norm") == "recurrent"
        if normalised and not reset_after:
            raise InputError(
                "layer_norm and batch_norm='recurrent' need reset_after=True: with the reset gate "
                "before it, the recurrent product is no longer one. Drop either option."
            )
        super().__init__(
            cells.GRU(reset_after), input_size, hidden_size, num_layers, bias, batch_first,
            dropout, bidirectional, device, dtype, **options,
        )  # fmt: skip


class RNN(Recurrent):
    """Simple recurrent network; a drop-in for ``torch.nn.RNN``.

    The equation is in `longspan.cells.RNN`.

    Args:
        nonlinearity: ``"tanh"`` or ``"relu"``; it stands before `bias`, as in torch.

    Further arguments, and what is raised: see `Recurrent`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        self.nonlinearity = nonlinearity
        super().__init__(
            cells.RNN(nonlinearity), input_size, hidden_size, num_layers, bias, batch_first,
            dropout, bidirectional, device, dtype, **options,
        )  # fmt: skip
