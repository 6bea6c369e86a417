"""Draws a view: colour, depth, opacity or normals, a block of rows at a time, so that it can be dropped between two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nerfpipe.config.params import RuntimeParams
from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.rays import Extent, RayBatch, near_far, rays_to_world
from nerfpipe.geometry.space import Space, camera_rays
from nerfpipe.images.convert import depth_image, normal_image, to_8bit
from nerfpipe.models.model import Model
from nerfpipe.models.model_file import ModelAbout
from nerfpipe.rendering.normals import SEEN, normal_map
from nerfpipe.rendering.query import Probe
from nerfpipe.rendering.renderer import Picture, Renderer
from nerfpipe.samplers.importance import Hierarchical
from nerfpipe.samplers.occupancy import Occupancy
from nerfpipe.samplers.stratified import Stratified
from nerfpipe.viewer.settings import Corners, Mode

BLOCK_PIXELS = 2**12  # drawn between two looks at whether someone wants something else
NUMBERS = ("render_step", "samples_per_ray", "draws")  # of samplers: what says how many samples a ray gets
ENDS = (0.02, 0.98)  # quantiles of the depths that are seen, drawn nearest and farthest


@dataclass(frozen=True)
class Drawing:
    """A view as it was rendered, of which any mode's picture can be made."""

    picture: Picture
    normals: Tensor | None  # [H, W, 3]; None where they were not asked for


class Artist:
    """Draws one model. For one thread only: kernels must not be entered twice."""

    def __init__(self, model: Model, about: ModelAbout, device: torch.device, runtime: RuntimeParams) -> None:
        self.model, self.about = model, about
        self.renderer = Renderer(model, device, runtime, about.bf16)
        self.probe = Probe(model, about.space, device)
        self.background = about.background_colour

    def draw(
        self,
        camera: Camera,
        pose: Tensor,
        mode: Mode = "colour",
        crop: Corners | None = None,
        samples: float = 1.0,
        dropped: Callable[[], bool] | None = None,
    ) -> Drawing | None:
        """What a camera at a pose [3, 4] sees; None when `dropped` has said so between two blocks of rows.

        crop: nothing outside this box is seen. samples: along a ray, times the model's own number.
        """
        rows = camera.height if dropped is None else max(1, BLOCK_PIXELS // camera.width)
        pictures, normals = [], []
        with sampled(self.model, samples):
            for first in range(0, camera.height, rows):
                if dropped is not None and dropped():
                    return None
                strip = replace(camera, height=min(rows, camera.height - first), cy=camera.cy - first)
                rays = cropped(camera_rays(strip, pose, self.about.space), crop)
                pictures.append(self.renderer.view(rays, self.background, strip.height, strip.width))
                if mode == "normals":
                    normals.append(normal_map(self.probe, pictures[-1], strip, pose))
        return Drawing(Picture.joined(pictures), torch.cat(normals) if normals else None)

    def coloured(self, drawing: Drawing, mode: Mode, extent: Extent | None = None) -> np.ndarray:
        """The picture of a mode, [H, W, 3] uint8. Without an extent, depth is drawn between the ends that are seen."""
        picture = drawing.picture
        match mode:
            case "depth":
                scale = self.about.space.depth_scale(picture.depth, extent or seen_extent(picture))
                return depth_image(*scale, picture.opacity, self.background)
            case "opacity":
                return to_8bit(picture.opacity[..., None].expand(-1, -1, 3))
            case "normals":
                return normal_image(drawing.normals, picture.opacity, self.background)
        return to_8bit(picture.colour)


def cropped(rays: RayBatch, crop: Corners | None) -> RayBatch:
    """The rays (of a bounded or unbounded space: in the world) where they are inside a box; whole without one."""
    if crop is None:
        return rays
    enter, leave = near_far(rays.origins, rays.directions, torch.tensor(crop), 0.0)
    return replace(rays, near=torch.maximum(rays.near, enter), far=torch.minimum(rays.far, leave))


def can_crop(about: ModelAbout) -> bool:
    """Whether a box in scene units can be cut out: a forward-facing scene's rays are elsewhere (see ndc)."""
    return about.space.kind != "forward"


@contextmanager
def sampled(model: Model, factor: float) -> Iterator[None]:
    """Inside, rays are looked at in so many times the samples, where the sampler has a number of its own."""
    samplers = [each.sampler for each in model.passes]
    before = [{name: value for name, value in vars(sampler).items() if name in NUMBERS} for sampler in samplers]
    for sampler in samplers:
        if isinstance(sampler, Occupancy):
            sampler.render_step = sampler.render_step / factor
        elif isinstance(sampler, Hierarchical):
            sampler.draws = max(1, round(sampler.draws * factor))  # those of the pass before are scaled there
        elif isinstance(sampler, Stratified):
            sampler.samples_per_ray = max(2, round(sampler.samples_per_ray * factor))
    try:
        yield
    finally:
        for sampler, was in zip(samplers, before, strict=True):
            for name, value in was.items():
                setattr(sampler, name, value)


def seen_extent(picture: Picture) -> Extent:
    """Between which distances lies what the picture shows, but for the nearest and farthest few pixels."""
    seen = picture.depth[picture.opacity >= SEEN]
    if not len(seen):
        return Extent(0.0, 1.0)
    seen = seen[:: max(1, len(seen) // 2**16)]  # enough of them; more than 2**24 torch does not take
    near, far = torch.quantile(seen, torch.tensor(ENDS)).tolist()
    return Extent(near, far)


def z_depth(picture: Picture, camera: Camera, pose: Tensor, space: Space, missing: float, every: int = 1) -> np.ndarray:
    """Depth along the axis of the picture's camera [h, w] float32 in scene units, by which what is hidden is told.

    Of every so many pixels across and down. `missing` where nothing is, or what is seen is farther than that.
    """
    in_camera = camera.directions(camera.pixel_centres()).reshape(camera.height, camera.width, 3)
    in_camera, t, opacity = (x[::every, ::every] for x in (in_camera, picture.depth, picture.opacity))
    flat = in_camera.reshape(-1, 3)
    distance = space.distance(*rays_to_world(pose.expand(len(flat), 3, 4), flat), t.flatten()).reshape(t.shape)
    depth = -in_camera[..., 2] * distance  # cameras look along -z
    return torch.where((opacity >= SEEN) & (depth < missing), depth, missing).numpy()
