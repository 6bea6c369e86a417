"""Renders a view as colour, depth, opacity or normals, in blocks of rows, so that work can be dropped between two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nerfpipe.config.params import RuntimeParams
from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.rays import DepthRange, RayBatch, near_far, rays_to_world
from nerfpipe.geometry.space import Space, camera_rays
from nerfpipe.images.convert import depth_image, normal_image, to_8bit
from nerfpipe.models.model import Model
from nerfpipe.models.model_file import ModelHeader
from nerfpipe.models.set_up import give_threads
from nerfpipe.rendering.normals import SEEN, normal_map
from nerfpipe.rendering.query import FieldQuery
from nerfpipe.rendering.renderer import Picture, Renderer
from nerfpipe.viewer.settings import Corners, Mode

BLOCK_PIXELS = 2**12  # rendered between two checks whether the work is still wanted
QUANTILES = (0.02, 0.98)  # of the visible depths: shown as nearest and farthest
QUANTILE_VALUES = 2**16  # depths that they are computed from; torch.quantile takes at most 2**24
EMPTY_RANGE = (0.0, 1.0)  # of depths, where nothing is visible


@dataclass(frozen=True)
class RenderedView:
    """A view as rendered, from which the image of a mode is made."""

    picture: Picture
    normals: Tensor | None  # [H, W, 3]; None unless rendered in the mode normals


class ViewRenderer:
    """Renders views of one model. Only one thread may use it: kernels must not be entered twice."""

    def __init__(self, model: Model, header: ModelHeader, device: torch.device, runtime: RuntimeParams) -> None:
        self.model, self.header = model, header
        give_threads(model, device)
        self.renderer = Renderer(model, device, runtime, header.bf16)
        self.query = FieldQuery(model, header.space, device)
        self.background = header.background_colour

    def render(
        self,
        camera: Camera,
        pose: Tensor,
        mode: Mode = "colour",
        crop: Corners | None = None,
        samples: float = 1.0,
        dropped: Callable[[], bool] | None = None,
    ) -> RenderedView | None:
        """The view of a camera at a pose [3, 4]; None once `dropped`, called between blocks of rows, returns true.

        crop: only the inside of this box is rendered (scene units). samples: a factor on the model's own number of
        samples along a ray.
        """
        at_once = camera.width * camera.height if dropped is None else BLOCK_PIXELS
        pictures, normals = [], []
        with scaled_samples(self.model, samples):
            for rows, _ in camera.strips(at_once):
                if dropped is not None and dropped():
                    return None
                strip = camera.strip(rows)
                rays = cropped(camera_rays(strip, pose, self.header.space), crop)
                pictures.append(self.renderer.view(rays, self.background, strip.height, strip.width))
                if mode == "normals":
                    normals.append(normal_map(self.query, pictures[-1], strip, pose))
        return RenderedView(Picture.joined(pictures), torch.cat(normals) if normals else None)

    def image(self, rendered: RenderedView, mode: Mode, extent: DepthRange | None = None) -> np.ndarray:
        """The image [H, W, 3] uint8 of a mode. Without an extent, depth is scaled to the depths that are visible.

        Raises ValueError for normals of a view that was rendered without them.
        """
        picture = rendered.picture
        match mode:
            case "depth":
                scale = self.header.space.depth_scale(picture.depth, extent or visible_extent(picture))
                return depth_image(*scale, picture.opacity, self.background)
            case "opacity":
                return to_8bit(picture.opacity[..., None].expand(-1, -1, 3))
            case "normals":
                if rendered.normals is None:
                    raise ValueError("the view was rendered without normals")
                return normal_image(rendered.normals, picture.opacity, self.background)
        return to_8bit(picture.colour)


def cropped(rays: RayBatch, crop: Corners | None) -> RayBatch:
    """Rays limited to the inside of a box in scene units; the same rays without a box. Not for the space `forward`."""
    if crop is None:
        return rays
    enter, leave = near_far(rays.origins, rays.directions, torch.tensor(crop), 0.0)
    return replace(rays, near=torch.maximum(rays.near, enter), far=torch.minimum(rays.far, leave))


def can_crop(header: ModelHeader) -> bool:
    """Whether a box in scene units can be cut out: rays of a forward-facing scene run in NDC."""
    return not header.space.faces_forward


@contextmanager
def scaled_samples(model: Model, factor: float) -> Iterator[None]:
    """Multiply the samples along a ray by `factor` inside the block, for samplers that set a number of their own."""
    with ExitStack() as stack:
        for sampler in model.samplers:
            stack.enter_context(sampler.scaled(factor))
        yield


def visible_extent(picture: Picture) -> DepthRange:
    """Range of the visible depths (units of `picture.depth`), without the nearest and farthest few pixels."""
    visible = picture.depth[picture.opacity >= SEEN]
    if not len(visible):
        return DepthRange(*EMPTY_RANGE)
    visible = visible[:: max(1, len(visible) // QUANTILE_VALUES)]
    near, far = torch.quantile(visible, torch.tensor(QUANTILES)).tolist()
    return DepthRange(near, far)


def z_depth(picture: Picture, camera: Camera, pose: Tensor, space: Space, missing: float, every: int = 1) -> np.ndarray:
    """Depth along the camera's axis [h, w] float32 in scene units, of every `every`-th row and column.

    A page hides overlays by it. `missing` stands for empty pixels, and is the largest depth returned.
    """
    in_camera = camera.directions(camera.pixel_centres()).reshape(camera.height, camera.width, 3)
    in_camera, t, opacity = (x[::every, ::every] for x in (in_camera, picture.depth, picture.opacity))
    flat = in_camera.reshape(-1, 3)
    distance = space.distance(*rays_to_world(pose.expand(len(flat), 3, 4), flat), t.flatten()).reshape(t.shape)
    depth = -in_camera[..., 2] * distance  # cameras look along -z
    return torch.where((opacity >= SEEN) & (depth < missing), depth, missing).numpy()
