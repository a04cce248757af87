"""What a model loses when it no longer sees what is further back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from longspan import kernels
from longspan.cells import ScanResult
from longspan.errors import InputError
from longspan.insight.resampling import interval, mean, weights
from longspan.insight.results import Result
from longspan.insight.watch import handling

#: A context is long enough when its loss is this near to the full one's, as a share of the gap.
TOLERANCE = 0.05


@dataclass(frozen=True)
class Ablation(Result):
    """The loss by context.

    Attributes:
        contexts: How many inputs the model may look at, rising, (C,).
        losses: Mean loss over rows, (C,).
        low: Lower end of its 95 % interval, (C,): bootstrap over rows; NaN with a single row.
        high: Upper end.
        gap: Loss at the smallest context less that at the largest: what memory is worth.
        horizon: Smallest context from which on the loss stays within 5 % of the gap above that at
            the largest; the smallest context where the gap is not positive.
        horizon_low: Lower end of its 95 % interval; NaN with a single row.
        horizon_high: Upper end.
    """

    contexts: np.ndarray
    losses: np.ndarray
    low: np.ndarray
    high: np.ndarray
    gap: float
    horizon: int
    horizon_low: float
    horizon_high: float


def context_ablation(
    loss_at: Callable[[int], Tensor], contexts: Sequence[int], seed: int = 0
) -> Ablation:
    """Return the loss by context, and the context that is enough.

    >>> found = context_ablation(lambda k: torch.ones(8) * max(0, 3 - k), [1, 2, 3, 4, 5])
    >>> found.losses.tolist(), found.horizon
    ([2.0, 1.0, 0.0, 0.0, 0.0], 3)

    Args:
        loss_at: From a context to the loss of each row, (N,), the same rows at each. `cutting`
            gives any network less context.
        contexts: At least two; the smallest stands for no memory, the largest for full memory.
        seed: Of the resamples.

    Raises:
        InputError: If there are fewer than two contexts, or a loss does not fit.
    """
    tried = sorted(set(contexts))
    if len(tried) < 2 or tried[0] < 0:
        raise InputError(
            f"`contexts` must hold at least two different numbers from 0 on, got {list(contexts)}."
        )
    losses = _losses(loss_at, tried)
    average = mean(losses, np.ones((1, len(losses))))
    drawn = mean(losses, weights(len(losses), seed))
    alone = len(losses) == 1
    low, high = interval(drawn)
    enough = np.array(tried)[_enough(drawn)]
    horizon_low, horizon_high = interval(enough[:, None].astype(float))
    return Ablation(
        np.array(tried),
        average[0],
        np.full_like(low, np.nan) if alone else low,
        np.full_like(high, np.nan) if alone else high,
        float(average[0, 0] - average[0, -1]),
        tried[int(_enough(average)[0])],
        float("nan") if alone else float(horizon_low[0]),
        float("nan") if alone else float(horizon_high[0]),
    )


@contextmanager
def cutting(
    network: nn.Module, context: int, at: int | Sequence[int] | Tensor | None = None
) -> Iterator[None]:
    """Let the output at one step of each row see only the last inputs.

    Inside, every recurrent layer is put in the zero state before step at - context + 1, and in
    reverse after step at + context - 1, so that the output at `at` sees at most the last `context`
    inputs, its own among them, and in reverse the next ones. Outputs at other steps are cut there
    too and mean nothing. Where the window reaches the first step nothing is cut, an initial state
    that is passed included.

    >>> from longspan.nn import GRU
    >>> gru, x = GRU(2, 4), torch.randn(9, 3, 2)
    >>> with cutting(gru, context=4):
    ...     cut = gru(x)[0][-1]
    >>> torch.allclose(cut, gru(x[-4:])[0][-1], atol=1e-6)
    True

    Args:
        network: Any module that holds recurrent layers of `longspan.nn`, all of which run over the
            same steps and rows; else pass the part that does.
        context: At least 1.
        at: The step of each row's output, one number or (B,); by default each row's last.

    Raises:
        InputError: If the network holds no recurrent layer, or an argument does not fit.
    """
    if context < 1:
        raise InputError(f"`context` must be at least 1, the step's own input, got {context}.")
    given = None if at is None else torch.as_tensor(at)

    def cut(call: kernels.Call, _: str) -> ScanResult:
        layout = call.layout
        steps, batch = call.x.shape[:2]
        ends = torch.full((batch,), steps) if layout.lengths is None else layout.lengths.cpu()
        last = ends - 1 if given is None else _at(given, steps, batch)
        reset = _boundaries(last, context, steps).to(call.x.device)
        if not bool(reset.any()):  # the whole row is seen, by the kernel that always runs it
            return kernels.run(call)
        if layout.reset is not None:
            reset = reset | layout.reset
        return kernels.run(call._replace(layout=replace(layout, reset=reset)))

    with handling(network, cut):
        yield


def _boundaries(last: Tensor, context: int, steps: int) -> Tensor:
    """Return True before the first step of each row's window and after its last, (T, B)."""
    step = torch.arange(steps)[:, None]
    first = last - context + 1
    return ((step == first) & (first > 0)) | (step == last + context)


def _at(given: Tensor, steps: int, batch: int) -> Tensor:
    last = given.cpu().repeat(batch) if given.dim() == 0 else given.cpu()
    fits = tuple(last.shape) == (batch,) and not last.is_floating_point()
    if not fits or (batch and not 0 <= int(last.min()) <= int(last.max()) < steps):
        raise InputError(
            f"`at` must hold one step from 0 to {steps - 1} for each of the {batch} rows of a "
            f"layer, got {last.tolist()}. Where layers run over different rows or steps, pass the "
            "part of the network in which they are the same."
        )
    return last


def _losses(loss_at: Callable[[int], Tensor], contexts: list[int]) -> np.ndarray:
    """Return (N, C)."""
    columns = []
    for context in contexts:
        with torch.no_grad():
            loss = torch.as_tensor(loss_at(context)).detach().double().cpu().numpy()
        if loss.ndim != 1 or not len(loss) or (columns and len(loss) != len(columns[0])):
            raise InputError(
                f"`loss_at` must return the loss of each row, (N,), of the same rows each time; at "
                f"context {context} it returned shape {loss.shape}."
            )
        if not np.isfinite(loss).all():
            raise InputError(
                f"`loss_at` must return finite losses, but at context {context} some are not."
            )
        columns.append(loss)
    return np.stack(columns, 1)


def _enough(losses: np.ndarray) -> np.ndarray:
    """Return the place of the smallest context from which on the loss is near the last, (R,)."""
    gap = losses[:, :1] - losses[:, -1:]
    beyond = losses - losses[:, -1:] > TOLERANCE * gap
    beyond &= gap > 0
    last_beyond = beyond.shape[1] - 1 - np.argmax(beyond[:, ::-1], 1)
    return np.where(beyond.any(1), last_beyond + 1, 0)
