"""Memory horizon: how far back an output depends on its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from longspan.errors import InputError
from longspan.insight.resampling import interval, mean, weights
from longspan.insight.results import Result

#: The influence has not died out if at the last lag it still is this share of the mean one.
NOTABLE = 0.1


@dataclass(frozen=True)
class Horizon(Result):
    """Influence by lag, and the lag within which most of it lies.

    Attributes:
        lags: 0 … K-1.
        influence: Mean over rows, (K,).
        low: Lower end of its 95 % interval, (K,): bootstrap over rows; NaN with a single row.
        high: Upper end, (K,).
        share: The share of the influence that the horizon holds.
        horizon: Smallest lag k for which lags 0 … k hold that share; 0 where there is no influence.
        horizon_low: Lower end of its 95 % interval; NaN with a single row.
        horizon_high: Upper end.
        truncated: Whether the influence has not died out at the last lag: it is more than a tenth
            of the mean one there, so longer sequences would show a longer horizon.
    """

    lags: np.ndarray
    influence: np.ndarray
    low: np.ndarray
    high: np.ndarray
    share: float
    horizon: int
    horizon_low: float
    horizon_high: float
    truncated: bool


def jacobian_influence(
    run: Callable[[Tensor], Tensor],
    x: Tensor,
    at: int | Sequence[int] | Tensor | None = None,
    outputs: Sequence[int] | Tensor | None = None,
    *,
    lengths: Sequence[int] | Tensor | None = None,
    ahead: bool = False,
    copies: int = 1,
    probes: int = 0,
    seed: int = 0,
) -> np.ndarray:
    """Return how strongly an output depends on the input k steps before, by row and lag k.

        influence[b, k] = ‖∂ run(x)[at[b], b] / ∂ x[at[b] - k, b]‖_F

    Exact, in the dtype of x: one backward pass for each output, or for `copies` of them at once.
    Shapes: T steps, B rows, I inputs, O outputs, K lags.

    >>> from longspan.nn import LSTM
    >>> lstm = LSTM(2, 8)
    >>> influence = jacobian_influence(lambda x: lstm(x)[0], torch.zeros(20, 3, 2))
    >>> influence.shape
    (3, 20)

    Args:
        run: From x to outputs, (T, B, O), or (B, O) where it picks one step of each row itself;
            each row by itself, so without batch normalisation in training. It should be
            deterministic: without dropout.
        x: Inputs, (T, B, I), floating; of tokens, their embeddings.
        at: The step of the output in each row, one number or (B,); by default each row's last.
        outputs: Which outputs count; all by default.
        lengths: Valid steps of each row, (B,), at least 1; all by default. They only say where a
            row's last step is and which lags it has; `run` has to know them too.
        ahead: Look at the inputs k steps after the output instead: at[b] + k, for networks that
            also read from the end.
        copies: How many copies of x `run` gets at once, one after another along the batch axis:
            row c·B + b is copy c of row b. More are faster for few rows, and need as many times
            the memory; `run` must then take any number of rows.
        probes: 0: exact. Else an estimate from so many random combinations of the outputs, for
            networks with very many: the mean of its square is right (Hutchinson 1990).
        seed: Of the probes.

    Returns:
        (B, K) with K = 1 + the largest lag of any row; NaN at lags that a row does not have.

    Raises:
        InputError: If a shape or an argument does not fit.
    """
    _check_input(x, copies, probes)
    steps, batch, _ = x.shape
    ends = _numbers("lengths", steps if lengths is None else lengths, batch, 1, steps)
    where = _numbers("at", ends - 1 if at is None else at, batch, 0, steps - 1)
    leaf = x.detach().repeat(1, copies, 1).requires_grad_()
    with torch.enable_grad():
        picked = _picked(run(leaf), where.repeat(copies), steps)
    combinations = _combinations(picked, outputs, probes, seed)
    squares = torch.zeros(steps, batch, dtype=torch.float64)
    for begin in range(0, len(combinations), copies):
        part = combinations[begin : begin + copies]
        cotangent = torch.zeros_like(picked)
        for c, combination in enumerate(part):
            cotangent[c * batch : (c + 1) * batch] = combination
        more = begin + copies < len(combinations)
        (gradient,) = torch.autograd.grad(
            picked, leaf, cotangent, retain_graph=more, allow_unused=True, materialize_grads=True
        )
        found = gradient.double().square().sum(-1).cpu().view(steps, copies, batch)
        squares += found[:, : len(part)].sum(1)
    influence = (squares / max(probes, 1)).sqrt().numpy()
    return _by_lag(influence, where.numpy(), ends.numpy(), ahead)


def memory_horizon(influence: np.ndarray, share: float = 0.95, seed: int = 0) -> Horizon:
    """Return the lag that holds a share of the influence, with its uncertainty.

    The influence is averaged over rows, at each lag over those that have it; the horizon is the
    smallest k with Σ_{j ≤ k} influence[j] ≥ share · Σ_j influence[j]. Intervals come from drawing
    the rows anew, 1000 times.

    >>> horizon = memory_horizon(np.array([[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 2.0, 0.0]]))
    >>> horizon.horizon, horizon.horizon_low, horizon.horizon_high, horizon.truncated
    (2, 2.0, 2.0, False)

    Args:
        influence: (N, K), not negative; NaN at lags that a row does not have.
        share: Above 0, at most 1.
        seed: Of the resamples.

    Raises:
        InputError: If there are no rows or lags, or a value does not fit.
    """
    values = _check_influence(influence, share)
    average = mean(values, np.ones((1, len(values))))
    drawn = mean(values, weights(len(values), seed))
    low, high = interval(drawn)
    horizons = _horizons(drawn, share)
    horizon_low, horizon_high = interval(horizons[:, None].astype(float))
    alone = len(values) == 1
    return Horizon(
        np.arange(values.shape[1]),
        average[0],
        np.full_like(low, np.nan) if alone else low,
        np.full_like(high, np.nan) if alone else high,
        share,
        int(_horizons(average, share)[0]),
        float("nan") if alone else float(horizon_low[0]),
        float("nan") if alone else float(horizon_high[0]),
        bool(average[0, -1] > NOTABLE * average[0].mean()),
    )


def _check_input(x: Tensor, copies: int, probes: int) -> None:
    if x.dim() != 3 or not x.is_floating_point():
        raise InputError(
            f"`x` must be floating, (T, B, I), got {x.dtype} of shape {tuple(x.shape)}. Of tokens "
            "pass the embeddings, and let `run` begin behind them."
        )
    if 0 in x.shape[:2]:
        raise InputError(f"`x` must hold at least one step and one row, got {tuple(x.shape)}.")
    if copies < 1 or probes < 0:
        raise InputError(
            f"`copies` must be at least 1 and `probes` at least 0, got {copies} and {probes}."
        )


def _numbers(
    name: str, given: int | Sequence[int] | Tensor, batch: int, least: int, most: int
) -> Tensor:
    """Return whole numbers for all rows, (B,).

    Raises:
        InputError: If there is not one for each row, or one lies outside.
    """
    values = torch.as_tensor(given).cpu()
    if values.dim() == 0:
        values = values.repeat(batch)
    if tuple(values.shape) != (batch,) or values.is_floating_point():
        raise InputError(
            f"`{name}` must be one whole number, or one for each of the {batch} rows, got "
            f"{values.dtype} of shape {tuple(values.shape)}."
        )
    if int(values.min()) < least or int(values.max()) > most:
        raise InputError(
            f"`{name}` must lie between {least} and {most}, got {int(values.min())} to "
            f"{int(values.max())}. Leave rows without steps out."
        )
    return values.long()


def _picked(output: Tensor, where: Tensor, steps: int) -> Tensor:
    """Return each row's output, (B, O)."""
    expected = {3: (steps, len(where)), 2: (len(where),)}.get(output.dim())
    if expected is None or tuple(output.shape[:-1]) != expected:
        raise InputError(
            f"`run` must return (T, B, O) = ({steps}, {len(where)}, O) or (B, O), got "
            f"{tuple(output.shape)}. With copies > 1 it gets more rows than x has."
        )
    if output.dim() == 2:
        return output
    return output[where.to(output.device), torch.arange(len(where), device=output.device)]


