"""Rays -> pictures. Knows neither networks nor files: a model here is any sequence of passes."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from nerfpipe.config.params import RuntimeParams
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.models.model import Model, block_rays, runs_in_kernels
from nerfpipe.rendering.volume_rendering import composite
from nerfpipe.runtime.device import mlp_precision
from nerfpipe.types import Rendering


@dataclass(frozen=True)
class Picture:
    """A rendered view on the CPU."""

    colour: Tensor  # [H, W, 3] in [0, 1], over the background
    opacity: Tensor  # [H, W]
    depth: Tensor  # [H, W], distance along the unit ray in scene units; 0 where nothing is

    @classmethod
    def joined(cls, strips: list[Picture]) -> Picture:
        """One picture of strips [h, W] from top to bottom."""
        return cls(*(torch.cat([getattr(each, field.name) for each in strips]) for field in fields(cls)))


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
            density, colour = each.field(samples.positions, samples.directions)  # [M], [M, 3]
        renderings.append(composite(samples, density, colour, background))
    return renderings


class Renderer:
    """Renders whole views, a block of rays at a time; what a block leaves behind moves to the CPU."""

    def __init__(self, model: Model, device: torch.device, runtime: RuntimeParams, bf16: bool) -> None:
        self.model, self.device, self.bf16 = model.to(device), device, bf16
        self.block = block_rays(model, runtime, device)
        if runs_in_kernels(model, device):
            torch.set_num_threads(1)  # kernels have threads of their own; torch's would only spin beside them

    @torch.no_grad()
    def view(self, rays: RayBatch, background: Tensor, height: int, width: int) -> Picture:
        """The view whose H·W rays are given row by row, over background [3]."""
        colour = background.expand(len(rays), 3).clone()  # rays that miss the bounds see only the background
        opacity, depth = torch.zeros(len(rays)), torch.zeros(len(rays))
        for numbers in rays.hits.nonzero()[:, 0].split(self.block):
            seen = self._see(rays[numbers].to(self.device), background.to(self.device))
            colour[numbers], opacity[numbers], depth[numbers] = (each.cpu() for each in seen)
        return Picture(colour.reshape(height, width, 3), opacity.reshape(height, width), depth.reshape(height, width))

    def _see(self, rays: RayBatch, background: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Colour [R, 3], opacity [R] and depth [R] of R rays that meet the bounds."""
        if runs_in_kernels(self.model, self.device):
            from nerfpipe.kernels.numba.bindings import render

            last = self.model.passes[-1]
            return render(last.sampler, last.field, rays, background)
        rendering = render_rays(self.model, rays, background, bf16=self.bf16)[-1]
        return rendering.colour, rendering.opacity, rendering.depth
