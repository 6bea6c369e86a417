"""Near and far of rays in each kind of space, and samplers and kernels in an unbounded one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from nerfpipe.config.methods import NgpSamplingParams
from nerfpipe.config.params import Params
from nerfpipe.fields.base import Field
from nerfpipe.geometry.contraction import CUBE, FAR, contract, unwarp, warp
from nerfpipe.geometry.rays import DepthRange, RayBatch
from nerfpipe.geometry.space import Space
from nerfpipe.geometry.spaces import Bounded, Forward, Unbounded
from nerfpipe.models.registry import build_model
from nerfpipe.ops import dispatch
from nerfpipe.rendering.renderer import Renderer
from nerfpipe.rendering.volume_rendering import composite
from nerfpipe.samplers.occupancy import Occupancy
from nerfpipe.samplers.stratified import Stratified
from nerfpipe.types import COLOUR, FieldOutput, Samples

EVERYWHERE = Unbounded(CUBE, near=0.1)
GRID = {
    "steps": 64,
    "render_steps": 96,
    "resample": 0,
    "grid": 24,
    "update_every": 2,
    "decay": 0.8,
    "threshold": 0.03,
    "early_stop_eps": 1e-4,
}


def rays_from_inside(count: int) -> RayBatch:
    """Rays from within the inner cube and from just outside it, into all directions, some along an axis."""
    torch.manual_seed(0)
    origins = (torch.rand(count, 3) - 0.5) * 2.6
    directions = torch.nn.functional.normalize(torch.randn(count, 3), dim=1)
    directions[:3] = torch.eye(3)
    origins[0] = 0
    return EVERYWHERE.rays(origins, directions)


def grid_with(share: float) -> Occupancy:
    """A grid in which every cell is occupied with this probability."""
    grid = Occupancy(NgpSamplingParams(**GRID), EVERYWHERE)
    grid.mark(torch.from_numpy(np.random.default_rng(1).random(tuple(grid.density.shape)) < share))
    return grid


def slow_march(grid: Occupancy, rays: RayBatch, shift: torch.Tensor, step: float) -> list[list[float]]:
    """Place by place: the distances of every ray's samples."""
    found = []
    for r in range(len(rays)):
        distances, k = [], 0
        near, far = warp(rays.near[r]), warp(rays.far[r])
        while (s := near + (np.float32(k) + shift[r]) * np.float32(step)) < far:
            t = unwarp(s)
            position = contract(rays.origins[r] + t * rays.directions[r])
            cell = ((position - grid.low) * np.float32(1 / grid.cell)).floor().long().clamp(0, 23)
            if grid.distance[tuple(cell)] == 0:
                distances.append(float(t))
            k += 1
        found.append(distances)
    return found


def by_ray(samples: Samples) -> list[list[float]]:
    return [samples.t[a:b].tolist() for a, b in zip(samples.ray_offsets[:-1], samples.ray_offsets[1:], strict=True)]


@pytest.mark.parametrize("share", [0.0, 0.002, 0.1, 1.0])
@pytest.mark.parametrize("step", ["train_step", "render_step"])
def test_marching_finds_every_occupied_place_and_no_other(share: float, step: str) -> None:
    grid, rays = grid_with(share), rays_from_inside(40)
    shift = torch.linspace(0, 0.999, len(rays))
    expected = slow_march(grid, rays, shift, getattr(grid, step))
    assert by_ray(grid.march(rays, shift, getattr(grid, step))) == expected
    assert max(map(len, expected)) <= grid.longest(getattr(grid, step))


@pytest.mark.parametrize("share", [0.0, 0.002, 0.1, 1.0])
def test_the_kernel_finds_what_its_definition_finds_to_the_bit(share: float) -> None:
    grid, rays = grid_with(share), rays_from_inside(500)
    shift = torch.rand(len(rays))
    assert dispatch.is_fast(rays.origins)
    fast, slow = grid(rays, None, shift[:, None]), grid.march(rays, shift, grid.train_step)
    for name in ("positions", "directions", "t", "delta", "ray", "ray_offsets"):
        assert torch.equal(getattr(fast, name), getattr(slow, name)), name
    assert fast.longest == slow.longest


