"""Rendering an Instant-NGP model in one pass without gradient. Definition: rendering/render_rays.py, `render_rays`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake

from nerfpipe.ops.registration import operation


@operation("nerfpipe::ngp_render")
def ngp_render(
    rays: list[Tensor],
    background: Tensor,
    step: float,
    linear: float,
    grid_low: Tensor,
    cell: float,
    distance: Tensor,
    longest: int,
    early_stop_eps: float,
    table: Tensor,
    weights: list[Tensor],
    low: Tensor,
    side: float,
    levels: list[int],
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour [R, 3], opacity [R] and depth [R] of rays (origins, directions [R, 3], near and far [R] in the spacing of
    the space) over background [3]. The other arguments are those of `march` and `ngp_field`.
    """
    from nerfpipe.kernels.numba import bindings

    grid, field = (grid_low, cell, distance), (table, weights, low, side, levels)
    return bindings.ngp_render(rays, background, (step, linear), grid, longest, early_stop_eps, field)


@register_fake("nerfpipe::ngp_render")
def _(rays: list[Tensor], *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    origins, near = rays[0], rays[2]
    return torch.empty_like(origins), torch.empty_like(near), torch.empty_like(near)
