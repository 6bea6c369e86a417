"""Packed samples from distances along rays, for all samplers."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nerfpipe.geometry.rays import RayBatch
from nerfpipe.geometry.space import Space
from nerfpipe.types import Samples


def pack(space: Space, rays: RayBatch, s: Float[Tensor, "R S"], delta: Float[Tensor, "R S"]) -> Samples:
    """Samples from s and delta [R, S], in the spacing of the space, of rays that all have S samples."""
    R, S = s.shape
    ray = torch.arange(R, device=s.device).repeat_interleave(S)  # [R·S]
    t = space.distance_of(s)  # [R, S]
    positions = space.contract(rays.origins[:, None] + t[..., None] * rays.directions[:, None])  # [R, S, 3]
    return Samples(
        positions=positions.reshape(-1, 3),  # [R·S, 3]
        directions=rays.directions[:, None].expand_as(positions).reshape(-1, 3),  # [R·S, 3]
        t=t.reshape(-1),  # [R·S]
        delta=delta.reshape(-1),
        ray=ray,
        ray_offsets=torch.arange(R + 1, device=s.device) * S,
        longest=S,
    )


def segment_edges(
    s: Float[Tensor, "R S"], near: Float[Tensor, " R"], far: Float[Tensor, " R"]
) -> Float[Tensor, "R S+1"]:
    """Edges [R, S + 1] of the segments of sorted samples s [R, S].

    Neighbouring segments meet halfway between their samples. The first begins at near and the last ends at far [R], so
    that every segment is finite and together they are exactly [near, far].
    """
    halfway = 0.5 * (s[:, 1:] + s[:, :-1])  # [R, S - 1]
    return torch.cat([near[:, None], halfway, far[:, None]], dim=1)  # [R, S + 1]
