"""Centre, up direction, scale and near of a captured scene, found from its cameras and points.

Structure from motion gives coordinates of arbitrary origin, orientation and scale. Learning depends on all three:
contraction works around the origin, and encodings and densities depend on distances.
"""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
import torch

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.focus import focus_point
from nerfpipe.geometry.ndc import Frustum, rays_to_ndc
from nerfpipe.geometry.similarity import IDENTITY, Similarity
from nerfpipe.runtime.errors import NerfpipeError

# Up direction.
LEVEL = 0.02  # largest mean squared cosine between the up direction and axes that are level: about 8 degrees
DISTINCT = 0.1  # least length of a mean of unit vectors that has a direction
SIDEWAYS = 0.25  # the y axes are level, and images stored sideways, if their cosine is below this share of the x axes'
ANTIPARALLEL = 1e-9  # 1 + cosine, below which a direction counts as opposite to +z
# Forward scenes.
FORWARD = 0.5  # least cosine between a camera's view and the mean view in a forward-facing scene: 60 degrees
NEAR_PLANE = 0.75  # distance of the near plane, as a share of the nearest depth (as in nerf-pytorch)
# Points.
NEAR_QUANTILE = 0.01  # share of the points seen by a camera that may be nearer than its near distance ...
NEAR_ROOM = 0.7  # ... and near as a share of that distance
STRAYS = 0.01  # share of the points outside the box, on either side of each axis
ROOM = 0.1  # margin around the box, as a share of its longest side
FEW = 20  # fewer points, in all or seen by a camera, say nothing of scale and near
MOST = 0.8  # share of the points within distance 1, if points give the scale
# Boxes that keep their coordinates.
REACH = 4.0  # largest coordinate, in the data's units: about one period of the encodings
SMALL = 0.25  # least half of the longest side, in the data's units


def up_direction(poses: np.ndarray) -> np.ndarray:
    """Unit vector [3] that points up, for cameras [N, 3, 4] that people hold level.

    This is the direction perpendicular to all x axes, if it is unique and roughly that of the y axes. If images are
    stored sideways, it is the one perpendicular to all y axes, with the sign for which cameras look down rather than
    up. Otherwise it is the mean of the y axes.
    """
    mean = poses[:, :, 1].mean(axis=0)
    mean = mean / np.linalg.norm(mean) if np.linalg.norm(mean) > DISTINCT else np.array([0.0, 0.0, 1.0])
    across_x, lean_x, x_is_level = _most_perpendicular(poses[:, :, 0])
    across_y, lean_y, y_is_level = _most_perpendicular(poses[:, :, 1])
    view_cosine = float(across_y @ -poses[:, :, 2].mean(axis=0))
    if y_is_level and lean_y < SIDEWAYS * lean_x and abs(view_cosine) > DISTINCT:
        return across_y * -np.sign(view_cosine)
    if x_is_level and abs(across_x @ mean) > DISTINCT:
        return across_x * np.sign(across_x @ mean)
    return mean


def _most_perpendicular(axes: np.ndarray) -> tuple[np.ndarray, float, bool]:
    """The direction [3] most perpendicular to all axes [N, 3], their mean squared cosine to it, and whether the axes
    are perpendicular to this direction and to no other.
    """
    values, vectors = np.linalg.eigh(axes.T @ axes / len(axes))
    return vectors[:, 0], float(values[0]), bool(values[0] < LEVEL < values[1])


def rotation_to_z(up: np.ndarray) -> np.ndarray:
    """The smallest rotation [3, 3] that takes the unit vector `up` [3] to +z (Rodrigues' formula)."""
    z = np.array([0.0, 0.0, 1.0])
    axis, cosine = np.cross(up, z), float(up @ z)
    if cosine < -1 + ANTIPARALLEL:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)


def unbounded_similarity(poses: np.ndarray, points: np.ndarray | None = None) -> Similarity:
    """Moves the focus point of cameras [N, 3, 4] to the origin, up to +z, and the farthest camera to distance 1.

    If the cameras do not determine their focus point, the median of points [P, 3] is used, and most points are within
    distance 1 too; without points, the mean of the camera positions. Raises NerfpipeError if all positions are equal.
    """
    positions, focus, radius = poses[:, :, 3], focus_point(poses), 0.0
    if not np.ptp(positions, axis=0).max() > 0:
        raise NerfpipeError("all cameras have one position: depth cannot be learned; move while photographing")
    if focus is not None and focus.outwards:
        focus = None
    if has_enough(points) and not (focus is not None and focus.certain):
        centre = np.median(points, axis=0)
        radius = float(np.quantile(np.linalg.norm(points - centre, axis=1), MOST))
    else:
        centre = positions.mean(axis=0) if focus is None else focus.point
    distance = np.linalg.norm(positions - centre, axis=1).max()
    return Similarity.of(centre, rotation_to_z(up_direction(poses)), 1 / max(distance, radius))


