"""The fast form of drawing samples from weights. Definition: rendering/resampling.py, `definition`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.library import register_fake

from nerfpipe.ops.registration import operation


@operation("nerfpipe::resample")
def resample(
    s: Tensor, delta: Tensor, density: Tensor, counts: Tensor, within: Tensor, samples: int
) -> tuple[Tensor, Tensor]:
    """Places and segment lengths [R, S] of `samples` samples of each ray, without gradient.

    s, delta, density [R, K]: the middle, length and density of the steps of R rays, of which each has counts [R];
    within [R]: where a sample lies in its share of the weights.
    """
    from nerfpipe.kernels.numba import bindings

    return bindings.resample(s, delta, density, counts, within, samples)


@register_fake("nerfpipe::resample")
def _(s: Tensor, delta: Tensor, density: Tensor, counts: Tensor, within: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    made = s.new_empty(s.shape[0], samples)
    return made, torch.empty_like(made)
