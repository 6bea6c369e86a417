"""The fast form of a step of RowAdam. Definition: training/row_adam.py, `step_rows`."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.library import register_fake

from nerfpipe.ops.registration import operation


@operation("nerfpipe::row_adam", mutates_args=("weights", "gradients", "means", "squares"))
def row_adam(
    weights: list[Tensor],
    gradients: list[Tensor],
    means: list[Tensor],
    squares: list[Tensor],
    rates: list[float],
    corrections: list[float],
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None:
    """One step of Adam on every weight [N, F] in place; rows without a gradient stay. Gradients are zero afterwards."""
    from nerfpipe.kernels.numba import bindings

    for weight, gradient, mean, square, rate, correction in zip(
        weights, gradients, means, squares, rates, corrections, strict=True
    ):
        bindings.step_rows(weight, gradient, mean, square, rate, beta1, beta2, epsilon, correction)


@register_fake("nerfpipe::row_adam")
def _(*_: Any) -> None:
    """It returns nothing."""
