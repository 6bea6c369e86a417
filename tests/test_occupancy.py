"""Occupancy sampling: marching against brute force, kernel against definition; the grid neither dies nor lies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from nerfpipe.config.methods import NgpSamplingParams
from nerfpipe.geometry.rays import RayBatch, near_far
from nerfpipe.geometry.spaces import Bounded
from nerfpipe.ops import dispatch
from nerfpipe.procedural.robot_arm import solids
from nerfpipe.procedural.sdf import union
from nerfpipe.samplers.occupancy import Occupancy
from nerfpipe.types import Pixels, Rendering, Samples

BOUNDS = torch.tensor([[-1.0, -2.0, 0.5], [1.0, 2.0, 2.0]])  # 2 x 4 x 1.5, not a cube


def make_grid(bounds: Tensor = BOUNDS, **changes: float) -> Occupancy:
    settings = {
        "steps": 40,
        "render_steps": 60,
        "resample": 0,
        "grid": 16,
        "update_every": 2,
        "decay": 0.8,
        "threshold": 0.03,
    }
    return Occupancy(NgpSamplingParams(**{"early_stop_eps": 1e-4, **settings, **changes}), Bounded.over(bounds))


def make_rays(count: int) -> RayBatch:
    """Rays from all round, some along an axis, some that only graze the bounds."""
    torch.manual_seed(0)
    origins = torch.nn.functional.normalize(torch.randn(count, 3), dim=1) * 5
    towards = BOUNDS[0] + (BOUNDS[1] - BOUNDS[0]) * (torch.rand(count, 3) * 1.2 - 0.1)
    directions = torch.nn.functional.normalize(towards - origins, dim=1)
    directions[:3] = torch.tensor([[1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])[: min(3, count)]
    origins[:3] = torch.tensor([[-5.0, 0.3, 1], [0.1, 5, 1.2], [-0.2, 0.4, -3]])[: min(3, count)]
    near, far = near_far(origins, directions, BOUNDS, 0.05)
    rays = RayBatch(origins, directions, near, far)
    return rays[rays.hits]


def slow_march(grid: Occupancy, rays: RayBatch, shift: Tensor, step: float) -> list[list[float]]:
    """Place by place, in single precision: the distances of every ray's samples."""
    found = []
    for r in range(len(rays)):
        distances, k = [], 0
        while True:
            t = rays.near[r] + (np.float32(k) + shift[r]) * np.float32(step)
            if t >= rays.far[r]:
                break
            position = rays.origins[r] + t * rays.directions[r]
            cell = [int(c) for c in ((position - grid.low) * np.float32(1 / grid.cell)).floor()]
            x, y, z = (min(max(c, 0), n - 1) for c, n in zip(cell, grid.distance.shape, strict=True))
            if grid.distance[x, y, z] == 0:
                distances.append(float(t))
            k += 1
        found.append(distances)
    return found


def assert_same_samples(one: Samples, other: Samples) -> None:
    assert one.longest == other.longest
    for name in ("ray_offsets", "ray", "t", "positions", "directions", "delta"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert one.early_stop_eps == other.early_stop_eps


FILLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "full": lambda noise: noise >= 0,
    "empty": lambda noise: noise < 0,
    "half": lambda noise: noise < 0.5,
    "sparse": lambda noise: noise < 0.01,
    "one cell": lambda noise: noise == noise.max(),
}


@pytest.mark.parametrize("filling", FILLINGS)
def test_kernel_definition_and_slow_loop_find_the_same_samples(filling: str) -> None:
    grid, rays = make_grid(), make_rays(60)
    torch.manual_seed(3)
    grid.mark(FILLINGS[filling](torch.rand(grid.distance.shape)))
    shift = torch.rand(len(rays), 1)
    fast = grid(rays, None, shift)
    with dispatch.definitions():
        plain = grid(rays, None, shift)
    assert_same_samples(fast, plain)
    assert filling != "empty" or len(fast.t) == 0
    slow = slow_march(grid, rays, shift[:, 0], grid.train_step)
    assert [len(each) for each in slow] == (fast.ray_offsets[1:] - fast.ray_offsets[:-1]).tolist()
    assert fast.t.tolist() == [t for each in slow for t in each]


