"""Rendering of rays by the passes of a method.

A method is a sequence of passes. A pass chooses samples along the rays with its sampler, which may use the result of
the pass before, evaluates its field at them, and composites. The last pass gives the image; every pass is trained.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerfpipe.fields.base import Field
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.rendering.resampling import Resampling
from nerfpipe.rendering.volume_rendering import composite
from nerfpipe.runtime.device import mlp_precision
from nerfpipe.samplers.base import Sampler
from nerfpipe.types import Rendering, Samples


class Pass(nn.Module):
    """A sampler, and the field that is evaluated at its samples; or, to look twice, at samples drawn from these."""

    sampler: Sampler
    field: Field

    def __init__(self, sampler: Sampler, field: Field, resampling: Resampling | None = None) -> None:
        super().__init__()
        self.sampler, self.field, self.resampling = sampler, field, resampling

    @property
    def random_numbers_per_ray(self) -> int:
        """Uniform numbers that a ray uses in training."""
        return self.sampler.random_numbers_per_ray + (self.resampling is not None)

    @property
    def samples_per_ray(self) -> int:
        """Samples of a ray that the field is evaluated at, at most."""
        return self.sampler.samples_per_ray if self.resampling is None else self.resampling.samples

    def samples(self, rays: RayBatch, previous: Rendering | None, jitter: Float[Tensor, "R D"] | None) -> Samples:
        """The samples of R rays; jitter [R, random_numbers_per_ray] in training, else None."""
        if self.resampling is None:
            return self.sampler(rays, previous, jitter)
        return self.resampling(self.sampler, self.field, rays, jitter)


@runtime_checkable
class HasPasses(Protocol):
    """A model, as far as rendering and queries need one."""

    @property
    def last(self) -> Pass: ...

    def to(self, device: torch.device) -> object: ...  # in place, as nn.Module has it


def render_rays(
    passes: Iterable[Pass],
    rays: RayBatch,
    background: Float[Tensor, "... 3"],
    jitter: Float[Tensor, "R D"] | None = None,
    bf16: bool = False,
) -> list[Rendering]:
    """The rendering of R rays by each pass, in order; the last is the image. All rays must meet the bounds.

    background [3] or [R, 3]; jitter [R, D] uniform in [0, 1) when training, else None; bf16: networks compute in
    bfloat16 if the device has it.
    """
    renderings: list[Rendering] = []
    first = 0  # column of the jitter that the pass begins at
    for one_pass in passes:
        last = first + one_pass.random_numbers_per_ray
        noise = None if jitter is None else jitter[:, first:last]
        samples = one_pass.samples(rays, renderings[-1] if renderings else None, noise)
        with mlp_precision(rays.origins.device, bf16):
            output = one_pass.field(samples.positions, samples.directions)
        renderings.append(composite(samples, output, background))
        first = last
    return renderings
