"""The viewpoint of an exported image, and its rendering."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nerfpipe.camera_paths.shapes import path_poses
from nerfpipe.config.memory import PIXEL, check_needs
from nerfpipe.config.params import RuntimeParams
from nerfpipe.export.options import ViewOptions
from nerfpipe.geometry.cameras import Camera, sized
from nerfpipe.geometry.space import camera_rays, world_rays
from nerfpipe.models.model_file import ModelHeader, load_model
from nerfpipe.models.set_up import give_threads, set_up
from nerfpipe.rendering.query import FieldQuery
from nerfpipe.rendering.renderer import Picture, Renderer
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.progress import Progress

STRIP = 2**15  # pixels between two steps of the progress bar


@dataclass(frozen=True)
class LoadedField:
    """A model file, loaded: it can be rendered, and queried at points."""

    header: ModelHeader
    renderer: Renderer
    query: FieldQuery

    @classmethod
    def load(cls, file: Path, runtime: RuntimeParams) -> LoadedField:
        """Load a model file. Raises NerfpipeError as load_model does."""
        device = set_up(runtime)
        model, header = load_model(file)
        give_threads(model, device)
        return cls(header, Renderer(model, device, runtime, header.bf16), FieldQuery(model, header.space, device))

    def picture(self, camera: Camera, pose: Tensor) -> Picture:
        """The image of a camera at a pose [3, 4], over the scene's background."""
        rays = camera_rays(camera, pose, self.header.space)
        return self.renderer.view(rays, self.header.background_colour, camera.height, camera.width)

    def distances(self, camera: Camera, pose: Tensor, picture: Picture) -> tuple[Tensor, Tensor, Tensor]:
        """Origins and unit directions [H·W, 3] of an image's rays, and the distance [H·W] to what each meets.

        In scene units; a distance is 0 if the ray meets nothing.
        """
        origins, directions = world_rays(camera, pose)
        return origins, directions, self.header.space.distance(origins, directions, picture.depth.flatten())


def choose_view(header: ModelHeader, options: ViewOptions) -> tuple[Camera, Tensor, str]:
    """The camera, its pose [3, 4] in the scene, and a description of both.

    The lens is that of the scene's first camera, without distortion: the model's header has no other.
    Raises NerfpipeError if the options contradict each other or the model has no such view.
    """
    camera = header.camera.pinhole()
    camera = sized(camera, options.size or max(camera.width, camera.height))
    check_needs("--size", camera.width * camera.height * PIXEL)
    pose, viewpoint = _around(header, options) if options.view is None else _train_view(header, options, options.view)
    return camera, pose, f"{camera.width}x{camera.height}, {viewpoint}"


def _train_view(header: ModelHeader, options: ViewOptions, view: int) -> tuple[Tensor, str]:
    for name in ("azimuth", "elevation", "radius"):
        if getattr(options, name) is not None:
            raise NerfpipeError(
                f"--{name}: does not go with --view, which sets the whole viewpoint; leave one of them out"
            )
    if view >= len(header.poses):
        raise NerfpipeError(
            f"--view: must be from 0 to {len(header.poses) - 1}, the train views of the model (got {view})"
        )
    return torch.tensor(header.poses[view]), f"from train view {view}"


def _around(header: ModelHeader, options: ViewOptions) -> tuple[Tensor, str]:
    """A pose around the scene's centre; by default the first of `nerfpipe render`."""
    forward = header.space.faces_forward
    for name in ("azimuth", "elevation"):
        if forward and getattr(options, name) is not None:
            raise NerfpipeError(f"--{name}: the cameras of this scene all look one way; choose one of them with --view")
    centre, radius = torch.tensor(header.centre), 1.0 if options.radius is None else options.radius
    kind = "auto" if options.azimuth is None else "orbit"
    pose = path_poses(
        kind=kind,
        poses=torch.tensor(header.poses),
        centre=centre,
        forward=forward,
        radius=radius,
        elevation=options.elevation,
        frames=1,
    )[0]
    if options.azimuth:
        pose = _rotated(pose, centre, options.azimuth)
    return pose, "in front of the scene" if forward else _viewpoint(pose, centre)


def _rotated(pose: Tensor, centre: Tensor, degrees: float) -> Tensor:
    """The pose [3, 4] rotated by degrees around the vertical axis through the centre [3]."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rotation = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return torch.cat([rotation @ pose[:, :3], (centre + rotation @ (pose[:, 3] - centre))[:, None]], dim=1)


def _viewpoint(pose: Tensor, centre: Tensor) -> str:
    """The camera's position relative to the centre [3], in words."""
    x, y, z = (pose[:, 3] - centre).tolist()
    azimuth = round(math.degrees(math.atan2(y, x)), 1) + 0.0  # no "-0"
    elevation = math.degrees(math.atan2(z, math.hypot(x, y)))
    return f"from azimuth {azimuth:.4g}°, elevation {elevation:.3g}°, {math.hypot(x, y, z):.3g} scene units away"


def render_with_progress(field: LoadedField, camera: Camera, pose: Tensor) -> Picture:
    """`LoadedField.picture`, in strips of rows, with a progress bar."""
    rays = camera_rays(camera, pose, field.header.space)
    strips = []
    with Progress("render", camera.height, "rows") as progress:
        for rows, pixels in camera.strips(STRIP):
            height = rows.stop - rows.start
            strips.append(field.renderer.view(rays[pixels], field.header.background_colour, height, camera.width))
            progress.advance(height)
    return Picture.joined(strips)
