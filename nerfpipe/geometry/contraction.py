"""Unbounded scenes in a bounded cube (mip-NeRF 360, Barron et al. 2022, section 3, with the maximum norm).

The subject of the pictures lies in [-1, 1]^3 and stays unchanged. Everything beyond is contracted, so that all of space
fits into [-2, 2]^3 (eq. 10):

    contract(x) = x                          where m = max |x_i| <= 1
                  (2 - 1/m) · (x / m)        beyond

Rays are sampled in steps that grow with the distance. Even steps in s are even in t up to LINEAR, and even in 1/t
beyond:

    t(s) = s                                 where s <= LINEAR
           LINEAR / (2 - s / LINEAR)         up to s = 2 LINEAR, where t is infinite

Density is counted per unit of s in such a scene, and a sample's segment `delta` is a length of s: within LINEAR that
is the density per scene unit.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

INNER = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))  # unchanged
CUBE = ((-2.0, -2.0, -2.0), (2.0, 2.0, 2.0))  # all of space, contracted
LINEAR = 2.0  # scene units: from its edge, rays cross the inner cube in even steps
FAR = 1000.0  # scene units, the end of rays; only 4e-3 of s lies beyond


def contract(x: Float[Tensor, "*P 3"]) -> Float[Tensor, "*P 3"]:
    """Points [..., 3] of unbounded space in the cube [-2, 2]^3."""
    m = x.abs().amax(dim=-1, keepdim=True).clamp_min(1)
    return x * ((2 - 1 / m) / m)


def uncontract(y: Float[Tensor, "*P 3"]) -> Float[Tensor, "*P 3"]:
    """The points [..., 3] that `contract` moves to y, inside the cube."""
    m = y.abs().amax(dim=-1, keepdim=True).clamp_min(1)  # 2 - 1 / (m of x)
    return y / (m * (2 - m))


def warp(t: Float[Tensor, "*R"]) -> Float[Tensor, "*R"]:
    """Distances t along a ray as s: any shape."""
    return torch.where(t <= LINEAR, t, LINEAR * (2 - LINEAR / t.clamp_min(LINEAR)))


def unwarp(s: Float[Tensor, "*R"]) -> Float[Tensor, "*R"]:
    """Distances t of s < 2 LINEAR: any shape."""
    return torch.where(s <= LINEAR, s, LINEAR / (2 - s.clamp_min(LINEAR) / LINEAR))
