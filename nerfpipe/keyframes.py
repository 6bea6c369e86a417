"""Camera paths through key frames: read from JSON, and interpolated so that neither eye nor gaze jerks.

The file is a transforms.json without pictures: `frames`, each with a `transform_matrix` (camera-to-world, OpenGL's axes, in
the units of the scene's data). So the cameras of another scene are a path too. Two keys are of this project:
`focus`, in a frame, is the distance of what the camera looks at; `loop: true` joins the last frame to the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from nerfpipe.cameras import look_at
from nerfpipe.errors import NerfpipeError
from nerfpipe.files import write_json
from nerfpipe.scenes.jsonfile import number, pose_of, read_frame_list
from nerfpipe.similarity import Similarity

RIGID = 1e-3  # how far from orthonormal a pose's axes may be
FEWEST = 2
APART = 1e-6  # of the path's length: key frames nearer to one another than this are one and the same


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
    loop = content.get("loop", False)
    if not isinstance(loop, bool):
        raise NerfpipeError(f"{file}: loop: must be true or false (got {loop!r:.40})")
    poses = np.stack([_rigid(pose_of(entry, file, place), file, place) for place, entry in enumerate(entries)])
    poses = similarity.poses(poses)
    depth = ((poses[:, :, 3] - centre.numpy()) * poses[:, :, 2]).sum(axis=1)  # [K] of the centre, along each view
    usual = np.where(depth > 0, depth, max(float(np.abs(depth).mean()), APART))
    focus = [number(entry, "focus", file, usual[k] / similarity.scale) for k, entry in enumerate(entries)]
    if min(focus) <= 0:
        raise NerfpipeError(f"{file}: frames[{int(np.argmin(focus))}]: focus: must be above 0 (got {min(focus):g})")
    return KeyFrames(poses, np.array(focus) * similarity.scale, loop)


def write_key_frames(file: Path, frames: KeyFrames, similarity: Similarity) -> None:
    """Write the key frames in the units of the scene's data, for `read_key_frames`."""
    turned = np.array(similarity.rotation).T @ frames.poses[:, :, :3]  # [K, 3, 3]
    places = similarity.original(frames.poses[:, :, 3])
    matrices = np.concatenate([turned, places[:, :, None]], axis=2)  # [K, 3, 4]
    entries = [
        {"transform_matrix": [*matrix.tolist(), [0.0, 0.0, 0.0, 1.0]], "focus": float(focus / similarity.scale)}
        for matrix, focus in zip(matrices, frames.focus, strict=True)
    ]
    write_json(file, {"loop": frames.loop, "frames": entries})


def through(frames: KeyFrames, count: int) -> Tensor:
    """Poses [F, 3, 4] on a smooth path through the key frames, in even steps of way.

    Eye, what is looked at, and up each follow a cubic spline over the way that eye and gaze make between key frames
    (chord length), and a camera looks from one to the other: things looked at from two key frames stay in the picture
    between them. A loop closes with no jerk, and its last pose comes one step before the first.
    """
    eye, up = frames.poses[:, :, 3], frames.poses[:, :, 1]  # [K, 3]
    gaze = eye - frames.focus[:, None] * frames.poses[:, :, 2]  # [K, 3]
    knots = np.concatenate([eye, gaze, up], axis=1)  # [K, 9]
    if frames.loop:
        knots = np.concatenate([knots, knots[:1]])
    steps = np.linalg.norm(np.diff(knots[:, :6], axis=0), axis=1)  # [K - 1]
    keep = np.concatenate([[True], steps > APART * max(steps.sum(), APART)])
    if keep.sum() < FEWEST:
        raise NerfpipeError("all key frames of the path are the same; move the camera between them")
    way = np.concatenate([[0.0], steps[keep[1:]].cumsum()])
    spline = CubicSpline(way, knots[keep], bc_type="periodic" if frames.loop else "natural")
    at = np.linspace(0, way[-1], count, endpoint=not frames.loop)
    rows = torch.from_numpy(spline(at)).float()  # [F, 9]
    return torch.stack([look_at(row[:3], row[3:6], row[6:]) for row in rows])  # [F, 3, 4]


def _rigid(pose: np.ndarray, file: Path, place: int) -> np.ndarray:
    rotation = pose[:, :3]
    if not (np.isfinite(pose).all() and np.abs(rotation.T @ rotation - np.eye(3)).max() < RIGID):
        raise NerfpipeError(f"{file}: frames[{place}]: transform_matrix: must be a rotation and a place, all finite")
    return pose
