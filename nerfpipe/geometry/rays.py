"""Batches of rays: from pixels to the world, and the distances at which they enter and leave the scene's bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

PARALLEL = 1e-12  # a direction component smaller than this is taken as parallel to the slab's faces


@dataclass(frozen=True)
class PixelBatch:
    """R pixels, and all that their rays need but the poses of the views, which may be learned.

    Target is the pixel's colour and alpha in [0, 1], straight alpha. Radius is that of the pixel's cone at distance 1
    (mip-NeRF, Barron et al. 2021, section 3.1). Depth is the true distance in scene units: inf if the ray meets
    nothing, NaN if it is unknown.
    """

    view: Int64[Tensor, " R"]
    pixel: Int64[Tensor, " R"]  # within the view, row by row
    in_camera: Float[Tensor, "R 3"]  # unit directions in camera space
    radius: Float[Tensor, " R"]
    target: Float[Tensor, "R 4"]
    depth: Float[Tensor, " R"] | None = None

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, which: slice | Tensor) -> PixelBatch:
        return PixelBatch(**_map(self, lambda tensor: tensor[which]))

    def to(self, device: torch.device) -> PixelBatch:
        return PixelBatch(**_map(self, lambda tensor: tensor.to(device)))


@dataclass(frozen=True)
class RayBatch:
    """R rays. Points on ray r are origins[r] + t · directions[r] for near[r] <= t <= far[r].

    A ray that misses the bounds has far <= near. `pixels` are the pixels of the rays, if they are known.
    """

    origins: Float[Tensor, "R 3"]
    directions: Float[Tensor, "R 3"]  # unit length
    near: Float[Tensor, " R"]
    far: Float[Tensor, " R"]
    pixels: PixelBatch | None = None

    def __len__(self) -> int:
        return len(self.near)

    def __getitem__(self, which: slice | Tensor) -> RayBatch:
        pixels = None if self.pixels is None else self.pixels[which]
        return RayBatch(**_map(self, lambda tensor: tensor[which]), pixels=pixels)

    def to(self, device: torch.device) -> RayBatch:
        pixels = None if self.pixels is None else self.pixels.to(device)
        return RayBatch(**_map(self, lambda tensor: tensor.to(device)), pixels=pixels)

    @property
    def target(self) -> Float[Tensor, "R 4"]:
        """[R, 4] colour and alpha of the pixels. Raises ValueError if the rays do not know their pixels."""
        if self.pixels is None:
            raise ValueError("these rays go through no pixels of a view")
        return self.pixels.target

    @property
    def hits(self) -> Bool[Tensor, " R"]:
        """[R] bool: which rays pass through the bounds."""
        return self.far > self.near


@dataclass
class DepthRange:
    """The smallest near and largest far of the rays that meet the bounds, and the number of such rays."""

    near: float = math.inf
    far: float = 0.0
    hits: int = 0
    rays: int = 0

    def include(self, batch: RayBatch) -> None:
        inside = batch[batch.hits]
        self.rays += len(batch)
        self.hits += len(inside)
        if len(inside):
            self.near = min(self.near, float(inside.near.min()))
            self.far = max(self.far, float(inside.far.max()))


def rays_to_world(
    poses: Float[Tensor, "R 3 4"], in_camera: Float[Tensor, "R 3"]
) -> tuple[Float[Tensor, "R 3"], Float[Tensor, "R 3"]]:
    """Origins and unit directions [R, 3] in the world: camera-space directions [R, 3], each by its pose [R, 3, 4]."""
    directions = (poses[:, :, :3] * in_camera[:, None, :]).sum(dim=-1)  # [R, 3]
    return poses[:, :, 3], directions / directions.norm(dim=-1, keepdim=True)


def near_far(
    origins: Float[Tensor, "R 3"], directions: Float[Tensor, "R 3"], bounds: Float[Tensor, "2 3"], min_near: float
) -> tuple[Float[Tensor, " R"], Float[Tensor, " R"]]:
    """Distances [R], [R] at which rays enter and leave the box `bounds` [2, 3] (lower corner, upper corner).

    The slab method (Kay and Kajiya 1986): the ray is inside the box where it is between all three pairs of faces.
    Near is at least `min_near`; a ray that misses, or has the box behind it, gets far <= near.
    """
    d = torch.where(directions.abs() < PARALLEL, torch.full_like(directions, PARALLEL), directions)
    to_lower = (bounds[0] - origins) / d  # [R, 3]
    to_upper = (bounds[1] - origins) / d
    enter = torch.minimum(to_lower, to_upper).amax(dim=-1)  # [R]
    leave = torch.maximum(to_lower, to_upper).amin(dim=-1)
    return enter.clamp_min(min_near), leave


def _map(batch: PixelBatch | RayBatch, change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """The tensors of a batch by name, changed."""
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return {name: change(value) for name, value in values.items() if isinstance(value, Tensor)}
