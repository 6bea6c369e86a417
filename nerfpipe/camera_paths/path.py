"""The camera path of a film: one of the named paths, or a path through the key frames of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nerfpipe.camera_paths.shapes import path_poses, resolve_kind, view_target
from nerfpipe.config.params import NO_PATH_FILE, PATH_FILE, RenderParams
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.models.model_file import ModelHeader
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import local_path

if TYPE_CHECKING:
    from nerfpipe.camera_paths.key_frames import KeyFrames

FILE = "file"


@dataclass(frozen=True)
class CameraPath:
    """The poses of a film, and their kind."""

    poses: Tensor  # [F, 3, 4] camera-to-world, scene units
    kind: str  # orbit, swing, spiral, wobble, or FILE
    closed: bool  # whether the last pose comes one step before the first


def choose_camera_path(settings: RenderParams, header: ModelHeader) -> CameraPath:
    """The camera path that the settings name, for the scene of a model.

    Raises NerfpipeError if it does not fit the scene, or if its file is missing or faulty.
    """
    taken, forward = torch.tensor(header.poses), header.space.faces_forward
    centre = torch.tensor(header.centre)
    if settings.path.endswith(PATH_FILE):
        return _through_file(settings, header, view_target(centre, forward))
    kind = resolve_kind(settings.path, taken, centre, forward)
    poses = path_poses(
        kind, taken, centre, forward, settings.radius, settings.elevation, settings.frames, settings.tilt
    )
    return CameraPath(poses, kind, closed=True)


def _through_file(settings: RenderParams, header: ModelHeader, centre: Tensor) -> CameraPath:
    from nerfpipe.camera_paths.key_frames import interpolate

    frames = read_path(settings.path, header.similarity, centre)
    return CameraPath(interpolate(frames, settings.frames), FILE, frames.loop)


def read_path(path: str, similarity: Similarity, centre: Tensor) -> KeyFrames:
    """The key frames of the file that `render.path` names, in scene units.

    centre [3]: the point that cameras without a `focus` of their own look at. Raises NerfpipeError if the file is
    missing or faulty.
    """
    from nerfpipe.camera_paths.key_frames import read_key_frames  # scipy's splines take a while to import

    file = local_path(path)
    if not file.is_file():
        raise NerfpipeError(NO_PATH_FILE.format(path))
    return read_key_frames(file, similarity, centre)
