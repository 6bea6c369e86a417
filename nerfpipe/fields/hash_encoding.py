"""Multiresolution hash encoding (Instant-NGP, Mueller et al. 2022, section 3).

L lattices, from coarse to fine, lie over a cube. Every lattice point has a learned row of F numbers; a position gets,
from each level, the trilinear mean of the eight rows around it. Coarse levels have a row for every point. Fine ones
have fewer rows than points, and the row of point (x, y, z) is a hash (eq. 4)

    (x  xor  2654435761 y  xor  805459861 z)  mod  rows

Collisions are left to training: dense, visible points have larger gradients than empty ones and dominate.

`forward` is the definition. Where kernels run, `NgpField` hands the table to them, and they encode.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from nerfpipe.ops.constants import FEATURES, PRIMES

ALWAYS_LEARNING = 2  # the coarsest levels, which always learn
START = 1e-4  # rows are initialised uniformly in [-START, START] (section 4)


class HashEncoding(nn.Module):
    """Positions in a cube -> L·F features.

    `low` is the cube's lower corner and `side` its length, scene units. Level l has resolutions growing geometrically
    from `base_resolution` to `max_resolution` cells along the side, and at most 2^log2_hashmap_size rows.
    """

    low: Float[Tensor, " 3"]
    corners: Int64[Tensor, "8 3"]
    level_table: Int64[Tensor, "L 4"]

    def __init__(
        self,
        low: Float[Tensor, " 3"],
        side: float,
        levels: int,
        base_resolution: int,
        max_resolution: int,
        log2_hashmap_size: int,
    ) -> None:
        super().__init__()
        self.side, self.size = side, levels * FEATURES
        growth = (max_resolution / base_resolution) ** (1 / max(1, levels - 1))  # eq. 3
        resolutions = [round(base_resolution * growth**level) for level in range(levels)]
        points = [(resolution + 1) ** 3 for resolution in resolutions]
        rows = [min(count, 2**log2_hashmap_size) for count in points]
        offsets = [sum(rows[:level]) for level in range(levels)]
        dense = [int(count == kept) for count, kept in zip(points, rows, strict=True)]
        self.levels = list(zip(resolutions, offsets, rows, dense, strict=True))  # dense: every point has its own row
        self.register_buffer("level_table", torch.tensor(self.levels), persistent=False)  # [L, 4], for kernels
        self.register_buffer("low", low.float(), persistent=False)  # [3]
        corners = torch.tensor([[n & 1, n >> 1 & 1, n >> 2] for n in range(8)])
        self.register_buffer("corners", corners, persistent=False)  # [8, 3], x varies fastest
        self.table = nn.Parameter((torch.rand(sum(rows), FEATURES) * 2 - 1) * START)  # [rows of all levels, F]

    def forward(self, positions: Float[Tensor, "M 3"]) -> Float[Tensor, "M E"]:
        """Positions [M, 3] in scene units, taken to the nearest point of the cube -> features [M, L·F]."""
        unit = ((positions - self.low) / self.side).clamp(0, 1)  # [M, 3]
        return torch.cat([self._level(unit, *level) for level in self.levels], dim=1)  # [M, L·F]

    def freeze_levels(self, learning: float) -> None:
        """Clear the gradient of the fine levels that do not learn yet; all learn from `learning` = 1 on.

        Without a gradient rows stay close to zero, as initialised. So a scene with few pictures gets its large shapes
        first, before fine levels can reproduce each picture by a fog in front of its camera (annealing, as in
        Neuralangelo, Li et al. 2023, and FreeNeRF, Yang et al. 2023).
        """
        count = ALWAYS_LEARNING + int((len(self.levels) - ALWAYS_LEARNING) * learning)
        if count < len(self.levels) and self.table.grad is not None:
            _, offset, _, _ = self.levels[count]
            self.table.grad[offset:] = 0

    def _level(self, unit: Tensor, resolution: int, offset: int, rows: int, dense: int) -> Tensor:
        scaled = unit * resolution
        cell = scaled.long().clamp_max(resolution - 1)  # [M, 3], the cell's lowest corner
        within = (scaled - cell)[:, None]  # [M, 1, 3] in [0, 1]
        weights = torch.where(self.corners.bool(), within, 1 - within).prod(dim=2)  # [M, 8]
        row = offset + self._row(cell[:, None] + self.corners, resolution, rows, dense)  # [M, 8]
        return (weights[..., None] * self.table[row]).sum(dim=1)  # [M, F]

    @staticmethod
    def _row(point: Tensor, resolution: int, rows: int, dense: int) -> Tensor:
        """The rows [...] of lattice points [..., 3], within their level."""
        x, y, z = point.unbind(dim=-1)
        if dense:
            return x + (resolution + 1) * (y + (resolution + 1) * z)
        return (x * PRIMES[0] ^ y * PRIMES[1] ^ z * PRIMES[2]) % rows
