"""A new operation with a fast form: the sum of packed values along each ray, held to its definition.

    python examples/op.py

In the repository the definition lives in the room of its subject, the registration in `ops/`, the kernel in
`kernels/numba/`, and a case in `tests/test_ops.py` compares them.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.library import opcheck, register_autograd, register_fake
from torch.testing import assert_close

from nerfpipe.ops import dispatch
from nerfpipe.ops.registration import operation


def ray_sum(values: Float[Tensor, " M"], ray_offsets: Int64[Tensor, " offsets"]) -> Float[Tensor, " R"]:
    """The sum of values [M] of each ray, whose samples are ray_offsets[r] to ray_offsets[r + 1]: [R]."""
    if dispatch.is_fast(values):
        return fast_ray_sum(values, ray_offsets)
    return definition(values, ray_offsets)


def definition(values: Float[Tensor, " M"], ray_offsets: Int64[Tensor, " offsets"]) -> Float[Tensor, " R"]:
    """1. The definition in plain torch: it runs on any device and in any precision, and is the one to read."""
    ray = torch.arange(len(ray_offsets) - 1, device=values.device).repeat_interleave(ray_offsets.diff())  # [M]
    return values.new_zeros(len(ray_offsets) - 1).index_add(0, ray, values)  # [R]


@numba.njit(fastmath=False)
def kernel(values: np.ndarray, ray_offsets: np.ndarray, out: np.ndarray) -> None:
    """2. The fast form: the samples of a ray in their order, so that the result does not depend on threads."""
    for r in range(len(out)):
        total = np.float32(0)
        for m in range(ray_offsets[r], ray_offsets[r + 1]):
            total += values[m]
        out[r] = total


@operation("examples::ray_sum")  # 3. The registration: the schema is read from the annotations.
def fast_ray_sum(values: Tensor, ray_offsets: Tensor) -> Tensor:
    out = values.new_empty(len(ray_offsets) - 1)  # [R]
    kernel(values.contiguous().numpy(), ray_offsets.contiguous().numpy(), out.numpy())
    return out


@register_fake("examples::ray_sum")
def _(values: Tensor, ray_offsets: Tensor) -> Tensor:
    """4. The shape of the result, from shapes alone."""
    return values.new_empty(ray_offsets.shape[0] - 1)


def _setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1])


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
    """5. The gradient of every differentiable input, returned and never written into `.grad`: [M]."""
    (ray_offsets,) = ctx.saved_tensors
    return gradient.repeat_interleave(ray_offsets.diff()), None


register_autograd("examples::ray_sum", _backward, setup_context=_setup_context)


def main() -> None:
    """6. The test: values, gradients, gradcheck of the definition in float64, and torch's own check of the op."""
    values, offsets = torch.rand(7, requires_grad=True), torch.tensor([0, 3, 3, 7])
    fast, plain = ray_sum(values, offsets), definition(values, offsets)
    assert_close(fast, plain)
    weights = torch.rand(3)
    (of_fast,), (of_plain,) = (torch.autograd.grad(result @ weights, values) for result in (fast, plain))
    assert_close(of_fast, of_plain)
    assert torch.autograd.gradcheck(lambda x: definition(x, offsets), torch.rand(7).double().requires_grad_())
    opcheck(fast_ray_sum, (values, offsets))
    print(
        f"sums {[round(x, 4) for x in fast.tolist()]}: the kernel agrees with its definition, and so do the gradients"
    )


if __name__ == "__main__":
    main()
