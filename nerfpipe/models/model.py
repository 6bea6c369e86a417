"""A method's model: its passes, and its life in training. What a method need not do has a quiet default here."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from nerfpipe.config.params import RuntimeParams
from nerfpipe.fields.base import Field
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.rendering.render_rays import Pass, render_rays
from nerfpipe.samplers.base import Sampler
from nerfpipe.types import Pixels, Rendering


class Model(nn.Module):
    """The passes of a method, with their weights. Training calls, for each step,

    before_step, then after_chunk for each chunk of rays that has added its gradient, then after_backward, before the
    optimiser moves the weights.
    """

    sparse_gradients = False  # whether a batch touches few rows of the weights
    collapse_advice = ""  # what to try, besides a lower rate, if training finds nothing; {method} is its name

    def __init__(self, passes: list[Pass]) -> None:
        super().__init__()
        self.passes = nn.ModuleList(passes)

    @property
    def last(self) -> Pass:
        """The pass that gives the image."""
        return self.passes[-1]  # type: ignore[return-value]  # ModuleList holds what it was given

    @property
    def samplers(self) -> list[Sampler]:
        """The samplers of all passes."""
        return [one_pass.sampler for one_pass in self.passes]  # type: ignore[misc]

    @property
    def fields(self) -> list[Field]:
        """The fields of all passes."""
        return [one_pass.field for one_pass in self.passes]  # type: ignore[misc]

    @property
    def random_numbers_per_ray(self) -> int:
        """Uniform numbers that one ray uses in training, all passes together."""
        return sum(one_pass.random_numbers_per_ray for one_pass in self.passes)  # type: ignore[misc]

    @property
    def samples_per_ray(self) -> int:
        """Samples of one ray held in memory at once, at most."""
        return max(one_pass.samples_per_ray for one_pass in self.passes)  # type: ignore[type-var, return-value]

    @property
    def weights(self) -> int:
        """How many numbers are learned."""
        return sum(weight.numel() for weight in self.parameters())

    def uses_kernels(self, device: torch.device) -> bool:
        """Whether all that is slow runs in kernels on this device: they choose their own blocks and threads."""
        return False

    def chunk_rays(self, runtime: RuntimeParams, device: torch.device) -> int:
        """Rays to compute at once, from the runtime's samples per chunk."""
        chunk = runtime.cpu_chunk if device.type == "cpu" else runtime.gpu_chunk
        return max(1, chunk // self.samples_per_ray)

    def before_step(self, seed: int, step: int) -> None:
        """Let samplers learn of their fields: a function of (seed, step) and of the state it meets."""
        for sampler, field in zip(self.samplers, self.fields, strict=True):
            sampler.update(field, seed, step)

    def after_chunk(self, renderings: list[Rendering]) -> None:
        """Let samplers learn from what a chunk of rays saw."""
        for sampler, seen in zip(self.samplers, renderings, strict=True):
            sampler.observe(seen)

    def after_backward(self, learning: float) -> None:
        """Change the gradient of a step. learning: the share of the fine detail that learns by now, 1 or more: all."""
        for field in self.fields:
            field.freeze_levels(learning)

    def after_training(self, batches: Iterator[RayBatch]) -> None:
        """Let samplers learn what the train rays of some batches see, now that the weights are what they will be."""

    def render(self, rays: RayBatch, background: Tensor, bf16: bool) -> Pixels:
        """What R rays that meet the bounds see over background [3], without gradient."""
        return self.renderings(rays, background, bf16=bf16)[-1].pixels

    def renderings(
        self, rays: RayBatch, background: Tensor, jitter: Tensor | None = None, bf16: bool = False
    ) -> list[Rendering]:
        """What each pass makes of R rays that meet the bounds (see render_rays)."""
        return render_rays(self.passes, rays, background, jitter, bf16)  # type: ignore[arg-type]

    def advice(self) -> list[str]:
        """What a user should know of the trained model, in lines."""
        return [line for sampler in self.samplers for line in sampler.advice()]
