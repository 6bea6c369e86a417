"""Occupancy sampling: samples in occupied cells alone (Instant-NGP, Mueller et al. 2022, appendix C).

A grid over the bounds stores for every cell the highest density recently found in it. Rays are marched in even steps,
and steps in empty cells are skipped: of a hundred or more steps of a ray, a dozen remain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from nerfpipe.config.methods import NgpSamplingParams
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.geometry.space import Space
from nerfpipe.ops import dispatch
from nerfpipe.ops import march as ops
from nerfpipe.runtime.rng import random_stream
from nerfpipe.samplers.base import DensityField, Sampler
from nerfpipe.types import Rendering, Samples

MEAN_SHARE = 0.99  # of the mean density, the highest threshold: even a grid of equal cells has some above it
SHARE = 4  # later updates evaluate one cell in SHARE
FARTHEST = 255  # cells, the largest distance that is stored
EVERY_CELL = 16  # the number of first updates that evaluate every cell
ROUNDING = 1e-3  # of a cell: by so little a box may be longer than its cells
UNSEEN = 0.32  # of an even share of a ray's weight: a sample with less does not count as seen
FULL = 0.9  # share of occupied cells above which the user is advised


class Occupancy(Sampler):
    """Even steps through the occupied cells of a grid that follows the field."""

    low: Float[Tensor, " 3"]
    density: Float[Tensor, "X Y Z"]
    distance: UInt8[Tensor, "X Y Z"]
    random_numbers_per_ray = 1  # the shift of its steps

    def __init__(self, params: NgpSamplingParams, space: Space) -> None:
        super().__init__()
        self.params, self.space = params, space
        bounds = space.box
        extent = bounds[1] - bounds[0]
        side = float(extent.max())
        self.cell = side / params.grid  # scene units, as are the two lengths of a step
        self.train_step, self.render_step = side / params.steps, side / params.render_steps
        shape = [max(1, math.ceil(float(length) / self.cell - ROUNDING)) for length in extent]
        self.register_buffer("low", bounds[0].clone().float(), persistent=False)  # [3]
        self.register_buffer("density", torch.zeros(shape))  # [X, Y, Z], decayed maximum per cell
        # [X, Y, Z], cells to the nearest occupied one along whichever axis is farthest; 0: occupied
        self.register_buffer("distance", torch.zeros(shape, dtype=torch.uint8))

    def longest(self, step: float) -> int:
        """Samples of one ray at most, at this length of a step."""
        return math.ceil(self.space.longest_ray / step) + 1

    @property
    def samples_per_ray(self) -> int:  # type: ignore[override]  # a constant in other samplers
        """Samples of one ray at most, in training or rendering."""
        return self.longest(min(self.train_step, self.render_step))

    def forward(self, rays: RayBatch, previous: Rendering | None, jitter: Float[Tensor, "R 1"] | None) -> Samples:
        """Samples of R rays. jitter [R, 1] uniform in [0, 1) shifts a ray's steps when training.

        None is for rendering: finer steps, shifted by half of one.
        """
        shift = torch.full_like(rays.near, 0.5) if jitter is None else jitter[:, 0]  # [R]
        step = self.render_step if jitter is None else self.train_step
        if dispatch.is_fast(rays.origins):
            return self._march_fast(rays, shift, step)
        return self.march(rays, shift, step)

    def _march_fast(self, rays: RayBatch, shift: Tensor, step: float) -> Samples:
        near, far = self.space.spacing(rays.near), self.space.spacing(rays.far)
        positions, directions, t, delta, ray, offsets = ops.march(
            rays.origins, rays.directions, near, far, shift, step, self.space.linear, *self.grid, self.longest(step)
        )
        longest = int(offsets.diff().max()) if len(rays) else 0
        return Samples(positions, directions, t, delta, ray, offsets, longest, self.params.early_stop_eps)

    @property
    def grid(self) -> tuple[Float[Tensor, " 3"], float, UInt8[Tensor, "X Y Z"]]:
        """Lower corner [3], side of a cell, and distance [X, Y, Z] of every cell to an occupied one."""
        return self.low, self.cell, self.distance

    def march(self, rays: RayBatch, shift: Float[Tensor, " R"], step: float) -> Samples:
        """The definition: all steps of all rays, shifted by shift [R] of one; those in occupied cells are kept.

        Distances along the rays are constants for the gradient: a sample moves with its ray, not along it.
        """
        near, far = self.space.spacing(rays.near.detach()), self.space.spacing(rays.far.detach())
        span = (far - near).max().clamp_min(0)
        steps = torch.arange(int(span / step) + 2, device=shift.device)  # [S]
        s = near[:, None] + (steps + shift[:, None]) * np.float32(step)  # [R, S]
        t = self.space.distance_of(s)  # [R, S]
        positions = self.space.contract(rays.origins[:, None] + t[..., None] * rays.directions[:, None])  # [R, S, 3]
        kept = (s < far[:, None]) & self.is_occupied(positions)  # [R, S]
        counts = kept.sum(dim=1)  # [R]
        ray = torch.arange(len(rays), device=t.device).repeat_interleave(counts)  # [M]
        return Samples(
            positions=positions[kept],  # [M, 3]
            directions=rays.directions[ray],  # [M, 3]
            t=t[kept],  # [M]
            delta=torch.full_like(t[kept], step),
            ray=ray,
            ray_offsets=torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
            longest=int(counts.max()) if len(counts) else 0,
            early_stop_eps=self.params.early_stop_eps,
        )

    def is_occupied(self, positions: Float[Tensor, "*M 3"]) -> Bool[Tensor, "*M"]:
        """Whether the cells that contain positions [..., 3] are occupied: [...] bool."""
        return self.distance.view(-1)[self.cell_at(positions)] == 0

    def cell_at(self, positions: Float[Tensor, "*M 3"]) -> Int64[Tensor, "*M"]:
        """Indices [...] of the cells that contain positions [..., 3]; outside the grid, of the nearest cells."""
        cell = ((positions - self.low) * np.float32(1 / self.cell)).floor().long()
        X, Y, Z = self.distance.shape
        x, y, z = (cell[..., a].clamp(0, n - 1) for a, n in enumerate((X, Y, Z)))
        return (x * Y + y) * Z + z

    @torch.no_grad()
    def observe(self, rendering: Rendering) -> None:
        """Store the densities of a training step, so that cells which rays cross are updated all the time."""
        positions, density = rendering.samples.positions.detach(), rendering.density.detach()
        if dispatch.is_fast(density):
            ops.observe(positions, density, self.low, self.cell, self.density)
        else:
            self.density.view(-1).scatter_reduce_(0, self.cell_at(positions), density, reduce="amax")

    @torch.no_grad()
    def update(self, field: DensityField, seed: int, step: int) -> None:
        """Evaluate cells anew every `update_every` steps, at points that are a function of (seed, step).

        With each evaluation a cell's density decays by `decay`, unless a higher one is found. The threshold never
        exceeds the mean of the grid, so some cells always reach it and the grid cannot become empty. Nor can it stay
        full: cells that the field empties decay.
        """
        if step == 0 or step % self.params.update_every:
            return
        number, cells = step // self.params.update_every, self.density.numel()
        first, stride = (0, 1) if number <= EVERY_CELL else (number % SHARE, SHARE)
        looked = torch.arange(first, cells, stride, dtype=torch.int32, device=self.density.device)  # [K]
        _, Y, Z = self.density.shape
        corner = torch.stack([looked // (Y * Z), looked // Z % Y, looked % Z], dim=1)  # [K, 3]
        drawn = random_stream(seed, step, use="occupancy").random((len(looked), 3), dtype=np.float32)
        within = torch.from_numpy(drawn).to(looked.device)
        found = field.density(self.low + (corner + within) * self.cell)  # [K]
        known = self.density.view(-1)[first::stride]  # [K], a view
        known.copy_(torch.maximum(known * self.params.decay, found))
        self.mark(self.density >= self.threshold())

    @torch.no_grad()
    def cells_seen(self, rendering: Rendering) -> Bool[Tensor, "X Y Z"]:
        """The cells, [X, Y, Z] bool, in which some sample has weight; all rays have the same number of samples."""
        seen, samples = torch.zeros_like(self.density, dtype=torch.bool), rendering.samples
        seen.view(-1)[self.cell_at(samples.positions[rendering.weights * samples.longest > UNSEEN])] = True
        return seen

    def keep(self, seen: Bool[Tensor, "X Y Z"]) -> None:
        """Mark as empty all cells that are neither seen, [X, Y, Z] bool, nor next to one that is; none if none is."""
        if not seen.any():  # of a field that is next to nothing, what there is stays
            return
        near = functional.max_pool3d(seen[None].float(), kernel_size=3, stride=1, padding=1)[0] > 0
        self.mark(near & (self.distance == 0))

    def mark(self, occupied: Bool[Tensor, "X Y Z"]) -> None:
        """Set which cells are occupied, [X, Y, Z] bool."""
        if not occupied.any():
            self.distance.fill_(FARTHEST)
            return
        from scipy.ndimage import (
            distance_transform_cdt,  # takes a third of a second to import, and `tiny` and `nerf` do not need it
        )

        cells = distance_transform_cdt(~occupied.cpu().numpy(), metric="chessboard")
        self.distance.copy_(torch.from_numpy(cells.clip(0, FARTHEST).astype(np.uint8)))

    @contextmanager
    def scaled(self, factor: float) -> Iterator[None]:
        before = self.render_step
        self.render_step = before / factor
        try:
            yield
        finally:
            self.render_step = before

    def occupied_fraction(self) -> float:
        """The share of the cells that are occupied."""
        return float((self.distance == 0).float().mean())

    def advice(self) -> list[str]:
        occupied = self.occupied_fraction()
        if occupied <= FULL:
            return []
        return [
            f"the occupancy grid is still {occupied:.0%} full: nothing was found empty. A scene that fills its bounds "
            "is slow and often fog: look at data/views, and give it wider bounds, more views or more steps"
        ]

    def threshold(self) -> float:
        """The density from which a cell is occupied: a training step through it has the opacity `params.threshold`."""
        opaque = -math.log1p(-self.params.threshold) / self.train_step
        return min(opaque, MEAN_SHARE * float(self.density.mean()))
