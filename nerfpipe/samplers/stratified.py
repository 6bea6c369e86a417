"""Stratified sampling: one sample in each of equal bins (NeRF, Mildenhall et al. 2020, eq. 2)."""

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

FEWEST = 2  # samples of a ray, however coarse the rendering


class Stratified(Sampler):
    """[near, far] is cut into bins that are equal in the spacing of the space. Each bin gets one sample: at random in
    training, else its middle.
    """

    def __init__(self, samples: int, space: Space) -> None:
        super().__init__()
        self.random_numbers_per_ray = self.samples_per_ray = samples
        self.space = space

    def forward(self, rays: RayBatch, previous: Rendering | None, jitter: Float[Tensor, "R S"] | None) -> Samples:
        """Samples of R rays. jitter [R, samples] uniform in [0, 1), or None for the middles."""
        near, far = self.space.spacing(rays.near), self.space.spacing(rays.far)
        s = stratified(near, far, self.samples_per_ray, jitter)  # [R, S]
        edges = segment_edges(s, near, far)
        return pack(self.space, rays, s, edges[:, 1:] - edges[:, :-1])

    @contextmanager
    def scaled(self, factor: float) -> Iterator[None]:
        before = self.samples_per_ray
        self.samples_per_ray = max(FEWEST, round(before * factor))
        try:
            yield
        finally:
            self.samples_per_ray = before


def stratified(
    near: Float[Tensor, " R"], far: Float[Tensor, " R"], samples: int, jitter: Float[Tensor, "R S"] | None
) -> Float[Tensor, "R S"]:
    """Sorted s [R, S]: one in each of S equal bins between near [R] and far [R]."""
    within = 0.5 if jitter is None else jitter
    u = (torch.arange(samples, device=near.device, dtype=near.dtype) + within) / samples  # [S] or [R, S]
    return near[:, None] + (far - near)[:, None] * u  # [R, S]
