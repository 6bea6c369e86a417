"""What travels between samplers, fields, rendering and losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nerfpipe.geometry.contraction import warp


@dataclass(frozen=True)
class Rendering:
    """What R rays see."""

    colour: Tensor  # [R, 3], over the background
    opacity: Tensor  # [R]
    depth: Tensor  # [R], mean distance t of what is seen, in scene units; 0 where nothing is
    weights: Tensor  # [M], w of each sample
    density: Tensor  # [M], sigma of each sample
    samples: Samples


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
