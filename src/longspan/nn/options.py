"""What the options of recurrent layers may be, one by one and together."""

from __future__ import annotations

from collections.abc import Sequence

from longspan.cells import Cell
from longspan.errors import InputError

INITS = ("torch", "orthogonal", "chrono", "identity")


def probability(name: str, value: float) -> float:
    """Return a rate of dropout, checked: below 1, but for that between layers."""
    if not 0.0 <= value <= 1.0 or (name != "dropout" and value == 1.0):
        raise InputError(f"`{name}` must be a probability, at least 0 and below 1, got {value!r}.")
    return float(value)


def zoneout_pair(value: float | Sequence[float]) -> tuple[float, float]:
    """Return the shares of the cell and of h that are kept, from one number for both or a pair."""
    pair = (value, value) if isinstance(value, int | float) else tuple(value)
    if len(pair) != 2:
        raise InputError(
            f"`zoneout` must be one number or a pair (cell, hidden), got {len(pair)} numbers."
        )
    return probability("zoneout", pair[0]), probability("zoneout", pair[1])


def check_fits_cell(
    cell: Cell,
    hidden_size: int,
    proj_size: int,
    bias: bool,
    init: str,
    forget_bias: float | None,
) -> None:
    """Refuse what the cell would silently ignore."""
    if proj_size and cell.state_sizes(hidden_size)[0] != proj_size:
        raise InputError("`proj_size` is for the LSTM alone. Leave it out.")
    if forget_bias is not None and not (bias and "f" in cell.gates):
        raise InputError(
            f"`forget_bias` = {forget_bias} needs an LSTM with a forget gate and bias=True. Leave "
            "it out."
        )
    if init == "chrono" and not (bias and {"f", "z"} & set(cell.gates)):
        raise InputError(
            "init='chrono' sets the bias of a forget or update gate, so it needs an LSTM or GRU "
            "with that gate and bias=True. Choose another init."
        )


def check_options(
    input_size: int,
    hidden_size: int,
    num_layers: int,
    proj_size: int,
    init: str,
    batch_norm: str | None,
    layer_norm: bool,
) -> None:
    """Refuse sizes and names that do not exist, and options that exclude each other."""
    if min(input_size, hidden_size, num_layers) < 1:
        raise InputError(
            "`input_size`, `hidden_size` and `num_layers` must be at least 1, got "
            f"{input_size}, {hidden_size} and {num_layers}."
        )
    if not 0 <= proj_size < hidden_size:
        raise InputError(
            f"`proj_size` must be 0 (none) or smaller than hidden_size = {hidden_size}, got "
            f"{proj_size}."
        )
    if init not in INITS:
        raise InputError(f"`init` must be one of {', '.join(INITS)}, got {init!r}.")
    if batch_norm not in (None, "sequence", "recurrent"):
        raise InputError(
            f"`batch_norm` must be None, 'sequence' or 'recurrent', got {batch_norm!r}."
        )
    if batch_norm and layer_norm:
        raise InputError("Choose one of layer_norm and batch_norm; they act at the same places.")
