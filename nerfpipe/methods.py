"""The methods: which fields and samplers, in which order.

A method is a sequence of passes. Each pass looks along the rays with its sampler - which may look where the pass before
found something - and asks its field what is there. The last pass gives the picture; every pass is trained.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from nerfpipe.config import MethodParams, NerfParams, TinyParams
from nerfpipe.fields.nerf import NerfField
from nerfpipe.fields.tiny import TinyField
from nerfpipe.rays import RayBatch
from nerfpipe.sampling.hierarchical import Hierarchical
from nerfpipe.sampling.samples import Samples
from nerfpipe.sampling.stratified import Stratified
from nerfpipe.volume import Rendering


class Sampler(Protocol):
    """Chooses where along the rays to look."""

    draws: int  # uniform numbers it uses per ray
    samples_per_ray: int  # at most

    def __call__(self, rays: RayBatch, previous: Rendering | None, jitter: Tensor | None) -> Samples: ...


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


def build_model(params: MethodParams, seed: int) -> Model:
    """A method's model on the CPU, its initial weights a function of the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match params:
            case TinyParams():
                return Model([Pass(Stratified(params.sampling.samples), TinyField(params.field))])
            case NerfParams():
                coarse, fine = params.sampling.coarse, params.sampling.fine
                return Model(
                    [
                        Pass(Stratified(coarse), NerfField(params.field)),
                        Pass(Hierarchical(coarse, fine), NerfField(params.field)),
                    ]
                )
    raise TypeError(f"no method has {type(params).__name__}")
