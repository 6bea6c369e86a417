"""Where along the rays the field is looked at: one layout for every way of choosing."""

from __future__ import annotations

import torch
from torch import Tensor

from nerfpipe.geometry.contraction import contract, unwarp, warp
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.types import Samples


def limits(rays: RayBatch, unbounded: bool) -> tuple[Tensor, Tensor]:
    """Near and far of the rays [R], in an unbounded scene of s."""
    return (warp(rays.near), warp(rays.far)) if unbounded else (rays.near, rays.far)


def place(rays: RayBatch, s: Tensor, unbounded: bool) -> tuple[Tensor, Tensor]:
    """Distances t [R, S] and positions [R, S, 3] of s [R, S] along the rays; in an unbounded scene contracted."""
    t = unwarp(s) if unbounded else s
    positions = rays.origins[:, None] + t[..., None] * rays.directions[:, None]  # [R, S, 3]
    return t, contract(positions) if unbounded else positions


def pack(rays: RayBatch, s: Tensor, delta: Tensor, unbounded: bool = False) -> Samples:
    """Samples from rows s, delta [R, S] that are all full. In a bounded scene s is the distance t."""
    R, S = s.shape
    ray = torch.arange(R, device=s.device).repeat_interleave(S)  # [R·S]
    first = torch.arange(R + 1, device=s.device) * S
    t, positions = place(rays, s, unbounded)
    directions = rays.directions[:, None].expand_as(positions).reshape(-1, 3)  # [R·S, 3]
    packed = (positions.reshape(-1, 3), directions, t.reshape(-1), delta.reshape(-1), ray, first)
    return Samples(*packed, longest=S, unbounded=unbounded)


def segment_edges(s: Tensor, near: Tensor, far: Tensor) -> Tensor:
    """Edges [R, S + 1] of the segments that sorted samples s [R, S] stand for.

    Neighbouring segments meet halfway between their samples; the first begins at near and the last ends at far,
    so that every segment is finite and together they are exactly [near, far].
    """
    halfway = 0.5 * (s[:, 1:] + s[:, :-1])  # [R, S - 1]
    return torch.cat([near[:, None], halfway, far[:, None]], dim=1)  # [R, S + 1]
