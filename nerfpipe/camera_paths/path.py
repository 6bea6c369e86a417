"""Which way the camera goes for a render: one of the named paths, or through the key frames of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nerfpipe.camera_paths.shapes import camera_path, fitting, looked_at
from nerfpipe.config.params import NO_PATH_FILE, PATH_FILE, RenderParams
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.models.model_file import ModelAbout
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import local_path

if TYPE_CHECKING:
    from nerfpipe.camera_paths.key_frames import KeyFrames

FILE = "file"


@dataclass(frozen=True)
class Route:
    """Poses [F, 3, 4], in scene units, and what they are."""

    poses: Tensor
    kind: str  # orbit, swing, spiral, wobble, or FILE
    closed: bool  # whether the last pose comes one step before the first


def choose_route(settings: RenderParams, about: ModelAbout) -> Route:
    """The way that the settings name, for the scene of a model. Raises NerfpipeError where there is none."""
    taken, forward = torch.tensor(about.poses), about.space.kind == "forward"
    centre = torch.tensor(about.centre)
    if settings.path.endswith(PATH_FILE):
        return _through_file(settings, about, looked_at(centre, forward))
    kind = fitting(settings.path, taken, centre, forward)
    poses = camera_path(
        kind, taken, centre, forward, settings.radius, settings.elevation, settings.frames, settings.tilt
    )
    return Route(poses, kind, closed=True)


def _through_file(settings: RenderParams, about: ModelAbout, centre: Tensor) -> Route:
    from nerfpipe.camera_paths.key_frames import through

    frames = read_path(settings.path, about.similarity, centre)
    return Route(through(frames, settings.frames), FILE, frames.loop)


def read_path(path: str, similarity: Similarity, centre: Tensor) -> KeyFrames:
    """The key frames of the file that `render.path` names. Raises NerfpipeError where they are not there or faulty."""
    from nerfpipe.camera_paths.key_frames import read_key_frames  # scipy's splines take a while to import

    file = local_path(path)
    if not file.is_file():
        raise NerfpipeError(NO_PATH_FILE.format(path))
    return read_key_frames(file, similarity, centre)
