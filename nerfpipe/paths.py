"""Camera paths for renders: as far round a scene as its cameras stood, since nothing is known of the rest."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from nerfpipe.cameras import look_at
from nerfpipe.errors import NerfpipeError

UP = (0.0, 0.0, 1.0)  # scenes stand on their xy plane
ROUND = 100.0  # degrees: cameras that leave no wider gap stand all round
INSIDE = 0.8  # of the arc between the outermost cameras, how much a swing uses
FOCUS = 4.0  # distance that a spiral keeps in the middle, in distances of the near plane
WITHIN = 0.8  # quantile of the cameras' offsets from their mean, how far a spiral goes
DEPTH = 0.5  # how much a spiral goes to and fro, of how far it goes sideways


def orbit(centre: Tensor, radius: float, elevation: float, frames: int) -> Tensor:
    """Poses [F, 3, 4] once round a centre [3], looking at it, in equal steps: the last joins the first.

    `elevation` is in degrees above the horizon; straight up and straight down stop just short of the pole.
    """
    poses = []
    for frame in range(frames):
        position = _on_sphere(centre, radius, elevation, 360 * frame / frames)
        poses.append(look_at(position, centre, torch.tensor(UP)))
    return torch.stack(poses)  # [F, 3, 4]


def _on_sphere(centre: Tensor, radius: float, elevation: float, azimuth: float) -> Tensor:
    """The point [3] in a direction from the centre, in degrees."""
    lift, turn = math.radians(max(-89.9, min(89.9, elevation))), math.radians(azimuth)
    outward = torch.tensor([math.cos(lift) * math.cos(turn), math.cos(lift) * math.sin(turn), math.sin(lift)])
    return centre + radius * outward


def camera_path(
    kind: str, poses: Tensor, centre: Tensor, forward: bool, radius: float, elevation: float | None, frames: int
) -> Tensor:
    """Poses [F, 3, 4] of a path by train cameras [N, 3, 4] that look at `centre` [3]; the last joins the first.

    kind: orbit, swing, spiral or auto. forward: whether the scene is one of forward-facing cameras. radius: in mean
    distances of the cameras; elevation in degrees, None for the cameras' mean. Raises NerfpipeError where the path does
    not fit the scene.
    """
    if kind != "auto" and forward != (kind == "spiral"):
        fit = "a spiral" if forward else "an orbit or a swing"
        raise NerfpipeError(f"render.path: {kind} does not fit this scene, {fit} does; set render.path: auto")
    if forward:
        return spiral(poses, radius, frames)
    offsets = poses[:, :, 3] - centre
    distance = float(offsets.norm(dim=1).mean())
    if elevation is None:
        elevation = math.degrees(float(torch.asin((offsets[:, 2] / offsets.norm(dim=1)).clamp(-1, 1)).mean()))
    middle, width = arc(offsets)
    if kind == "orbit" or (kind == "auto" and 360 - width <= ROUND):
        return orbit(centre, radius * distance, elevation, frames)
    return swing(centre, radius * distance, elevation, middle, INSIDE * width, frames)


def arc(offsets: Tensor) -> tuple[float, float]:
    """Middle and width in degrees of the narrowest arc around z that holds all offsets [N, 3]."""
    azimuths = torch.rad2deg(torch.atan2(offsets[:, 1], offsets[:, 0])).sort().values.tolist()
    gaps = [b - a for a, b in pairwise([*azimuths, azimuths[0] + 360])]
    widest = max(range(len(gaps)), key=gaps.__getitem__)
    width = 360 - gaps[widest]
    return azimuths[(widest + 1) % len(azimuths)] + width / 2, width


def swing(centre: Tensor, radius: float, elevation: float, middle: float, width: float, frames: int) -> Tensor:
    """Poses [F, 3, 4] to and fro on an arc of `width` degrees around `middle`, looking at the centre [3]."""
    poses = []
    for frame in range(frames):
        azimuth = middle + width / 2 * math.sin(2 * math.pi * frame / frames)
        poses.append(look_at(_on_sphere(centre, radius, elevation, azimuth), centre, torch.tensor(UP)))
    return torch.stack(poses)  # [F, 3, 4]


def spiral(poses: Tensor, radius: float, frames: int) -> Tensor:
    """Poses [F, 3, 4] on a loop about the origin of a forward-facing scene, looking along -z at its middle distance."""
    offsets = radius * poses[:, :, 3].abs().quantile(WITHIN, dim=0)  # [3]
    focus, up = torch.tensor([0.0, 0.0, -FOCUS]), torch.tensor([0.0, 1.0, 0.0])
    path = []
    for frame in range(frames):
        turn = 2 * math.pi * frame / frames
        offset = torch.tensor([math.cos(turn), math.sin(turn), DEPTH * math.sin(2 * turn)]) * offsets
        path.append(look_at(offset, focus, up))
    return torch.stack(path)  # [F, 3, 4]
