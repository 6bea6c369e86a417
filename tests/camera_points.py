"""Points along camera rays, in camera and world space."""

from __future__ import annotations

from torch import Tensor

from nerfpipe.geometry.cameras import Camera


def unproject(camera: Camera, pixels: Tensor, t: Tensor) -> Tensor:
    """Camera-space points [P, 3] at distance t [P] along the rays through pixels [P, 2]."""
    return camera.directions(pixels) * t[:, None]


def to_world(pose: Tensor, points: Tensor) -> Tensor:
    """Camera-space points [P, 3] in world space, by a camera-to-world pose [3, 4]."""
    return points @ pose[:, :3].T + pose[:, 3]
