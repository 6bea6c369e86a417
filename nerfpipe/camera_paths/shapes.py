"""Named camera paths. They stay near the train cameras, since a field is unknown as seen from elsewhere."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from nerfpipe.geometry.cameras import look_at
from nerfpipe.runtime.errors import NerfpipeError

UP = (0.0, 0.0, 1.0)  # scenes stand on the xy plane
FORWARD_UP = (0.0, 1.0, 0.0)  # in forward-facing scenes
POLE = 89.9  # degrees of elevation at most: straight above its target, a camera has no horizon
STEEPEST = 89.0  # degrees of elevation that a tilted orbit may reach: beyond the pole the camera would turn over
ALL_ROUND_GAP = 100.0  # degrees: cameras without a wider gap stand all round
SWING_SHARE = 0.8  # of the arc between the outermost cameras
FOCUS = 4.0  # distance of the target in a forward-facing scene, in distances of the near plane
SPIRAL_QUANTILE = 0.8  # of the cameras' offsets from their mean, as the amplitude of a spiral
SPIRAL_DEPTH = 0.5  # amplitude of a spiral along the view, in amplitudes across it
WOBBLE = 0.1  # radius of a wobble, in distances to the target
SLIGHT_WOBBLE = 0.03  # the same in forward-facing scenes, whose cameras stand close together
LEAST_UP = 0.1  # sine of the angle between view and a camera's own up, from which that up is used


def orbit(centre: Tensor, radius: float, elevation: float, frames: int, tilt: float = 0.0) -> Tensor:
    """Poses [F, 3, 4] once round a centre [3], looking at it, in equal steps; the last joins the first.

    radius: scene units. elevation: degrees above the horizon, limited just short of the poles. tilt: degrees by which
    the orbit's plane leans: the first pose is higher by it, the pose half way round lower. The horizon stays level.
    Raises NerfpipeError if the tilt leads over a pole.
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
    """A point [3] on a sphere, from angles in degrees; `tilt` rotates it about the centre from +x towards +z."""
    lift, turn = math.radians(max(-POLE, min(POLE, elevation))), math.radians(azimuth)
    x, y, z = math.cos(lift) * math.cos(turn), math.cos(lift) * math.sin(turn), math.sin(lift)
    lean = math.radians(tilt)
    outward = [x * math.cos(lean) - z * math.sin(lean), y, x * math.sin(lean) + z * math.cos(lean)]
    return centre + radius * torch.tensor(outward)


def resolve_kind(kind: str, poses: Tensor, centre: Tensor, forward: bool) -> str:
    """`kind` itself, or the kind that `auto` stands for, with train cameras [N, 3, 4] that look at `centre` [3].

    forward: whether the scene is forward-facing. Raises NerfpipeError if the path does not fit the scene.
    """
    if kind == "auto":
        all_round = forward or 360 - arc(poses[:, :, 3] - centre)[1] <= ALL_ROUND_GAP
        return "spiral" if forward else ("orbit" if all_round else "swing")
    if kind != "wobble" and forward != (kind == "spiral"):
        fit = "a spiral or a wobble" if forward else "an orbit, a swing or a wobble"
        raise NerfpipeError(f"render.path: {kind} does not fit this scene, {fit} does; set render.path: auto")
    return kind


def path_poses(
    kind: str,
    poses: Tensor,
    centre: Tensor,
    forward: bool,
    radius: float,
    elevation: float | None,
    frames: int,
    tilt: float = 0.0,
) -> Tensor:
    """Poses [F, 3, 4] of a named path; the last joins the first.

    kind: orbit, swing, spiral, wobble or auto. poses: train cameras [N, 3, 4] that look at `centre` [3]. forward:
    whether the scene is forward-facing. radius: in mean distances of the cameras to the centre. elevation, tilt:
    degrees; an elevation of None is the cameras' mean. Raises NerfpipeError if the path does not fit the scene.
    """
    kind = resolve_kind(kind, poses, centre, forward)
    if kind == "spiral":
        return spiral(poses, radius, frames)
    if kind == "wobble":
        width = radius * (SLIGHT_WOBBLE if forward else WOBBLE)
        return wobble(middle_camera(poses, centre, forward), view_target(centre, forward), width, frames)
    offsets = poses[:, :, 3] - centre
    distance = float(offsets.norm(dim=1).mean())
    elevation = _mean_elevation(offsets) if elevation is None else elevation
    if kind == "orbit":
        return orbit(centre, radius * distance, elevation, frames, tilt)
    middle, width = arc(offsets)
    return swing(centre, radius * distance, elevation, middle, SWING_SHARE * width, frames)


