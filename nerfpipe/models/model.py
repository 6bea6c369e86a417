"""The methods: which fields and samplers, in which order.

A method is a sequence of passes. Each pass looks along the rays with its sampler - which may look where the pass before
found something - and asks its field what is there. The last pass gives the picture; every pass is trained.
"""

from __future__ import annotations

import torch
from torch import nn

from nerfpipe.config.params import RuntimeParams
from nerfpipe.fields.ngp import NgpField
from nerfpipe.ops import dispatch
from nerfpipe.samplers.base import Sampler
from nerfpipe.samplers.occupancy import Occupancy
from nerfpipe.types import Rendering

FULL = 0.9  # share of an occupancy grid above which it has not done its work
KERNEL_RAYS = 2**17  # rays handed to kernels at once: what they leave behind stays small


class Pass(nn.Module):
    """A sampler and the field that is asked at its samples."""

    def __init__(self, sampler: Sampler, field: nn.Module) -> None:
        super().__init__()
        self.sampler, self.field = sampler, field


class Model(nn.Module):
    """The passes of a method, with their weights."""

    def __init__(self, passes: list[Pass]) -> None:
        super().__init__()
        self.passes = nn.ModuleList(passes)

    @property
    def draws(self) -> int:
        """Uniform numbers that one ray uses in training, all passes together."""
        return sum(each.sampler.draws for each in self.passes)

    @property
    def samples_per_ray(self) -> int:
        """Samples of one ray held in memory at once, at most."""
        return max(each.sampler.samples_per_ray for each in self.passes)

    @property
    def weights(self) -> int:
        """How many numbers are learned."""
        return sum(weight.numel() for weight in self.parameters())

    def note(self, passes: list[Rendering]) -> None:
        """Let samplers learn from what a training step has seen."""
        for each, seen in zip(self.passes, passes, strict=True):
            if isinstance(each.sampler, Occupancy):
                each.sampler.note(seen.samples.positions, seen.density.detach())

    def hold_back(self, opened: float) -> None:
        """Take the gradient of this step from levels of hash grids that do not learn yet; opened 1: all do."""
        for each in self.passes:
            each.field.grid.hold_back(opened)

    def remarks(self) -> list[str]:
        """What a user should know of the trained model, in lines."""
        shares = [each.sampler.share() for each in self.passes if isinstance(each.sampler, Occupancy)]
        return [
            f"the occupancy grid is still {share:.0%} full: nothing was found empty. A scene that fills its bounds is "
            "slow and often fog: look at data/views, and give it wider bounds, more views or more steps"
            for share in shares
            if share > FULL
        ]

    def update(self, seed: int, step: int) -> None:
        """What a sampler learns of its field between two steps."""
        for each in self.passes:
            if isinstance(each.sampler, Occupancy):
                each.sampler.update(each.field, seed, step)


def runs_in_kernels(model: Model, device: torch.device) -> bool:
    """Whether all of the model's passes are computed by CPU kernels."""
    return dispatch.in_use(device) and all(isinstance(each.field, NgpField) for each in model.passes)


def block_rays(model: Model, runtime: RuntimeParams, device: torch.device) -> int:
    """How many rays to compute at once, from the runtime's samples per block. Kernels make blocks of their own."""
    if runs_in_kernels(model, device):
        return KERNEL_RAYS
    block = runtime.cpu_chunk if device.type == "cpu" else runtime.gpu_chunk
    return max(1, block // model.samples_per_ray)
