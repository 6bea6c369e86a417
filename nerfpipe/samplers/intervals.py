"""Where along the rays the field is looked at: one layout for every way of choosing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nerfpipe.geometry.contraction import contract, unwarp, warp
from nerfpipe.geometry.rays import RayBatch


@dataclass(frozen=True)
class Samples:
    """M samples of R rays, packed ray by ray and in order of t within each ray.

    Rays may have different numbers of samples; `longest` is the largest. Row form is [R, longest], one ray a row,
    zeros behind a ray's last sample.
    """

    positions: Tensor  # [M, 3], in an unbounded scene contracted
    directions: Tensor  # [M, 3], unit, of the sample's ray
    t: Tensor  # [M], distance along the unit ray
    delta: Tensor  # [M], length of the segment that the sample stands for; in an unbounded scene, of s
    ray: Tensor  # [M] int64, which ray
    first: Tensor  # [R + 1] int64, where each ray's samples begin; the last entry is M
    longest: int
    stop: float = 0.0  # transmittance below which the rest of a ray is left out
    unbounded: bool = False  # see contraction, where s is explained

    @property
    def rays(self) -> int:
        return len(self.first) - 1

    @property
    def s(self) -> Tensor:
        """[M] where along the ray, in the measure that `delta` has."""
        return warp(self.t) if self.unbounded else self.t

    @property
    def full(self) -> bool:
        """Whether all rays have the same number of samples."""
        return len(self.t) == self.rays * self.longest

    def to_rows(self, packed: Tensor) -> Tensor:
        """Packed values [M, ...] in row form [R, longest, ...]."""
        if self.full:
            return packed.reshape(self.rays, self.longest, *packed.shape[1:])  # [R, S, ...]
        rows = packed.new_zeros(self.rays * self.longest, *packed.shape[1:])
        rows = rows.index_copy(0, self._places(), packed)
        return rows.reshape(self.rays, self.longest, *packed.shape[1:])  # [R, S, ...]

    def to_packed(self, rows: Tensor) -> Tensor:
        """Row form [R, longest, ...] back to packed [M, ...]."""
        flat = rows.reshape(self.rays * self.longest, *rows.shape[2:])  # [R·S, ...]
        if self.full:
            return flat
        return flat[self._places()]  # [M, ...]

    def _places(self) -> Tensor:
        """[M] where each sample lies in the flattened rows."""
        within = torch.arange(len(self.ray), device=self.ray.device) - self.first[self.ray]
        return self.ray * self.longest + within


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
