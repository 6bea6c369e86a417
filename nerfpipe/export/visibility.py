"""What of a surface the train cameras see."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from nerfpipe.export.views import LoadedField
from nerfpipe.geometry.cameras import Camera, sized, to_camera
from nerfpipe.runtime.progress import Progress

OPAQUE = 0.9  # opacity from which a pixel shows a surface and nothing behind it
SIZE = 200  # pixels of the longer side of the views that tell what is seen
BLOCK = 2**20  # vertices looked for at once in a view
BEHIND = 0.01  # of the distance, how much farther than what a camera sees a vertex may be and still count as seen


def seen_faces(subject: LoadedField, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Which faces [F] bool have a vertex of [V, 3] that some train camera sees."""
    camera = sized(subject.about.camera.pinhole(), SIZE)
    points, seen = torch.from_numpy(vertices).float(), torch.zeros(len(vertices), dtype=torch.bool)
    poses = torch.tensor(subject.about.poses)
    with Progress("look", len(poses), "views") as progress:
        for pose in poses:
            picture = subject.picture(camera, pose)
            _, _, distance = subject.distances(camera, pose, picture)
            far = reach(distance.reshape_as(picture.opacity), picture.opacity)
            for some, marks in zip(points.split(BLOCK), seen.split(BLOCK), strict=True):
                marks |= sees(camera, pose, far, some)
            progress.advance()
    return seen.numpy()[faces].any(axis=1)


def reach(distance: Tensor, opacity: Tensor) -> Tensor:
    """How far [H·W] one sees through each pixel of a picture whose distance and opacity are [H, W].

    As far as through the farthest of its neighbours, since a surface seen at a slant falls away within a pixel.
    """
    opaque = opacity > OPAQUE
    around = max_pool2d(torch.where(opaque, distance, 0)[None], kernel_size=3, stride=1, padding=1)[0]
    return torch.where(opaque, around * (1 + BEHIND), torch.inf).flatten()


def sees(camera: Camera, pose: Tensor, far: Tensor, points: Tensor) -> Tensor:
    """Which points [P, 3] a camera sees [P] bool that sees as far as `far` [H·W] through its pixels."""
    pixels, t = camera.project(to_camera(pose, points))
    column, row = pixels.nan_to_num(-1).floor().long().unbind(dim=1)
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    seen = torch.zeros_like(inside)
    seen[inside] = t[inside] <= far[row[inside] * camera.width + column[inside]]
    return seen
