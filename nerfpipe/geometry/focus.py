"""The point that cameras look at, and the bounds that follow from it for a scene that gives none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from nerfpipe.geometry.cameras import Camera
from nerfpipe.runtime.errors import NerfpipeError

PARALLEL = 1e-3  # smallest eigenvalue of the mean projection, below which the optical axes count as parallel
# Largest standard error of the focus point's distance, as a fraction of that distance, with which the point counts as
# certain. Cameras around an object have 0.05 and less; handheld cameras that look in parallel have 0.8 and more.
CERTAIN = 0.3


def bounds_from_cameras(cameras: list[Camera], poses: Float[np.ndarray, "N 3 4"]) -> Float[np.ndarray, "2 3"]:
    """A cube [2, 3] around the point that the cameras look at, as large as the narrowest view of it.

    cameras: one per view; poses [N, 3, 4]. Raises NerfpipeError if the cameras look at no common point.
    """
    positions, axes = poses[:, :, 3].astype(np.float64), -poses[:, :, 2].astype(np.float64)
    centre = nearest_point(positions, axes)
    depths = ((centre - positions) * axes).sum(axis=1)  # [N] along each optical axis
    if depths.min() <= 0:
        raise NerfpipeError(
            f"camera {int(depths.argmin())} faces away from the point that the others look at: no bounds can be "
            "found; give `bounds: [[x, y, z], [x, y, z]]` in the scene's entry"
        )
    half_views = [min(camera.width / camera.fx, camera.height / camera.fy) / 2 for camera in cameras]
    half = float((depths * np.array(half_views)).min())
    return np.stack([centre - half, centre + half]).astype(np.float32)


def nearest_point(positions: Float[np.ndarray, "N 3"], axes: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, " 3"]:
    """The point [3] with the least squared distance to the lines positions + s · axes (both [N, 3], axes of length 1).

    Raises NerfpipeError if the lines are parallel.
    """
    projections = np.eye(3) - axes[:, :, None] * axes[:, None, :]  # [N, 3, 3], onto the plane across each line
    mean = projections.mean(axis=0)
    if np.linalg.eigvalsh(mean)[0] < PARALLEL:
        raise NerfpipeError(
            "the cameras look in parallel, at no common point: no bounds can be found; "
            "give `bounds: [[x, y, z], [x, y, z]]` in the scene's entry"
        )
    return np.linalg.solve(mean, (projections @ positions[:, :, None]).mean(axis=0)[:, 0])


@dataclass(frozen=True)
class FocusPoint:
    """The point [3] nearest to all optical axes, and its depth along each of them: depths [N], negative if behind."""

    point: Float[np.ndarray, " 3"]
    depths: Float[np.ndarray, " N"]
    certain: bool  # whether the axes determine the point's distance

    @property
    def outwards(self) -> bool:
        """Whether the point is behind most cameras."""
        return bool(np.mean(self.depths > 0) < 0.5)


def focus_point(poses: Float[np.ndarray, "N 3 4"]) -> FocusPoint | None:
    """The point that the cameras of poses [N, 3, 4] look at; None if they look in parallel."""
    positions, axes = poses[:, :, 3], -poses[:, :, 2]
    try:
        point = nearest_point(positions, axes)
    except NerfpipeError:
        return None
    offsets = point - positions  # [N, 3]
    depths = (offsets * axes).sum(axis=1)
    residual = ((offsets - depths[:, None] * axes) ** 2).sum(axis=1).mean()
    # Standard error of least squares, along the direction in which the squared distances grow least.
    growth = np.linalg.eigvalsh(np.eye(3) - axes.T @ axes / len(axes))[0]
    certain = np.sqrt(residual / (growth * len(axes))) < CERTAIN * abs(np.median(depths))
    return FocusPoint(point, depths, bool(certain))
