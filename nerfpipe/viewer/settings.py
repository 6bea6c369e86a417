"""What all pages show alike, and what one page's camera sees."""

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
Corners = tuple[tuple[float, float, float], tuple[float, float, float]]

NARROWEST, WIDEST = 1e-3, math.pi - 1e-3  # radians of a field of view
FLIP = np.array([1.0, -1.0, -1.0])  # of a camera's axes: OpenCV's, which viser has, to OpenGL's


@dataclass(frozen=True)
class Settings:
    """What the panel says. A change makes a new one, so that a drawing is never of two minds."""

    mode: Mode = "colour"
    resolution: int = 800  # pixels of the longer side when at rest
    samples: float = 1.0  # along a ray, times those that the model's settings say
    moving_samples: float = 0.5  # the same while the camera moves, times `samples`
    crop: Corners | None = None  # scene units; None: everything is shown
    photograph: float = 0.0  # how much of it is laid over the render, where a page stands in a camera
    overlays: bool = False  # whether cameras or the crop box are drawn, which the scene may hide


@dataclass(frozen=True)
class View:
    """A page's camera. Its lens is a pinhole with the principal point in the middle."""

    pose: Tensor  # [3, 4] camera-to-world, OpenGL's axes, scene units
    fov: float  # vertical, radians
    aspect: float  # width / height
    width: int  # of the page, in pixels
    height: int

    @classmethod
    def of(cls, rotation: np.ndarray, position: np.ndarray, fov: float, width: int, height: int) -> View:
        """From a camera-to-world rotation [3, 3] in OpenCV's axes and a position [3]."""
        pose = np.concatenate([rotation * FLIP, position[:, None]], axis=1)
        width, height = max(1, width), max(1, height)
        fov = min(max(fov, NARROWEST), WIDEST)
        return cls(torch.tensor(pose, dtype=torch.float32), fov, width / height, width, height)

    def camera(self, longer: int) -> Camera:
        """The lens, for a picture with this longer side."""
        width, height = dimensions(longer, self.aspect)
        return Camera.centred(width, height, height / 2 / math.tan(self.fov / 2))


def vertical_fov(camera: Camera, aspect: float | None = None) -> float:
    """The vertical field of view in radians that holds all of a camera's picture, on a page of this aspect.

    For a lens that is no pinhole, that of a pinhole of the same focal length. None: a page of the picture's own aspect.
    """
    width, height = camera.width / camera.fx, camera.height / camera.fy
    return 2 * math.atan(max(height, width / aspect if aspect else 0.0) / 2)
