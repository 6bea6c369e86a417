"""Normalised device coordinates: the space before forward-facing cameras as a box (NeRF 2020, appendix C).

All cameras look roughly along -z. The frustum of one at the origin, from the near plane z = -1 to infinity, becomes
the cube [-1, 1]^3, so that a ray to infinity ends, and far regions take little of the cube:

    x' = -a_x · x / z        a_x = fx / (width / 2)
    y' = -a_y · y / z        a_y = fy / (height / 2)
    z' = 1 + 2 / z
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Frustum = tuple[float, float]  # a_x, a_y
SMALLEST = 1e-6  # of a direction's -z: rays that look sideways or back never meet the near plane


def to_ndc(points: Float[Tensor, "P 3"], frustum: Frustum) -> Float[Tensor, "P 3"]:
    """Points [P, 3] with z < 0 in normalised device coordinates."""
    x, y, z = points.unbind(dim=1)
    return torch.stack([-frustum[0] * x / z, -frustum[1] * y / z, 1 + 2 / z], dim=1)


def from_ndc(points: Float[Tensor, "P 3"], frustum: Frustum) -> Float[Tensor, "P 3"]:
    """The inverse of `to_ndc`: world points [P, 3] of points [P, 3] in the cube with z' < 1."""
    x, y, z = points.unbind(dim=1)
    depth = 2 / (1 - z)  # -z of the point
    return torch.stack([x * depth / frustum[0], y * depth / frustum[1], -depth], dim=1)


def rays_to_ndc(
    origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"], frustum: Frustum
) -> tuple[Float[Tensor, "R 3"], Float[Tensor, "R 3"]]:
    """World rays [R, 3], from the near plane on, as rays in the cube: origins and unit directions [R, 3].

    A straight line stays straight (eq. 20 to 26). Rays that do not look forward get an origin outside the cube and the
    direction +z, so that they meet nothing.
    """
    forward = directions[:, 2] < -SMALLEST
    d = torch.where(forward[:, None], directions, torch.tensor([0.0, 0.0, -1.0]).to(directions))
    on_plane = origins - ((1 + origins[:, 2]) / d[:, 2])[:, None] * d  # [R, 3], z = -1
    ax, ay = frustum
    start = to_ndc(on_plane, frustum)  # [R, 3]
    x = -ax * (d[:, 0] / d[:, 2] - on_plane[:, 0] / on_plane[:, 2])
    y = -ay * (d[:, 1] / d[:, 2] - on_plane[:, 1] / on_plane[:, 2])
    towards = torch.stack([x, y, -2 / on_plane[:, 2]], dim=1)  # [R, 3], the whole way to infinity
    start = torch.where(forward[:, None], start, torch.tensor([0.0, 0.0, 2.0]).to(start))
    return start, towards / towards.norm(dim=1, keepdim=True)


def t_in_ndc(
    origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"], distance: Float[Tensor, " R"], frustum: Frustum
) -> Float[Tensor, " R"]:
    """The inverse of `distance_from_ndc`: t [R] along rays in the cube, of distances [R] along world rays [R, 3]."""
    start, towards = rays_to_ndc(origins, directions, frustum)
    points = to_ndc(origins + distance[:, None] * directions, frustum)
    return ((points - start) * towards).sum(dim=1)


def distance_from_ndc(
    origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"], t: Float[Tensor, " R"], frustum: Frustum
) -> Float[Tensor, " R"]:
    """Distances [R] along world rays [R, 3] of the points at distances t [R] along their rays in the cube."""
    start, towards = rays_to_ndc(origins, directions, frustum)
    points = from_ndc(start + t[:, None] * towards, frustum)
    return ((points - origins) * directions).sum(dim=1)