def _mean_elevation(offsets: Tensor) -> float:
    return math.degrees(float(torch.asin((offsets[:, 2] / offsets.norm(dim=1)).clamp(-1, 1)).mean()))


def arc(offsets: Tensor) -> tuple[float, float]:
    """Middle and width in degrees of the narrowest arc around z that contains all offsets [N, 3]."""
    azimuths = torch.rad2deg(torch.atan2(offsets[:, 1], offsets[:, 0])).sort().values.tolist()
    gaps = [b - a for a, b in pairwise([*azimuths, azimuths[0] + 360])]
    widest = max(range(len(gaps)), key=gaps.__getitem__)
    width = 360 - gaps[widest]
    return azimuths[(widest + 1) % len(azimuths)] + width / 2, width


def swing(centre: Tensor, radius: float, elevation: float, middle: float, width: float, frames: int) -> Tensor:
    """Poses [F, 3, 4] to and fro on an arc, looking at its centre [3].

    radius: scene units. elevation, middle (azimuth of the arc's middle), width (of the arc): degrees.
    """
    poses = []
    for frame in range(frames):
        azimuth = middle + width / 2 * math.sin(2 * math.pi * frame / frames)
        poses.append(look_at(_on_sphere(centre, radius, elevation, azimuth), centre, torch.tensor(UP)))
    return torch.stack(poses)  # [F, 3, 4]


def spiral(poses: Tensor, radius: float, frames: int) -> Tensor:
    """Poses [F, 3, 4] on a loop about the origin of a forward-facing scene, looking at the point FOCUS ahead of it.

    poses: train cameras [N, 3, 4]. radius: a factor on the loop's size, which follows from the cameras' offsets.
    """
    offsets = radius * poses[:, :, 3].abs().quantile(SPIRAL_QUANTILE, dim=0)  # [3]
    target, up = torch.tensor([0.0, 0.0, -FOCUS]), torch.tensor(FORWARD_UP)
    path = []
    for frame in range(frames):
        turn = 2 * math.pi * frame / frames
        offset = torch.tensor([math.cos(turn), math.sin(turn), SPIRAL_DEPTH * math.sin(2 * turn)]) * offsets
        path.append(look_at(offset, target, up))
    return torch.stack(path)  # [F, 3, 4]


def wobble(pose: Tensor, centre: Tensor, width: float, frames: int) -> Tensor:
    """Poses [F, 3, 4] on a small circle round a camera [3, 4], perpendicular to the line to the centre [3].

    They look at the centre. width: radius of the circle, in distances to the centre.
    """
    eye = pose[:, 3]
    outward = (eye - centre) / (eye - centre).norm()
    has_up = torch.linalg.cross(pose[:, 1], outward).norm() > LEAST_UP
    up = pose[:, 1] if has_up else pose[:, 2]  # a camera that looks elsewhere may have the centre straight above it
    right, up, _, _ = look_at(eye, centre, up).unbind(dim=1)
    path = []
    for frame in range(frames):
        turn = 2 * math.pi * frame / frames
        aside = width * (eye - centre).norm() * (math.cos(turn) * right + math.sin(turn) * up)
        path.append(look_at(eye + aside, centre, up))
    return torch.stack(path)  # [F, 3, 4]


def middle_camera(poses: Tensor, centre: Tensor, forward: bool) -> Tensor:
    """The train camera [3, 4] of [N, 3, 4] nearest to the middle of their positions."""
    positions = poses[:, :, 3]
    if forward:
        middle = positions.mean(dim=0)
    else:  # the mean of cameras all round would lie near the centre, so it is taken on a sphere
        offsets = positions - centre
        distance = float(offsets.norm(dim=1).mean())
        middle = _on_sphere(centre, distance, _mean_elevation(offsets), arc(offsets)[0])
    return poses[(positions - middle).norm(dim=1).argmin()]


def view_target(centre: Tensor, forward: bool) -> Tensor:
    """The point [3] that cameras look at: the centre, or in a forward-facing scene a point ahead of all of them."""
    return torch.tensor([0.0, 0.0, -FOCUS]) if forward else centre
