"""The data that samplers, fields, rendering and losses hand to one another.

Notation: R rays; M samples of all rays, packed; S samples of the longest ray; C components of a channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

COLOUR = "colour"  # the channel that every field has, and that images show


@dataclass(frozen=True)
class Samples:
    """M samples of R rays, packed ray by ray and in order of t within each ray.

    Rays may have different numbers of samples; `longest` is the largest. The padded form is [R, longest]: a row per
    ray, with zeros after its last sample.
    """

    positions: Float[Tensor, "M 3"]  # in the coordinates of the space that the field covers
    directions: Float[Tensor, "M 3"]  # unit, of the sample's ray
    t: Float[Tensor, " M"]  # distance along the unit ray
    delta: Float[Tensor, " M"]  # length of the sample's segment, in the spacing of the space
    ray: Int64[Tensor, " M"]  # the sample's ray
    ray_offsets: Int64[Tensor, " offsets"]  # [R + 1], the first sample of each ray; the last entry is M
    longest: int
    early_stop_eps: float = 0.0  # transmittance below which the rest of a ray is skipped

    @property
    def rays(self) -> int:
        return len(self.ray_offsets) - 1

    @property
    def full(self) -> bool:
        """Whether all rays have the same number of samples."""
        return len(self.t) == self.rays * self.longest

    def pad(self, packed: Shaped[Tensor, "M ..."]) -> Shaped[Tensor, "R S ..."]:
        """Packed values [M, ...] in padded form [R, longest, ...]."""
        if self.full:
            return packed.reshape(self.rays, self.longest, *packed.shape[1:])  # [R, S, ...]
        rows = packed.new_zeros(self.rays * self.longest, *packed.shape[1:])
        rows = rows.index_copy(0, self._padded_index(), packed)
        return rows.reshape(self.rays, self.longest, *packed.shape[1:])  # [R, S, ...]

    def pack(self, padded: Shaped[Tensor, "R S ..."]) -> Shaped[Tensor, "M ..."]:
        """Padded form [R, longest, ...] back to packed [M, ...]."""
        flat = padded.reshape(self.rays * self.longest, *padded.shape[2:])  # [R·S, ...]
        if self.full:
            return flat
        return flat[self._padded_index()]  # [M, ...]

    def _padded_index(self) -> Tensor:
        """[M] the row of each sample in the flattened padded form."""
        within = torch.arange(len(self.ray), device=self.ray.device) - self.ray_offsets[self.ray]
        return self.ray * self.longest + within


@dataclass(frozen=True)
class FieldOutput:
    """A field's output at M samples: density, and channels by name, one of which is the colour."""

    density: Float[Tensor, " M"]  # >= 0, per unit of the space's spacing
    channels: Mapping[str, Float[Tensor, "M _"]]

    @property
    def colour(self) -> Float[Tensor, "M 3"]:
        """[M, 3] in [0, 1]."""
        return self.channels[COLOUR]


@dataclass(frozen=True)
class Pixels:
    """The rendered values of R rays."""

    colour: Float[Tensor, "R 3"]  # over the background
    opacity: Float[Tensor, " R"]
    depth: Float[Tensor, " R"]  # mean distance t, weighted by w; 0 if the ray meets nothing
    channels: Mapping[str, Float[Tensor, "R _"]] = field(default_factory=dict)  # the others by name, on no background


@dataclass(frozen=True)
class Rendering:
    """The rendered values of R rays, and the weights and densities of the samples that they are made of."""

    pixels: Pixels
    weights: Float[Tensor, " M"]  # w of each sample
    density: Float[Tensor, " M"]  # sigma of each sample
    samples: Samples

    @property
    def colour(self) -> Float[Tensor, "R 3"]:
        """[R, 3]"""
        return self.pixels.colour

    @property
    def opacity(self) -> Float[Tensor, " R"]:
        """[R]"""
        return self.pixels.opacity

    @property
    def depth(self) -> Float[Tensor, " R"]:
        """[R]"""
        return self.pixels.depth
