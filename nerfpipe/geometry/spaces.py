"""The three kinds of space: a box, all of the world contracted into a cube, and a frustum made a box."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from nerfpipe.geometry import contraction, ndc
from nerfpipe.geometry.rays import DepthRange, PixelBatch, RayBatch, near_far
from nerfpipe.geometry.space import STRICT, Bounds, Kind, Space

SKY = 1.9  # of 2, in contracted space: 10 times as far out as the farthest camera
INNER_END = 0.9  # of z in normalised device coordinates: 20 times as far as the near plane


@dataclass(frozen=True, config=STRICT)
class Bounded(Space):
    """A box in the world."""

    kind: Literal["bounded"] = "bounded"

    @classmethod
    def over(cls, bounds: Float[Tensor, "2 3"], near: float = 0.0) -> Bounded:
        """The space of bounds [2, 3]."""
        lower, upper = (tuple(corner) for corner in bounds.tolist())
        return cls((lower, upper), near)


@dataclass(frozen=True, config=STRICT)
class Unbounded(Space):
    """All of the world, contracted."""

    kind: Literal["unbounded"] = "unbounded"

    @property
    def unbounded(self) -> bool:
        return True

    @property
    def ends_rays(self) -> bool:
        return True

    @property
    def inner(self) -> Bounds:
        return contraction.INNER

    @property
    def ends_at_inner(self) -> bool:
        return False

    def to_world(self, points: Float[Tensor, "P 3"]) -> Float[Tensor, "P 3"]:
        return contraction.uncontract(points)

    @property
    def linear(self) -> float:
        return contraction.LINEAR

    @property
    def longest_ray(self) -> float:
        return 2 * contraction.LINEAR

    def describe(self) -> str:
        return "unbounded: what is beyond (-1, -1, -1) to (1, 1, 1) is contracted"

    def describe_depths(self, seen: DepthRange) -> str:
        return f"near {self.near:.3g} scene units, far infinity"

    def depth_ends(self, seen: DepthRange) -> tuple[float, float]:
        return self.near, math.inf

    def describe_inner(self, cell: float) -> str:
        return f"the middle of this unbounded scene, as far as the farthest camera, in cells of {cell:.3g}"

    def rays(
        self, origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"], pixels: PixelBatch | None = None
    ) -> RayBatch:
        near = torch.full_like(origins[:, 0], self.near)
        return RayBatch(origins, directions, near, torch.full_like(near, contraction.FAR), pixels)

    def spacing(self, t: Float[Tensor, "*R"]) -> Float[Tensor, "*R"]:
        return contraction.warp(t)

    def distance_of(self, s: Float[Tensor, "*R"]) -> Float[Tensor, "*R"]:
        return contraction.unwarp(s)

    def contract(self, points: Float[Tensor, "*P 3"]) -> Float[Tensor, "*P 3"]:
        return contraction.contract(points)

    def from_world(self, points: Float[Tensor, "P 3"]) -> tuple[Float[Tensor, "P 3"], Bool[Tensor, " P"]]:
        return contraction.contract(points), torch.ones_like(points[:, 0], dtype=torch.bool)

    def is_sky(self, points: Float[Tensor, "P 3"]) -> Bool[Tensor, " P"]:
        return contraction.contract(points).abs().amax(dim=1) >= SKY

    def growth(self, points: Float[Tensor, "P 3"]) -> Float[Tensor, "P 1"]:
        return points.abs().amax(dim=1, keepdim=True).clamp_min(1)

    def depth_scale(self, depth: Float[Tensor, "*R"], seen: DepthRange) -> tuple[Float[Tensor, "*R"], float, float]:
        near, far = contraction.warp(torch.tensor([seen.near, seen.far])).tolist()
        return contraction.warp(depth), near, far


@dataclass(frozen=True, config=STRICT)
class Forward(Space):
    """The region in front of cameras that look along -z. The near plane is at distance 1, and replaces `near`."""

    frustum: ndc.Frustum
    kind: Literal["forward"] = "forward"

    @property
    def faces_forward(self) -> bool:
        return True

    @property
    def ends_rays(self) -> bool:
        return True

    @property
    def inner(self) -> Bounds:
        lower, (x, y, z) = self.bounds
        return lower, (x, y, min(z, INNER_END))

    @property
    def ends_at_inner(self) -> bool:
        return False

    @property
    def mirrored(self) -> bool:
        return True

    def to_world(self, points: Float[Tensor, "P 3"]) -> Float[Tensor, "P 3"]:
        return ndc.from_ndc(points, self.frustum)

    def describe(self) -> str:
        return f"{super().describe()} in normalised device coordinates"

    def describe_depths(self, seen: DepthRange) -> str:
        return "near plane 1 scene unit before the mean camera, far infinity"

    def depth_ends(self, seen: DepthRange) -> tuple[float, float]:
        return 1.0, math.inf

    def describe_inner(self, cell: float) -> str:
        return "of this forward-facing scene, what is within 20 times the near plane's distance"

    def rays(
        self, origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"], pixels: PixelBatch | None = None
    ) -> RayBatch:
        origins, directions = ndc.rays_to_ndc(origins, directions, self.frustum)
        return RayBatch(origins, directions, *near_far(origins, directions, self.box.to(origins), 0.0), pixels)

    def from_world(self, points: Float[Tensor, "P 3"]) -> tuple[Float[Tensor, "P 3"], Bool[Tensor, " P"]]:
        placed, inside = super().from_world(ndc.to_ndc(points, self.frustum))
        return placed, inside & (points[:, 2] < 0)

    def growth(self, points: Float[Tensor, "P 3"]) -> Float[Tensor, "P 1"]:
        return points[:, 2:].abs() / max(self.frustum)

    def distance(
        self, origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"], t: Float[Tensor, " R"]
    ) -> Float[Tensor, " R"]:
        return torch.where(t > 0, ndc.distance_from_ndc(origins, directions, t, self.frustum), 0)

    def t_at(
        self, origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"], distance: Float[Tensor, " R"]
    ) -> Float[Tensor, " R"]:
        return ndc.t_in_ndc(origins, directions, distance, self.frustum)


AnySpace = Annotated[Bounded | Unbounded | Forward, Field(discriminator="kind")]  # as files hold it


def space_of(kind: Kind, bounds: Bounds, near: float, frustum: ndc.Frustum | None = None) -> AnySpace:
    """The space of a kind; a frustum belongs to `forward` alone."""
    if kind == "forward":
        if frustum is None:
            raise ValueError("a forward space needs the frustum of its cameras")
        return Forward(bounds, near, frustum)
    return Bounded(bounds, near) if kind == "bounded" else Unbounded(bounds, near)
