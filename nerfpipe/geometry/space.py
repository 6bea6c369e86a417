"""Which part of the world a field learns, and where the rays enter and leave it.

bounded    a box: what lies outside is not there
unbounded  all of it, contracted into a cube (see contraction)
forward    what lies before cameras that all look the same way, as a box (see ndc)
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.contraction import FAR, warp
from nerfpipe.geometry.ndc import Frustum, distance_from_ndc, rays_to_ndc
from nerfpipe.geometry.rays import Extent, RayBatch, near_far, rays_to_world

Kind = Literal["bounded", "unbounded", "forward"]
Bounds = tuple[tuple[float, float, float], tuple[float, float, float]]  # lower and upper corner


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Space:
    """A kind of space, and the box [2, 3] that fields and grids cover, in the space's own coordinates.

    near: the least distance from a camera that is looked at, in scene units (in a `forward` space the near plane is
    at distance 1 and stands for it).
    """

    kind: Kind
    bounds: Bounds
    near: float
    frustum: Frustum | None = None  # of a forward space

    @classmethod
    def boxed(cls, bounds: Tensor, near: float = 0.0) -> Space:
        """The bounded space of bounds [2, 3]."""
        lower, upper = (tuple(corner) for corner in bounds.tolist())
        return cls("bounded", (lower, upper), near)

    @property
    def box(self) -> Tensor:
        """[2, 3]"""
        return torch.tensor(self.bounds, device="cpu")  # also where a model is only sketched, on the meta device

    @property
    def unbounded(self) -> bool:
        return self.kind == "unbounded"

    def describe(self) -> str:
        """In a few words."""
        if self.kind == "unbounded":
            return "unbounded: what is beyond (-1, -1, -1) to (1, 1, 1) is contracted"
        lower, upper = (", ".join(f"{x:.3g}" for x in corner) for corner in self.bounds)
        return f"bounds ({lower}) to ({upper})" + (" in normalised device coordinates" if self.frustum else "")

    def limits(self, extent: Extent) -> str:
        """Near and far in a few words; extent: over the rays in question."""
        match self.kind:
            case "unbounded":
                return f"near {self.near:.3g} scene units, far infinity"
            case "forward":
                return "near plane 1 scene unit before the mean camera, far infinity"
        return f"near {extent.near:.3g}, far {extent.far:.3g} scene units, from where rays enter and leave the bounds"

    def ends(self, extent: Extent) -> tuple[float, float]:
        """Near and far in scene units, as `limits` tells them."""
        match self.kind:
            case "unbounded":
                return self.near, math.inf
            case "forward":
                return 1.0, math.inf
        return extent.near, extent.far

    def rays(self, origins: Tensor, directions: Tensor, target: Tensor | None = None) -> RayBatch:
        """World rays (origins and unit directions [R, 3]) as they pass through this space."""
        if self.kind == "unbounded":
            near = torch.full_like(origins[:, 0], self.near)
            return RayBatch(origins, directions, near, torch.full_like(near, FAR), target)
        if self.frustum is not None:
            origins, directions = rays_to_ndc(origins, directions, self.frustum)
            return RayBatch(origins, directions, *near_far(origins, directions, self.box, 0.0), target)
        return RayBatch(origins, directions, *near_far(origins, directions, self.box, self.near), target)

    def depth_scale(self, depth: Tensor, extent: Extent) -> tuple[Tensor, float, float]:
        """Depths and their ends as a colour map shows them: what is far apart but looks alike is drawn together."""
        if not self.unbounded:
            return depth, extent.near, extent.far
        near, far = warp(torch.tensor([extent.near, extent.far])).tolist()
        return warp(depth), near, far

    def distance(self, origins: Tensor, directions: Tensor, t: Tensor) -> Tensor:
        """Distance [R] in scene units along world rays, of what `rays` of this space found at t [R]; 0 stays 0."""
        if self.frustum is None:
            return t
        return torch.where(t > 0, distance_from_ndc(origins, directions, t, self.frustum), 0)


def world_rays(camera: Camera, pose: Tensor, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
    """Origins and unit directions [P, 3] in the world of the pixels in a camera's rows at a pose [3, 4], row by row."""
    in_camera = camera.directions(camera.pixel_centres(rows))  # [P, 3]
    return rays_to_world(pose.expand(len(in_camera), 3, 4), in_camera)


def camera_rays(camera: Camera, pose: Tensor, space: Space, rows: slice = slice(None)) -> RayBatch:
    """The rays of a camera's rows at a pose [3, 4] as they pass through a space, row by row, without targets."""
    return space.rays(*world_rays(camera, pose, rows))
