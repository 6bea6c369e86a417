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
    w0: Tensor,
    w1: Tensor,
    w2: Tensor,
    w3: Tensor,
    w4: Tensor,
    low: Tensor,
    levels: Tensor,
    side: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour [R, 3], opacity [R] and depth [R] of rays (origins, directions [R, 3], near and far [R] in the spacing of
    the space) over background [3]. The other arguments are those of `march` and `ngp_field`.
    """
    from nerfpipe.kernels.numba import bindings

    grid, field = (grid_low, cell, distance), (table, w0, w1, w2, w3, w4, low, levels, side)
    return bindings.ngp_render(rays, background, (step, linear), grid, longest, early_stop_eps, field)


@register_fake("nerfpipe::ngp_render")
def _(rays: list[Tensor], *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    origins, near = rays[0], rays[2]
    return torch.empty_like(origins), torch.empty_like(near), torch.empty_like(near)
