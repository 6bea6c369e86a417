"""Things that stand in a scene: signed distances with a place, a box around them and what they look like.

Each solid is traced by itself inside its own box, so that a ray pays only for what it passes. Rays and points are
[R, 3] in world space unless a line says local; lengths are in scene units.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nerfpipe.procedural import sdf
from nerfpipe.procedural.sdf import Distance, Vector

SHADOW_STEP = 0.01  # shadows may miss what is thinner than this; they then leave the surface they start on at once


@dataclass(frozen=True)
class Surface:
    """What a surface looks like: `albedo` maps local points [P, 3] to linear colours [P, 3] in 0 to 1.

    specular: reflectance seen straight on; shininess: Blinn-Phong exponent.
    """

    albedo: Callable[[Tensor], Tensor]
    specular: float = 0.04
    shininess: float = 60.0


@dataclass(frozen=True)
class Part:
    """One shape of a solid, in the solid's local space."""

    distance: Distance
    surface: Surface
    label: int


@dataclass(frozen=True)
class Solid:
    """Parts that move together. `low` and `high` are the corners of their box in local space.

    Local space is turned by `yaw` radians about z and then moved to `position`.
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
        """Which part local points [P, 3] on the surface belong to, [P] int64."""
        return sdf.union_with_index([part.distance(points) for part in self.parts])[1]

    def to_local(self, points: Tensor) -> Tensor:
        return _turn(torch.stack([points[:, i] - self.position[i] for i in range(3)]), -self.yaw)

    def directions_to_local(self, directions: Tensor) -> Tensor:
        return _turn(directions.T, -self.yaw)

    def directions_to_world(self, directions: Tensor) -> Tensor:
        return _turn(directions.T, self.yaw)

    def near(self, points: Tensor, reach: float) -> Tensor:
        """Numbers [K] of the local points [P, 3] within `reach` of the box, measured along each axis."""
        inside = torch.ones(len(points), dtype=torch.bool)
        for i in range(3):
            inside &= (points[:, i] > self.low[i] - reach) & (points[:, i] < self.high[i] + reach)
        return inside.nonzero()[:, 0]


def _turn(columns: Tensor, angle: float) -> Tensor:
    """Vectors [3, P] turned about z, as [P, 3]."""
    x, y, z = columns
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z]).T


@dataclass(frozen=True)
class Hits:
    """Where rays first meet something: t [R] (inf: nowhere) and the number of the solid [R] (-1: none)."""

    t: Tensor
    solid: Tensor


def _rays_by_solid(
    solids: Sequence[Solid], origins: Tensor, directions: Tensor, limit: Tensor, least_step: float
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """For every solid its number, the rays [K] that pass its box before `limit` [R], and where these meet it [K]."""
    for number, solid in enumerate(solids):
        o, d = solid.to_local(origins), solid.directions_to_local(directions)
        enter, leave = sdf.box_interval(o, d, solid.low, solid.high)
        rays = (enter < torch.minimum(leave, limit)).nonzero()[:, 0]
        if len(rays):
            far = torch.minimum(leave, limit)[rays]
            yield number, rays, sdf.sphere_trace(solid.distance, o[rays], d[rays], enter[rays], far, least_step)


def trace(solids: Sequence[Solid], origins: Tensor, directions: Tensor) -> Hits:
    """What unit rays (both [R, 3]) meet first."""
    t = torch.full_like(origins[:, 0], torch.inf)
    nearest = torch.full_like(t, -1, dtype=torch.long)
    for number, rays, found in _rays_by_solid(solids, origins, directions, t, sdf.LEAST_STEP):
        closer = (found < t[rays]).nonzero()[:, 0]
        t[rays[closer]] = found[closer]
        nearest[rays[closer]] = number
    return Hits(t, nearest)


def blocked(solids: Sequence[Solid], origins: Tensor, directions: Tensor) -> Tensor:
    """Whether unit rays (both [R, 3]) meet anything at all, [R] bool."""
    limit = torch.full_like(origins[:, 0], torch.inf)
    for _, rays, found in _rays_by_solid(solids, origins, directions, limit, SHADOW_STEP):
        limit[rays[found.isfinite()]] = -1.0  # nothing more to find: no box is entered before this
    return limit < 0


def openness(solids: Sequence[Solid], points: Tensor, directions: Tensor, heights: Sequence[float]) -> Tensor:
    """How free [P] the space over a surface is, in 0 to 1, from the distances at `heights` over its points."""
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
