"""What the train cameras see of a surface: how dense it is there, and which of its faces."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nerfpipe.cameras import Camera, to_camera
from nerfpipe.errors import NerfpipeError
from nerfpipe.export.views import Subject
from nerfpipe.progress import Progress
from nerfpipe.turn import sized

VIEWS, SIZE = 12, 100  # looked at for the density of surfaces, and how large, in pixels
OPAQUE = 0.9  # opacity from which a pixel shows a surface and nothing behind it
SHARE = 0.25  # of the middle density at the depth that is seen: found to fit best on the built-in scene
SEEN_SIZE = 400  # pixels of the views that tell what is seen
BEHIND = 0.01  # of the distance, how much farther than what a camera sees a vertex may be and still count as seen


def surface_density(subject: Subject) -> float:
    """A density at which to draw the surface, from that at the depths that train cameras see.

    A ray's mean depth lies somewhat inside; where a surface begins, density is lower.
    """
    camera = sized(subject.about.camera.pinhole(), SIZE)
    poses = torch.tensor(subject.about.poses)
    found = []
    for pose in poses[:: max(1, len(poses) // VIEWS)]:
        picture = subject.picture(camera, pose)
        origins, directions, distance = subject.distances(camera, pose, picture)
        points = (origins + distance[:, None] * directions)[picture.opacity.flatten() >= OPAQUE]
        if subject.about.space.unbounded:
            points = points[points.abs().amax(dim=1) <= 1]
        found.append(subject.probe.density(points) if len(points) else torch.zeros(0))
    densities = torch.cat(found)
    densities = densities[densities > 0]
    if not len(densities):
        raise NerfpipeError("no train camera sees a surface, so there is none to follow: say where with --density")
    return SHARE * float(densities.median())


def seen_faces(subject: Subject, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Which faces [F] bool have a vertex of [V, 3] that some train camera sees."""
    camera = sized(subject.about.camera.pinhole(), SEEN_SIZE)
    points, seen = torch.from_numpy(vertices).float(), torch.zeros(len(vertices), dtype=torch.bool)
    poses = torch.tensor(subject.about.poses)
    with Progress("look", len(poses), "views") as progress:
        for pose in poses:
            picture = subject.picture(camera, pose)
            _, _, distance = subject.distances(camera, pose, picture)
            distance = torch.where(picture.opacity.flatten() > OPAQUE, distance, torch.inf)
            seen |= sees(camera, pose, distance, points)
            progress.advance()
    return seen.numpy()[faces].any(axis=1)


def sees(camera: Camera, pose: Tensor, distance: Tensor, points: Tensor) -> Tensor:
    """Which points [P, 3] a camera sees [P] bool that sees something at distance [H·W] through each pixel."""
    pixels, t = camera.project(to_camera(pose, points))
    column, row = pixels.nan_to_num(-1).floor().long().unbind(dim=1)
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    seen = torch.zeros_like(inside)
    seen[inside] = t[inside] <= distance[row[inside] * camera.width + column[inside]] * (1 + BEHIND)
    return seen
