"""Batches of rays, and where a ray enters and leaves the scene's bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

PARALLEL = 1e-12  # a direction component smaller than this is taken as parallel to the slab's faces


@dataclass(frozen=True)
class RayBatch:
    """R rays. Points on ray r are origins[r] + t · directions[r] for near[r] <= t <= far[r].

    A ray that misses the bounds has far <= near. `target` is the pixel's colour and alpha in [0, 1], straight alpha.
    """

    origins: Tensor  # [R, 3]
    directions: Tensor  # [R, 3], unit length
    near: Tensor  # [R]
    far: Tensor  # [R]
    target: Tensor | None = None  # [R, 4]

    def __len__(self) -> int:
        return len(self.near)

    def __getitem__(self, which: slice | Tensor) -> RayBatch:
        return self._each(lambda tensor: tensor[which])

    def to(self, device: torch.device) -> RayBatch:
        return self._each(lambda tensor: tensor.to(device))

    @property
    def hits(self) -> Tensor:
        """[R] bool: which rays pass through the bounds."""
        return self.far > self.near

    def _each(self, change: Callable[[Tensor], Tensor]) -> RayBatch:
        values = (getattr(self, field.name) for field in fields(self))
        return RayBatch(*(None if value is None else change(value) for value in values))


@dataclass
class Extent:
    """Over many rays: the smallest near and largest far of those that meet the bounds, and how many do."""

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


def rays_to_world(poses: Tensor, in_camera: Tensor) -> tuple[Tensor, Tensor]:
    """Origins and unit directions [R, 3] in the world: camera-space directions [R, 3], each by its pose [R, 3, 4]."""
    directions = (poses[:, :, :3] * in_camera[:, None, :]).sum(dim=-1)  # [R, 3]
    return poses[:, :, 3], directions / directions.norm(dim=-1, keepdim=True)


def near_far(origins: Tensor, directions: Tensor, bounds: Tensor, min_near: float) -> tuple[Tensor, Tensor]:
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
