"""Signed distance functions (Quilez, iquilezles.org), and sphere tracing (Hart 1996).

A signed distance is negative inside, positive outside, and never exceeds the true distance to the surface. Points are
[P, 3], distances [P], lengths in scene units; `axis` is 0, 1 or 2 for x, y or z. All operations are on single
coordinates. Their results do not depend on how the work is divided among threads, and they are fast on points that are
stored coordinate by coordinate (the transpose of a [3, P] tensor).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Vector = tuple[float, float, float]
Distance = Callable[[Tensor], Tensor]  # [P, 3] -> [P]

SURFACE = 2e-4  # distance at which a ray hits a surface
LEAST_STEP = 5e-4  # of sphere tracing
MAX_STEPS = 96
NORMAL_STEP = 1e-3  # half the edge of the tetrahedron for finite differences
PARALLEL = 1e-9  # smallest direction component to divide by
TETRAHEDRON = ((1.0, -1.0, -1.0), (-1.0, -1.0, 1.0), (-1.0, 1.0, -1.0), (1.0, 1.0, 1.0))


def length(*coordinates: Tensor) -> Tensor:
    """Length [P] of vectors whose coordinates are separate tensors [P]."""
    total = coordinates[0] * coordinates[0]
    for coordinate in coordinates[1:]:
        total = total + coordinate * coordinate
    return total.sqrt()


def _relative(points: Tensor, centre: Vector) -> list[Tensor]:
    """Coordinates x, y and z [P] of the points relative to `centre`."""
    return [points[:, i] - c if c else points[:, i] for i, c in enumerate(centre)]


def _along_and_across(points: Tensor, centre: Vector, axis: int) -> tuple[Tensor, Tensor]:
    """Signed coordinate [P] along an axis through `centre`, and distance [P] from that axis."""
    coordinates = _relative(points, centre)
    along = coordinates.pop(axis)
    return along, length(*coordinates)


def sphere(points: Tensor, centre: Vector, radius: float) -> Tensor:
    """A sphere."""
    return length(*_relative(points, centre)) - radius


def box(points: Tensor, centre: Vector, half: Vector, rounding: float = 0.0) -> Tensor:
    """A box with half edges `half` along the axes; its edges are rounded by `rounding` within that size."""
    x, y, z = (c.abs() - (h - rounding) for c, h in zip(_relative(points, centre), half, strict=True))
    outside = length(x.clamp(min=0), y.clamp(min=0), z.clamp(min=0))
    inside = torch.maximum(torch.maximum(x, y), z).clamp(max=0)
    return outside + inside - rounding


def cylinder(
    points: Tensor, centre: Vector, axis: int, radius: float, half_length: float, rounding: float = 0.0
) -> Tensor:
    """A flat-ended cylinder around an axis; its rims are rounded by `rounding` within that size."""
    along, across = _along_and_across(points, centre, axis)
    along, across = along.abs() - (half_length - rounding), across - (radius - rounding)
    return length(along.clamp(min=0), across.clamp(min=0)) + torch.maximum(along, across).clamp(max=0) - rounding


def torus(points: Tensor, centre: Vector, axis: int, major: float, minor: float) -> Tensor:
    """A ring around an axis: radius `major` to the middle of a tube of radius `minor`."""
    along, across = _along_and_across(points, centre, axis)
    return length(along, across - major) - minor


def capsule(points: Tensor, start: Vector, end: Vector, radius: float) -> Tensor:
    """All points within `radius` of the segment from `start` to `end`."""
    return round_cone(points, start, end, radius, radius)


def round_cone(points: Tensor, start: Vector, end: Vector, start_radius: float, end_radius: float) -> Tensor:
    """The convex hull of two spheres, neither inside the other."""
    span = math.dist(start, end)
    unit = [(b - a) / span for a, b in zip(start, end, strict=True)]
    relative = _relative(points, start)
    along = sum((c * u for c, u in zip(relative, unit, strict=True)), start=torch.zeros(()))
    across = length(*(c - along * u for c, u in zip(relative, unit, strict=True)))
    slope = (start_radius - end_radius) / span
    rise = math.sqrt(1 - slope * slope)
    side = across * rise + along * slope - start_radius
    foot = along * rise - across * slope  # coordinate of the nearest point along the slanted side
    ends = torch.where(foot < 0, length(across, along) - start_radius, length(across, along - span) - end_radius)
    return torch.where((foot < 0) | (foot > rise * span), ends, side)


def union(distances: Sequence[Tensor]) -> Tensor:
    """The union of shapes: the least of their distances [P]."""
    nearest = distances[0]
    for distance in distances[1:]:
        nearest = torch.minimum(nearest, distance)
    return nearest


def union_with_index(distances: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The least of several distances [P], and its index [P] int64 (the first of equal ones)."""
    nearest, index = distances[0], torch.zeros_like(distances[0], dtype=torch.long)
    for i, distance in enumerate(distances[1:], start=1):
        index = torch.where(distance < nearest, i, index)
        nearest = torch.minimum(nearest, distance)
    return nearest, index


