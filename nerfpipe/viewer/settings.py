"""Settings that all pages share, and the camera of one page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nerfpipe.geometry.cameras import Camera
from nerfpipe.viewer.adaptive_resolution import dimensions

Mode = Literal["colour", "depth", "opacity", "normals"]
MODES: tuple[Mode, ...] = ("colour", "depth", "opacity", "normals")
Corners = tuple[tuple[float, float, float], tuple[float, float, float]]  # lower and upper, scene units

NARROWEST, WIDEST = 1e-3, math.pi - 1e-3  # radians of a field of view
FLIP = np.array([1.0, -1.0, -1.0])  # of a camera's axes: from OpenCV's, which viser uses, to OpenGL's


@dataclass(frozen=True)
class Settings:
    """Values of the panel. A change makes a new object, so that one picture never mixes old and new values."""

    mode: Mode = "colour"
    resolution: int = 800  # pixels of the longer side at rest
    samples: float = 1.0  # samples along a ray, as a multiple of the model's own number
    moving_samples: float = 0.5  # a further factor on `samples` while the camera moves
    crop: Corners | None = None  # scene units; None: the whole scene is shown
    photograph: float = 0.0  # its weight over the render, in [0, 1], while a page stands in a camera
    overlays: bool = False  # whether cameras or the crop box are drawn, which the scene may hide


@dataclass(frozen=True)
class View:
    """A page's camera: a pinhole with the principal point in the middle."""

    pose: Tensor  # [3, 4] camera-to-world, OpenGL's axes, scene units
    fov: float  # vertical, radians
    aspect: float  # width / height
    width: int  # of the page, in pixels
    height: int

    @classmethod
    def of(cls, rotation: np.ndarray, position: np.ndarray, fov: float, width: int, height: int) -> View:
        """From a camera-to-world rotation [3, 3] in OpenCV's axes and a position [3] in scene units.

        `fov` (vertical, radians) is clamped to a usable angle, `width` and `height` (pixels) to at least 1.
        """
        pose = np.concatenate([rotation * FLIP, position[:, None]], axis=1)
        width, height = max(1, width), max(1, height)
        fov = min(max(fov, NARROWEST), WIDEST)
        return cls(torch.tensor(pose, dtype=torch.float32), fov, width / height, width, height)

    def camera(self, longer: int) -> Camera:
        """Intrinsics for a picture with this longer side, in pixels."""
        width, height = dimensions(longer, self.aspect)
        return Camera.centred(width, height, height / 2 / math.tan(self.fov / 2))


def vertical_fov(camera: Camera, aspect: float | None = None) -> float:
    """The vertical field of view in radians that shows all of a camera's picture on a page of this aspect.

    Distortion is ignored: a pinhole of the same focal length is assumed. None: a page of the picture's own aspect.
    """
    width, height = camera.width / camera.fx, camera.height / camera.fy
    return 2 * math.atan(max(height, width / aspect if aspect else 0.0) / 2)
