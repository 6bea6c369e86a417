"""Rays -> pictures. Knows neither networks nor files: a model here is any sequence of passes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nerfpipe.config import RuntimeParams
from nerfpipe.device import block_rays, mlp_precision
from nerfpipe.methods import Model
from nerfpipe.rays import RayBatch
from nerfpipe.volume import Rendering, composite


@dataclass(frozen=True)
class Picture:
    """A rendered view on the CPU."""

    colour: Tensor  # [H, W, 3] in [0, 1], over the background
    opacity: Tensor  # [H, W]
    depth: Tensor  # [H, W], distance along the unit ray in scene units; 0 where nothing is


def render_rays(
    model: Model, rays: RayBatch, background: Tensor, jitter: Tensor | None = None, bf16: bool = False
) -> list[Rendering]:
    """What each pass of the model makes of R rays that all meet the bounds; the last is the picture.

    background [3] or [R, 3]; jitter [R, model.draws] uniform in [0, 1) when training, else None.
    """
    draws = [each.sampler.draws for each in model.passes]
    columns = [None] * len(draws) if jitter is None else jitter.split(draws, dim=1)
    renderings: list[Rendering] = []
    for each, noise in zip(model.passes, columns, strict=True):
        samples = each.sampler(rays, renderings[-1] if renderings else None, noise)
        with mlp_precision(rays.origins.device, bf16):
            density, colour = each.field(samples.positions, rays.directions[samples.ray])  # [M], [M, 3]
        renderings.append(composite(samples, density, colour, background))
    return renderings


class Renderer:
    """Renders whole views, a block of rays at a time; what a block leaves behind moves to the CPU."""

    def __init__(self, model: Model, device: torch.device, runtime: RuntimeParams, bf16: bool) -> None:
        self.model, self.device, self.bf16 = model.to(device), device, bf16
        self.block = block_rays(runtime, device, model.samples_per_ray)

    @torch.no_grad()
    def view(self, rays: RayBatch, background: Tensor, height: int, width: int) -> Picture:
        """The view whose H·W rays are given row by row, over background [3]."""
        colour = background.expand(len(rays), 3).clone()  # rays that miss the bounds see only the background
        opacity, depth = torch.zeros(len(rays)), torch.zeros(len(rays))
        for numbers in rays.hits.nonzero()[:, 0].split(self.block):
            block = rays[numbers].to(self.device)
            rendering = render_rays(self.model, block, background.to(self.device), bf16=self.bf16)[-1]
            colour[numbers] = rendering.colour.cpu()
            opacity[numbers] = rendering.opacity.cpu()
            depth[numbers] = rendering.depth.cpu()
        return Picture(colour.reshape(height, width, 3), opacity.reshape(height, width), depth.reshape(height, width))
