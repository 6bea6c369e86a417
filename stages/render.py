"""Stage 5: a turn around the scene. data/model -> data/renders: orbit.gif, orbit_depth.gif, orbit.mp4."""

from __future__ import annotations

from pathlib import Path

import torch

from nerfpipe.cameras import Camera
from nerfpipe.config import load_params
from nerfpipe.files import atomic_folder
from nerfpipe.media import depth_picture, to_8bit, write_gif, write_mp4
from nerfpipe.modelfile import load_model
from nerfpipe.paths import orbit
from nerfpipe.progress import Progress
from nerfpipe.rays import camera_rays
from nerfpipe.renderer import Renderer
from nerfpipe.runtime import set_up
from nerfpipe.stage import stage

MODEL, RENDERS = Path("data/model/field.safetensors"), Path("data/renders")


def main() -> None:
    params = load_params()
    device = set_up(params.runtime)
    model, about = load_model(MODEL)
    renderer = Renderer(model, device, params.runtime, about.bf16)
    bounds, background = torch.tensor(about.bounds), about.background_colour
    camera = sized(about.camera, params.render.size)
    radius = params.render.radius * about.camera_distance
    poses = orbit(torch.tensor(about.centre), radius, params.render.elevation, params.render.frames)
    near, far = radius - half_diagonal(bounds), radius + half_diagonal(bounds)
    colours, depths = [], []
    with atomic_folder(RENDERS) as folder:
        with Progress("render", len(poses), "frames") as progress:
            for pose in poses:
                rays = camera_rays(camera, pose, bounds, about.min_near)
                picture = renderer.view(rays, background, camera.height, camera.width)
                colours.append(to_8bit(picture.colour))
                depth, opacity = picture.depth.numpy(), picture.opacity.numpy()
                depths.append(depth_picture(depth, opacity, near, far, background.numpy()))
                progress.advance()
        write_gif(folder / "orbit.gif", colours, params.render.fps)
        write_gif(folder / "orbit_depth.gif", depths, params.render.fps)
        if not write_mp4(folder / "orbit.mp4", colours, params.render.fps):
            print("no orbit.mp4: for it, pip install imageio-ffmpeg (the extra `video`)", flush=True)
    print(f"{len(poses)} frames of {camera.width}x{camera.height} in {RENDERS}", flush=True)


def sized(camera: Camera, longer_side: int) -> Camera:
    """The camera with its longer side of so many pixels; 0 leaves it as it is."""
    if not longer_side:
        return camera
    scale = longer_side / max(camera.width, camera.height)
    return camera.resized(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)))


def half_diagonal(bounds: torch.Tensor) -> float:
    """From the centre of the bounds [2, 3] to a corner, in scene units."""
    return float((bounds[1] - bounds[0]).norm()) / 2


if __name__ == "__main__":
    with stage("render"):
        main()
