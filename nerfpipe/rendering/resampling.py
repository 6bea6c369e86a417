"""Resampling: a ray's samples are drawn anew where the field itself is dense.

The first look is cheap: density alone, at the sampler's steps, from the front until the ray is opaque. From its weights
a fixed number of samples is drawn, as for the fine pass of NeRF (Mildenhall et al. 2020, section 5.2), but of the same
field: segments are short at a surface and long in thin fog. Fog that is seen in long segments is opaque or nothing, so
that it does not last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nerfpipe.geometry.rays import RayBatch
from nerfpipe.geometry.space import Space
from nerfpipe.ops import dispatch
from nerfpipe.ops import resample as ops
from nerfpipe.ops.constants import EMPTY, EVERYWHERE
from nerfpipe.rendering.volume_rendering import ray_weights
from nerfpipe.samplers.base import DensityField, Sampler
from nerfpipe.samplers.intervals import pack
from nerfpipe.types import Samples

LOOK = 1 / 4  # of the longest ray: what is looked at before it is known which rays go on


@dataclass(frozen=True)
class Survey:
    """The first look at R rays: the sampler's steps on each, up to where it is opaque; zeros after the last.

    s and delta are in the spacing of the space.
    """

    s: Float[Tensor, "R K"]  # the middle of a step
    delta: Float[Tensor, "R K"]
    density: Float[Tensor, "R K"]
    counts: Int64[Tensor, " R"]  # steps of a ray


@dataclass(frozen=True)
class Resampling:
    """How a pass resamples: `samples` for each ray, in a space; behind a transmittance of early_stop_eps is nothing."""

    space: Space
    samples: int
    early_stop_eps: float

    def __call__(
        self, sampler: Sampler, field: DensityField, rays: RayBatch, jitter: Float[Tensor, "R D"] | None
    ) -> Samples:
        """Samples of R rays. jitter: the sampler's numbers and one more, uniform in [0, 1), or None."""
        first = None if jitter is None else jitter[:, :-1]
        within = torch.full_like(rays.near, 0.5) if jitter is None else jitter[:, -1]
        seen = survey(sampler, field, self.space, rays, first, self.early_stop_eps)
        return resample(seen, self.space, rays, self.samples, within, self.early_stop_eps)


@torch.no_grad()
def survey(
    sampler: Sampler,
    field: DensityField,
    space: Space,
    rays: RayBatch,
    jitter: Float[Tensor, "R D"] | None,
    stop: float,
) -> Survey:
    """The steps of R rays from the front, until their transmittance is below `stop`. jitter as for the sampler."""
    near, far = space.spacing(rays.near), space.spacing(rays.far)
    length, opaque = LOOK * space.longest_ray, -math.log(stop) if stop > 0 else math.inf
    tau, counts = torch.zeros_like(near), torch.zeros_like(near, dtype=torch.int64)  # [R]
    looks: list[tuple[Tensor, ...]] = []
    alive = torch.arange(len(rays), device=near.device)
    while len(alive):
        begin = near[alive] + len(looks) * length
        end = torch.minimum(begin + length, far[alive])
        part = replace(rays[alive], near=space.distance_of(begin), far=space.distance_of(end))
        steps = sampler(part, None, None if jitter is None else jitter[alive])
        density, ray = field.density(steps.positions), alive[steps.ray]  # [M]
        column = counts[ray] + torch.arange(len(ray), device=ray.device) - steps.ray_offsets[steps.ray]
        looks.append((ray, column, space.spacing(steps.t), steps.delta, density))
        counts[alive] += steps.ray_offsets.diff()
        tau.index_add_(0, ray, density * steps.delta)
        alive = alive[(tau[alive] <= opaque) & (end < far[alive])]
    seen = near.new_zeros(3, len(rays), int(counts.max()) if len(rays) else 0)  # [3, R, K]
    for ray, column, *values in looks:
        for row, value in zip(seen, values, strict=True):
            row[ray, column] = value
    return Survey(seen[0], seen[1], seen[2], counts)


def resample(
    seen: Survey, space: Space, rays: RayBatch, samples: int, within: Float[Tensor, " R"], early_stop_eps: float
) -> Samples:
    """`samples` samples of each of R rays, drawn from the weights of the first look.

    within [R]: where a sample lies in its share of the weights, in [0, 1). A ray without steps has samples of length 0.
    """
    draw = ops.resample if dispatch.is_fast(seen.density) else definition
    s, delta = draw(seen.s, seen.delta, seen.density, seen.counts, within, samples)  # [R, S] each
    near, far = space.spacing(rays.near)[:, None], space.spacing(rays.far)[:, None]
    return replace(pack(space, rays, s.clamp(near, far), delta), early_stop_eps=early_stop_eps)


def definition(
    s: Float[Tensor, "R K"],
    delta: Float[Tensor, "R K"],
    density: Float[Tensor, "R K"],
    counts: Int64[Tensor, " R"],
    within: Float[Tensor, " R"],
    samples: int,
) -> tuple[Float[Tensor, "R S"], Float[Tensor, "R S"]]:
    """Places and segment lengths [R, S]: the inverse of the weights' distribution over the steps, at S even numbers.

    Segment k reaches from the inverse at k / S to that at (k + 1) / S, as long as the steps it covers. A step
    has the larger of its own weight and its neighbours', halved and summed on both sides (mip-NeRF, Barron et al.
    2021, section 3.1), and a share of all weights, so that no step is never looked at again.
    """
    R, K = s.shape
    if K == 0:
        return s.new_zeros(R, samples), s.new_zeros(R, samples)
    step = torch.arange(K, device=s.device)
    exists = step < counts[:, None]  # [R, K]
    w = torch.where(exists, ray_weights(density, delta), 0)
    before = torch.cat([w[:, :1], w[:, :-1]], dim=1)
    after = torch.cat([w[:, 1:], w[:, -1:]], dim=1)
    after = torch.where(step == counts[:, None] - 1, w, after)
    w = 0.5 * (torch.maximum(before, w) + torch.maximum(w, after))
    even = EVERYWHERE * w.sum(dim=1).clamp_min(EMPTY) / counts.clamp_min(1)  # [R]
    w = torch.where(exists, w + even[:, None], 0)
    total = torch.where(counts > 0, w.sum(dim=1), 1)  # [R]
    cdf = w.cumsum(dim=1) / total[:, None]  # [R, K], at the end of each step
    cdf = torch.where(step >= counts[:, None] - 1, 1, cdf)
    length = delta.cumsum(dim=1)

    number = torch.arange(samples, device=s.device, dtype=s.dtype)
    at, share = _inverse(cdf, (number + within[:, None]) / samples)  # [R, S]
    places = s.gather(1, at) + (share - 0.5) * delta.gather(1, at)
    at, share = _inverse(cdf, ((number + 1) / samples).expand(R, -1))
    ends = length.gather(1, at) - (1 - share) * delta.gather(1, at)  # [R, S]
    ends = torch.cat([ends[:, :-1], length[:, -1:]], dim=1)
    return places, ends.diff(dim=1, prepend=torch.zeros_like(ends[:, :1]))


def _inverse(cdf: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The steps [R, S] in which a distribution [R, K] reaches u [R, S], and the share of each before that."""
    at = torch.searchsorted(cdf, u.contiguous()).clamp_max(cdf.shape[1] - 1)
    upper = cdf.gather(1, at)
    lower = torch.where(at > 0, cdf.gather(1, (at - 1).clamp_min(0)), 0)
    return at, ((u - lower) / (upper - lower).clamp_min(EMPTY)).clamp(0, 1)
