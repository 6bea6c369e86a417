"""Camera-space directions of pixels: computed for pinholes, read from a table for lenses that many pictures share.

Inverting a distortion takes some steps of Newton's method. A lens that many pictures have is inverted once, when the
bank is written, into a table of H·W rows. A lens of few pictures, such as COLMAP's default of one for each, is inverted
when its pixels are drawn: its table would cost more than the pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nerfpipe.geometry import distortion
from nerfpipe.geometry.cameras import TO_OPENCV, Camera, pinhole_directions

NO_TABLE = -1
SHARED = 12  # views of a lens from which it has a table: of 12 bytes a pixel, at most one for each ray
COEFFICIENTS = distortion.COEFFICIENTS["perspective"]


def table_starts(cameras: Sequence[Camera], camera_index: Sequence[int]) -> tuple[np.ndarray, int]:
    """The first row of each camera's table, [cameras] int64, NO_TABLE if it has none; and the rows of all tables.

    camera_index [N]: the cameras of the views. Lenses other than perspective ones always have a table.
    """
    views = Counter(cameras[index] for index in camera_index)
    starts: dict[Camera, int] = {}
    rows = 0
    for camera in cameras:
        computed = camera.is_pinhole or (camera.lens == "perspective" and views[camera] < SHARED)
        if not computed and camera not in starts:
            starts[camera] = rows
            rows += camera.width * camera.height
    return np.array([starts.get(camera, NO_TABLE) for camera in cameras], dtype=np.int64), rows


class Directions:
    """The directions of pixels of some cameras."""

    def __init__(self, cameras: Sequence[Camera], camera_index: Sequence[int], table: np.ndarray) -> None:
        """table [rows, 3] float32: the rows that `table_starts` counts."""
        self.table = table
        self.starts, _ = table_starts(cameras, camera_index)
        self.width = np.array([camera.width for camera in cameras], dtype=np.int64)
        self.focal = torch.tensor([[camera.fx, camera.fy] for camera in cameras])  # [cameras, 2]
        self.centre = torch.tensor([[camera.cx, camera.cy] for camera in cameras])  # [cameras, 2]
        self.bent = np.array([not camera.is_pinhole for camera in cameras])
        rows = [camera.distortion if camera.lens == "perspective" else () for camera in cameras]
        padded = [[*row, *[0.0] * (COEFFICIENTS - len(row))] for row in rows]
        self.coefficients = torch.tensor(padded, dtype=torch.float64)  # [cameras, 8]

    def of(self, lens: Int64[np.ndarray, " R"], pixel: Int64[np.ndarray, " R"]) -> Float[Tensor, "R 3"]:
        """Unit directions of pixels, given by their camera and their index in its image, row by row."""
        start = self.starts[lens]
        has_table = start != NO_TABLE
        if has_table.all():
            return torch.from_numpy(self.table[start + pixel])
        row, column = np.divmod(pixel, self.width[lens])
        pixels = torch.from_numpy(np.stack([column, row], axis=1).astype(np.float32) + np.float32(0.5))  # [R, 2]
        found = pinhole_directions(pixels, self.focal[lens], self.centre[lens])
        if has_table.any():
            found[has_table] = torch.from_numpy(self.table[start[has_table] + pixel[has_table]])
        bent = self.bent[lens] & ~has_table
        if bent.any():
            found[bent] = self._inverted(lens[bent], pixels[bent])
        return found

    def _inverted(self, lens: np.ndarray, pixels: Tensor) -> Tensor:
        """The directions [R, 3] of pixels [R, 2] of distorted perspective lenses without a table."""
        image = (pixels - self.centre[lens]) / self.focal[lens]
        ideal = distortion.undistort_each(image, self.coefficients[lens])  # [R, 2]
        towards = torch.cat([ideal, torch.ones_like(ideal[:, :1])], dim=1) * ideal.new_tensor(TO_OPENCV)  # [R, 3]
        return (towards / towards.norm(dim=1, keepdim=True)).float()
