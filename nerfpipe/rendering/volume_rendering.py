"""The volume rendering equation: the colour of a ray from the density and the colour along it.

Notation (NeRF, Mildenhall et al. 2020, eq. 3; Max 1995). For the samples i of one ray, front to back,

    alpha_i = 1 - exp(-sigma_i · delta_i)             opacity of the segment
    T_i     = exp(-sum over j < i of sigma_j delta_j)  transmittance from the camera to the segment
    w_i     = T_i · alpha_i                           weight of the segment in the pixel
    C       = sum of w_i c_i  +  (1 - sum of w_i) · background
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nerfpipe.ops import composite as ops
from nerfpipe.ops import dispatch
from nerfpipe.ops.constants import EMPTY
from nerfpipe.types import COLOUR, FieldOutput, Pixels, Rendering, Samples


def composite(samples: Samples, output: FieldOutput, background: Float[Tensor, "... 3"]) -> Rendering:
    """The rendering of R rays from a field's output at their samples, over background [3] or [R, 3]."""
    if dispatch.is_fast(output.density) and not samples.full:  # a full batch needs no padding in torch
        colour, opacity, depth, weights = ops.composite(
            samples.ray_offsets,
            samples.t,
            samples.delta,
            output.density,
            output.colour,
            background.expand(samples.rays, 3),
            samples.early_stop_eps,
            samples.longest,
        )
    else:
        colour, opacity, depth, weights = definition(samples, output.density, output.colour, background)
    w = samples.pad(weights) if len(output.channels) > 1 else weights  # [R, S]
    others = {name: accumulate(w, samples.pad(x)) for name, x in output.channels.items() if name != COLOUR}  # [R, C]
    return Rendering(Pixels(colour, opacity, depth, others), weights, output.density, samples)


def definition(
    samples: Samples, density: Float[Tensor, " M"], colour: Float[Tensor, "M 3"], background: Float[Tensor, "... 3"]
) -> tuple[Float[Tensor, "R 3"], Float[Tensor, " R"], Float[Tensor, " R"], Float[Tensor, " M"]]:
    """The equation in plain torch: colour [R, 3], opacity [R], depth [R] and weights [M]."""
    w = ray_weights(samples.pad(density), samples.pad(samples.delta), samples.early_stop_eps)  # [R, S]
    opacity = w.sum(dim=1)  # [R]
    foreground = accumulate(w, samples.pad(colour))  # [R, 3]
    depth = (w * samples.pad(samples.t)).sum(dim=1) / opacity.clamp_min(EMPTY)  # [R]
    depth = torch.where(opacity > EMPTY, depth, torch.zeros_like(depth))
    return foreground + (1 - opacity)[:, None] * background, opacity, depth, samples.pack(w)


def ray_weights(
    sigma: Float[Tensor, "R S"], delta: Float[Tensor, "R S"], early_stop_eps: float = 0.0
) -> Float[Tensor, "R S"]:
    """Weights w [R, S] of rays' samples from density sigma and segment lengths delta [R, S].

    Samples whose transmittance T is below early_stop_eps have weight zero.
    """
    tau = sigma * delta  # [R, S] optical thickness
    alpha = -torch.expm1(-tau)  # 1 - exp(-tau), exact for thin segments
    before = torch.cat([torch.zeros_like(tau[:, :1]), tau[:, :-1].cumsum(dim=1)], dim=1)  # [R, S]
    T = torch.exp(-before)
    return torch.where(early_stop_eps > T, 0, T * alpha)


def accumulate(weights: Float[Tensor, "R S"], values: Float[Tensor, "R S C"]) -> Float[Tensor, "R C"]:
    """The weighted sum of values [R, S, C] along rays, with weights w [R, S]: sum of w_i v_i, [R, C]."""
    return (weights[..., None] * values).sum(dim=1)  # [R, C]
