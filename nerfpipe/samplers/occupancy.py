"""Occupancy sampling: look only where something is (Instant-NGP, Mueller et al. 2022, appendix C).

A grid of cells over the bounds remembers, of every cell, the highest density lately found in it. Rays are marched in
even steps, and a step that falls in an empty cell is left out: of a hundred or more steps a ray takes, a dozen remain.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from nerfpipe.config.methods import NgpSamplingParams
from nerfpipe.geometry.contraction import LINEAR
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.ops import dispatch
from nerfpipe.runtime.rng import random_stream
from nerfpipe.samplers.intervals import limits, place
from nerfpipe.types import Rendering, Samples

MEAN_SHARE = 0.99  # of the mean density, the highest threshold: even a grid of equal cells has some above it
SHARE = 4  # once every cell is known, an update looks at one cell in so many
FARTHEST = 255  # cells, the greatest distance that is remembered
EVERY_CELL = 16  # the first so many updates look at every cell


class Occupancy(nn.Module):
    """Even steps through the occupied cells of a grid that follows the field."""

    draws = 1  # one shift per ray

    def __init__(self, params: NgpSamplingParams, bounds: Tensor, unbounded: bool = False) -> None:
        super().__init__()
        self.params, self.unbounded = params, unbounded
        extent = bounds[1] - bounds[0]
        side = float(extent.max())
        self.cell = side / params.grid  # scene units, as are the two lengths of a step
        self.train_step, self.render_step = side / params.steps, side / params.render_steps
        self.reach = 2 * LINEAR if unbounded else float(extent.norm())  # of s, or t: no ray is longer
        shape = [max(1, math.ceil(float(length) / self.cell - 1e-3)) for length in extent]
        self.register_buffer("low", bounds[0].clone().float(), persistent=False)  # [3]
        self.register_buffer("density", torch.zeros(shape))  # [X, Y, Z], decayed maximum per cell
        # [X, Y, Z], cells to the nearest occupied one along whichever axis is farthest; 0: occupied
        self.register_buffer("distance", torch.zeros(shape, dtype=torch.uint8))

    def longest(self, step: float) -> int:
        """Samples of one ray at most, at this length of a step."""
        return math.ceil(self.reach / step) + 1

    @property
    def samples_per_ray(self) -> int:
        """Samples of one ray at most, in training or rendering."""
        return self.longest(min(self.train_step, self.render_step))

    def forward(self, rays: RayBatch, previous: Rendering | None, jitter: Tensor | None) -> Samples:
        """Samples of R rays. jitter [R, 1] uniform in [0, 1) shifts a ray's steps when training.

        None is for rendering: finer steps, shifted by half of one.
        """
        shift = torch.full_like(rays.near, 0.5) if jitter is None else jitter[:, 0]  # [R]
        step = self.render_step if jitter is None else self.train_step
        if dispatch.in_use(rays.near.device):
            from nerfpipe.kernels.numba.bindings import march as kernel

            return kernel(self, rays, shift, step)
        return self.march(rays, shift, step)

    def march(self, rays: RayBatch, shift: Tensor, step: float) -> Samples:
        """The same in plain torch: all steps of all rays, shifted by shift [R] of one; the occupied are kept."""
        near, far = limits(rays, self.unbounded)
        span = (far - near).max().clamp_min(0)
        steps = torch.arange(int(span / step) + 2, device=shift.device)  # [S]
        s = near[:, None] + (steps + shift[:, None]) * np.float32(step)  # [R, S]
        t, positions = place(rays, s, self.unbounded)  # [R, S], [R, S, 3]
        kept = (s < far[:, None]) & self.occupied_at(positions)  # [R, S]
        counts = kept.sum(dim=1)  # [R]
        ray = torch.arange(len(rays), device=t.device).repeat_interleave(counts)  # [M]
        return Samples(
            positions=positions[kept],  # [M, 3]
            directions=rays.directions[ray],  # [M, 3]
            t=t[kept],  # [M]
            delta=torch.full_like(t[kept], step),
            ray=ray,
            first=torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
            longest=int(counts.max()) if len(counts) else 0,
            stop=self.params.early_stop_eps,
            unbounded=self.unbounded,
        )

    def occupied_at(self, positions: Tensor) -> Tensor:
        """Whether the cells of positions [..., 3] are occupied: [...]."""
        return self.distance.view(-1)[self.cell_at(positions)] == 0

    def cell_at(self, positions: Tensor) -> Tensor:
        """The numbers [...] of the cells of positions [..., 3]; outside the grid, of the nearest cell."""
        cell = ((positions - self.low) * np.float32(1 / self.cell)).floor().long()
        X, Y, Z = self.distance.shape
        x, y, z = (cell[..., a].clamp(0, n - 1) for a, n in enumerate((X, Y, Z)))
        return (x * Y + y) * Z + z

    @torch.no_grad()
    def note(self, positions: Tensor, density: Tensor) -> None:
        """Remember density [M] found at positions [M, 3] on the way: what rays meet is looked at all the time."""
        if dispatch.in_use(positions.device):
            from nerfpipe.kernels.numba.bindings import note as kernel

            kernel(self, positions, density)
        else:
            self.density.view(-1).scatter_reduce_(0, self.cell_at(positions), density, reduce="amax")

    @torch.no_grad()
    def update(self, field: nn.Module, seed: int, step: int) -> None:
        """Look at cells anew, every `update_every` steps; which, and where in them, is a function of (seed, step).

        A cell's memory fades by `decay` with each look, unless the look finds more. The threshold never exceeds the
        mean of the grid: some cells always reach it, so the grid cannot die. It cannot stay full either: what the
        field empties fades.
        """
        if step == 0 or step % self.params.update_every:
            return
        number, cells = step // self.params.update_every, self.density.numel()
        first, stride = (0, 1) if number <= EVERY_CELL else (number % SHARE, SHARE)
        looked = torch.arange(first, cells, stride, device=self.density.device)  # [K]
        shape = torch.tensor(self.density.shape, device=looked.device)
        corner = torch.stack([looked // (shape[1] * shape[2]), looked // shape[2] % shape[1], looked % shape[2]], dim=1)
        within = random_stream(seed, step, use="occupancy").random((len(looked), 3), dtype=np.float32)
        within = torch.from_numpy(within).to(looked.device)
        found = field.density(self.low + (corner + within) * self.cell)  # [K]
        flat = self.density.view(-1)
        flat[looked] = torch.maximum(flat[looked] * self.params.decay, found)
        self.mark(self.density >= self.threshold())

    def mark(self, occupied: Tensor) -> None:
        """Set which cells are occupied, [X, Y, Z] bool."""
        if not occupied.any():
            self.distance.fill_(FARTHEST)
            return
        from scipy.ndimage import distance_transform_cdt  # a third of a second that `tiny` and `nerf` need not wait

        cells = distance_transform_cdt(~occupied.cpu().numpy(), metric="chessboard")
        self.distance.copy_(torch.from_numpy(cells.clip(0, FARTHEST).astype(np.uint8)))

    def share(self) -> float:
        """The share of the cells that are occupied."""
        return float((self.distance == 0).float().mean())

    def threshold(self) -> float:
        """The density from which a cell is occupied: a training step through it has the opacity `params.threshold`."""
        opaque = -math.log1p(-self.params.threshold) / self.train_step
        return min(opaque, MEAN_SHARE * float(self.density.mean()))
