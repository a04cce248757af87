"""Random masks for zoneout and dropout."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from longspan.errors import InputError
from longspan.kernels import native


def random_mask(rate: float, size: Sequence[int], like: Tensor, value: float = 1.0) -> Tensor:
    """Return `value` with a probability of `rate`, and zeros.

    Masks as large as a layer's output would take longer than the layer if they were drawn by
    ``bernoulli_``. The kernels draw them from one random number of torch's generator, with `rate`
    to the nearest 2⁻²⁴. Where they do not apply (other devices and dtypes, graphs), one number of
    64 bits makes four values, with `rate` to the nearest 2⁻¹⁶.

    Args:
        rate: From 0 to 1.
        size: Shape of the mask.
        like: A tensor of its device and dtype.
        value: What is not zero.

    Returns:
        A tensor of shape `size`.

    Raises:
        InputError: If `rate` is no probability.
    """
    if not 0.0 <= rate <= 1.0:
        raise InputError(f"`rate` must be a probability, from 0 to 1, got {rate!r}.")
    plain = type(like) is Tensor and like.device.type == "cpu" and like.dtype == torch.float32
    traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    if plain and native.available() and not traced:
        return native.random_mask(rate, size, value)
    threshold, count = round(rate * 65536) - 32768, math.prod(size)
    if threshold == 32768:
        return like.new_full(tuple(size), value)
    if traced:  # neither graphs nor vmap take a draw in place; one number of 2⁶⁴ is never drawn
        numbers = torch.randint(-(2**63), 2**63 - 1, (-(-count // 4),), device=like.device)
    else:
        numbers = torch.empty(-(-count // 4), dtype=torch.int64, device=like.device)
        numbers.random_(-(2**63), None)  # type: ignore[arg-type]
    lanes = numbers.view(torch.int16)[:count]
    return (lanes < threshold).to(like.dtype).mul_(value).view(*size)
