"""Camera paths through key frames: read from JSON, and interpolated smoothly in position and direction.

The file is a transforms.json without pictures: `frames`, each with a `transform_matrix` (camera-to-world, OpenGL's
axes, in the units of the scene's data). The cameras of any scene are therefore a path too. This project adds two keys:
`focus`, in a frame, is the distance to the point the camera looks at; `loop: true` joins the last frame to the first.

A pose is interpolated as three vectors: the eye, the target (the point it looks at) and the up direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation
from torch import Tensor

from nerfpipe.geometry.cameras import look_at
from nerfpipe.geometry.plausible import SMALLEST, are_rotations, finite
from nerfpipe.geometry.similarity import FARTHEST, Similarity
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import write_json
from nerfpipe.runtime.json_file import number, pose_of, read_frame_list

FEWEST, MOST = 2, 10_000
SAME = 1e-6  # of the path's length: key frames closer than this are the same
WIDE_TURN = np.radians(100)  # between two key frames, from which a pose half way is added
HALF_TURN = np.radians(179.9)  # from this turn on, both directions of rotation are equally short
AIMED = 0.1  # of the mean distance to the centre: a camera with the centre less far ahead looks elsewhere
NEAREST = 0.05  # of the least focus: nearer to its target, an interpolated camera has no direction
CHECKS = 32  # of the view, between two key frames
STEEPEST = 0.02  # sine of the angle between view and up: below it there is no horizon
TINY = 1e-30  # avoids a division by zero


@dataclass(frozen=True)
class KeyFrames:
    """The poses of a path, and their focus distances."""

    poses: np.ndarray  # [K, 3, 4] camera-to-world, scene units
    focus: np.ndarray  # [K] distance to the point that a camera looks at, scene units
    loop: bool = False  # whether the last joins the first


def read_key_frames(file: Path, similarity: Similarity, centre: Tensor) -> KeyFrames:
    """The key frames of a file, in scene units. Without `focus`, a camera's focus is the depth of the centre [3].

    Raises NerfpipeError naming the file and the faulty frame.
    """
    content, entries = read_frame_list(file)
    if len(entries) < FEWEST:
        raise NerfpipeError(f"{file}: frames: a path needs {FEWEST} key frames at least (got {len(entries)}); add one")
    if len(entries) > MOST:
        raise NerfpipeError(f"{file}: frames: a path has {MOST:,} key frames at most (got {len(entries):,})")
    loop = content.get("loop", False)
    if not isinstance(loop, bool):
        raise NerfpipeError(f"{file}: loop: must be true or false (got {loop!r:.40})")
    poses = np.stack([_rigid(pose_of(entry, file, index), file, index) for index, entry in enumerate(entries)])
    poses = similarity.poses(poses)
    offsets = poses[:, :, 3] - centre.double().numpy()
    depth = (offsets * poses[:, :, 2]).sum(axis=1)  # [K] of the centre, along the camera's view
    typical = max(float(np.linalg.norm(offsets, axis=1).mean()), SAME)
    default = np.where(depth > AIMED * typical, depth, typical)
    focus = [_focus(entry, file, k, float(default[k]) / similarity.scale) for k, entry in enumerate(entries)]
    return KeyFrames(poses, np.array(focus) * similarity.scale, loop)


def write_key_frames(file: Path, frames: KeyFrames, similarity: Similarity) -> None:
    """Write key frames to a file in the units of the scene's data, for `read_key_frames`."""
    matrices = similarity.original_poses(frames.poses)  # [K, 3, 4]
    entries = [
        {"transform_matrix": [*matrix.tolist(), [0.0, 0.0, 0.0, 1.0]], "focus": float(focus / similarity.scale)}
        for matrix, focus in zip(matrices, frames.focus, strict=True)
    ]
    write_json(file, {"loop": frames.loop, "frames": entries})


def interpolate(frames: KeyFrames, count: int) -> Tensor:
    """`count` poses [F, 3, 4] on a smooth path through the key frames.

    Eye, target and up each follow a cubic spline, parametrised by the distance that eye and target move between key
    frames (chord length). A point that two key frames look at therefore stays in the picture between them. A loop
    closes smoothly, and its last pose comes one step before the first.

    Raises NerfpipeError if all key frames are the same, or if the camera would turn over between two of them.
    """
    spline, knots = spline_through(frames)
    _check_views(spline, knots, frames)
    at = np.linspace(0, knots[-1], count, endpoint=not frames.loop)
    rows = torch.from_numpy(spline(at)).float()  # [F, 9]
    return torch.stack([look_at(row[:3], row[3:6], row[6:]) for row in rows])  # [F, 3, 4]


def spline_through(frames: KeyFrames) -> tuple[CubicSpline, np.ndarray]:
    """Eye, target and up [9] as functions of the chord length, and the chord length [J] of every key frame.

    Repeated key frames are merged, which makes J smaller than K. A loop has its first key frame at the end as well.
    Raises NerfpipeError if all key frames are the same.
    """
    poses, focus = _without_repeats(frames)
    if len(poses) < FEWEST:
        raise NerfpipeError("all key frames of the path are the same; move the camera between them")
    if frames.loop:
        poses, focus = np.concatenate([poses, poses[:1]]), np.append(focus, focus[0])
    poses, focus, original = _with_halfway_poses(poses, focus)
    rows = _rows(poses, focus)  # [J', 9]
    length = np.concatenate([[0.0], _steps(rows).cumsum()])
    return CubicSpline(length, rows, bc_type="periodic" if frames.loop else "natural"), length[original]


def _rows(poses: np.ndarray, focus: np.ndarray) -> np.ndarray:
    """Eye, target and up [K, 9] of poses [K, 3, 4] with focus distances [K]."""
    eye = poses[:, :, 3]
    return np.concatenate([eye, eye - focus[:, None] * poses[:, :, 2], poses[:, :, 1]], axis=1)