def has_enough(points: np.ndarray | None) -> TypeGuard[np.ndarray]:
    """Whether there are enough points [P, 3] to find centre and scale from."""
    return points is not None and len(points) >= FEW


def box_similarity(box: np.ndarray) -> Similarity:
    """Moves the centre of the box [2, 3] to the origin and scales half its longest side to 1.

    The identity if the box has a usual size and position already: encodings, densities and the least near count in
    scene units.
    """
    lower, upper = box.astype(np.float64)
    half = float((upper - lower).max()) / 2
    valid = np.isfinite(box).all() and (upper > lower).all()  # Scene.validate reports an invalid box
    if not valid or (np.abs(box).max() <= REACH and half >= SMALL):
        return IDENTITY
    return Similarity.of((lower + upper) / 2, np.eye(3), 1 / half)


def forward_similarity(poses: np.ndarray, near: float) -> Similarity:
    """Moves the mean camera to the origin, its view to -z, and the near plane to z = -1.

    poses [N, 3, 4]; near: nearest depth in the data's units.
    """
    back = poses[:, :, 2].mean(axis=0)
    back = back / np.linalg.norm(back)
    right = np.cross(poses[:, :, 1].mean(axis=0), back)
    right = right / np.linalg.norm(right)
    rotation = np.stack([right, np.cross(back, right), back])
    return Similarity.of(poses[:, :, 3].mean(axis=0), rotation, 1 / (NEAR_PLANE * near))


def faces_forward(poses: np.ndarray) -> bool:
    """Whether all cameras [N, 3, 4] look in roughly the same direction."""
    axes = -poses[:, :, 2]
    mean = axes.mean(axis=0)
    return bool(np.linalg.norm(mean) > 0 and (axes @ (mean / np.linalg.norm(mean))).min() > FORWARD)


def widest_frustum(cameras: list[Camera]) -> Frustum:
    """The widest of the cameras' frusta, for normalised device coordinates."""
    return (
        min(2 * camera.fx / camera.width for camera in cameras),
        min(2 * camera.fy / camera.height for camera in cameras),
    )


def forward_bounds(cameras: list[Camera], poses: np.ndarray, frustum: Frustum) -> np.ndarray:
    """The box [2, 3] in normalised device coordinates that holds the rays of all images."""
    reach = 1.0
    for camera, pose in zip(cameras, poses, strict=True):
        corners = torch.tensor([[x, y] for x in (0.5, camera.width - 0.5) for y in (0.5, camera.height - 0.5)])
        directions = camera.directions(corners).numpy() @ pose[:, :3].T  # [4, 3]
        origins = np.broadcast_to(pose[:, 3], directions.shape).copy()
        start, towards = rays_to_ndc(torch.from_numpy(origins).double(), torch.from_numpy(directions).double(), frustum)
        end = start + towards * ((1 - start[:, 2]) / towards[:, 2])[:, None]  # at infinity
        inside = start[:, 2] < 0  # z' = -1: rays that look forward
        if inside.any():
            reach = max(reach, float(torch.cat([start, end])[inside.repeat(2), :2].abs().max()))
    return np.array([[-reach, -reach, -1.0], [reach, reach, 1.0]], dtype=np.float32)


def box_around(points: np.ndarray) -> np.ndarray:
    """The box [2, 3] of the points [P, 3] without strays, with a margin."""
    lower, upper = np.quantile(points, [STRAYS, 1 - STRAYS], axis=0)
    room = ROOM * float((upper - lower).max())
    return np.stack([lower - room, upper + room]).astype(np.float32)


def near_from_points(points: np.ndarray, cameras: list[Camera], poses: np.ndarray) -> float | None:
    """A distance below that of almost all points [P, 3] from the cameras that see them; None if they see too few.

    cameras: one per view; poses [N, 3, 4]; all in the units of the points.
    """
    nearest = []
    for camera, pose in zip(cameras, poses, strict=True):
        seen = distances_seen(points, camera, pose)
        if len(seen) >= FEW:
            nearest.append(np.quantile(seen, NEAR_QUANTILE))
    return NEAR_ROOM * float(min(nearest)) if nearest else None


def distances_seen(points: np.ndarray, camera: Camera, pose: np.ndarray) -> np.ndarray:
    """Distances [K] from the camera of those points [P, 3] that are in its image; pose [3, 4]."""
    local = torch.from_numpy((points - pose[:, 3]) @ pose[:, :3])
    pixels, t = camera.project(local)
    inside = ((pixels >= 0) & (pixels <= torch.tensor([camera.width, camera.height]))).all(dim=1) & (local[:, 2] < 0)
    return t[inside].numpy()
