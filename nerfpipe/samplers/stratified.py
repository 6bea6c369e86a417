"""Stratified sampling: an even look along the ray (NeRF, Mildenhall et al. 2020, eq. 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from nerfpipe.geometry.rays import RayBatch
from nerfpipe.samplers.intervals import limits, pack, segment_edges
from nerfpipe.types import Rendering, Samples


class Stratified:
    """[near, far] is cut into equal bins and each bin gets one sample: at random in training, else its middle."""

    def __init__(self, samples: int, unbounded: bool = False) -> None:
        self.draws = samples  # uniform numbers used per ray
        self.samples_per_ray = samples
        self.unbounded = unbounded  # bins are then equal in s (see contraction)

    def __call__(self, rays: RayBatch, previous: Rendering | None, jitter: Tensor | None) -> Samples:
        """Samples of R rays. jitter [R, samples] uniform in [0, 1), or None for the middles."""
        near, far = limits(rays, self.unbounded)
        s = stratified(near, far, self.samples_per_ray, jitter)  # [R, S]
        edges = segment_edges(s, near, far)
        return pack(rays, s, edges[:, 1:] - edges[:, :-1], self.unbounded)


def stratified(near: Tensor, far: Tensor, samples: int, jitter: Tensor | None) -> Tensor:
    """Sorted places [R, S]: one in each of S equal bins between near [R] and far [R]."""
    within = 0.5 if jitter is None else jitter
    u = (torch.arange(samples, device=near.device, dtype=near.dtype) + within) / samples  # [S] or [R, S]
    return near[:, None] + (far - near)[:, None] * u  # [R, S]