def test_rendering_takes_finer_steps_than_training() -> None:
    grid, rays = make_grid(), make_rays(20)
    training, rendering = grid(rays, None, torch.full((len(rays), 1), 0.5)), grid(rays, None, None)
    assert_close(rendering.delta, torch.full_like(rendering.delta, 4 / 60))
    assert_close(training.delta, torch.full_like(training.delta, 4 / 40))
    assert len(rendering.t) > 1.4 * len(training.t)
    assert rendering.longest <= grid.samples_per_ray
    with dispatch.definitions():
        assert_same_samples(rendering, grid(rays, None, None))


def test_no_rays_and_rays_that_miss_have_no_samples() -> None:
    grid, rays = make_grid(), make_rays(5)
    nothing = grid(rays[:0], None, torch.empty(0, 1))
    assert (len(nothing.t), nothing.rays, nothing.longest) == (0, 0, 0)
    missing = RayBatch(rays.origins, rays.directions, rays.far + 1, rays.far)
    for context in (dispatch.definitions, torch.no_grad):
        with context():
            samples = grid(missing, None, None)
        assert (len(samples.t), samples.rays) == (0, len(rays))


def test_distances_are_those_of_the_nearest_occupied_cell() -> None:
    grid = make_grid()
    torch.manual_seed(5)
    occupied = torch.rand(grid.distance.shape) < 0.02
    grid.mark(occupied)
    full = occupied.nonzero()
    for cell in torch.cartesian_prod(*(torch.arange(0, n, 3) for n in occupied.shape)):
        expected = (full - cell).abs().amax(dim=1).min()
        assert grid.distance[tuple(cell)] == expected


class Shape(nn.Module):
    """A field that is `sigma` where inside(positions), else nothing."""

    def __init__(self, inside: Callable[[Tensor], Tensor], sigma: float = 200.0) -> None:
        super().__init__()
        self.inside, self.sigma = inside, sigma

    def density(self, positions: Tensor) -> Tensor:
        return torch.where(self.inside(positions), self.sigma, 0.0)


def seen_at(samples: Samples, density: Tensor) -> Rendering:
    """A rendering that found density [M] at its samples."""
    R = samples.rays
    return Rendering(
        Pixels(torch.zeros(R, 3), torch.zeros(R), torch.zeros(R)), torch.zeros_like(density), density, samples
    )


def updated(grid: Occupancy, field: nn.Module, updates: int, first: int = 1) -> Occupancy:
    for number in range(first, first + updates):
        grid.update(field, seed=0, step=number * grid.params.update_every)
    return grid


def test_it_finds_a_ball_and_forgets_it_when_it_is_gone() -> None:
    ball = Shape(lambda x: (x - torch.tensor([0.0, 0.5, 1.2])).norm(dim=1) < 0.5)
    grid = updated(make_grid(grid=32), ball, 8)
    cells = torch.cartesian_prod(*(torch.arange(n) for n in grid.distance.shape))
    centres = grid.low + (cells + 0.5) * grid.cell
    away = (centres - torch.tensor([0.0, 0.5, 1.2])).norm(dim=1) - 0.5
    occupied = grid.distance.flatten() == 0
    assert occupied[away < -grid.cell].all()
    assert not occupied[away > grid.cell].any()
    before = int(occupied.sum())
    gone = Shape(lambda x: (x - torch.tensor([0.0, -1.5, 1.2])).norm(dim=1) < 0.3)
    updated(grid, gone, 200, first=20)
    after = grid.distance.flatten() == 0
    assert 0 < int(after.sum()) < before
    assert not after[away < -grid.cell].any()


@pytest.mark.parametrize("sigma", [0.0, 1e-9, 1e9])
def test_it_neither_dies_nor_breaks_on_even_fields(sigma: float) -> None:
    grid = updated(make_grid(), Shape(lambda x: torch.ones(len(x), dtype=torch.bool), sigma), 30)
    assert (grid.distance == 0).any()


def test_it_does_not_stay_full_of_a_field_that_has_emptied() -> None:
    full = updated(make_grid(), Shape(lambda x: torch.ones(len(x), dtype=torch.bool)), 3)
    assert (full.distance == 0).all()
    updated(full, Shape(lambda x: x[:, 0] > 0.9), 300, first=20)
    assert (full.distance == 0).float().mean() < 0.3


def test_updates_are_a_function_of_seed_and_step() -> None:
    ball = Shape(lambda x: x.norm(dim=1) < 1.3)
    once, again, other = make_grid(), make_grid(), make_grid()
    once.update(ball, seed=0, step=4)
    again.update(ball, seed=0, step=4)
    other.update(ball, seed=1, step=4)
    assert torch.equal(once.density, again.density)
    assert not torch.equal(once.density, other.density)
    once.update(ball, seed=0, step=5)  # not a step of its rhythm
    assert torch.equal(once.density, again.density)


