"""The part of the world that a field covers, and the coordinates that the field uses in it.

A space turns world rays into rays through its box, and knows the spacing of samples along them:

    Bounded    a box: nothing lies outside
    Unbounded  all of the world, contracted into a cube (see contraction)
    Forward    the frustum of cameras that all look the same way, as a box (see ndc)

Samplers, fields and exports call its methods; none of them knows which kind it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.rays import DepthRange, PixelBatch, RayBatch, near_far, rays_to_world

Kind = Literal["bounded", "unbounded", "forward"]
KINDS: tuple[Kind, ...] = ("bounded", "unbounded", "forward")
Corner = tuple[float, float, float]
Bounds = tuple[Corner, Corner]  # lower and upper corner

STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=STRICT)
class Space:
    """The interface of all spaces, and the box that fields and grids cover, in the coordinates of the space.

    near: the smallest distance from a camera at which samples are taken, in scene units.
    """

    bounds: Bounds
    near: float

    if TYPE_CHECKING:

        @property
        def kind(self) -> Kind: ...

    @property
    def box(self) -> Float[Tensor, "2 3"]:
        """[2, 3] lower and upper corner."""
        return torch.tensor(self.bounds, device="cpu")  # also while a model is built on the meta device

    @property
    def unbounded(self) -> bool:
        """Whether it extends to infinity."""
        return False

    @property
    def faces_forward(self) -> bool:
        """Whether all cameras look the same way, along -z."""
        return False

    @property
    def ends_rays(self) -> bool:
        """Whether every ray ends at something: there is nothing behind the box to be seen."""
        return False

    @property
    def inner(self) -> Bounds:
        """The part of the box with the subject of the images."""
        return self.bounds

    @property
    def ends_at_inner(self) -> bool:
        """Whether `inner` is all of the box."""
        return True

    @property
    def linear(self) -> float:
        """The distance up to which samples are evenly spaced in t; infinite if they always are."""
        return math.inf

    @property
    def longest_ray(self) -> float:
        """The length of the longest possible ray, in the spacing of the space."""
        return float((self.box[1] - self.box[0]).norm())

    def describe(self) -> str:
        """The space in a few words."""
        lower, upper = (", ".join(f"{x:.3g}" for x in corner) for corner in self.bounds)
        return f"bounds ({lower}) to ({upper})"

    def describe_depths(self, seen: DepthRange) -> str:
        """Near and far in a few words; `seen` is that of the rays in question."""
        return f"near {seen.near:.3g}, far {seen.far:.3g} scene units, from where rays enter and leave the bounds"

    def depth_ends(self, seen: DepthRange) -> tuple[float, float]:
        """Near and far in scene units; `seen` is that of the rays in question."""
        return seen.near, seen.far

    def describe_inner(self, cell: float) -> str:
        """What lies in `inner`, for a grid over it; cell: the longest side of its cells, in the data's units."""
        return f"the whole of the scene's bounds, in cells of {cell:.3g}"

    def rays(
        self, origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"], pixels: PixelBatch | None = None
    ) -> RayBatch:
        """World rays (origins and unit directions [R, 3]) as they pass through this space."""
        return RayBatch(origins, directions, *near_far(origins, directions, self.box.to(origins), self.near), pixels)

    def spacing(self, t: Float[Tensor, "*R"]) -> Float[Tensor, "*R"]:
        """Distances t along rays as s, in which samples are evenly spaced: any shape."""
        return t

    def distance_of(self, s: Float[Tensor, "*R"]) -> Float[Tensor, "*R"]:
        """The inverse of `spacing`: distances t of s, any shape."""
        return s

    def contract(self, points: Float[Tensor, "*P 3"]) -> Float[Tensor, "*P 3"]:
        """Points [..., 3] of this space's rays in the coordinates of its box."""
        return points

    def from_world(self, points: Float[Tensor, "P 3"]) -> tuple[Float[Tensor, "P 3"], Bool[Tensor, " P"]]:
        """World points [P, 3] in the coordinates of the box, and which of them lie in it, [P] bool."""
        lower, upper = self.box.to(points)
        return points, ((points >= lower) & (points <= upper)).all(dim=1)

    def to_world(self, points: Float[Tensor, "P 3"]) -> Float[Tensor, "P 3"]:
        """The world points [P, 3] of points in the box."""
        return points

    @property
    def mirrored(self) -> bool:
        """Whether its coordinates have the other handedness than the world's."""
        return False

    def is_sky(self, points: Float[Tensor, "P 3"]) -> Bool[Tensor, " P"]:
        """Which world points are so far away that they have no shape."""
        return torch.zeros_like(points[:, 0], dtype=torch.bool)

    def growth(self, points: Float[Tensor, "P 3"]) -> Float[Tensor, "P 1"]:
        """The factor [P, 1] by which a small step in the box is longer in the world, at world points [P, 3]."""
        return torch.ones_like(points[:, :1])

    def depth_scale(self, depth: Float[Tensor, "*R"], seen: DepthRange) -> tuple[Float[Tensor, "*R"], float, float]:
        """Depths, and their near and far ends, on the scale of a colour map: unbounded depths are compressed."""
        return depth, seen.near, seen.far

    def distance(
        self, origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"], t: Float[Tensor, " R"]
    ) -> Float[Tensor, " R"]:
        """Distances [R] in scene units along world rays, from t [R] along the rays of this space; 0 stays 0."""
        return t

    def t_at(
        self, origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"], distance: Float[Tensor, " R"]
    ) -> Float[Tensor, " R"]:
        """The inverse of `distance`: t [R] along the rays of this space, of distances [R] along world rays."""
        return distance


def world_rays(
    camera: Camera, pose: Float[Tensor, "3 4"], rows: slice = slice(None)
) -> tuple[Float[Tensor, "P 3"], Float[Tensor, "P 3"]]:
    """Origins and unit directions [P, 3] in the world of the pixels in a camera's rows at a pose [3, 4], row by row."""
    in_camera = camera.directions(camera.pixel_centres(rows))  # [P, 3]
    return rays_to_world(pose.expand(len(in_camera), 3, 4), in_camera)


def camera_rays(camera: Camera, pose: Float[Tensor, "3 4"], space: Space, rows: slice = slice(None)) -> RayBatch:
    """The rays of a camera's rows at a pose [3, 4] as they pass through a space, row by row, without targets."""
    return space.rays(*world_rays(camera, pose, rows))
