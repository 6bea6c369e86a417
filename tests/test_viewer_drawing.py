"""Rendering in the viewer: sizes, order of requests, strips, crop boxes and depth."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import BALL_RADIUS
from torch import Tensor
from viewer_subject import CAMERA, CPU, EYE, ball_renderer, view

from nerfpipe.config.defaults import RUNTIME
from nerfpipe.fields.base import Field
from nerfpipe.geometry.spaces import Forward
from nerfpipe.models.model import Model
from nerfpipe.models.model_file import ModelHeader
from nerfpipe.models.registry import build_model
from nerfpipe.rendering.render_rays import Pass
from nerfpipe.samplers.stratified import Stratified
from nerfpipe.types import COLOUR, FieldOutput
from nerfpipe.viewer.adaptive_resolution import (
    ENOUGH,
    LOWEST_RATE,
    SMALLEST,
    TARGET_RATE,
    AdaptiveResolution,
    dimensions,
)
from nerfpipe.viewer.drawing import ViewRenderer, scaled_samples, z_depth
from nerfpipe.viewer.request_queue import SETTLE_SECONDS, RequestQueue
from nerfpipe.viewer.settings import vertical_fov

WALL = 4.0  # scene units ahead of the origin


@pytest.fixture
def renderer(header: ModelHeader) -> ViewRenderer:
    return ball_renderer(header)


# Sizes


@pytest.mark.parametrize("cost", [1e-7, 1e-6, 4e-6, 2e-5, 1e-3])
@pytest.mark.parametrize("aspect", [0.5, 1.0, 1.8])
def test_moving_pictures_are_as_large_as_five_a_second_allow(cost: float, aspect: float) -> None:
    side = AdaptiveResolution(cost).moving_size(aspect, largest=10_000)
    width, height = dimensions(side, aspect)
    rate = 1 / (width * height * cost)
    assert rate >= 0.97 * LOWEST_RATE or side == SMALLEST
    assert rate >= 0.97 * TARGET_RATE or side <= ENOUGH  # what is smooth is given up only to reach a useful size


def test_two_hundred_pixels_are_drawn_where_five_a_second_can_be() -> None:
    assert AdaptiveResolution(1 / (LOWEST_RATE * ENOUGH**2)).moving_size(1.0, largest=800) == ENOUGH
    assert AdaptiveResolution(1e-9).moving_size(1.0, largest=300) == 300


def test_the_pace_follows_what_frames_cost_but_not_a_single_hitch() -> None:
    resolution = AdaptiveResolution(1e-6)
    resolution.observe(10_000, 100.0)
    assert resolution.cost < 1.5e-6
    for _ in range(40):
        resolution.observe(10_000, 0.05)
    assert resolution.cost == pytest.approx(5e-6, rel=0.01)


@pytest.mark.parametrize(("first", "largest"), [(48, 800), (200, 800), (150, 151), (800, 800)])
def test_pictures_at_rest_grow_to_the_full_size(first: int, largest: int) -> None:
    sizes = [first, *AdaptiveResolution.refinements(first, largest)]
    assert sizes[-1] == largest
    assert all(a < b <= 3 * a for a, b in pairwise(sizes))


# Order of work


def test_only_the_newest_camera_is_drawn() -> None:
    queue = RequestQueue()
    for place in range(5):
        queue.submit("page", place, now=0.0)
    request = queue.take(now=0.0)
    assert (request.view, request.level) == (4, 0)
    queue.submit("page", 5, now=0.1)
    assert not queue.is_stale(request)  # a moving picture is finished, or nothing would be seen while moving
    queue.finish(request, last=False)
    assert queue.take(now=0.1).view == 5


def test_fine_work_waits_for_rest_and_is_dropped_for_a_newer_camera() -> None:
    queue = RequestQueue()
    queue.submit("page", "a", now=0.0)
    queue.finish(queue.take(now=0.0), last=False)
    assert queue.take(now=SETTLE_SECONDS / 2) is None
    fine = queue.take(now=SETTLE_SECONDS)
    assert (fine.view, fine.level) == ("a", 1)
    assert not queue.is_stale(fine)
    queue.submit("page", "b", now=1.0)
    assert queue.is_stale(fine)
    queue.finish(fine, last=True)  # too late: it must not count for the new camera
    assert (queue.take(now=1.0).view, queue.take(now=1.0).level) == ("b", 0)


def test_a_finished_picture_is_not_drawn_again_until_it_is_asked_for() -> None:
    queue = RequestQueue()
    queue.submit("page", "a", now=0.0)
    for last in (False, True):
        queue.finish(queue.take(now=9.0), last)
    assert queue.take(now=9.0) is None
    queue.resubmit_all()
    assert queue.take(now=9.0).level == 0


def test_pages_take_turns_and_whoever_moves_goes_before_whoever_rests() -> None:
    queue = RequestQueue()
    queue.submit("resting", "r", now=0.0)
    queue.finish(queue.take(now=0.0), last=False)
    fine = queue.take(now=1.0)
    assert fine.page == "resting"
    served = []
    for moment in range(6):
        for page in ("one", "two"):
            queue.submit(page, moment, now=2.0 + moment)
        assert queue.is_stale(fine)
        request = queue.take(now=2.0 + moment)
        served.append(request.page)
        queue.finish(request, last=False)
    assert sorted(served) == ["one"] * 3 + ["two"] * 3
    assert all(a != b for a, b in pairwise(served))


def test_a_closed_page_is_forgotten() -> None:
    queue = RequestQueue()
    queue.submit("page", "a", now=0.0)
    request = queue.take(now=0.0)
    queue.remove("page")
    assert queue.is_stale(request)
    queue.finish(request, last=False)
    assert queue.take(now=9.0) is None


def test_drawing_all_anew_neither_brings_back_an_older_camera_nor_a_closed_page() -> None:
    queue = RequestQueue()
    for page in ("moves", "leaves"):
        queue.submit(page, "old", now=0.0)

    class Crowded(type(queue._changed)):
        """A lock for which others wait: they come as soon as it is free."""

        def __exit__(self, *error: object) -> None:
            super().__exit__(*error)
            while waiting:
                waiting.pop()()

    waiting = [lambda: queue.submit("moves", "new", now=0.0), lambda: queue.remove("leaves")]
    queue._changed = Crowded()
    queue.resubmit_all()
    request = queue.take(now=9.0)
    assert (request.page, request.view) == ("moves", "new")
    queue.finish(request, last=True)
    assert queue.take(now=9.0) is None


# Drawing


class Wall(Field):
    """What is farther ahead than the wall, in a space whose rays run in other coordinates, is solid."""

    def forward(self, positions: Tensor, directions: Tensor) -> FieldOutput:
        return FieldOutput(5e3 * (positions[:, 2] > 1 - 2 / WALL), {COLOUR: torch.full_like(positions, 0.5)})


def test_what_is_drawn_in_strips_is_the_picture_as_a_whole(
    renderer: ViewRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nerfpipe.viewer.drawing.BLOCK_PIXELS", 7 * CAMERA.width)
    for mode in ("colour", "depth", "opacity", "normals"):
        strips = renderer.render(CAMERA, EYE, mode, dropped=lambda: False)
        whole = renderer.render(CAMERA, EYE, mode)
        assert np.array_equal(renderer.image(strips, mode), renderer.image(whole, mode))


def test_work_is_left_between_two_strips(renderer: ViewRenderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nerfpipe.viewer.drawing.BLOCK_PIXELS", 7 * CAMERA.width)
    looks = iter([False, False, True])
    assert renderer.render(CAMERA, EYE, dropped=lambda: next(looks)) is None


def test_a_crop_box_hides_what_lies_outside_it(renderer: ViewRenderer) -> None:
    whole = renderer.render(CAMERA, EYE).picture
    behind = renderer.render(CAMERA, EYE, crop=((-0.8, -0.8, -0.8), (0.2, 0.8, 0.8)), samples=2.0).picture
    middle = (CAMERA.height // 2, CAMERA.width // 2)
    assert whole.depth[middle] == pytest.approx(3 - BALL_RADIUS, abs=0.03)
    assert behind.depth[middle] == pytest.approx(3 - 0.2, abs=0.03)  # the cut, seen from +x
    upper = renderer.render(CAMERA, EYE, crop=((-0.8, -0.8, 0.1), (0.8, 0.8, 0.8))).picture
    assert upper.opacity[: CAMERA.height // 3].max() > 0.9
    assert upper.opacity[-CAMERA.height // 3 :].max() == 0


def test_samples_are_changed_for_one_drawing_only(renderer: ViewRenderer) -> None:
    sampler = renderer.model.last.sampler
    seen = []
    renderer.renderer.view = lambda rays, background, height, width, kept=renderer.renderer.view: (
        seen.append(sampler.samples_per_ray),
        kept(rays, background, height, width),
    )[1]
    renderer.render(CAMERA, EYE, samples=0.5)
    renderer.render(CAMERA, EYE)
    assert seen == [64, 128]


def test_what_a_second_pass_looks_at_is_changed_with_the_first(header: ModelHeader, with_params) -> None:
    model = build_model(with_params(method="nerf").recipe, 0, header.space)
    coarse, fine = model.samplers
    before = coarse.samples_per_ray, fine.random_numbers_per_ray
    with scaled_samples(model, 0.5):
        assert (coarse.samples_per_ray, fine.random_numbers_per_ray) == (before[0] / 2, before[1] / 2)
    assert (coarse.samples_per_ray, fine.random_numbers_per_ray) == before


def test_depth_for_hiding_is_along_the_cameras_axis(renderer: ViewRenderer) -> None:
    picture, space = renderer.render(CAMERA, EYE).picture, renderer.header.space
    depth = z_depth(picture, CAMERA, EYE, space, missing=99.0)
    assert depth[15, 20] == pytest.approx(3 - BALL_RADIUS, abs=0.03)
    assert depth[0, 0] == 99.0
    assert np.array_equal(z_depth(picture, CAMERA, EYE, space, 99.0, every=3), depth[::3, ::3])
    assert (z_depth(picture, CAMERA, EYE, space, missing=1.0) == 1.0).all()


def test_depth_for_hiding_is_in_the_scene_where_rays_are_not(header: ModelHeader) -> None:
    forward = Forward(((-2.0, -2.0, -1.0), (2.0, 2.0, 1.0)), near=1.0, frustum=(1.2, 1.5))
    renderer = ViewRenderer(
        Model([Pass(Stratified(512, forward), Wall())]), replace(header, space=forward), CPU, RUNTIME
    )
    pose = torch.eye(3, 4)
    pose[:, 3] = torch.tensor([0.1, -0.1, 0.5])  # half a unit behind where the space begins to count
    depth = z_depth(renderer.render(CAMERA, pose).picture, CAMERA, pose, forward, missing=160.0)
    assert depth == pytest.approx(np.full((30, 40), 0.5 + WALL), rel=0.02)


def test_vertical_fov_holds_the_whole_picture() -> None:
    assert vertical_fov(CAMERA) == pytest.approx(2 * np.arctan(0.3))
    assert vertical_fov(CAMERA, aspect=1.0) == pytest.approx(2 * np.arctan(0.4))  # a page narrower than the picture
    assert view().camera(40) == CAMERA
