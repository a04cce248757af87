"""What a forecast's output layer means: quantiles, or the parameters of a distribution.

A likelihood turns the network's raw outputs of one step into a loss, an expected value, quantiles
and random draws. The network works in scaled units, y = location + scale · z, and may correct an
*anchor* a (the value one season before, say), so that its raw location is added to a. Shapes: raw
(…, K) with K raw outputs a step; y, anchor, location and scale broadcast to (…).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

#: Spread of the first forecasts, in scaled units.
FIRST_SPREAD = 0.5


@dataclass(frozen=True)
class Frame:
    """The units in which raw outputs are read: y = location + scale · (anchor + raw).

    Attributes:
        location: Level of each window, in data units.
        scale: Spread of each window, in data units, positive.
        anchor: What the network corrects, in scaled units.
    """

    location: Tensor
    scale: Tensor
    anchor: Tensor

    def scaled(self, y: Tensor) -> Tensor:
        """Return y in scaled units."""
        return (y - self.location) / self.scale

    def unscaled(self, z: Tensor) -> Tensor:
        """Return scaled values in data units."""
        return self.location + self.scale * z

    def expand(self) -> Frame:
        """Return the frame with one more axis at the end, for values with a quantile axis."""
        return Frame(self.location[..., None], self.scale[..., None], self.anchor[..., None])


class Likelihood(Protocol):
    """The protocol; `LIKELIHOODS` lists what implements it."""

    @property
    def start(self) -> Tensor:
        """Raw outputs of a step to start training from, (K,)."""
        ...

    def loss(self, raw: Tensor, y: Tensor, frame: Frame) -> Tensor:
        """Return the loss of every value y, same shape as y."""
        ...

    def mean(self, raw: Tensor, frame: Frame) -> Tensor:
        """Return the expected value in data units."""
        ...

    def quantiles(self, raw: Tensor, frame: Frame, levels: Sequence[float]) -> Tensor:
        """Return quantiles in data units, shape (…, Q), rising along the last axis."""
        ...

    def sample(self, raw: Tensor, frame: Frame, generator: torch.Generator) -> Tensor:
        """Return one random draw for each step in data units."""
        ...


class Quantile:
    """Quantile regression by the pinball loss (Koenker & Bassett 1978), and a separate mean.

    ρ_τ(u) = max(τ·u, (τ − 1)·u) with u = z − q_τ, averaged over the levels. A last raw output
    learns the expected value by squared error. Quantiles are sorted when they are read:
    rearrangement never makes the pinball loss worse (Chernozhukov et al. 2010).
    """

    def __init__(self, levels: Sequence[float]) -> None:
        self.levels = tuple(sorted({*levels, 0.5}))

    @property
    def start(self) -> Tensor:
        """A normal distribution's quantiles, and the mean 0."""
        levels = torch.tensor((*self.levels, 0.5), dtype=torch.float64)
        return (FIRST_SPREAD * torch.special.ndtri(levels)).float()

    def loss(self, raw: Tensor, y: Tensor, frame: Frame) -> Tensor:
        """Return the mean pinball loss plus half the squared error of the mean."""
        error = frame.scaled(y) - frame.anchor
        tau = raw.new_tensor(self.levels)
        deviation = error[..., None] - raw[..., :-1]
        pinball = torch.maximum(tau * deviation, (tau - 1.0) * deviation).mean(-1)
        # Huber's form keeps one wild value from ruling the shared output layer.
        return 2.0 * pinball + 0.5 * F.huber_loss(raw[..., -1], error, reduction="none", delta=3.0)

    def mean(self, raw: Tensor, frame: Frame) -> Tensor:
        """Return the expected value, from its own output."""
        return frame.unscaled(frame.anchor + raw[..., -1])

    def quantiles(self, raw: Tensor, frame: Frame, levels: Sequence[float]) -> Tensor:
        """Return the fitted quantiles; levels in between are interpolated."""
        known = self._sorted(raw)
        wanted = raw.new_tensor(levels).expand(*raw.shape[:-1], len(levels))
        wide = frame.expand()
        return wide.unscaled(wide.anchor + self._interpolate(known, wanted))

    def sample(self, raw: Tensor, frame: Frame, generator: torch.Generator) -> Tensor:
        """Draw by inverting the quantile function, which is linear between the levels."""
        u = torch.rand(raw.shape[:-1], generator=generator, dtype=raw.dtype)
        z = self._interpolate(self._sorted(raw), u[..., None])[..., 0]
        return frame.unscaled(frame.anchor + z)

    def _sorted(self, raw: Tensor) -> Tensor:
        return raw[..., :-1].sort(-1).values

    def _interpolate(self, known: Tensor, wanted: Tensor) -> Tensor:
        """Read the quantile function at `wanted`; beyond the outer levels it goes on straight."""
        if len(self.levels) == 1:
            return known.expand(*wanted.shape[:-1], wanted.shape[-1])
        tau = known.new_tensor(self.levels)
        right = torch.searchsorted(tau, wanted.contiguous()).clamp(1, len(self.levels) - 1)
        low, high = known.gather(-1, right - 1), known.gather(-1, right)
        fraction = (wanted - tau[right - 1]) / (tau[right] - tau[right - 1])
        return low + fraction * (high - low)


