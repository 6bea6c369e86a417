"""Signed distances, and rays that are traced through them.

A signed distance is negative inside, positive outside, never more than the true distance to the surface. Points are
[P, 3], distances [P], lengths in scene units; `axis` is 0, 1 or 2 for x, y or z. Every step works on single
coordinates: that is exact in every order, so the same scene comes out bit for bit however the work is shared out, and
it is fast on points that are stored coordinate by coordinate (the transpose of a [3, P] tensor).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Vector = tuple[float, float, float]
Distance = Callable[[Tensor], Tensor]  # [P, 3] -> [P]

SURFACE = 2e-4  # a ray this close to a surface has met it
LEAST_STEP = 5e-4
MAX_STEPS = 96
NORMAL_STEP = 1e-3  # half the edge of the tetrahedron that gradients are taken over
TETRAHEDRON = ((1.0, -1.0, -1.0), (-1.0, -1.0, 1.0), (-1.0, 1.0, -1.0), (1.0, 1.0, 1.0))


def length(*coordinates: Tensor) -> Tensor:
    """Length [P] of vectors that are given coordinate by coordinate."""
    total = coordinates[0] * coordinates[0]
    for coordinate in coordinates[1:]:
        total = total + coordinate * coordinate
    return total.sqrt()


def _relative(points: Tensor, centre: Vector) -> list[Tensor]:
    """x, y and z [P] of the points as seen from `centre`."""
    return [points[:, i] - c if c else points[:, i] for i, c in enumerate(centre)]


def _along_and_across(points: Tensor, centre: Vector, axis: int) -> tuple[Tensor, Tensor]:
    """Signed distance [P] along an axis through `centre`, and distance [P] from that axis."""
    coordinates = _relative(points, centre)
    along = coordinates.pop(axis)
    return along, length(*coordinates)


def sphere(points: Tensor, centre: Vector, radius: float) -> Tensor:
    """A ball."""
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
    """All within `radius` of the segment from `start` to `end`."""
    return round_cone(points, start, end, radius, radius)


def round_cone(points: Tensor, start: Vector, end: Vector, start_radius: float, end_radius: float) -> Tensor:
    """The hull of two balls, neither inside the other."""
    span = math.dist(start, end)
    unit = [(b - a) / span for a, b in zip(start, end, strict=True)]
    relative = _relative(points, start)
    along = sum(c * u for c, u in zip(relative, unit, strict=True))
    across = length(*(c - along * u for c, u in zip(relative, unit, strict=True)))
    slope = (start_radius - end_radius) / span
    rise = math.sqrt(1 - slope * slope)
    side = across * rise + along * slope - start_radius
    foot = along * rise - across * slope  # where on the slanted side the nearest point lies
    ends = torch.where(foot < 0, length(across, along) - start_radius, length(across, along - span) - end_radius)
    return torch.where((foot < 0) | (foot > rise * span), ends, side)


def union(distances: Sequence[Tensor]) -> Tensor:
    """Whatever is nearest."""
    nearest = distances[0]
    for distance in distances[1:]:
        nearest = torch.minimum(nearest, distance)
    return nearest


def union_with_index(distances: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The distance [P] to whatever is nearest, and which one that is [P] int64 (the first of equals)."""
    nearest, index = distances[0], torch.zeros_like(distances[0], dtype=torch.long)
    for i, distance in enumerate(distances[1:], start=1):
        index = torch.where(distance < nearest, i, index)
        nearest = torch.minimum(nearest, distance)
    return nearest, index


def smooth_union(a: Tensor, b: Tensor, blend: float) -> Tensor:
    """Both, with the crease between them filled where their distances differ by less than `blend`."""
    overlap = (blend - (a - b).abs()).clamp(min=0)
    return torch.minimum(a, b) - overlap * overlap / (4 * blend)


def subtract(solid: Tensor, hole: Tensor, rounding: float = 0.0) -> Tensor:
    """`solid` without `hole`, with edges along the cut rounded by `rounding`."""
    if not rounding:
        return torch.maximum(solid, -hole)
    return -smooth_union(-solid, hole, rounding)


def box_interval(origins: Tensor, directions: Tensor, low: Vector, high: Vector) -> tuple[Tensor, Tensor]:
    """t [R] at which rays (both [R, 3]) enter and leave a box; a ray that misses it has enter > leave.

    A ray that starts inside enters at 0.
    """
    enter = torch.zeros_like(origins[:, 0])
    leave = torch.full_like(enter, torch.inf)
    for i in range(3):
        # The tiny offset keeps a ray that runs along a face from becoming 0 * inf.
        inverse = 1 / torch.where(directions[:, i].abs() < 1e-9, 1e-9, directions[:, i])
        a, b = (low[i] - origins[:, i]) * inverse, (high[i] - origins[:, i]) * inverse
        enter = torch.maximum(enter, torch.minimum(a, b))
        leave = torch.minimum(leave, torch.maximum(a, b))
    return enter, leave


def sphere_trace(
    distance: Distance, origins: Tensor, directions: Tensor, near: Tensor, far: Tensor, least_step: float = LEAST_STEP
) -> Tensor:
    """t [R] where unit rays (both [R, 3]) first meet the surface between `near` and `far` [R]; inf where they do not.

    No step is shorter than `least_step`, which hurries along those that graze a surface. A ray that oversteps into
    the surface comes back by how deep it went. Rays that have met it or left drop out of the work.
    """
    result = torch.full_like(near, torch.inf)
    o, d = origins.T.contiguous(), directions.T.contiguous()  # [3, R]: see the head of the file
    alive, t = torch.arange(len(near)), near
    for _ in range(MAX_STEPS):
        gap = distance((o + t * d).T)
        met = gap < SURFACE
        found = met.nonzero()[:, 0]
        result[alive[found]] = t[found] + gap[found]
        t = t + gap.clamp(min=least_step)
        keep = (~met & (t < far)).nonzero()[:, 0]
        if len(keep) == 0:
            break
        if len(keep) < len(alive):
            alive, t, far, o, d = alive[keep], t[keep], far[keep], o[:, keep], d[:, keep]
    return result


def normals(distance: Distance, points: Tensor) -> Tensor:
    """Outward unit normals [P, 3] of the surface at points [P, 3] on it."""
    total = torch.zeros(3, len(points))
    for corner in TETRAHEDRON:
        offset = torch.tensor(corner)
        gap = distance((points.T + NORMAL_STEP * offset[:, None]).T)  # [P]
        total += offset[:, None] * gap
    return (total / length(*total).clamp(min=1e-12)).T  # [P, 3]
