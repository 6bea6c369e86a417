"""A turn around a trained model's scene, as GIF and MP4 and as a page to turn it on: colour, depth, normals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from nerfpipe.camera_paths.path import choose_route
from nerfpipe.config.memory import ALONE, check_needs, render_needs
from nerfpipe.config.params import Panel, RenderParams
from nerfpipe.film.turntable import write_turntable
from nerfpipe.geometry.cameras import Camera, sized
from nerfpipe.geometry.rays import Extent
from nerfpipe.geometry.space import camera_rays
from nerfpipe.images.convert import depth_image, normal_image, to_8bit
from nerfpipe.images.write import write_gif, write_mp4
from nerfpipe.models.model_file import ModelAbout
from nerfpipe.rendering.normals import normal_map
from nerfpipe.rendering.query import Probe
from nerfpipe.rendering.renderer import Picture, Renderer
from nerfpipe.runtime.files import atomic_folder
from nerfpipe.runtime.progress import Progress


@dataclass
class Footage:
    """The frames of a turn, each [H, W, 3] uint8."""

    colour: list[np.ndarray] = field(default_factory=list)
    depth: list[np.ndarray] = field(default_factory=list)
    normals: list[np.ndarray] = field(default_factory=list)  # none unless they are asked for

    def side_by_side(self, panels: list[Panel]) -> list[np.ndarray]:
        """[H, panels · W, 3] uint8 of every frame, in the order of `panels`."""
        return [
            np.concatenate(frames, axis=1) for frames in zip(*(getattr(self, name) for name in panels), strict=True)
        ]


def render_turn(renderer: Renderer, about: ModelAbout, settings: RenderParams, output: Path) -> list[str]:
    """Fill the folder `output`: orbit.gif, orbit_depth.gif, turntable.html; panels.gif where panels are named.

    Where imageio-ffmpeg is there, also orbit.mp4 and panels.mp4. A folder of that name is replaced, whole or not at
    all. Returns what to tell the user, in lines.
    """
    camera = sized(about.camera.pinhole(), settings.size)
    check_needs(*render_needs(settings, camera.width, camera.height))
    route = choose_route(settings, about)
    with atomic_folder(output) as folder:
        footage = film(renderer, about, camera, route.poses, normals="normals" in settings.panels)
        write_gif(folder / "orbit.gif", footage.colour, settings.fps)
        write_gif(folder / "orbit_depth.gif", footage.depth, settings.fps)
        filmed = write_mp4(folder / "orbit.mp4", footage.colour, settings.fps)
        if settings.panels != ALONE:
            wide = footage.side_by_side(settings.panels)
            write_gif(folder / "panels.gif", wide, settings.fps)
            write_mp4(folder / "panels.mp4", wide, settings.fps)
        write_turntable(folder / "turntable.html", footage.colour, route, about, settings.fps)
    missing = [] if filmed else ["no orbit.mp4: for it, pip install imageio-ffmpeg (the extra `video`)"]
    return [*missing, f"{len(route.poses)} frames of {camera.width}x{camera.height} in {output}"]


def film(renderer: Renderer, about: ModelAbout, camera: Camera, poses: Tensor, normals: bool) -> Footage:
    """What the camera sees from each of poses [F, 3, 4]."""
    space, background, footage = about.space, about.background_colour, Footage()
    extent = Extent()
    for pose in poses:
        extent.include(camera_rays(camera, pose, space))
    probe = Probe(renderer.model, space, renderer.device) if normals else None
    for pose, picture in _views(renderer, about, camera, poses):
        footage.colour.append(to_8bit(picture.colour))
        shown = depth_image(*space.depth_scale(picture.depth, extent), picture.opacity, background)
        footage.depth.append(shown)
        if probe is not None:
            found = normal_map(probe, picture, camera, pose)
            footage.normals.append(normal_image(found, picture.opacity, background))
    return footage


def _views(renderer: Renderer, about: ModelAbout, camera: Camera, poses: Tensor) -> Iterator[tuple[Tensor, Picture]]:
    with Progress("render", len(poses), "frames") as progress:
        for pose in poses:
            rays = camera_rays(camera, pose, about.space)
            yield pose, renderer.view(rays, about.background_colour, camera.height, camera.width)
            progress.advance()