class Normal:
    """Normal distribution: loss = ½·((z − μ) / σ)² + log σ + ½·log 2π."""

    start: ClassVar[Tensor] = torch.tensor([0.0, FIRST_SPREAD])

    def loss(self, raw: Tensor, y: Tensor, frame: Frame) -> Tensor:
        """Return the negative log-likelihood in scaled units."""
        mu, sigma = self._parameters(raw, frame)
        u = (frame.scaled(y) - mu) / sigma
        return 0.5 * u.square() + sigma.log() + 0.5 * math.log(2.0 * math.pi)

    def mean(self, raw: Tensor, frame: Frame) -> Tensor:
        """Return μ in data units."""
        return frame.unscaled(self._parameters(raw, frame)[0])

    def quantiles(self, raw: Tensor, frame: Frame, levels: Sequence[float]) -> Tensor:
        """Return μ + σ·Φ⁻¹(τ) in data units."""
        mu, sigma = self._parameters(raw, frame)
        u = torch.special.ndtri(raw.new_tensor(levels, dtype=torch.float64)).to(raw)
        return frame.expand().unscaled(mu[..., None] + sigma[..., None] * u)

    def sample(self, raw: Tensor, frame: Frame, generator: torch.Generator) -> Tensor:
        """Draw from the distribution."""
        mu, sigma = self._parameters(raw, frame)
        u = torch.randn(mu.shape, generator=generator, dtype=raw.dtype)
        return frame.unscaled(mu + sigma * u)

    def _parameters(self, raw: Tensor, frame: Frame) -> tuple[Tensor, Tensor]:
        return frame.anchor + raw[..., 0], F.softplus(raw[..., 1]) + 1e-4


