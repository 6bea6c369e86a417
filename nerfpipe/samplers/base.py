"""The interface of all samplers: samples along rays, and what is called in training."""

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
    """A field, as far as a sampler needs one."""

    def density(self, positions: Float[Tensor, "M 3"]) -> Float[Tensor, " M"]:
        """Density [M] at positions [M, 3]."""


class Sampler(nn.Module):
    """Chooses positions along rays. Methods that few samplers need do nothing by default."""

    random_numbers_per_ray: int  # uniform in [0, 1), in training
    samples_per_ray: int  # at most

    def forward(self, rays: RayBatch, previous: Rendering | None, jitter: Float[Tensor, "R D"] | None) -> Samples:
        """Samples of R rays. previous: the rendering of the pass before; jitter [R, D] in training, else None."""
        raise NotImplementedError

    def update(self, field: DensityField, seed: int, step: int) -> None:
        """Learn from the field before a training step: a function of (seed, step) and the state of both."""

    def observe(self, rendering: Rendering) -> None:
        """Learn from the rendering of a training step."""

    def is_occupied(self, positions: Float[Tensor, "*M 3"]) -> Bool[Tensor, "*M"]:
        """[...] bool: whether there may be matter at positions [..., 3] of the field's box."""
        return torch.ones_like(positions[..., 0], dtype=torch.bool)

    @contextmanager
    def scaled(self, factor: float) -> Iterator[None]:
        """Inside, rays get `factor` times the samples, if this sampler chooses their number."""
        yield

    def advice(self) -> list[str]:
        """Advice to the user after training, one line each."""
        return []
