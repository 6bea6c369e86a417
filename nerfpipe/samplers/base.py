"""What every sampler offers."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from nerfpipe.geometry.rays import RayBatch
from nerfpipe.types import Rendering, Samples


class Sampler(Protocol):
    """Chooses where along the rays to look."""

    draws: int  # uniform numbers it uses per ray
    samples_per_ray: int  # at most

    def __call__(self, rays: RayBatch, previous: Rendering | None, jitter: Tensor | None) -> Samples: ...
