"""Camera paths for renders: as far round a scene as its cameras stood, since nothing is known of the rest."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from nerfpipe.geometry.cameras import look_at
from nerfpipe.runtime.errors import NerfpipeError

UP = (0.0, 0.0, 1.0)  # scenes stand on their xy plane
STEEPEST = 89.0  # degrees of elevation that a tilted orbit may reach: at the pole the camera would turn over
ROUND = 100.0  # degrees: cameras that leave no wider gap stand all round
INSIDE = 0.8  # of the arc between the outermost cameras, how much a swing uses
FOCUS = 4.0  # distance that a spiral keeps in the middle, in distances of the near plane
WITHIN = 0.8  # quantile of the cameras' offsets from their mean, how far a spiral goes
DEPTH = 0.5  # how much a spiral goes to and fro, of how far it goes sideways
WOBBLE = 0.1  # of the distance to what is looked at, how far a wobble goes from its camera
SLIGHT_WOBBLE = 0.03  # the same among forward-facing cameras, which stand close together
LEVEL = 0.1  # sine of the angle to the view direction from which a camera's own up is of use


def orbit(centre: Tensor, radius: float, elevation: float, frames: int, tilt: float = 0.0) -> Tensor:
    """Poses [F, 3, 4] once round a centre [3], looking at it, in equal steps: the last joins the first.

    `elevation` is in degrees above the horizon; straight up and straight down stop just short of the pole. `tilt`, in
    degrees, leans the orbit's plane: the first pose is as much higher, the one half way round as much lower. The
    horizon stays level. Raises NerfpipeError where the tilt leads over a pole.
    """
    if tilt and abs(elevation) + abs(tilt) > STEEPEST:
        raise NerfpipeError(
            f"render.tilt: {tilt:g} degrees at an elevation of {elevation:.3g} lead over the pole; "
            f"the two together must not exceed {STEEPEST:g}"
        )
    poses = []
    for frame in range(frames):
        position = _on_sphere(centre, radius, elevation, 360 * frame / frames, tilt)
        poses.append(look_at(position, centre, torch.tensor(UP)))
    return torch.stack(poses)  # [F, 3, 4]


def _on_sphere(centre: Tensor, radius: float, elevation: float, azimuth: float, tilt: float = 0.0) -> Tensor:
    """The point [3] in a direction from the centre, in degrees, turned by `tilt` from +x towards +z."""
    lift, turn = math.radians(max(-89.9, min(89.9, elevation))), math.radians(azimuth)
    x, y, z = math.cos(lift) * math.cos(turn), math.cos(lift) * math.sin(turn), math.sin(lift)
    lean = math.radians(tilt)
    outward = [x * math.cos(lean) - z * math.sin(lean), y, x * math.sin(lean) + z * math.cos(lean)]
    return centre + radius * torch.tensor(outward)


def fitting(kind: str, poses: Tensor, centre: Tensor, forward: bool) -> str:
    """`kind` itself, or what `auto` means for train cameras [N, 3, 4] that look at `centre` [3].

    forward: whether the scene is one of forward-facing cameras. Raises NerfpipeError where the path does not fit it.
    """
    if kind == "auto":
        all_round = forward or 360 - arc(poses[:, :, 3] - centre)[1] <= ROUND
        return "spiral" if forward else ("orbit" if all_round else "swing")
    if kind != "wobble" and forward != (kind == "spiral"):
        fit = "a spiral or a wobble" if forward else "an orbit, a swing or a wobble"
        raise NerfpipeError(f"render.path: {kind} does not fit this scene, {fit} does; set render.path: auto")
    return kind


def camera_path(
    kind: str,
    poses: Tensor,
    centre: Tensor,
    forward: bool,
    radius: float,
    elevation: float | None,
    frames: int,
    tilt: float = 0.0,
) -> Tensor:
    """Poses [F, 3, 4] of a path by train cameras [N, 3, 4] that look at `centre` [3]; the last joins the first.

    kind: orbit, swing, spiral, wobble or auto. forward: whether the scene is one of forward-facing cameras. radius: in
    mean distances of the cameras; elevation in degrees, None for the cameras' mean. Raises NerfpipeError where the path
    does not fit the scene.
    """
    kind = fitting(kind, poses, centre, forward)
    if kind == "spiral":
        return spiral(poses, radius, frames)
    if kind == "wobble":
        width = radius * (SLIGHT_WOBBLE if forward else WOBBLE)
        return wobble(middle_camera(poses, centre, forward), looked_at(centre, forward), width, frames)
    offsets = poses[:, :, 3] - centre
    distance = float(offsets.norm(dim=1).mean())
    elevation = _mean_elevation(offsets) if elevation is None else elevation
    if kind == "orbit":
        return orbit(centre, radius * distance, elevation, frames, tilt)
    middle, width = arc(offsets)
    return swing(centre, radius * distance, elevation, middle, INSIDE * width, frames)


def _mean_elevation(offsets: Tensor) -> float:
    return math.degrees(float(torch.asin((offsets[:, 2] / offsets.norm(dim=1)).clamp(-1, 1)).mean()))


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


def wobble(pose: Tensor, centre: Tensor, width: float, frames: int) -> Tensor:
    """Poses [F, 3, 4] on a small circle round a camera [3, 4], across its way to the centre [3], looking at it.

    width: the circle's radius, in distances to the centre.
    """
    eye = pose[:, 3]
    outward = (eye - centre) / (eye - centre).norm()
    own_up = torch.linalg.cross(pose[:, 1], outward).norm() > LEVEL
    up = pose[:, 1] if own_up else pose[:, 2]  # a camera may look elsewhere, and have the centre above it
    right, up, _, _ = look_at(eye, centre, up).unbind(dim=1)
    path = []
    for frame in range(frames):
        turn = 2 * math.pi * frame / frames
        aside = width * (eye - centre).norm() * (math.cos(turn) * right + math.sin(turn) * up)
        path.append(look_at(eye + aside, centre, up))
    return torch.stack(path)  # [F, 3, 4]


def middle_camera(poses: Tensor, centre: Tensor, forward: bool) -> Tensor:
    """The one [3, 4] of the train cameras [N, 3, 4] nearest to the middle of where they stand."""
    places = poses[:, :, 3]
    if forward:
        middle = places.mean(dim=0)
    else:  # the mean of cameras all round would lie among what they look at
        offsets = places - centre
        distance = float(offsets.norm(dim=1).mean())
        middle = _on_sphere(centre, distance, _mean_elevation(offsets), arc(offsets)[0])
    return poses[(places - middle).norm(dim=1).argmin()]


def looked_at(centre: Tensor, forward: bool) -> Tensor:
    """What cameras look at [3]: the centre, or, where all of them look the same way, what lies ahead of them."""
    return torch.tensor([0.0, 0.0, -FOCUS]) if forward else centre
