"""The fast form of a step of RowAdam. Definition: training/row_adam.py, `step_rows`."""

from __future__ import annotations

from torch import Tensor
from torch.library import custom_op


@custom_op("nerfpipe::row_adam", mutates_args=("weight", "gradient", "mean", "square"), device_types="cpu")
def row_adam(
    weight: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    correction: float,
) -> None:
    """One step of Adam on weight [N, F] in place; rows without a gradient stay. The gradient is zero afterwards."""
    from nerfpipe.kernels.numba import bindings

    bindings.step_rows(weight, gradient, mean, square, rate, beta1, beta2, epsilon, correction)
