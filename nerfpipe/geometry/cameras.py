"""Cameras: pixel -> ray and back.

Cameras look along -z, x to the right, y up (OpenGL, Blender). Pixel (column 0, row 0) is the top-left one and its
centre is at (0.5, 0.5). `t` is distance along the unit ray in scene units, not depth along z.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nerfpipe.geometry import distortion
from nerfpipe.geometry.distortion import Lens

STRIP = 2**20  # pixels looked at together
TO_OPENCV = (1.0, -1.0, -1.0)  # x right, y up, looking along -z <-> x right, y down, looking along +z


@dataclass(frozen=True)
class Camera:
    """One lens: picture size, focal lengths and principal point, all in pixels, and its distortion (see lenses)."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    lens: Lens = "perspective"
    distortion: tuple[float, ...] = ()

    @classmethod
    def centred(cls, width: int, height: int, focal: float) -> Camera:
        """Square pixels and the principal point in the middle of the picture."""
        return cls(width, height, focal, focal, width / 2, height / 2)

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> Camera:
        return cls(**{**entry, "distortion": tuple(entry.get("distortion", ()))})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def resized(self, width: int, height: int) -> Camera:
        """The same view on another pixel grid."""
        sx, sy = width / self.width, height / self.height
        scaled = {"fx": self.fx * sx, "fy": self.fy * sy, "cx": self.cx * sx, "cy": self.cy * sy}
        return replace(self, width=width, height=height, **scaled)

    def reduced(self, factor: int) -> Camera:
        """The same view with factor x factor pixels made one; a rest at the right and lower edge is one more."""
        scaled = {"fx": self.fx / factor, "fy": self.fy / factor, "cx": self.cx / factor, "cy": self.cy / factor}
        return replace(self, width=-(-self.width // factor), height=-(-self.height // factor), **scaled)

    def pinhole(self) -> Camera:
        """The same view through a lens without distortion."""
        return replace(self, lens="perspective", distortion=())

    @property
    def is_pinhole(self) -> bool:
        return self.lens == "perspective" and not any(self.distortion)

    def pixel_centres(self, rows: slice = slice(None)) -> Tensor:
        """[P, 2] (column, row) of the centres of every pixel, or of those in some rows, row by row."""
        first, last, _ = rows.indices(self.height)
        down = torch.arange(first, last, dtype=torch.float32) + 0.5
        across = torch.arange(self.width, dtype=torch.float32) + 0.5
        grid = torch.meshgrid(down, across, indexing="ij")
        return torch.stack([grid[1], grid[0]], dim=-1).reshape(-1, 2)  # [P, 2]

    def strips(self) -> Iterator[tuple[slice, slice]]:
        """Rows, a few at a time, and the numbers of their pixels: what a large picture's memory is bounded by."""
        step = max(1, STRIP // self.width)
        for first in range(0, self.height, step):
            rows = slice(first, min(first + step, self.height))
            yield rows, slice(rows.start * self.width, rows.stop * self.width)

    def directions(self, pixels: Tensor) -> Tensor:
        """Unit directions [P, 3] in camera space of the rays through pixels [P, 2].

        Raises lenses.NotInvertibleError where the distortion leads no ray to a pixel.
        """
        x, y = (pixels[:, 0] - self.cx) / self.fx, (pixels[:, 1] - self.cy) / self.fy
        if self.is_pinhole:
            d = torch.stack([x, -y, -torch.ones_like(x)], dim=-1)  # [P, 3]; rows count downwards, y points up
            return d / d.norm(dim=-1, keepdim=True)
        d = distortion.directions(self.lens, self.distortion, torch.stack([x, y], dim=-1))
        return (d * torch.tensor(TO_OPENCV)).to(pixels.dtype)  # [P, 3]

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [P, 2] where camera-space points [P, 3] appear, and their distance t [P].

        What the lens cannot see - for a perspective lens, what is behind the camera - has no pixel: NaN.
        """
        image = distortion.project(self.lens, self.distortion, points * torch.tensor(TO_OPENCV)).to(points.dtype)
        u, v = self.cx + self.fx * image[:, 0], self.cy + self.fy * image[:, 1]
        return torch.stack([u, v], dim=-1), points.norm(dim=-1)  # [P, 2], [P]

    def unproject(self, pixels: Tensor, t: Tensor) -> Tensor:
        """Camera-space points [P, 3] at distance t [P] along the rays through pixels [P, 2]."""
        return self.directions(pixels) * t[:, None]


def to_world(pose: Tensor, points: Tensor) -> Tensor:
    """Camera-space points [P, 3] in world space, by a camera-to-world pose [3, 4]."""
    return points @ pose[:, :3].T + pose[:, 3]


def to_camera(pose: Tensor, points: Tensor) -> Tensor:
    """World points [P, 3] in camera space: the inverse of a rigid pose [3, 4]."""
    return (points - pose[:, 3]) @ pose[:, :3]


def look_at(position: Tensor, target: Tensor, up: Tensor) -> Tensor:
    """Camera-to-world pose [3, 4] of a camera at `position` that looks at `target` with `up` upwards.

    All are [3]. Raises ValueError where the view direction is parallel to `up` or has no length.
    """
    backward = position - target
    right = torch.linalg.cross(up, backward)
    if right.norm() < 1e-6 * max(1.0, float(backward.norm())):
        raise ValueError("the view direction is parallel to the up direction; move the camera or the target")
    backward, right = backward / backward.norm(), right / right.norm()
    up = torch.linalg.cross(backward, right)
    return torch.stack([right, up, backward, position], dim=1)  # [3, 4]


LARGEST = 480  # pixels of the longer side, where nothing is said: a GIF of 60 larger frames is a burden


def sized(camera: Camera, longer_side: int) -> Camera:
    """The camera with its longer side of so many pixels; 0 leaves it as it is, unless it is larger than LARGEST."""
    longer = max(camera.width, camera.height)
    scale = (longer_side or min(longer, LARGEST)) / longer
    if scale == 1:
        return camera
    return camera.resized(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)))