def _combinations(
    picked: Tensor, outputs: Sequence[int] | Tensor | None, probes: int, seed: int
) -> Tensor:
    """Return the weights with which outputs are differentiated, one row a backward pass, (·, O)."""
    eye = torch.eye(picked.shape[-1], dtype=picked.dtype)
    if outputs is not None:
        try:
            eye = eye[torch.as_tensor(outputs)]
        except IndexError as error:
            raise InputError(
                f"`outputs` must be numbers below {len(eye)}, the outputs there are, got {outputs}."
            ) from error
    if probes:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], (probes, len(eye)))
        eye = torch.as_tensor(signs, dtype=picked.dtype) @ eye
    return eye.to(picked.device)


def _by_lag(values: np.ndarray, where: np.ndarray, ends: np.ndarray, ahead: bool) -> np.ndarray:
    """Return (T, B) values by step as (B, K) by distance from each row's output."""
    lags = np.arange((ends - where).max() if ahead else 1 + where.max())
    at = where[:, None] + (lags if ahead else -lags)
    inside = (at >= 0) & (at < ends[:, None])
    found = values[np.clip(at, 0, len(values) - 1), np.arange(len(where))[:, None]]
    return np.where(inside, found, np.nan)


def _check_influence(influence: np.ndarray, share: float) -> np.ndarray:
    values = np.asarray(influence, float)
    if values.ndim != 2 or 0 in values.shape:
        raise InputError(
            f"`influence` must be (rows, lags) with at least one of each, got {values.shape}."
        )
    if not 0.0 < share <= 1.0:
        raise InputError(f"`share` must be above 0 and at most 1, got {share}.")
    if np.isinf(values).any() or (values < 0).any() or np.isnan(values).all(0).any():
        raise InputError(
            "`influence` must be finite and not negative, with at least one row at every lag. "
            "Where a Jacobian overflows, use float64."
        )
    return values


def _horizons(influence: np.ndarray, share: float) -> np.ndarray:
    """Return the smallest lag within which the share lies, of each row of (R, K)."""
    sums = np.cumsum(influence, 1)
    # Rounding of the sums must not push the horizon one lag out.
    return np.argmax(sums >= share * sums[:, -1:] * (1 - 1e-12), 1)