def _steps(rows: np.ndarray) -> np.ndarray:
    """Distance [K - 1] that eye and target move together from one row [K, 9] to the next; up counts by the focus."""
    focus = np.linalg.norm(rows[:, :3] - rows[:, 3:6], axis=1, keepdims=True)
    moved = np.diff(rows[:, :6], axis=0)
    rolled = np.diff(rows[:, 6:], axis=0) * np.minimum(focus[1:], focus[:-1])
    return np.linalg.norm(np.concatenate([moved, rolled], axis=1), axis=1)


def _without_repeats(frames: KeyFrames) -> tuple[np.ndarray, np.ndarray]:
    """Poses and focus without those equal to the one before; in a loop, the last is also compared with the first."""
    steps = _steps(_rows(frames.poses, frames.focus))
    least = SAME * max(float(steps.sum()), SAME * float(frames.focus.max()))
    keep = np.concatenate([[True], steps > least])
    poses, focus = frames.poses[keep], frames.focus[keep]
    if frames.loop and len(poses) > 1 and _steps(_rows(poses[[-1, 0]], focus[[-1, 0]]))[0] <= least:
        return poses[:-1], focus[:-1]
    return poses, focus


def _with_halfway_poses(poses: np.ndarray, focus: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses and focus with a pose half way added to every wide turn, and the indices [J] of the key frames in them.

    On a straight path from one side of the target to the other, the eye would run through the target. The camera turns
    about the point on its view axis that moves least: its eye if it stays, its target if both key frames share it.
    """
    all_poses, all_focus, original = [poses[0]], [focus[0]], [0]
    axis = poses[0, :, 1]  # of the turn before, in the world; a first half turn goes to the left
    for k in range(len(poses) - 1):
        turn = _turn(poses[k, :, :3], poses[k + 1, :, :3], axis)
        axis = poses[k, :, :3] @ turn if turn.any() else axis
        if np.linalg.norm(turn) > WIDE_TURN:
            pose, distance = _halfway(poses[k], poses[k + 1], focus[k], focus[k + 1], turn)
            all_poses.append(pose)
            all_focus.append(distance)
        original.append(len(all_poses))
        all_poses.append(poses[k + 1])
        all_focus.append(focus[k + 1])
    return np.stack(all_poses), np.array(all_focus), np.array(original)


def _turn(a: np.ndarray, b: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Rotation vector [3], in a's axes, from a to b [3, 3]; of two possible half turns, the one about `axis` [3]."""
    turn = Rotation.from_matrix(a.T @ b).as_rotvec()
    angle = float(np.linalg.norm(turn))
    if angle > HALF_TURN and (a @ turn) @ axis < 0:
        return turn * (angle - 2 * np.pi) / angle
    return turn


def _halfway(a: np.ndarray, b: np.ndarray, near: float, far: float, turn: np.ndarray) -> tuple[np.ndarray, float]:
    """The pose [3, 4] half way between a and b, and its focus.

    near, far: focus distances of a and b. turn [3]: rotation vector from a to b, in a's axes.
    """
    apart, ahead = b[:, 3] - a[:, 3], near * a[:, 2] - far * b[:, 2]  # motion of the eye; further motion of the target
    share = float(np.clip(-(apart @ ahead) / max(ahead @ ahead, TINY), 0, 1))  # of the focus, to the pivot
    pivot = (a[:, 3] - share * near * a[:, 2] + b[:, 3] - share * far * b[:, 2]) / 2
    rotation = a[:, :3] @ Rotation.from_rotvec(turn / 2).as_matrix()
    focus = (near + far) / 2
    return np.column_stack([rotation, pivot + share * focus * rotation[:, 2]]), focus


def _check_views(spline: CubicSpline, knots: np.ndarray, frames: KeyFrames) -> None:
    """Raises NerfpipeError if eye and target meet between the knots [J], or if view and up become parallel."""
    at = np.concatenate([np.linspace(start, end, CHECKS, endpoint=False) for start, end in pairwise(knots)])
    rows = spline(at)  # [CHECKS · (J - 1), 9]
    view, up = rows[:, :3] - rows[:, 3:6], rows[:, 6:]
    distance, length = np.linalg.norm(view, axis=1), np.linalg.norm(up, axis=1)
    level = np.linalg.norm(np.cross(view, up), axis=1) > STEEPEST * distance * length
    faults = np.flatnonzero((distance < NEAREST * frames.focus.min()) | ~level)
    if len(faults):
        between = faults[0] // CHECKS
        raise NerfpipeError(
            f"the camera turns over between key frames {between + 1} and {(between + 1) % len(frames.poses) + 1} "
            "of the path; add one between them"
        )


def _focus(entry: dict[str, Any], file: Path, index: int, default: float) -> float:
    """The focus distance of a frame, in the data's units. Raises NerfpipeError if it is no distance."""
    focus = number(entry, "focus", file, default)
    if focus < SMALLEST:
        raise NerfpipeError(f"{file}: frames[{index}]: focus: must be above 0 (got {focus:g})")
    if focus > FARTHEST:
        raise NerfpipeError(f"{file}: frames[{index}]: focus: must be at most {FARTHEST:g} (got {focus:g})")
    return focus


def _rigid(pose: np.ndarray, file: Path, index: int) -> np.ndarray:
    """The pose itself [3, 4]. Raises NerfpipeError if it is not rigid."""
    if not are_rotations(pose[None, :, :3]).all() or not finite(pose[:, 3]):
        raise NerfpipeError(f"{file}: frames[{index}]: transform_matrix: must be a rotation and a position, all finite")
    return pose
