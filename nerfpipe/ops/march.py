"""The fast form of marching rays through an occupancy grid. Definition: samplers/occupancy.py, `Occupancy.march`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.library import register_autograd, register_fake

from nerfpipe.geometry.contraction import contract
from nerfpipe.ops.registration import operation


@operation("nerfpipe::march")
def march(
    origins: Tensor,
    directions: Tensor,
    near: Tensor,
    far: Tensor,
    shift: Tensor,
    step: float,
    linear: float,
    low: Tensor,
    cell: float,
    distance: Tensor,
    longest: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Samples of R rays in occupied cells: positions [M, 3], directions [M, 3], t [M], delta [M], ray [M] and ray
    offsets [R + 1].

    near, far [R] in the spacing of the space, where a step has the length `step`; a ray's steps are shifted by
    shift [R] of one. linear: the distance up to which the spacing is even, infinite in a bounded space. low [3]: lower
    corner of the grid; cell: side of a cell; distance [X, Y, Z] uint8: cells to the nearest occupied one.
    longest: samples of one ray at most.
    """
    from nerfpipe.kernels.numba import bindings

    return bindings.march((origins, directions), (near, far, shift), (step, linear), (low, cell, distance), longest)


@register_fake("nerfpipe::march")
def _(origins: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    M, R = torch.library.get_ctx().new_dynamic_size(), origins.shape[0]
    along = (origins.new_empty(M, 3), origins.new_empty(M, 3), origins.new_empty(M), origins.new_empty(M))
    return *along, origins.new_empty(M, dtype=torch.int64), origins.new_empty(R + 1, dtype=torch.int64)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    origins, directions, *_ = inputs
    _, _, t, delta, ray, offsets = output
    ctx.linear = inputs[6]
    ctx.mark_non_differentiable(t, delta, ray, offsets)
    ctx.save_for_backward(origins, directions, t, ray)


def _backward(ctx: Any, of_positions: Tensor, of_directions: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    """Distances along the rays are constants here: a sample moves with its ray, not along it."""
    origins, directions, t, ray = ctx.saved_tensors
    if math.isfinite(ctx.linear):  # through the contraction
        with torch.enable_grad():
            points = (origins[ray] + t[:, None] * directions[ray]).detach().requires_grad_()  # [M, 3]
            (of_positions,) = torch.autograd.grad(contract(points), points, of_positions)
    of_origins = torch.zeros_like(origins).index_add(0, ray, of_positions)  # [R, 3]
    along = t[:, None] * of_positions + of_directions  # [M, 3]
    return of_origins, torch.zeros_like(directions).index_add(0, ray, along), *[None] * 9


register_autograd("nerfpipe::march", _backward, setup_context=_setup_context)


@operation("nerfpipe::observe", mutates_args=("highest",))
def observe(positions: Tensor, density: Tensor, low: Tensor, cell: float, highest: Tensor) -> None:
    """Raise the highest density [X, Y, Z] of cells to density [M] found at positions [M, 3]."""
    from nerfpipe.kernels.numba import bindings

    bindings.observe(positions, density, low, cell, highest)


@register_fake("nerfpipe::observe")
def _(*_: Any) -> None:
    """It returns nothing."""
