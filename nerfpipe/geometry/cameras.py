"""Cameras: pixel -> ray and back.

Cameras look along -z, x to the right, y up (OpenGL, Blender). Pixel (column 0, row 0) is at the top left and its
centre is at (0.5, 0.5). `t` is the distance along the unit ray in scene units, not the depth along z.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nerfpipe.geometry import distortion
from nerfpipe.geometry.distortion import Lens

STRIP = 2**20  # pixels of a strip, which bounds the memory that a large image needs
DEFAULT_LONGER_SIDE = 480  # pixels, if no size is given: a GIF of 60 larger frames is too large to share
PARALLEL = 1e-6  # sine of the angle between view and up direction, below which `look_at` finds no right-hand side
TO_OPENCV = (1.0, -1.0, -1.0)  # x right, y up, looking along -z <-> x right, y down, looking along +z


@dataclass(frozen=True)
class Camera:
    """Intrinsics: image size, focal lengths and principal point in pixels; lens model and distortion coefficients.

    `distortion` lists the coefficients in the order of `distortion.py`; missing ones are 0.
    """

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
        """A pinhole camera with square pixels and the principal point in the middle of the image."""
        return cls(width, height, focal, focal, width / 2, height / 2)

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> Camera:
        """The camera of a dict from `to_dict`; lens and distortion may be missing. Raises TypeError for other keys."""
        return cls(**{**entry, "distortion": tuple(entry.get("distortion", ()))})

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return asdict(self)

    def resized(self, width: int, height: int) -> Camera:
        """The same view in width x height pixels."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self, width=width, height=height, fx=self.fx * sx, fy=self.fy * sy, cx=self.cx * sx, cy=self.cy * sy
        )

    def reduced(self, factor: int) -> Camera:
        """The same view with blocks of factor x factor pixels merged, also incomplete blocks at the edges."""
        return replace(
            self,
            width=-(-self.width // factor),
            height=-(-self.height // factor),
            fx=self.fx / factor,
            fy=self.fy / factor,
            cx=self.cx / factor,
            cy=self.cy / factor,
        )

    def strip(self, rows: slice) -> Camera:
        """The camera of some rows of the image, given from first to last."""
        return replace(self, height=rows.stop - rows.start, cy=self.cy - rows.start)

    def pinhole(self) -> Camera:
        """The same view without distortion."""
        return replace(self, lens="perspective", distortion=())

    @property
    def is_pinhole(self) -> bool:
        """Whether the camera has no distortion."""
        return self.lens == "perspective" and not any(self.distortion)

    def pixel_centres(self, rows: slice = slice(None)) -> Float[Tensor, "P 2"]:
        """(column, row) [P, 2] of the pixel centres in `rows`, all rows by default, row by row."""
        first, last, _ = rows.indices(self.height)
        v = torch.arange(first, last, dtype=torch.float32) + 0.5
        u = torch.arange(self.width, dtype=torch.float32) + 0.5
        grid = torch.meshgrid(v, u, indexing="ij")
        return torch.stack([grid[1], grid[0]], dim=-1).reshape(-1, 2)  # [P, 2]

    def border_centres(self) -> Float[Tensor, "P 2"]:
        """(column, row) [P, 2] of the centres of the pixels at the image's border."""
        columns, rows = torch.arange(self.width) + 0.5, torch.arange(self.height) + 0.5
        top_and_bottom = torch.cartesian_prod(columns, rows[[0, -1]])  # [2·W, 2]
        return torch.cat([top_and_bottom, torch.cartesian_prod(columns[[0, -1]], rows)])

    def strips(self, pixels: int | None = None) -> Iterator[tuple[slice, slice]]:
        """The image in strips of whole rows, of at most `pixels` pixels, STRIP by default, if a row has no more.

        Yields the rows of each strip and the indices of its pixels.
        """
        step = max(1, (pixels or STRIP) // self.width)
        for first in range(0, self.height, step):
            rows = slice(first, min(first + step, self.height))
            yield rows, slice(rows.start * self.width, rows.stop * self.width)

    def directions(self, pixels: Float[Tensor, "P 2"]) -> Float[Tensor, "P 3"]:
        """Unit directions [P, 3] in camera space of the rays through pixels [P, 2].

        Raises distortion.NotInvertibleError if a pixel has no ray because the distortion cannot be inverted there.
        """
        focal, centre = pixels.new_tensor([self.fx, self.fy]), pixels.new_tensor([self.cx, self.cy])
        if self.is_pinhole:
            return pinhole_directions(pixels, focal, centre)
        d = distortion.directions(self.lens, self.distortion, (pixels - centre) / focal)
        return (d * torch.tensor(TO_OPENCV)).to(pixels.dtype)  # [P, 3]

    def project(self, points: Float[Tensor, "P 3"]) -> tuple[Float[Tensor, "P 2"], Float[Tensor, " P"]]:
        """Pixels [P, 2] of camera-space points [P, 3], and their distances t [P].

        The pixel is NaN if the lens cannot see the point, as a perspective lens cannot see behind the camera.
        """
        image = distortion.project(self.lens, self.distortion, points * torch.tensor(TO_OPENCV)).to(points.dtype)
        u, v = self.cx + self.fx * image[:, 0], self.cy + self.fy * image[:, 1]
        return torch.stack([u, v], dim=-1), points.norm(dim=-1)  # [P, 2], [P]


def pinhole_directions(
    pixels: Float[Tensor, "P 2"], focal: Float[Tensor, "*P 2"], centre: Float[Tensor, "*P 2"]
) -> Float[Tensor, "P 3"]:
    """Unit directions in camera space of pixels, without distortion; focal length and principal point in pixels."""
    x, y = ((pixels - centre) / focal).unbind(dim=-1)
    d = torch.stack([x, -y, -torch.ones_like(x)], dim=-1)  # [P, 3]; rows count downwards, y points up
    return d / d.norm(dim=-1, keepdim=True)


def to_camera(pose: Float[Tensor, "3 4"], points: Float[Tensor, "P 3"]) -> Float[Tensor, "P 3"]:
    """World points [P, 3] in camera space, by the inverse of the rigid camera-to-world pose [3, 4]."""
    return (points - pose[:, 3]) @ pose[:, :3]


def look_at(
    position: Float[Tensor, " 3"], target: Float[Tensor, " 3"], up: Float[Tensor, " 3"]
) -> Float[Tensor, "3 4"]:
    """Camera-to-world pose [3, 4] of a camera at `position` [3] that looks at `target` [3], with `up` [3] upwards.

    Raises ValueError if the view direction is parallel to `up` or has no length.
    """
    backward = position - target
    right = torch.linalg.cross(up, backward)
    if right.norm() < PARALLEL * max(1.0, float(backward.norm())):
        raise ValueError("the view direction is parallel to the up direction; move the camera or the target")
    backward, right = backward / backward.norm(), right / right.norm()
    up = torch.linalg.cross(backward, right)
    return torch.stack([right, up, backward, position], dim=1)  # [3, 4]


def sized(camera: Camera, longer_side: int) -> Camera:
    """The camera, resized so that its longer side has `longer_side` pixels.

    0 keeps the size, up to a longer side of DEFAULT_LONGER_SIDE.
    """
    longer = max(camera.width, camera.height)
    scale = (longer_side or min(longer, DEFAULT_LONGER_SIDE)) / longer
    if scale == 1:
        return camera
    return camera.resized(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)))