def smooth_union(a: Tensor, b: Tensor, blend: float) -> Tensor:
    """The union of two shapes, blended if their distances differ by less than `blend` (quadratic smooth minimum)."""
    overlap = (blend - (a - b).abs()).clamp(min=0)
    return torch.minimum(a, b) - overlap * overlap / (4 * blend)


def subtract(solid: Tensor, hole: Tensor, rounding: float = 0.0) -> Tensor:
    """`solid` without `hole`; edges of the cut are rounded by `rounding`."""
    if not rounding:
        return torch.maximum(solid, -hole)
    return -smooth_union(-solid, hole, rounding)


def box_interval(origins: Tensor, directions: Tensor, low: Vector, high: Vector) -> tuple[Tensor, Tensor]:
    """Distances t [R] at which rays (both [R, 3]) enter and leave a box; enter > leave if a ray misses it.

    A ray that starts inside enters at 0.
    """
    enter = torch.zeros_like(origins[:, 0])
    leave = torch.full_like(enter, torch.inf)
    for i in range(3):
        # The least component avoids 0 * inf for rays along a face.
        inverse = 1 / torch.where(directions[:, i].abs() < PARALLEL, PARALLEL, directions[:, i])
        a, b = (low[i] - origins[:, i]) * inverse, (high[i] - origins[:, i]) * inverse
        enter = torch.maximum(enter, torch.minimum(a, b))
        leave = torch.minimum(leave, torch.maximum(a, b))
    return enter, leave


def sphere_trace(
    distance: Distance, origins: Tensor, directions: Tensor, near: Tensor, far: Tensor, least_step: float = LEAST_STEP
) -> Tensor:
    """Distances t [R] at which unit rays (both [R, 3]) first hit the surface between `near` and `far` [R]; else inf.

    No step is shorter than `least_step`, so that rays that graze a surface advance. A ray that steps into the surface
    returns by the signed distance. Rays that have hit it or passed `far` are dropped from further steps.
    """
    result = torch.full_like(near, torch.inf)
    o, d = origins.T.contiguous(), directions.T.contiguous()  # [3, R]: see the module's docstring
    alive, t = torch.arange(len(near)), near
    for _ in range(MAX_STEPS):
        gap = distance((o + t * d).T)
        hit = gap < SURFACE
        found = hit.nonzero()[:, 0]
        result[alive[found]] = t[found] + gap[found]
        t = t + gap.clamp(min=least_step)
        keep = (~hit & (t < far)).nonzero()[:, 0]
        if len(keep) == 0:
            break
        if len(keep) < len(alive):
            alive, t, far, o, d = alive[keep], t[keep], far[keep], o[:, keep], d[:, keep]
    return result


def normals(distance: Distance, points: Tensor) -> Tensor:
    """Outward unit normals [P, 3] at points [P, 3] on the surface, by finite differences over a tetrahedron."""
    total = torch.zeros(3, len(points))
    for corner in TETRAHEDRON:
        offset = torch.tensor(corner)
        gap = distance((points.T + NORMAL_STEP * offset[:, None]).T)  # [P]
        total += offset[:, None] * gap
    return (total / length(*total).clamp(min=1e-12)).T  # [P, 3]
