"""Cameras and poses of COLMAP reconstructions (colmap.github.io/cameras.html), for text and binary files alike.

Poses become camera-to-world with OpenGL's camera axes; the world's axes stay COLMAP's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nerfpipe.geometry.cameras import TO_OPENCV, Camera
from nerfpipe.geometry.distortion import Lens
from nerfpipe.geometry.plausible import LONGEST_SIDE, finite, shown
from nerfpipe.runtime.errors import NerfpipeError

# Camera models in the order of their numbers: name, count of parameters.
CAMERA_MODELS = (
    ("SIMPLE_PINHOLE", 3), ("PINHOLE", 4), ("SIMPLE_RADIAL", 4), ("RADIAL", 5), ("OPENCV", 8), ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12), ("FOV", 5), ("SIMPLE_RADIAL_FISHEYE", 4), ("RADIAL_FISHEYE", 5), ("THIN_PRISM_FISHEYE", 12),
)  # fmt: skip
ONE_FOCAL = {"SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE"}
UNSUPPORTED = {"THIN_PRISM_FISHEYE"}
SHORTEST = 1e-6  # least length of a quaternion


@dataclass(frozen=True)
class RegisteredImage:
    """An image with a pose."""

    number: int
    name: str
    camera: int  # its number in the reconstruction
    pose: np.ndarray  # [3, 4], camera-to-world, OpenGL's axes


class TrackedPoint(NamedTuple):
    """A point, and the numbers of the images that it was found in."""

    position: tuple[float, float, float]
    images: tuple[int, ...]


def unsupported(model: str | int) -> NerfpipeError:
    """The error for a camera model, by its name or number, that cannot be read."""
    return NerfpipeError(f"camera model {model} is not known here; undistort the pictures (colmap image_undistorter)")


def camera_of(model: str, width: int, height: int, parameters: list[float]) -> Camera:
    """A camera from the name of its model and its parameters in COLMAP's order.

    Raises NerfpipeError if the model is not supported, ValueError if a value is impossible.
    """
    if model in UNSUPPORTED:
        raise unsupported(model)
    one_focal = model in ONE_FOCAL
    valid_size = min(width, height) >= 1 and max(width, height) <= LONGEST_SIDE
    if not valid_size or not finite(parameters) or min(parameters[: 1 if one_focal else 2]) <= 0:
        raise ValueError(f"a camera of {shown(width)}x{shown(height)} with {', '.join(map(shown, parameters))}")
    focal, (cx, cy, *k) = (parameters[:1] * 2, parameters[1:]) if one_focal else (parameters[:2], parameters[2:])
    fx, fy = focal
    lens: Lens = "fisheye" if model.endswith("FISHEYE") else "fov" if model == "FOV" and any(k) else "perspective"
    return Camera(width, height, fx, fy, cx, cy, lens, tuple(k) if any(k) else ())


def pose_of(quaternion: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Camera-to-world pose [3, 4] from a world-to-camera quaternion (w, x, y, z) and translation [3], OpenCV's axes.

    Raises ValueError if they are no rotation and finite position.
    """
    if not finite(quaternion) or not finite(translation) or np.linalg.norm(quaternion) < SHORTEST:
        raise ValueError("a pose that is no rotation and position")
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    to_camera = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    position = -to_camera.T @ translation
    return np.concatenate([to_camera.T * np.array(TO_OPENCV), position[:, None]], axis=1)
