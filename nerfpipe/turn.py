"""A turn around a trained model's scene, as GIF and MP4: colour, and depth."""

from __future__ import annotations

from pathlib import Path

import torch

from nerfpipe.cameras import Camera
from nerfpipe.config import RenderParams
from nerfpipe.files import atomic_folder
from nerfpipe.media import depth_picture, to_8bit, write_gif, write_mp4
from nerfpipe.modelfile import ModelAbout
from nerfpipe.paths import camera_path
from nerfpipe.progress import Progress
from nerfpipe.rays import Extent
from nerfpipe.renderer import Renderer
from nerfpipe.space import camera_rays

LARGEST = 480  # pixels of the longer side, where nothing is said: a GIF of 60 larger frames is a burden


def render_turn(renderer: Renderer, about: ModelAbout, settings: RenderParams, output: Path) -> list[str]:
    """Write orbit.gif, orbit_depth.gif and, where imageio-ffmpeg is there, orbit.mp4 into the folder `output`.

    A folder of that name is replaced, whole or not at all. Returns what to tell the user, in lines.
    """
    space, background = about.space, about.background_colour
    camera = sized(about.camera.pinhole(), settings.size)
    centre, taken, forward = torch.tensor(about.centre), torch.tensor(about.poses), space.kind == "forward"
    poses = camera_path(settings.path, taken, centre, forward, settings.radius, settings.elevation, settings.frames)
    extent = Extent()
    for pose in poses:
        extent.include(camera_rays(camera, pose, space))
    colours, depths = [], []
    with atomic_folder(output) as folder:
        with Progress("render", len(poses), "frames") as progress:
            for pose in poses:
                rays = camera_rays(camera, pose, space)
                picture = renderer.view(rays, background, camera.height, camera.width)
                colours.append(to_8bit(picture.colour))
                depths.append(depth_picture(*space.depth_scale(picture.depth, extent), picture.opacity, background))
                progress.advance()
        write_gif(folder / "orbit.gif", colours, settings.fps)
        write_gif(folder / "orbit_depth.gif", depths, settings.fps)
        filmed = write_mp4(folder / "orbit.mp4", colours, settings.fps)
    missing = [] if filmed else ["no orbit.mp4: for it, pip install imageio-ffmpeg (the extra `video`)"]
    return [*missing, f"{len(poses)} frames of {camera.width}x{camera.height} in {output}"]


def sized(camera: Camera, longer_side: int) -> Camera:
    """The camera with its longer side of so many pixels; 0 leaves it as it is, unless it is larger than LARGEST."""
    longer = max(camera.width, camera.height)
    scale = (longer_side or min(longer, LARGEST)) / longer
    if scale == 1:
        return camera
    return camera.resized(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)))
