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
from nerfpipe.rendering.volume_rendering import composite
from nerfpipe.runtime.device import mlp_precision
from nerfpipe.samplers.base import Sampler
from nerfpipe.types import Rendering


class Pass(nn.Module):
    """A sampler, and the field that is evaluated at its samples."""

    sampler: Sampler
    field: Field

    def __init__(self, sampler: Sampler, field: Field) -> None:
        super().__init__()
        self.sampler, self.field = sampler, field


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
        last = first + one_pass.sampler.random_numbers_per_ray
        noise = None if jitter is None else jitter[:, first:last]
        samples = one_pass.sampler(rays, renderings[-1] if renderings else None, noise)
        with mlp_precision(rays.origins.device, bf16):
            output = one_pass.field(samples.positions, samples.directions)
        renderings.append(composite(samples, output, background))
        first = last
    return renderings
