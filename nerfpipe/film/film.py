"""A film around the scene of a trained model: GIFs, MP4s and a turntable page, in colour, depth and normals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from nerfpipe.camera_paths.path import choose_camera_path
from nerfpipe.config.memory import ALONE, check_needs, render_needs
from nerfpipe.config.params import Panel, RenderParams
from nerfpipe.film.turntable import write_turntable
from nerfpipe.geometry.cameras import Camera, sized
from nerfpipe.geometry.rays import DepthRange
from nerfpipe.geometry.space import camera_rays
from nerfpipe.images.convert import depth_image, normal_image, to_8bit
from nerfpipe.images.write import write_gif, write_mp4
from nerfpipe.models.model_file import ModelHeader
from nerfpipe.rendering.normals import normal_map
from nerfpipe.rendering.query import FieldQuery
from nerfpipe.rendering.renderer import Picture, Renderer
from nerfpipe.runtime.files import atomic_folder
from nerfpipe.runtime.progress import Progress


@dataclass
class Footage:
    """The frames of a film, each [H, W, 3] uint8."""

    colour: list[np.ndarray] = field(default_factory=list)
    depth: list[np.ndarray] = field(default_factory=list)
    normals: list[np.ndarray] = field(default_factory=list)  # empty unless requested

    def side_by_side(self, panels: list[Panel]) -> list[np.ndarray]:
        """All frames as [H, panels · W, 3] uint8, with the panels in their order."""
        return [
            np.concatenate(frames, axis=1) for frames in zip(*(getattr(self, name) for name in panels), strict=True)
        ]


def render_film(renderer: Renderer, header: ModelHeader, settings: RenderParams, output: Path) -> list[str]:
    """Write orbit.gif, orbit_depth.gif and turntable.html into the folder `output`, and panels.gif for several panels.

    With imageio-ffmpeg also orbit.mp4 and panels.mp4. An existing folder is replaced, whole or not at all. Returns
    messages for the user. Raises NerfpipeError for a faulty camera path, or if the frames need too much memory.
    """
    camera = sized(header.camera.pinhole(), settings.size)
    check_needs(*render_needs(settings, camera.width, camera.height))
    path = choose_camera_path(settings, header)
    with atomic_folder(output) as folder:
        footage = render_frames(renderer, header, camera, path.poses, normals="normals" in settings.panels)
        write_gif(folder / "orbit.gif", footage.colour, settings.fps)
        write_gif(folder / "orbit_depth.gif", footage.depth, settings.fps)
        has_mp4 = write_mp4(folder / "orbit.mp4", footage.colour, settings.fps)
        if settings.panels != ALONE:
            wide = footage.side_by_side(settings.panels)
            write_gif(folder / "panels.gif", wide, settings.fps)
            write_mp4(folder / "panels.mp4", wide, settings.fps)
        write_turntable(folder / "turntable.html", footage.colour, path, header, settings.fps)
    missing = [] if has_mp4 else ["no orbit.mp4: for it, pip install imageio-ffmpeg (the extra `video`)"]
    return [*missing, f"{len(path.poses)} frames of {camera.width}x{camera.height} in {output}"]


def render_frames(renderer: Renderer, header: ModelHeader, camera: Camera, poses: Tensor, normals: bool) -> Footage:
    """The frames of a camera at poses [F, 3, 4]. All share one scale of depth."""
    space, background, footage = header.space, header.background_colour, Footage()
    extent = DepthRange()
    for pose in poses:
        extent.include(camera_rays(camera, pose, space))
    query = FieldQuery(renderer.model, space, renderer.device) if normals else None
    for pose, picture in _pictures(renderer, header, camera, poses):
        footage.colour.append(to_8bit(picture.colour))
        depth = depth_image(*space.depth_scale(picture.depth, extent), picture.opacity, background)
        footage.depth.append(depth)
        if query is not None:
            normal = normal_map(query, picture, camera, pose)
            footage.normals.append(normal_image(normal, picture.opacity, background))
    return footage


def _pictures(
    renderer: Renderer, header: ModelHeader, camera: Camera, poses: Tensor
) -> Iterator[tuple[Tensor, Picture]]:
    with Progress("render", len(poses), "frames") as progress:
        for pose in poses:
            rays = camera_rays(camera, pose, header.space)
            yield pose, renderer.view(rays, header.background_colour, camera.height, camera.width)
            progress.advance()
