"""The renderer, with fields whose pictures are known in closed form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from nerfpipe.config.params import Params
from nerfpipe.fields.base import Field
from nerfpipe.geometry.cameras import Camera, look_at
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.geometry.space import camera_rays
from nerfpipe.geometry.spaces import Bounded
from nerfpipe.models.model import Model
from nerfpipe.rendering.render_rays import Pass, render_rays
from nerfpipe.rendering.renderer import Picture, Renderer
from nerfpipe.samplers.importance import Importance
from nerfpipe.samplers.stratified import Stratified
from nerfpipe.types import COLOUR, FieldOutput

CPU = torch.device("cpu")
RADIUS, SIGMA, ORANGE = 0.7, 3.0, (0.8, 0.4, 0.1)
BACKGROUND = torch.tensor([0.25, 0.5, 1.0])
BOUNDS = torch.tensor([[-0.8] * 3, [0.8] * 3])
SPACE = Bounded.over(BOUNDS, 0.05)
CAMERA = Camera.centred(20, 14, focal=24.0)
POSE = look_at(torch.tensor([2.0, -2.0, 1.0]), torch.tensor([0.1, 0.0, 0.0]), torch.tensor([0.0, 0, 1]))


class Ball(Field):
    """Even density inside a ball at the origin."""

    def __init__(self, radius: float = RADIUS, sigma: float = SIGMA) -> None:
        super().__init__()
        self.radius, self.sigma = radius, sigma

    def forward(self, positions: Tensor, directions: Tensor) -> FieldOutput:
        assert positions.shape == directions.shape
        density = torch.where(positions.norm(dim=1) < self.radius, self.sigma, 0.0)
        return FieldOutput(density, {COLOUR: torch.tensor(ORANGE).expand(len(positions), 3)})


class Compass(Field):
    """Thick everywhere, its colour the direction that it is seen along."""

    def forward(self, positions: Tensor, directions: Tensor) -> FieldOutput:
        return FieldOutput(torch.full((len(positions),), 1e4), {COLOUR: (directions + 1) / 2})


def rays_of_view() -> RayBatch:
    return camera_rays(CAMERA, POSE, SPACE)


def chord(rays: RayBatch, radius: float = RADIUS) -> tuple[Tensor, Tensor]:
    """Where each ray enters the ball, and how far it runs inside."""
    b = (rays.origins * rays.directions).sum(dim=1)
    half = (b**2 - (rays.origins**2).sum(dim=1) + radius**2).clamp_min(0).sqrt()
    return -b - half, 2 * half


def render(field: Field, samples: int, with_params: Callable[..., Params], **runtime: int) -> Picture:
    params = with_params(**{f"runtime.{key}": value for key, value in runtime.items()})
    model = Model([Pass(Stratified(samples, SPACE), field)])
    return Renderer(model, CPU, params.runtime, bf16=False).view(
        rays_of_view(), BACKGROUND, CAMERA.height, CAMERA.width
    )


def test_an_even_ball_looks_as_it_must(with_params: Callable[..., Params]) -> None:
    picture, S = render(Ball(), 1024, with_params), 1024
    rays = rays_of_view()
    enter, L = chord(rays)
    opacity = 1 - torch.exp(-SIGMA * L)
    # The chord is found to within one segment, sigma · delta = 3 · 2.8 / 1024 = 0.008 thick.
    tolerance = SIGMA * float((rays.far - rays.near).max()) / S
    assert_close(picture.opacity.reshape(-1), opacity, atol=tolerance, rtol=0)
    colour = opacity[:, None] * torch.tensor(ORANGE) + (1 - opacity[:, None]) * BACKGROUND
    assert_close(picture.colour.reshape(-1, 3), colour, atol=tolerance, rtol=0)
    # The mean of t under sigma e^(-sigma s) on [0, L]: enter + 1/sigma - L e^(-sigma L) / (1 - e^(-sigma L)).
    thick = L > 0.1
    depth = enter + 1 / SIGMA - L * torch.exp(-SIGMA * L) / opacity
    assert thick.sum() > 50
    assert_close(picture.depth.reshape(-1)[thick], depth[thick], atol=tolerance, rtol=0)
    assert (picture.depth.reshape(-1)[L == 0] == 0).all()


def test_the_picture_is_laid_out_row_by_row(with_params: Callable[..., Params]) -> None:
    picture = render(Compass(), 4, with_params)
    assert picture.colour.shape == (14, 20, 3)
    assert picture.opacity.shape == picture.depth.shape == (14, 20)
    rays = rays_of_view()
    seen = rays.hits.reshape(14, 20)
    assert_close(picture.colour[seen], ((rays.directions + 1) / 2).reshape(14, 20, 3)[seen], atol=1e-4, rtol=0)


def test_rays_that_miss_the_bounds_see_exactly_the_background(with_params: Callable[..., Params]) -> None:
    picture, misses = render(Compass(), 4, with_params), ~rays_of_view().hits
    assert 0 < misses.sum() < len(misses)
    assert (picture.colour.reshape(-1, 3)[misses] == BACKGROUND).all()
    assert (picture.opacity.reshape(-1)[misses] == 0).all()
    assert (picture.depth.reshape(-1)[misses] == 0).all()
    assert (picture.opacity.reshape(-1)[~misses] > 0.99).all()


def test_a_view_that_misses_the_bounds_altogether_is_background(with_params: Callable[..., Params]) -> None:
    far_off = Bounded.over(BOUNDS + 100, 0.05)
    rays = camera_rays(CAMERA, POSE, far_off)
    renderer = Renderer(Model([Pass(Stratified(4, far_off), Compass())]), CPU, with_params().runtime, bf16=False)
    assert (renderer.view(rays, BACKGROUND, 14, 20).colour == BACKGROUND).all()


@pytest.mark.parametrize("samples_at_once", [1, 7 * 16, 100 * 16])
def test_the_size_of_the_blocks_does_not_matter(samples_at_once: int, with_params: Callable[..., Params]) -> None:
    whole = render(Ball(), 16, with_params, cpu_chunk=10**6)
    parts = render(Ball(), 16, with_params, cpu_chunk=samples_at_once)
    for name in ("colour", "opacity", "depth"):
        assert_close(getattr(parts, name), getattr(whole, name))


def test_a_second_look_comes_closer_to_the_truth() -> None:
    radius, sigma = 0.35, 4.0
    field = Ball(radius, sigma)
    model = Model([Pass(Stratified(24, SPACE), field), Pass(Importance(24, 48, SPACE), field)])
    rays = rays_of_view()
    rays = rays[rays.hits]
    coarse, fine = render_rays(model.passes, rays, BACKGROUND)
    enter, L = chord(rays, radius)
    seen = L > 0.1
    depth = enter + 1 / sigma - L * torch.exp(-sigma * L) / (1 - torch.exp(-sigma * L))
    errors = [(each.depth - depth)[seen].abs().mean() for each in (coarse, fine)]
    assert errors[1] < 0.5 * errors[0]
    opacity = 1 - torch.exp(-sigma * L)
    errors = [(each.opacity - opacity).abs().mean() for each in (coarse, fine)]
    assert errors[1] < 0.5 * errors[0]


def test_the_picture_is_that_of_the_last_pass(with_params: Callable[..., Params]) -> None:
    model = Model([Pass(Stratified(8, SPACE), Ball()), Pass(Importance(8, 8, SPACE), Compass())])
    picture = Renderer(model, CPU, with_params().runtime, bf16=False).view(rays_of_view(), BACKGROUND, 14, 20)
    expected = render(Compass(), 8, with_params)
    assert_close(picture.colour, expected.colour, atol=1e-4, rtol=0)


def test_every_pass_gets_its_own_part_of_the_jitter() -> None:
    model = Model([Pass(Stratified(5, SPACE), Ball()), Pass(Importance(5, 3, SPACE), Ball())])
    assert (model.random_numbers_per_ray, model.samples_per_ray) == (8, 8)
    rays = rays_of_view()
    rays = rays[rays.hits]
    jitter = torch.rand(len(rays), 8, generator=torch.Generator().manual_seed(0))
    coarse, fine = model.renderings(rays, BACKGROUND, jitter)
    expected = Stratified(5, SPACE)(rays, None, jitter[:, :5])
    assert torch.equal(coarse.samples.t, expected.t)
    assert torch.equal(fine.samples.t, Importance(5, 3, SPACE)(rays, coarse, jitter[:, 5:]).t)


def test_the_ngp_picture_is_the_same_in_one_pass_and_in_plain_torch(with_params: Callable[..., Params]) -> None:
    """The inference kernel against march, field and compositing one after the other, in kernels and in plain torch."""
    from nerfpipe.models.registry import build_model
    from nerfpipe.ops import dispatch

    sizes = {
        "ngp.field.max_resolution": 32,
        "ngp.field.log2_hashmap_size": 10,
        "ngp.sampling.grid": 12,
        "ngp.sampling.early_stop_eps": 1e-3,
    }
    params = with_params(method="ngp", **sizes)
    model = build_model(params.recipe, 0, Bounded.over(BOUNDS))
    sampler, field = model.last.sampler, model.last.field
    with torch.no_grad():
        field.grid.table.uniform_(-1, 1)
        field.density_layers[1].weight.mul_(4)  # from empty to opaque
    torch.manual_seed(0)
    sampler.mark(torch.rand(sampler.distance.shape) < 0.5)
    rays = rays_of_view()
    fused = Renderer(model, CPU, params.runtime, False).view(rays, BACKGROUND, 14, 20)
    sub = rays[rays.hits]
    with torch.no_grad():
        stepwise = model.renderings(sub, BACKGROUND)[-1]
    with dispatch.definitions():
        plain = Renderer(model, CPU, params.runtime, False).view(rays, BACKGROUND, 14, 20)
    assert 0.2 < fused.opacity.mean() < 0.98
    for name in ("colour", "opacity", "depth"):
        assert_close(getattr(fused, name), getattr(plain, name), rtol=1e-3, atol=1e-4)
        assert_close(getattr(fused, name).flatten(0, 1)[rays.hits], getattr(stepwise, name), rtol=1e-3, atol=1e-4)


def test_an_empty_grid_shows_the_background(with_params: Callable[..., Params]) -> None:
    from nerfpipe.models.registry import build_model

    params = with_params(method="ngp")
    model = build_model(params.recipe, 0, Bounded.over(BOUNDS))
    model.last.sampler.mark(torch.zeros_like(model.last.sampler.distance, dtype=torch.bool))
    rays = rays_of_view()
    picture = Renderer(model, CPU, params.runtime, False).view(rays, BACKGROUND, 14, 20)
    assert_close(picture.colour, BACKGROUND.expand(14, 20, 3))
    assert not picture.opacity.any()
    assert not picture.depth.any()


class Labelled(Ball):
    """The ball with a channel beside its colour: how far a point is from the centre, and its height."""

    def forward(self, positions: Tensor, directions: Tensor) -> FieldOutput:
        output = super().forward(positions, directions)
        label = torch.stack([positions.norm(dim=1), positions[:, 2]], dim=1)
        return FieldOutput(output.density, {**output.channels, "label": label})


def test_other_channels_are_rendered_over_nothing_with_the_weights_of_the_colour(
    with_params: Callable[..., Params],
) -> None:
    plain, labelled = render(Ball(), 64, with_params), render(Labelled(), 64, with_params, cpu_chunk=640)
    assert plain.channels == {}
    assert_close(labelled.colour, plain.colour)
    assert labelled.channels.keys() == {"label"}
    found = labelled.channels["label"].reshape(-1, 2)
    rays = rays_of_view()
    [seen] = render_rays([Pass(Stratified(64, SPACE), Labelled())], rays[rays.hits], BACKGROUND)
    at = seen.samples.positions
    by_hand = torch.stack([(seen.weights * values).reshape(-1, 64).sum(dim=1) for values in (at.norm(dim=1), at[:, 2])])
    assert_close(found[rays.hits], by_hand.T, rtol=1e-4, atol=1e-5)
    assert (found[~rays.hits] == 0).all()
    assert found[rays.hits, 0].max() > 0.5
