"""Bounds of a scene that names none: the box around what its cameras look at together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nerfpipe.geometry.cameras import Camera
from nerfpipe.runtime.errors import NerfpipeError

PARALLEL = 1e-3  # smallest eigenvalue of the mean projection, below which the views share no one point
CERTAIN = 0.3  # of the distance to what cameras look at, its standard error up to which they are said to tell it:
# around an object it is 0.05 and less; for cameras that look in parallel, in trembling hands, 0.8 and more


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


@dataclass(frozen=True)
class Middle:
    """The point [3] nearest to all optical axes, and how far along each of them it lies: ahead [N]."""

    point: np.ndarray
    ahead: np.ndarray
    certain: bool  # whether the axes tell how far away it is

    @property
    def outwards(self) -> bool:
        """Whether most cameras have it behind them."""
        return bool(np.mean(self.ahead > 0) < 0.5)


def middle_of(poses: np.ndarray) -> Middle | None:
    """What the cameras [N, 3, 4] look at together; None where they look in parallel."""
    positions, axes = poses[:, :, 3], -poses[:, :, 2]
    try:
        point = nearest_point(positions, axes)
    except NerfpipeError:
        return None
    offsets = point - positions  # [N, 3]
    ahead = (offsets * axes).sum(axis=1)
    missed = ((offsets - ahead[:, None] * axes) ** 2).sum(axis=1).mean()
    # As of any least squares: what is missed, by how much more is missed on the way along which that grows least.
    growth = np.linalg.eigvalsh(np.eye(3) - axes.T @ axes / len(axes))[0]
    certain = np.sqrt(missed / (growth * len(axes))) < CERTAIN * abs(np.median(ahead))
    return Middle(point, ahead, bool(certain))
