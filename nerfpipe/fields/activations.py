"""Activations that turn a network's raw output into a density, which is never negative."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from nerfpipe.ops.constants import LARGEST_RAW_DENSITY


def density_activation(raw: Float[Tensor, " M"], kind: str) -> Float[Tensor, " M"]:
    """Density sigma >= 0 per scene unit, in float32. `kind` is "relu" or "softplus".

    ReLU has no gradient where it is zero: a field that is empty everywhere stays so. Softplus always has one.
    """
    raw = raw.float()
    return functional.relu(raw) if kind == "relu" else functional.softplus(raw)


class _SafeExponential(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, raw: Tensor) -> Tensor:
        density = raw.clamp_max(LARGEST_RAW_DENSITY).exp()
        context.save_for_backward(density)
        return density

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (density,) = context.saved_tensors
        return gradient * density


def exponential_density(raw: Float[Tensor, " M"]) -> Float[Tensor, " M"]:
    """exp of the raw output in float32: equal steps of the output are equal factors of density.

    Above LARGEST_RAW_DENSITY value and gradient stay as they are there. So nothing overflows, and the output can still
    fall again, which a clamp without a gradient would prevent.
    """
    return _SafeExponential.apply(raw.float())