def test_it_never_loses_an_occupied_cell_of_the_built_in_scene() -> None:
    """Every cell of which a tenth or more is solid is occupied, after the first looks and after many.

    Looks are few, at one random point a cell; rays pass through the occupied cells all the time.
    """
    bounds = torch.tensor([[-1.0, -1.0, -0.15], [1.0, 1.0, 1.35]])
    parts = solids()

    def inside(x: Tensor) -> Tensor:
        return union([solid.distance(x) for solid in parts]) < 0

    grid = make_grid(bounds, grid=24, steps=128, update_every=16)
    cells = torch.cartesian_prod(*(torch.arange(n) for n in grid.distance.shape))
    within = torch.cartesian_prod(*(torch.linspace(0.1, 0.9, 4),) * 3)  # [64, 3]
    points = grid.low + (cells[:, None] + within) * grid.cell  # [K, 64, 3]
    share = inside(points.reshape(-1, 3)).reshape(len(cells), -1).float().mean(dim=1)
    solid = share >= 0.1
    assert 100 < int(solid.sum()) < 0.5 * len(cells)
    field = Shape(inside, sigma=1000.0)
    torch.manual_seed(0)
    for step in range(1, 330):
        origins = torch.nn.functional.normalize(torch.randn(1000, 3), dim=1) * 3
        towards = bounds[0] + (bounds[1] - bounds[0]) * torch.rand(1000, 3)
        directions = torch.nn.functional.normalize(towards - origins, dim=1)
        rays = RayBatch(origins, directions, *near_far(origins, directions, bounds, 0.05))
        samples = grid(rays[rays.hits], None, torch.rand(int(rays.hits.sum()), 1))
        grid.observe(seen_at(samples, field.density(samples.positions)))
        grid.update(field, seed=0, step=step)
        assert (grid.distance.flatten() == 0)[solid].all(), step
    assert (grid.distance == 0).float().mean() < 0.6


def test_observing_is_the_same_in_kernel_and_definition() -> None:
    torch.manual_seed(0)
    positions, density = torch.rand(3000, 3) * 6 - 3, torch.rand(3000)
    alone = torch.arange(3001)
    samples = Samples(positions, positions, density, density, alone[:3000], alone, 1)
    fast, plain = make_grid(), make_grid()
    fast.observe(seen_at(samples, density.clone().requires_grad_()))
    with dispatch.definitions():
        plain.observe(seen_at(samples, density.clone().requires_grad_()))
    assert torch.equal(fast.density, plain.density)
    assert fast.density.max() == density.max()


def test_only_cells_that_are_seen_and_their_neighbours_are_kept() -> None:
    grid = make_grid(torch.tensor([[0.0, 0.0, 0.0], [4.0, 4.0, 4.0]]), grid=8)
    grid.mark(torch.ones(8, 8, 8, dtype=torch.bool))
    positions = torch.tensor([[0.1, 0.1, 0.1], [3.1, 2.1, 1.1], [2.1, 3.9, 3.9]])
    zeros, ray, offsets = torch.zeros(3), torch.zeros(3, dtype=torch.int64), torch.tensor([0, 3])
    samples = Samples(positions, positions, zeros, zeros, ray, offsets, 3)
    pixels = Pixels(zeros[None], zeros[:1], zeros[:1])
    seen = grid.cells_seen(Rendering(pixels, torch.tensor([0.5, 0.11, 0.10]), zeros, samples))
    assert seen.nonzero().tolist() == [[0, 0, 0], [6, 4, 2]]  # of three, the last has less than 0.32 / 3
    empty = torch.ones(8, 8, 8, dtype=torch.bool)
    empty[7, 4, 2] = False  # by the field, an empty neighbour
    grid.mark(empty)
    grid.keep(seen)
    kept = {tuple(cell) for cell in (grid.distance == 0).nonzero().tolist()}
    corner = {(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)}
    around = {(x, y, z) for x in (5, 6, 7) for y in (3, 4, 5) for z in (1, 2, 3)}
    assert kept == corner | around - {(7, 4, 2)}
    grid.keep(torch.zeros(8, 8, 8, dtype=torch.bool))
    assert len((grid.distance == 0).nonzero()) == len(kept), "where nothing is seen, nothing is taken away"
