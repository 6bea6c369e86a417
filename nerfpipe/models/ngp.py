"""The method `ngp`: a hash table and small networks, sampled where an occupancy grid finds something (Instant-NGP)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from nerfpipe.config.methods import NgpParams
from nerfpipe.config.params import RuntimeParams
from nerfpipe.fields.ngp import NgpField
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.geometry.space import Space
from nerfpipe.models.model import Model
from nerfpipe.ops import dispatch
from nerfpipe.ops.ngp_render import ngp_render
from nerfpipe.rendering.render_rays import Pass
from nerfpipe.rendering.resampling import Resampling
from nerfpipe.samplers.occupancy import Occupancy
from nerfpipe.types import Pixels

KERNEL_RAYS = 2**17  # rays handed to kernels at once: what they leave behind stays small
KERNEL_SAMPLES = 2**19  # the same where they leave samples behind
STEPS_PER_SAMPLE = 8  # steps of a first look that take as much memory as a sample


class NgpModel(Model):
    """One pass: occupied cells of a hash-encoded field. Images are rendered by one kernel where there is one."""

    sparse_gradients = True

    def __init__(self, params: NgpParams, space: Space) -> None:
        sampler, field = Occupancy(params.sampling, space), NgpField(params.field, space.box)
        resample, stop = params.sampling.resample, params.sampling.early_stop_eps
        self.resampling = Resampling(space, resample, stop) if resample else None
        super().__init__([Pass(sampler, field, self.resampling)])
        self.space = space
        self._parts = sampler, field  # of the one pass, with their types

    def uses_kernels(self, device: torch.device) -> bool:
        return dispatch.has_kernels(device)

    def chunk_rays(self, runtime: RuntimeParams, device: torch.device) -> int:
        if not self.uses_kernels(device):
            return super().chunk_rays(runtime, device)
        if self.resampling is None:
            return KERNEL_RAYS
        sampler, _ = self._parts
        return max(1, KERNEL_SAMPLES // max(self.resampling.samples, sampler.samples_per_ray // STEPS_PER_SAMPLE))

    @torch.no_grad()
    def after_training(self, batches: Iterator[RayBatch]) -> None:
        """Where pictures show no empty space, keep the cells that they show: the rest is fog that nothing hides."""
        if self.resampling is None:
            return
        sampler, _ = self._parts
        seen = torch.zeros_like(sampler.density, dtype=torch.bool)
        for rays in batches:
            seen |= sampler.cells_seen(self.renderings(rays, torch.zeros_like(rays.origins))[-1])
        sampler.keep(seen)

    def render(self, rays: RayBatch, background: Tensor, bf16: bool) -> Pixels:
        sampler, field = self._parts
        if self.resampling is not None or not dispatch.is_fast(rays.origins):
            return super().render(rays, background, bf16)
        ends = self.space.spacing(rays.near), self.space.spacing(rays.far)
        low, cell, distance = sampler.grid
        colour, opacity, depth = ngp_render(
            [rays.origins, rays.directions, *ends],
            background,
            sampler.render_step,
            self.space.linear,
            low,
            cell,
            distance,
            sampler.longest(sampler.render_step),
            sampler.params.early_stop_eps,
            *field.arguments,
        )
        return Pixels(colour, opacity, depth)
