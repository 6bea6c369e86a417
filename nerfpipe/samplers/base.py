"""What every sampler offers: its samples, and its life in training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nerfpipe.geometry.rays import RayBatch
from nerfpipe.types import Rendering, Samples


@runtime_checkable
class DensityField(Protocol):
    """What a sampler may ask of a field."""

    def density(self, positions: Float[Tensor, "M 3"]) -> Float[Tensor, " M"]:
        """Density [M] at positions [M, 3]."""


class Sampler(nn.Module):
    """Chooses positions along rays. What a sampler need not know has a quiet default here."""

    random_numbers_per_ray: int  # uniform in [0, 1), in training
    samples_per_ray: int  # at most

    def forward(self, rays: RayBatch, previous: Rendering | None, jitter: Float[Tensor, "R D"] | None) -> Samples:
        """Samples of R rays. previous: what the pass before saw; jitter [R, D] in training, None in rendering."""
        raise NotImplementedError

    def update(self, field: DensityField, seed: int, step: int) -> None:
        """Learn from the field before a training step: a function of (seed, step) and the state of both."""

    def observe(self, rendering: Rendering) -> None:
        """Learn from what a training step saw."""

    def is_occupied(self, positions: Float[Tensor, "*M 3"]) -> Bool[Tensor, "*M"]:
        """[...] bool: whether anything may be at positions [..., 3] of the field's box."""
        return torch.ones_like(positions[..., 0], dtype=torch.bool)

    @contextmanager
    def scaled(self, factor: float) -> Iterator[None]:
        """Inside, rays get `factor` times the samples, as far as this sampler decides on it."""
        yield

    def advice(self) -> list[str]:
        """What a user should know of the sampler after training, in lines."""
        return []
