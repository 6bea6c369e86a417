"""Where a captured scene is, which way is up and how large it is: found from cameras and points, and recorded.

Structure from motion gives coordinates of no particular origin, direction or scale. What is learned needs all three:
contraction works around the origin, and distances count.
"""

from __future__ import annotations

import numpy as np
import torch

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.focus import middle_of
from nerfpipe.geometry.ndc import Frustum, rays_to_ndc
from nerfpipe.geometry.similarity import IDENTITY, Similarity
from nerfpipe.runtime.errors import NerfpipeError

LEVEL = (
    0.02  # mean squared lean of the cameras' x axes, below which one direction is said to have none: about 8 degrees
)
ANY = 0.1  # length of a mean of unit vectors, below which it says nothing
CLEARLY = 0.25  # times the lean of the x axes that y axes may have, where pictures are said to be stored sideways
FORWARD = 0.5  # cosine: cameras that all look within 60 degrees of their mean face forward
NEAR_SHARE = 0.01  # of the points each camera sees, how many may be nearer than near ...
NEAR_ROOM = 0.7  # ... and how far in front of them it is put
PLANE = 0.75  # where the near plane of a forward-facing scene stands, of the nearest depth (as in nerf-pytorch)
STRAYS = 0.01  # share of the points that a box leaves out at either side, along each axis
ROOM = 0.1  # around that box, of its longest side
FEW = 20  # points in view below which a camera says nothing of what is near
MOST = 0.8  # of the points, how many are held, where they say what size a scene is
REACH = 4.0  # data units from the origin up to which a box may stay where it is: about one period of the encodings ...
SMALL = 0.25  # ... and half of its longest side, from which on it is large enough


def up_direction(poses: np.ndarray) -> np.ndarray:
    """Unit vector [3] that points up, by cameras [N, 3, 4] that people hold level.

    The direction across all cameras' x axes, where there is just one such direction and it goes roughly the way of the
    pictures' y axes. In pictures stored sideways it is the one across all y axes; then people are taken to look down
    rather than up. Else the mean of the y axes.
    """
    mean = poses[:, :, 1].mean(axis=0)
    mean = mean / np.linalg.norm(mean) if np.linalg.norm(mean) > ANY else np.array([0.0, 0.0, 1.0])
    (upright, lean, level), (sideways, other_lean, other_level) = _across(poses[:, :, 0]), _across(poses[:, :, 1])
    looks = float(sideways @ -poses[:, :, 2].mean(axis=0))
    if other_level and other_lean < CLEARLY * lean and abs(looks) > ANY:
        return sideways * -np.sign(looks)
    if level and abs(upright @ mean) > ANY:
        return upright * np.sign(upright @ mean)
    return mean


def _across(axes: np.ndarray) -> tuple[np.ndarray, float, bool]:
    """The direction [3] most square to all axes [N, 3], their mean squared lean, and whether it is the only one."""
    values, vectors = np.linalg.eigh(axes.T @ axes / len(axes))
    return vectors[:, 0], float(values[0]), bool(values[0] < LEVEL < values[1])


def turned_up(up: np.ndarray) -> np.ndarray:
    """The rotation [3, 3] that takes the unit vector `up` to +z, by the shortest way."""
    z = np.array([0.0, 0.0, 1.0])
    axis, cosine = np.cross(up, z), float(up @ z)
    if cosine < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)


def around_origin(poses: np.ndarray, points: np.ndarray | None = None) -> Similarity:
    """Up is +z, the middle of what the cameras [N, 3, 4] look at is the origin, the farthest camera is 1 away.

    Where cameras do not tell that middle, it is the points' [P, 3], and most of those are within 1 too; without points
    it is the cameras' own. Raises NerfpipeError where all cameras stand in one place.
    """
    positions, middle, radius = poses[:, :, 3], middle_of(poses), 0.0
    if not np.ptp(positions, axis=0).max() > 0:
        raise NerfpipeError("all cameras stand in one place: nothing can be learned of depth; move while photographing")
    told = middle is not None and not middle.outwards
    if enough(points) and not (told and middle.certain):
        centre = np.median(points, axis=0)
        radius = float(np.quantile(np.linalg.norm(points - centre, axis=1), MOST))
    else:
        centre = middle.point if told else positions.mean(axis=0)
    distance = np.linalg.norm(positions - centre, axis=1).max()
    return Similarity.of(centre, turned_up(up_direction(poses)), 1 / max(distance, radius))