@pytest.mark.parametrize("space", [EVERYWHERE, Bounded(CUBE, near=0.1)], ids=["unbounded", "bounded"])
def test_the_kernels_samples_move_with_their_rays_as_those_of_its_definition(space: Space) -> None:
    grid, gradients = Occupancy(NgpSamplingParams(**GRID), space), []
    grid.mark(torch.from_numpy(np.random.default_rng(1).random(tuple(grid.density.shape)) < 0.3))
    torch.manual_seed(1)
    shift = torch.rand(300)
    start = torch.nn.functional.normalize(torch.randn(300, 3), dim=1) * 4  # near depends on it in a box
    along = torch.nn.functional.normalize(torch.rand(300, 3) * 2 - 1 - start, dim=1)
    for march in (lambda rays: grid(rays, None, shift[:, None]), lambda rays: grid.march(rays, shift, grid.train_step)):
        origins, directions = start.clone().requires_grad_(), along.clone().requires_grad_()
        samples = march(space.rays(origins, directions))
        assert not samples.t.requires_grad
        torch.manual_seed(2)
        up = torch.randn_like(samples.positions), torch.randn_like(samples.directions)
        loss = (samples.positions * up[0]).sum() + (samples.directions * up[1]).sum()
        gradients.append(torch.autograd.grad(loss, [origins, directions]))
    assert len(samples.t) > 1000
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("method", ["tiny", "nerf", "ngp"])
def test_every_method_looks_at_all_of_space(method: str, with_params: Callable[..., Params]) -> None:
    """Samples lie in the cube, in order, from near to almost infinity, and their segments fill s."""
    model = build_model(with_params(method=method).recipe, 0, EVERYWHERE)
    rays = rays_from_inside(20)
    if method == "ngp":
        model.last.sampler.mark(torch.ones_like(model.last.sampler.density, dtype=torch.bool))
    rendering = model.renderings(rays, torch.zeros(3), torch.rand(20, model.random_numbers_per_ray))[-1]
    samples = rendering.samples
    assert all(sampler.space is EVERYWHERE for sampler in model.samplers)
    assert samples.positions.abs().max() <= 2
    rows = samples.pad(EVERYWHERE.spacing(samples.t))
    counts = samples.ray_offsets.diff()
    for row, count in zip(rows, counts, strict=True):
        assert (row[:count].diff() > 0).all()
    assert (samples.t > 50).any()
    assert_close(
        samples.positions, contract(rays.origins[samples.ray] + samples.t[:, None] * rays.directions[samples.ray])
    )
    total = samples.pad(samples.delta).sum(dim=1)
    span = warp(rays.far) - warp(rays.near)
    assert_close(total, span, atol=0.1, rtol=0)
    assert torch.isfinite(rendering.colour).all()
    rendering.colour.sum().backward()


class Shell(Field):
    """Fog of density 3 per unit of s beyond the inner cube, grey; nothing within."""

    def forward(self, positions: torch.Tensor, directions: torch.Tensor) -> FieldOutput:
        beyond = positions.abs().amax(dim=1) > 1
        return FieldOutput(3.0 * beyond.float(), {COLOUR: torch.full_like(positions, 0.5)})


def test_fog_beyond_the_cube_is_seen_by_how_much_of_s_it_fills() -> None:
    origins, directions = torch.zeros(1, 3), torch.tensor([[0.0, 0.0, 1.0]])
    rays = EVERYWHERE.rays(origins, directions)
    samples = Stratified(4000, EVERYWHERE)(rays, None, None)
    seen = composite(samples, Shell()(samples.positions, samples.directions), torch.zeros(3))
    length = float(warp(rays.far) - 1.0)  # of s, from the face of the cube on
    assert_close(seen.opacity, torch.tensor([1 - np.exp(-3 * length)]).float(), atol=2e-3, rtol=0)


def test_the_render_kernel_sees_what_training_sees(with_params: Callable[..., Params]) -> None:
    """Its definition is render_rays, in an unbounded scene too."""
    params = with_params(method="ngp")
    model = build_model(params.recipe, 0, EVERYWHERE)
    sampler = model.last.sampler
    sampler.mark(torch.from_numpy(np.random.default_rng(0).random(tuple(sampler.density.shape)) < 0.3))
    with torch.no_grad():
        model.last.field.grid.table.mul_(5e3)
    rays = rays_from_inside(300)
    renderer = Renderer(model, torch.device("cpu"), params.runtime, bf16=False)
    picture = renderer.view(rays, torch.ones(3), 15, 20)
    with dispatch.definitions():
        slow = model.renderings(rays, torch.ones(3))[-1]
    assert 0.05 < slow.opacity.mean() < 0.999
    assert_close(picture.colour.reshape(-1, 3), slow.colour, atol=2e-3, rtol=0)
    assert_close(picture.opacity.flatten(), slow.opacity, atol=2e-3, rtol=0)
    assert_close(warp(picture.depth.flatten()), warp(slow.depth), atol=5e-2, rtol=0)


def test_an_unbounded_space_has_no_end() -> None:
    rays = rays_from_inside(10)
    assert rays.hits.all()
    assert rays.near.tolist() == pytest.approx([0.1] * 10)
    assert rays.far.tolist() == [FAR] * 10
    depth, near, far = EVERYWHERE.depth_scale(torch.tensor([1.0, 100.0]), DepthRange(0.1, FAR))
    assert_close(depth, torch.tensor([1.0, 3.96]))
    assert near < 1 < 3.96 < far < 4


@pytest.mark.parametrize(
    ("space", "ends"),
    [
        (EVERYWHERE, (0.1, np.inf)),
        (Forward(((-1.2, -1.2, -1.0), (1.2, 1.2, 1.0)), 0.0, (1.5, 1.5)), (1.0, np.inf)),
        (Bounded.over(torch.tensor([[-1.0, -1, -1], [1, 1, 1]])), (0.5, 7.0)),
    ],
    ids=["unbounded", "forward", "bounded"],
)
def test_near_and_far_of_every_kind_of_space(space: Space, ends: tuple[float, float]) -> None:
    assert space.depth_ends(DepthRange(0.5, 7.0)) == ends


def test_a_bounded_space_is_the_box() -> None:
    space = Bounded.over(torch.tensor([[-1.0, -1, -1], [1, 1, 1]]), near=0.5)
    rays = space.rays(torch.tensor([[0.0, 0, 3], [0, 0, 0]]), torch.tensor([[0.0, 0, -1], [0, 0, -1]]))
    assert rays.near.tolist() == [2.0, 0.5]
    assert rays.far.tolist() == [4.0, 1.0]
    assert not space.unbounded
