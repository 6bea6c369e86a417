"""Importance sampling: more samples in segments with a large weight in the pass before (NeRF 2020, section 5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from nerfpipe.geometry.rays import RayBatch
from nerfpipe.geometry.space import Space
from nerfpipe.samplers.base import Sampler
from nerfpipe.samplers.intervals import pack, segment_edges
from nerfpipe.types import Rendering, Samples

EVERYWHERE = 1e-5  # weight added to every segment, so that empty rays are sampled evenly


class Importance(Sampler):
    """The samples of the pass before, and `fine` more drawn from its weights by inverse-transform sampling."""

    def __init__(self, coarse: int, fine: int, space: Space) -> None:
        super().__init__()
        self.random_numbers_per_ray = fine
        self.samples_per_ray = coarse + fine
        self.space = space

    def forward(self, rays: RayBatch, previous: Rendering | None, jitter: Float[Tensor, "R D"] | None) -> Samples:
        """Samples of R rays, with no gradient to the pass before. jitter [R, fine] uniform in [0, 1), or None."""
        if previous is None:
            raise ValueError("importance sampling needs a pass before it")
        near, far = self.space.spacing(rays.near), self.space.spacing(rays.far)
        coarse = previous.samples.pad(self.space.spacing(previous.samples.t))  # [R, C]
        weights = previous.samples.pad(previous.weights.detach())  # [R, C]
        edges = segment_edges(coarse, near, far)  # [R, C + 1]
        fine = inverse_transform(edges, weights, self.random_numbers_per_ray, jitter)  # [R, F]
        s = torch.cat([coarse, fine], dim=1).sort(dim=1).values  # [R, C + F]
        edges = segment_edges(s, near, far)
        return pack(self.space, rays, s, edges[:, 1:] - edges[:, :-1])

    @contextmanager
    def scaled(self, factor: float) -> Iterator[None]:
        before = self.random_numbers_per_ray
        self.random_numbers_per_ray = max(1, round(before * factor))  # the pass before chooses the coarse ones
        try:
            yield
        finally:
            self.random_numbers_per_ray = before


def inverse_transform(
    edges: Float[Tensor, "R edges"], weights: Float[Tensor, "R C"], samples: int, jitter: Float[Tensor, "R F"] | None
) -> Float[Tensor, "R F"]:
    """Distances [R, F] distributed as the weights [R, C] of the segments between edges [R, C + 1].

    Within a segment the distribution is uniform. The inverse of the distribution function is taken at F stratified
    numbers: one in each F-th of [0, 1], at the fraction `jitter` [R, F] of it, or at its middle.
    """
    pdf = weights + EVERYWHERE
    pdf = pdf / pdf.sum(dim=1, keepdim=True)
    cdf = torch.cat([torch.zeros_like(pdf[:, :1]), pdf.cumsum(dim=1)], dim=1)  # [R, C + 1]

    within = torch.full_like(cdf[:, :1], 0.5) if jitter is None else jitter
    u = (torch.arange(samples, device=cdf.device, dtype=cdf.dtype) + within) / samples  # [R, F]

    C = weights.shape[1]
    segment = torch.searchsorted(cdf, u.contiguous(), right=True).sub(1).clamp(0, C - 1)  # [R, F]
    below, above = cdf.gather(1, segment), cdf.gather(1, segment + 1)
    left, right = edges.gather(1, segment), edges.gather(1, segment + 1)
    fraction = ((u - below) / (above - below)).clamp(0, 1)
    return left + fraction * (right - left)  # [R, F]