def enough(points: np.ndarray | None) -> bool:
    """Whether there are points [P, 3] to go by."""
    return points is not None and len(points) >= FEW


def around_box(box: np.ndarray) -> Similarity:
    """The middle of the box [2, 3] is the origin and half its longest side 1, if it is far from that; else no change.

    Encodings, densities and the least near count in scene units; but what has a usual size keeps its coordinates.
    """
    lower, upper = box.astype(np.float64)
    half = float((upper - lower).max()) / 2
    sound = np.isfinite(box).all() and (upper > lower).all()  # if not, whoever validates the scene will say so
    if not sound or (np.abs(box).max() <= REACH and half >= SMALL):
        return IDENTITY
    return Similarity.of((lower + upper) / 2, np.eye(3), 1 / half)


def before_cameras(poses: np.ndarray, near: float) -> Similarity:
    """The mean camera is the origin and looks along -z; the near plane, in front of depth `near`, is at z = -1."""
    back = poses[:, :, 2].mean(axis=0)
    back = back / np.linalg.norm(back)
    right = np.cross(poses[:, :, 1].mean(axis=0), back)
    right = right / np.linalg.norm(right)
    rotation = np.stack([right, np.cross(back, right), back])
    return Similarity.of(poses[:, :, 3].mean(axis=0), rotation, 1 / (PLANE * near))


def faces_forward(poses: np.ndarray) -> bool:
    """Whether all cameras [N, 3, 4] look roughly the same way."""
    axes = -poses[:, :, 2]
    mean = axes.mean(axis=0)
    return bool(np.linalg.norm(mean) > 0 and (axes @ (mean / np.linalg.norm(mean))).min() > FORWARD)


def frustum_of(cameras: list[Camera]) -> Frustum:
    """The widest of the cameras' frusta, for normalised device coordinates."""
    return (
        min(2 * camera.fx / camera.width for camera in cameras),
        min(2 * camera.fy / camera.height for camera in cameras),
    )


def forward_bounds(cameras: list[Camera], poses: np.ndarray, frustum: Frustum) -> np.ndarray:
    """The box [2, 3] in normalised device coordinates that all pictures' rays run through."""
    reach = 1.0
    for camera, pose in zip(cameras, poses, strict=True):
        corners = torch.tensor([[x, y] for x in (0.5, camera.width - 0.5) for y in (0.5, camera.height - 0.5)])
        directions = camera.directions(corners).numpy() @ pose[:, :3].T  # [4, 3]
        origins = np.broadcast_to(pose[:, 3], directions.shape).copy()
        rays = (torch.from_numpy(each).double() for each in (origins, directions))
        start, towards = rays_to_ndc(*rays, frustum)
        end = start + towards * ((1 - start[:, 2]) / towards[:, 2])[:, None]  # at infinity
        inside = start[:, 2] < 0  # z' = -1: rays that look forward
        if inside.any():
            reach = max(reach, float(torch.cat([start, end])[inside.repeat(2), :2].abs().max()))
    return np.array([[-reach, -reach, -1.0], [reach, reach, 1.0]], dtype=np.float32)


def box_of(points: np.ndarray) -> np.ndarray:
    """The box [2, 3] of the points [P, 3] but for a few strays, with some room around it."""
    lower, upper = np.quantile(points, [STRAYS, 1 - STRAYS], axis=0)
    room = ROOM * float((upper - lower).max())
    return np.stack([lower - room, upper + room]).astype(np.float32)


def near_from_points(points: np.ndarray, cameras: list[Camera], poses: np.ndarray) -> float | None:
    """A distance in front of almost all points [P, 3] that cameras see; None where they see too few."""
    nearest = []
    for camera, pose in zip(cameras, poses, strict=True):
        seen = distances_seen(points, camera, pose)
        if len(seen) >= FEW:
            nearest.append(np.quantile(seen, NEAR_SHARE))
    return NEAR_ROOM * float(min(nearest)) if nearest else None


def distances_seen(points: np.ndarray, camera: Camera, pose: np.ndarray) -> np.ndarray:
    """Distances of the points [P, 3] that lie within a camera's picture."""
    local = torch.from_numpy((points - pose[:, 3]) @ pose[:, :3])
    pixels, t = camera.project(local)
    inside = ((pixels >= 0) & (pixels <= torch.tensor([camera.width, camera.height]))).all(dim=1) & (local[:, 2] < 0)
    return t[inside].numpy()
