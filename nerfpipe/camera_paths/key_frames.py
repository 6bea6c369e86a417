"""Camera paths through key frames: read from JSON, and interpolated so that neither eye nor gaze jerks.

The file is a transforms.json without pictures: `frames`, each with a `transform_matrix` (camera-to-world, OpenGL's
axes, in the units of the scene's data). So the cameras of another scene are a path too. Two keys are of this project:
`focus`, in a frame, is the distance of what the camera looks at; `loop: true` joins the last frame to the first.
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
from nerfpipe.geometry.plausible import SMALLEST, finite, is_rotation
from nerfpipe.geometry.similarity import FARTHEST, Similarity
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import write_json
from nerfpipe.runtime.json_file import number, pose_of, read_frame_list

FEWEST, MOST = 2, 10_000
APART = 1e-6  # of the path's length: key frames nearer to one another than this are one and the same
FAR_ROUND = np.radians(100)  # a turn from one key frame to the next for which a straight way would not do
HALF_ROUND = np.radians(179.9)  # from this turn on, one way round is as short as the other
AIMLESS = 0.1  # of the usual distance to the centre: a camera that has it nearer than this ahead looks elsewhere
NEAREST = 0.05  # of the least focus: nearer to what it looks at, a camera between key frames has no direction
LOOKS = 32  # between two key frames, at the camera's view
STEEPEST = 0.02  # sine of the angle between view and up: with less there is no horizon


@dataclass(frozen=True)
class KeyFrames:
    """Poses to go through, how far in front of each lies what it looks at, and whether the last joins the first."""

    poses: np.ndarray  # [K, 3, 4] camera-to-world, scene units
    focus: np.ndarray  # [K] scene units
    loop: bool = False


def read_key_frames(file: Path, similarity: Similarity, centre: Tensor) -> KeyFrames:
    """The key frames of a file, moved into the scene. Without `focus` a camera is taken to look at the centre's depth.

    Raises NerfpipeError naming the file and the frame at fault.
    """
    content, entries = read_frame_list(file)
    if len(entries) < FEWEST:
        raise NerfpipeError(f"{file}: frames: a path needs {FEWEST} key frames at least (got {len(entries)}); add one")
    if len(entries) > MOST:
        raise NerfpipeError(f"{file}: frames: a path has {MOST:,} key frames at most (got {len(entries):,})")
    loop = content.get("loop", False)
    if not isinstance(loop, bool):
        raise NerfpipeError(f"{file}: loop: must be true or false (got {loop!r:.40})")
    poses = np.stack([_rigid(pose_of(entry, file, place), file, place) for place, entry in enumerate(entries)])
    poses = similarity.poses(poses)
    offsets = poses[:, :, 3] - centre.double().numpy()
    depth = (offsets * poses[:, :, 2]).sum(axis=1)  # [K] of the centre, along each view
    typical = max(float(np.linalg.norm(offsets, axis=1).mean()), APART)
    usual = np.where(depth > AIMLESS * typical, depth, typical)
    focus = [_focus(entry, file, k, float(usual[k]) / similarity.scale) for k, entry in enumerate(entries)]
    return KeyFrames(poses, np.array(focus) * similarity.scale, loop)


def write_key_frames(file: Path, frames: KeyFrames, similarity: Similarity) -> None:
    """Write the key frames in the units of the scene's data, for `read_key_frames`."""
    matrices = similarity.original_poses(frames.poses)  # [K, 3, 4]
    entries = [
        {"transform_matrix": [*matrix.tolist(), [0.0, 0.0, 0.0, 1.0]], "focus": float(focus / similarity.scale)}
        for matrix, focus in zip(matrices, frames.focus, strict=True)
    ]
    write_json(file, {"loop": frames.loop, "frames": entries})


def through(frames: KeyFrames, count: int) -> Tensor:
    """Poses [F, 3, 4] on a smooth path through the key frames.

    Eye, what is looked at, and up each follow a cubic spline over the way that eye and gaze make between key frames
    (chord length), and a camera looks from one to the other: things looked at from two key frames stay in the picture
    between them. A loop closes with no jerk, and its last pose comes one step before the first.

    Raises NerfpipeError where all key frames are the same, or where the way between two of them would turn over.
    """
    spline, way = curve(frames)
    _check_views(spline, way, frames)
    at = np.linspace(0, way[-1], count, endpoint=not frames.loop)
    rows = torch.from_numpy(spline(at)).float()  # [F, 9]
    return torch.stack([look_at(row[:3], row[3:6], row[6:]) for row in rows])  # [F, 3, 4]


def curve(frames: KeyFrames) -> tuple[CubicSpline, np.ndarray]:
    """Eye, gaze and up [9] as functions of the way, and the way [J] at which each key frame comes.

    Key frames that stand still are one. J is then fewer than K, or one more for a loop, which ends where it began.
    """
    poses, focus = _without_repeats(frames)
    if len(poses) < FEWEST:
        raise NerfpipeError("all key frames of the path are the same; move the camera between them")
    if frames.loop:
        poses, focus = np.concatenate([poses, poses[:1]]), np.append(focus, focus[0])
    poses, focus, given = _with_halfways(poses, focus)
    knots = _knots(poses, focus)  # [J', 9]
    way = np.concatenate([[0.0], _steps(knots).cumsum()])
    return CubicSpline(way, knots, bc_type="periodic" if frames.loop else "natural"), way[given]


