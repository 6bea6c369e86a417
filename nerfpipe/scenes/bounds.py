"""Bounds of a scene that names none: the box around what its cameras look at together."""

from __future__ import annotations

import numpy as np

from nerfpipe.cameras import Camera
from nerfpipe.errors import NerfpipeError

PARALLEL = 1e-3  # smallest eigenvalue of the mean projection, below which the views share no one point


def bounds_from_cameras(cameras: list[Camera], poses: np.ndarray) -> np.ndarray:
    """A cube [2, 3] around the point that the cameras look at, as large as the narrowest view of it.

    cameras: one per view; poses [N, 3, 4]. Raises NerfpipeError where the cameras look at no common point.
    """
    positions, axes = poses[:, :, 3].astype(np.float64), -poses[:, :, 2].astype(np.float64)
    centre = nearest_point(positions, axes)
    distances = ((centre - positions) * axes).sum(axis=1)  # [N] along each optical axis
    if distances.min() <= 0:
        raise NerfpipeError(
            f"camera {int(distances.argmin())} faces away from what the others look at: no bounds can be found; "
            "give `bounds: [[x, y, z], [x, y, z]]` in the scene's entry"
        )
    half_views = [min(camera.width / camera.fx, camera.height / camera.fy) / 2 for camera in cameras]
    half = float((distances * np.array(half_views)).min())
    return np.stack([centre - half, centre + half]).astype(np.float32)


def nearest_point(positions: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """The point [3] with the least squared distance to the lines positions + s · axes [N, 3], axes of length 1."""
    projections = np.eye(3) - axes[:, :, None] * axes[:, None, :]  # [N, 3, 3], onto the plane across each line
    mean = projections.mean(axis=0)
    if np.linalg.eigvalsh(mean)[0] < PARALLEL:
        raise NerfpipeError(
            "the cameras look in parallel, at no common point: no bounds can be found; "
            "give `bounds: [[x, y, z], [x, y, z]]` in the scene's entry"
        )
    return np.linalg.solve(mean, (projections @ positions[:, :, None]).mean(axis=0)[:, 0])
