"""The volume rendering equation: what a ray sees of density and colour along it.

Notation (NeRF, Mildenhall et al. 2020, eq. 3; Max 1995). For the samples i of one ray, front to back,

    alpha_i = 1 - exp(-sigma_i · delta_i)            opacity of the segment
    T_i     = exp(-sum over j < i of sigma_j delta_j) light that gets as far as the segment
    w_i     = T_i · alpha_i                          share of the pixel that the segment gives
    C       = sum of w_i c_i  +  (1 - sum of w_i) · background
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nerfpipe.ops import dispatch
from nerfpipe.types import Rendering

if TYPE_CHECKING:
    from nerfpipe.types import Samples

EMPTY = 1e-6  # opacity below which a ray has met nothing and has no depth


def composite(samples: Samples, density: Tensor, colour: Tensor, background: Tensor) -> Rendering:
    """Render density [M] (per scene unit) and colour [M, 3] at the samples over background [3] or [R, 3]."""
    if dispatch.in_use(density.device) and density.dtype == torch.float32 and not samples.full:
        from nerfpipe.kernels.numba.bindings import composite as kernel

        return Rendering(*kernel(samples, density, colour, background.expand(samples.rays, 3)), density, samples)
    return reference(samples, density, colour, background)


def reference(samples: Samples, density: Tensor, colour: Tensor, background: Tensor) -> Rendering:
    """The same in plain torch, for any device: the equation as it stands above."""
    sigma, delta, c = samples.to_rows(density), samples.to_rows(samples.delta), samples.to_rows(colour)  # [R, S(, 3)]

    tau = sigma * delta  # [R, S] optical thickness
    alpha = -torch.expm1(-tau)  # 1 - exp(-tau), exact for thin segments
    before = torch.cat([torch.zeros_like(tau[:, :1]), tau[:, :-1].cumsum(dim=1)], dim=1)  # [R, S], without the segment
    T = torch.exp(-before)
    w = torch.where(samples.stop > T, 0, T * alpha)

    opacity = w.sum(dim=1)  # [R]
    seen = (w[..., None] * c).sum(dim=1)  # [R, 3]
    depth = (w * samples.to_rows(samples.t)).sum(dim=1) / opacity.clamp_min(EMPTY)  # [R]
    return Rendering(
        colour=seen + (1 - opacity)[:, None] * background,
        opacity=opacity,
        depth=torch.where(opacity > EMPTY, depth, torch.zeros_like(depth)),
        weights=samples.to_packed(w),
        density=density,
        samples=samples,
    )
