"""Solids: signed distance functions with a position, a bounding box and surfaces.

Solids are traced one by one inside their boxes, so that a ray costs only the solids whose boxes it crosses. Rays and
points are [R, 3] in world space unless called local; lengths are in scene units.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nerfpipe.procedural import sdf
from nerfpipe.procedural.sdf import Distance, Vector

SHADOW_STEP = 0.01  # least step of shadow rays, to leave their own surface at once; thinner shapes may cast no shadow


@dataclass(frozen=True)
class Surface:
    """A material: `albedo` maps local points [P, 3] to linear colours [P, 3] in 0 to 1.

    specular: reflectance at normal incidence; shininess: Blinn-Phong exponent.
    """

    albedo: Callable[[Tensor], Tensor]
    specular: float = 0.04
    shininess: float = 60.0


@dataclass(frozen=True)
class Part:
    """A shape of a solid, in the solid's local space."""

    distance: Distance
    surface: Surface
    label: int


@dataclass(frozen=True)
class Solid:
    """Parts that move together, with the corners `low` and `high` of their bounding box in local space.

    Local space is rotated by `yaw` radians about z and then moved to `position`.
    """

    parts: tuple[Part, ...]
    low: Vector
    high: Vector
    position: Vector = (0.0, 0.0, 0.0)
    yaw: float = 0.0

    def distance(self, points: Tensor) -> Tensor:
        """Signed distance [P] of local points [P, 3]."""
        return sdf.union([part.distance(points) for part in self.parts])

    def part_at(self, points: Tensor) -> Tensor:
        """Index [P] int64 of the part that local points [P, 3] on the surface belong to."""
        return sdf.union_with_index([part.distance(points) for part in self.parts])[1]

    def to_local(self, points: Tensor) -> Tensor:
        """World points [P, 3] in local space."""
        return _turn(torch.stack([points[:, i] - self.position[i] for i in range(3)]), -self.yaw)

    def directions_to_local(self, directions: Tensor) -> Tensor:
        """World directions [P, 3] in local space."""
        return _turn(directions.T, -self.yaw)

    def directions_to_world(self, directions: Tensor) -> Tensor:
        """Local directions [P, 3] in world space."""
        return _turn(directions.T, self.yaw)

    def near(self, points: Tensor, reach: float) -> Tensor:
        """Indices [K] of the local points [P, 3] within `reach` of the box along every axis."""
        inside = torch.ones(len(points), dtype=torch.bool)
        for i in range(3):
            inside &= (points[:, i] > self.low[i] - reach) & (points[:, i] < self.high[i] + reach)
        return inside.nonzero()[:, 0]


def _turn(columns: Tensor, angle: float) -> Tensor:
    """Vectors [3, P], rotated about z by an angle in radians, as [P, 3]."""
    x, y, z = columns
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z]).T


@dataclass(frozen=True)
class Hits:
    """First hits of rays: distance t [R], inf for none, and index of the solid [R], -1 for none."""

    t: Tensor
    solid: Tensor


def _rays_by_solid(
    solids: Sequence[Solid], origins: Tensor, directions: Tensor, limit: Tensor, least_step: float
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Per solid: its index, the rays [K] that enter its box before `limit` [R], and the distances [K] of their hits."""
    for index, solid in enumerate(solids):
        o, d = solid.to_local(origins), solid.directions_to_local(directions)
        enter, leave = sdf.box_interval(o, d, solid.low, solid.high)
        rays = (enter < torch.minimum(leave, limit)).nonzero()[:, 0]
        if len(rays):
            far = torch.minimum(leave, limit)[rays]
            yield index, rays, sdf.sphere_trace(solid.distance, o[rays], d[rays], enter[rays], far, least_step)


def trace(solids: Sequence[Solid], origins: Tensor, directions: Tensor) -> Hits:
    """The first hits of unit rays (both [R, 3])."""
    t = torch.full_like(origins[:, 0], torch.inf)
    nearest = torch.full_like(t, -1, dtype=torch.long)
    for index, rays, found in _rays_by_solid(solids, origins, directions, t, sdf.LEAST_STEP):
        closer = (found < t[rays]).nonzero()[:, 0]
        t[rays[closer]] = found[closer]
        nearest[rays[closer]] = index
    return Hits(t, nearest)


def occluded(solids: Sequence[Solid], origins: Tensor, directions: Tensor) -> Tensor:
    """Whether unit rays (both [R, 3]) hit any solid, [R] bool."""
    limit = torch.full_like(origins[:, 0], torch.inf)
    for _, rays, found in _rays_by_solid(solids, origins, directions, limit, SHADOW_STEP):
        limit[rays[found.isfinite()]] = -1.0  # no later box is entered before this
    return limit < 0


def openness(solids: Sequence[Solid], points: Tensor, directions: Tensor, heights: Sequence[float]) -> Tensor:
    """Ambient visibility [P] in 0 to 1 of points [P, 3] on a surface, from the distances to all solids over them.

    directions [P, 3]: unit normals; heights: over the points at which distances are sampled. 1 - ambient occlusion.
    """
    gaps = torch.tensor(heights).repeat(len(points), 1)  # [P, heights]
    for solid in solids:
        local = solid.to_local(points)
        near = solid.near(local, max(heights))
        if len(near):
            o, d = local[near].T, solid.directions_to_local(directions[near]).T  # [3, K]
            for i, height in enumerate(heights):
                gap = solid.distance((o + height * d).T)
                gaps[near, i] = torch.minimum(gaps[near, i], gap)
    return (gaps.clamp(min=0) / torch.tensor(heights)).mean(dim=1)