def _knots(poses: np.ndarray, focus: np.ndarray) -> np.ndarray:
    """Eye, what is looked at, and up [K, 9]."""
    eye = poses[:, :, 3]
    return np.concatenate([eye, eye - focus[:, None] * poses[:, :, 2], poses[:, :, 1]], axis=1)


def _steps(knots: np.ndarray) -> np.ndarray:
    """How far [K - 1] eye and gaze together move from one row [K, 9] to the next; up counts too, over the focus."""
    focus = np.linalg.norm(knots[:, :3] - knots[:, 3:6], axis=1, keepdims=True)
    moved = np.diff(knots[:, :6], axis=0)
    rolled = np.diff(knots[:, 6:], axis=0) * np.minimum(focus[1:], focus[:-1])
    return np.linalg.norm(np.concatenate([moved, rolled], axis=1), axis=1)


def _without_repeats(frames: KeyFrames) -> tuple[np.ndarray, np.ndarray]:
    """Poses and focus without those that come where the one before is; in a loop the first comes after the last."""
    knots = _knots(frames.poses, frames.focus)
    steps = _steps(knots)
    least = APART * max(float(steps.sum()), APART * float(frames.focus.max()))
    keep = np.concatenate([[True], steps > least])
    poses, focus = frames.poses[keep], frames.focus[keep]
    if frames.loop and len(poses) > 1 and _steps(_knots(poses[[-1, 0]], focus[[-1, 0]]))[0] <= least:
        return poses[:-1], focus[:-1]
    return poses, focus


def _with_halfways(poses: np.ndarray, focus: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The key frames, and where one turns far to the next a pose half way; and the places [J] of those given.

    On a straight way the eye would run through what it looks at. A camera turns about the point of its view that
    moves least: one that stays where it is about itself, one that looks at the same thing from elsewhere about that.
    """
    all_poses, all_focus, given = [poses[0]], [focus[0]], [0]
    axis = poses[0, :, 1]  # in the world, of the turn before; the first one goes to the left
    for k in range(len(poses) - 1):
        turn = _turn(poses[k, :, :3], poses[k + 1, :, :3], axis)
        axis = poses[k, :, :3] @ turn if turn.any() else axis
        if np.linalg.norm(turn) > FAR_ROUND:
            pose, distance = _halfway(poses[k], poses[k + 1], focus[k], focus[k + 1], turn)
            all_poses.append(pose)
            all_focus.append(distance)
        given.append(len(all_poses))
        all_poses.append(poses[k + 1])
        all_focus.append(focus[k + 1])
    return np.stack(all_poses), np.array(all_focus), np.array(given)


def _turn(a: np.ndarray, b: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Rotation vector [3], in a's axes, from a to b [3, 3]; of two ways half round, the one about `axis` [3]."""
    turn = Rotation.from_matrix(a.T @ b).as_rotvec()
    angle = float(np.linalg.norm(turn))
    if angle > HALF_ROUND and (a @ turn) @ axis < 0:
        return turn * (angle - 2 * np.pi) / angle
    return turn


def _halfway(a: np.ndarray, b: np.ndarray, near: float, far: float, turn: np.ndarray) -> tuple[np.ndarray, float]:
    """The pose [3, 4] half way between two, of focus `near` and `far`, and its focus; turn [3]: a's rotation to b's."""
    apart, ahead = b[:, 3] - a[:, 3], near * a[:, 2] - far * b[:, 2]  # of the eyes; of the points at a share of focus
    share = float(np.clip(-(apart @ ahead) / max(ahead @ ahead, 1e-30), 0, 1))
    pivot = (a[:, 3] - share * near * a[:, 2] + b[:, 3] - share * far * b[:, 2]) / 2
    rotation = a[:, :3] @ Rotation.from_rotvec(turn / 2).as_matrix()
    focus = (near + far) / 2
    return np.column_stack([rotation, pivot + share * focus * rotation[:, 2]]), focus


def _check_views(spline: CubicSpline, way: np.ndarray, frames: KeyFrames) -> None:
    """Raises NerfpipeError where eye and gaze meet on the way, or a camera would look along its own up."""
    at = np.concatenate([np.linspace(*ends, LOOKS, endpoint=False) for ends in pairwise(way)])
    rows = spline(at)  # [LOOKS · (J - 1), 9]
    view, up = rows[:, :3] - rows[:, 3:6], rows[:, 6:]
    distance, length = np.linalg.norm(view, axis=1), np.linalg.norm(up, axis=1)
    level = np.linalg.norm(np.cross(view, up), axis=1) > STEEPEST * distance * length
    faults = np.flatnonzero((distance < NEAREST * frames.focus.min()) | ~level)
    if len(faults):
        between = faults[0] // LOOKS
        raise NerfpipeError(
            f"the camera turns over between key frames {between + 1} and {(between + 1) % len(frames.poses) + 1} "
            "of the path; add one between them"
        )


def _focus(entry: dict[str, Any], file: Path, place: int, usual: float) -> float:
    focus = number(entry, "focus", file, usual)
    if focus < SMALLEST:
        raise NerfpipeError(f"{file}: frames[{place}]: focus: must be above 0 (got {focus:g})")
    if focus > FARTHEST:
        raise NerfpipeError(f"{file}: frames[{place}]: focus: must be at most {FARTHEST:g} (got {focus:g})")
    return focus


def _rigid(pose: np.ndarray, file: Path, place: int) -> np.ndarray:
    if not is_rotation(pose[:, :3]) or not finite(pose[:, 3]):
        raise NerfpipeError(f"{file}: frames[{place}]: transform_matrix: must be a rotation and a place, all finite")
    return pose