class StudentT:
    """Student's t distribution with location, scale and degrees of freedom ν > 2."""

    start: ClassVar[Tensor] = torch.tensor([0.0, FIRST_SPREAD, 3.0])

    def loss(self, raw: Tensor, y: Tensor, frame: Frame) -> Tensor:
        """Return the negative log-likelihood in scaled units."""
        mu, sigma, nu = self._parameters(raw, frame)
        u = (frame.scaled(y) - mu) / sigma
        normaliser = (
            torch.lgamma(0.5 * nu)
            - torch.lgamma(0.5 * (nu + 1.0))
            + 0.5 * (nu * math.pi).log()
            + sigma.log()
        )
        return normaliser + 0.5 * (nu + 1.0) * torch.log1p(u.square() / nu)

    def mean(self, raw: Tensor, frame: Frame) -> Tensor:
        """Return μ in data units (ν > 2, so the mean exists)."""
        return frame.unscaled(self._parameters(raw, frame)[0])

    def quantiles(self, raw: Tensor, frame: Frame, levels: Sequence[float]) -> Tensor:
        """Return μ + σ·t_ν⁻¹(τ) in data units."""
        mu, sigma, nu = self._parameters(raw, frame)
        u = _inverse("t", raw, levels, nu[..., None])
        return frame.expand().unscaled(mu[..., None] + sigma[..., None] * u)

    def sample(self, raw: Tensor, frame: Frame, generator: torch.Generator) -> Tensor:
        """Draw from the distribution: a normal over the root of a χ² over ν."""
        mu, sigma, nu = self._parameters(raw, frame)
        normal = torch.randn(mu.shape, generator=generator, dtype=raw.dtype)
        chi2 = 2.0 * _gamma(0.5 * nu, generator)
        return frame.unscaled(mu + sigma * normal * (nu / chi2).sqrt())

    def _parameters(self, raw: Tensor, frame: Frame) -> tuple[Tensor, Tensor, Tensor]:
        sigma = F.softplus(raw[..., 1]) + 1e-4
        return frame.anchor + raw[..., 0], sigma, 2.0 + F.softplus(raw[..., 2]) + 1e-3


class NegativeBinomial:
    """Negative binomial for counts, as in DeepAR (Salinas et al. 2020).

    Mean μ and shape α, so that the variance is μ + α·μ². The mean scales with the window; the
    location and the anchor play no part, so the frame's are ignored.
    """

    start: ClassVar[Tensor] = torch.tensor([0.5, 0.5])

    def loss(self, raw: Tensor, y: Tensor, frame: Frame) -> Tensor:
        """Return the negative log-likelihood of the counts y."""
        mu, alpha = self._parameters(raw, frame)
        r = 1.0 / alpha
        return (
            torch.lgamma(r)
            + torch.lgamma(y + 1.0)
            - torch.lgamma(y + r)
            - r * torch.log(r / (r + mu))
            - y * torch.log(mu / (r + mu))
        )

    def mean(self, raw: Tensor, frame: Frame) -> Tensor:
        """Return μ."""
        return self._parameters(raw, frame)[0]

    def quantiles(self, raw: Tensor, frame: Frame, levels: Sequence[float]) -> Tensor:
        """Return the smallest counts that reach each level."""
        mu, alpha = self._parameters(raw, frame)
        r = (1.0 / alpha)[..., None]
        return _inverse("nbinom", raw, levels, r, r / (r + mu[..., None]))

    def sample(self, raw: Tensor, frame: Frame, generator: torch.Generator) -> Tensor:
        """Draw from the distribution: a Poisson whose rate is a gamma."""
        mu, alpha = self._parameters(raw, frame)
        rate = _gamma(1.0 / alpha, generator) * alpha * mu
        return torch.poisson(rate, generator=generator)

    def _parameters(self, raw: Tensor, frame: Frame) -> tuple[Tensor, Tensor]:
        mu = frame.scale * F.softplus(raw[..., 0]) + 1e-6
        return mu, F.softplus(raw[..., 1]) + 1e-4


def _gamma(shape: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from gamma distributions; torch.distributions takes no generator."""
    return torch._standard_gamma(shape, generator=generator)  # type: ignore[attr-defined]


def _inverse(name: str, raw: Tensor, levels: Sequence[float], *parameters: Tensor) -> Tensor:
    """Return a distribution's quantile function, which SciPy has and torch has not."""
    from scipy import stats

    arrays = [p.detach().double().numpy() for p in parameters]
    values = getattr(stats, name).ppf(np.asarray(levels), *arrays)
    return torch.from_numpy(np.ascontiguousarray(values)).to(raw)


LIKELIHOODS: dict[str, Callable[[Sequence[float]], Any]] = {
    "quantile": Quantile,
    "normal": lambda levels: Normal(),
    "student_t": lambda levels: StudentT(),
    "negative_binomial": lambda levels: NegativeBinomial(),
}
