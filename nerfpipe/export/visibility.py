"""Which part of a surface the train cameras see."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from nerfpipe.export.views import LoadedField
from nerfpipe.geometry.cameras import Camera, sized, to_camera
from nerfpipe.runtime.progress import Progress

OPAQUE = 0.9  # opacity from which a pixel shows a surface and nothing behind it
SIZE = 200  # pixels of the longer side of the views that decide visibility
BLOCK = 2**20  # vertices projected at once into a view
TOLERANCE = 0.01  # of the distance that a camera sees, by which a visible vertex may lie farther away


def visible_faces(field: LoadedField, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Which faces have a vertex of [V, 3] that a train camera sees: [F] bool."""
    camera = sized(field.header.camera.pinhole(), SIZE)
    points, seen = torch.from_numpy(vertices).float(), torch.zeros(len(vertices), dtype=torch.bool)
    poses = torch.tensor(field.header.poses)
    with Progress("look", len(poses), "views") as progress:
        for pose in poses:
            picture = field.picture(camera, pose)
            _, _, distance = field.distances(camera, pose, picture)
            limit = visible_distance(distance.reshape_as(picture.opacity), picture.opacity)
            for block, seen_in_block in zip(points.split(BLOCK), seen.split(BLOCK), strict=True):
                seen_in_block |= visible_points(camera, pose, limit, block)
            progress.advance()
    return seen.numpy()[faces].any(axis=1)


def visible_distance(distance: Tensor, opacity: Tensor) -> Tensor:
    """How far a camera sees through each pixel, given its distance and opacity [H, W]: [H·W].

    It is the largest distance among the neighbouring pixels, because an oblique surface recedes within a pixel.
    """
    opaque = opacity > OPAQUE
    farthest = max_pool2d(torch.where(opaque, distance, 0)[None], kernel_size=3, stride=1, padding=1)[0]
    return torch.where(opaque, farthest * (1 + TOLERANCE), torch.inf).flatten()


def visible_points(camera: Camera, pose: Tensor, limit: Tensor, points: Tensor) -> Tensor:
    """Which points [P, 3] a camera sees: [P] bool; limit [H·W]: how far it sees through each pixel."""
    pixels, t = camera.project(to_camera(pose, points))
    column, row = pixels.nan_to_num(-1).floor().long().unbind(dim=1)
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    seen = torch.zeros_like(inside)
    seen[inside] = t[inside] <= limit[row[inside] * camera.width + column[inside]]
    return seen
