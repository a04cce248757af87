"""Three ways to clip gradients, all measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from longspan.errors import InputError


@dataclass(frozen=True)
class Clipping:
    """What to clip gradients by; several may be given and act in this order.

    Args:
        value: Largest magnitude of any element.
        adaptive: Largest ratio of each unit's gradient norm to its weight norm (Brock et al.
            2021); 0.01 is usual.
        norm: Largest norm of all gradients together (Pascanu et al. 2013).

    Raises:
        InputError: If a limit is not positive.
    """

    value: float | None = None
    adaptive: float | None = None
    norm: float | None = None

    def __post_init__(self) -> None:
        for name in ("value", "adaptive", "norm"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0.0:
                raise InputError(f"The clipping limit `{name}` must be positive, got {limit!r}.")

    def __call__(self, parameters: Sequence[nn.Parameter]) -> tuple[float, float]:
        """Clip the gradients in place.

        Returns:
            The global norm before, and the share of it that was removed (0 to 1).
        """
        with_gradient = [p for p in parameters if p.grad is not None]
        gradients = [p.grad for p in with_gradient if p.grad is not None]
        after = before = float(get_total_norm(gradients))
        if self.value is not None:
            torch._foreach_clamp_min_(gradients, -self.value)
            torch._foreach_clamp_max_(gradients, self.value)
        if self.adaptive is not None:
            for p in with_gradient:
                _clip_units(p, self.adaptive)
        if self.value is not None or self.adaptive is not None:
            after = float(get_total_norm(gradients))
        if self.norm is not None and after > self.norm:
            torch._foreach_mul_(gradients, self.norm / after)
            after = self.norm
        return before, 1.0 - after / before if before > 0.0 else 0.0


def _clip_units(parameter: nn.Parameter, limit: float) -> None:
    """Scale each row's gradient to at most `limit` times the row's own norm."""
    gradient = parameter.grad
    assert gradient is not None
    axes = tuple(range(1, parameter.dim()))
    own = _norm(parameter.detach(), axes).clamp(min=1e-3)
    norm = _norm(gradient, axes)
    gradient.mul_((limit * own / norm.clamp(min=1e-6)).clamp(max=1.0))


def _norm(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    return values.square().sum(axes, keepdim=True).sqrt() if axes else values.abs()
