"""Batches: a function of (seed, step) and of nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from nerfpipe.geometry.contraction import CUBE
from nerfpipe.geometry.rays import RayBatch, rays_to_world
from nerfpipe.raybank.bank import RayBank
from nerfpipe.scenes.scene import Scene
from nerfpipe.training.batches import SEEN, Batch, draw_batch


def rays_of(bank: RayBank, batch: Batch) -> RayBatch:
    """The rays of a batch's pixels, through the poses of their views."""
    pixels = batch.pixels
    return bank.space.rays(*rays_to_world(bank.poses[pixels.view], pixels.in_camera), pixels)


def tensors(batch: Batch) -> list[torch.Tensor]:
    pixels = batch.pixels
    of_pixels = [pixels.view, pixels.pixel, pixels.in_camera, pixels.radius, pixels.target]
    return [*of_pixels, batch.background, batch.jitter]


def equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))


def test_the_same_seed_and_step_give_the_same_batch(bank: RayBank) -> None:
    first = draw_batch(bank, 7, 3, 20, 5)
    draw_batch(bank, 7, 4, 20, 5)  # what was drawn between does not matter
    assert equal(first, draw_batch(bank, 7, 3, 20, 5))
    assert equal(first, draw_batch(RayBank(bank.folder), 7, 3, 20, 5))


def all_but_radius(bank: RayBank, batch: Batch) -> list[torch.Tensor]:
    """What differs between batches, and the rays that follow from it; all pixels of a lens have one radius."""
    rays, pixels = rays_of(bank, batch), batch.pixels
    of_rays = [rays.origins, rays.directions, rays.near, rays.far, rays.target]
    return [*of_rays, pixels.view, pixels.pixel, pixels.in_camera, batch.background, batch.jitter]


def test_another_seed_or_step_gives_another_batch(bank: RayBank) -> None:
    batches = [draw_batch(bank, seed, step, 20, 5) for seed, step in [(0, 0), (0, 1), (1, 0), (1, 1), (2**63 - 1, 0)]]
    for parts in zip(*(all_but_radius(bank, batch) for batch in batches), strict=True):
        assert len({part.numpy().tobytes() for part in parts}) == len(batches)


def test_the_global_random_state_plays_no_part(bank: RayBank) -> None:
    def scramble(seed: int) -> None:
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)

    scramble(1)
    first = draw_batch(bank, 0, 0, 20, 5)
    scramble(2)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert equal(first, draw_batch(bank, 0, 0, 20, 5))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]
    assert random.getstate() == states[2]


def test_only_rays_of_train_views_that_meet_the_bounds_are_drawn(bank: RayBank, scene: Scene) -> None:
    batch = draw_batch(bank, 0, 0, 2000, 1)
    train = torch.tensor(scene.poses[scene.splits["train"], :, 3])
    held_out = torch.tensor(scene.poses[np.concatenate([scene.splits["val"], scene.splits["test"]]), :, 3])
    rays = rays_of(bank, batch)
    assert set(batch.pixels.view.tolist()) == set(scene.splits["train"].tolist())
    of_view = (rays.origins[:, None] == train).all(dim=2)  # [R, train views]
    assert of_view.any(dim=1).all()
    assert of_view.any(dim=0).all()
    assert not (rays.origins[:, None] == held_out).all(dim=2).any()
    assert rays.hits.all()


def test_rays_are_drawn_evenly(bank: RayBank, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[np.ndarray] = []
    monkeypatch.setattr(bank, "train", lambda which, *known: drawn.append(which) or RayBank.train(bank, which, *known))
    for step in range(100):
        draw_batch(bank, 0, step, bank.train_rays, 1)
    counts = np.bincount(np.concatenate(drawn), minlength=bank.train_rays)
    assert len(counts) == bank.train_rays
    assert counts.min() > 50  # of 100 expected, standard deviation 10
    assert counts.max() < 150


def test_jitter_is_uniform_in_0_1(bank: RayBank) -> None:
    jitter = draw_batch(bank, 0, 0, 500, 20).jitter
    assert (jitter.shape, jitter.dtype) == ((500, 20), torch.float32)
    assert ((jitter >= 0) & (jitter < 1)).all()
    assert_close(jitter.mean(dim=0), torch.full((20,), 0.5), atol=0.06, rtol=0)
    assert_close(jitter.std(), torch.tensor(1 / 12).sqrt(), atol=0.01, rtol=0)


def test_with_alpha_every_ray_has_a_random_background(bank: RayBank) -> None:
    background = draw_batch(bank, 0, 0, 200, 1).background
    assert background.shape == (200, 3)
    assert ((background >= 0) & (background < 1)).all()
    assert len(background.unique(dim=0)) == 200
    assert_close(background.mean(dim=0), torch.full((3,), 0.5), atol=0.1, rtol=0)


def test_without_alpha_the_background_is_that_of_the_scene(
    make_scene: Callable[..., Scene], build_bank: Callable[..., RayBank]
) -> None:
    bank = build_bank(make_scene(alpha=False))
    assert torch.equal(draw_batch(bank, 0, 0, 20, 1).background, torch.zeros(20, 3))


def test_where_every_ray_ends_at_something_the_background_is_random(
    make_scene: Callable[..., Scene], build_bank: Callable[..., RayBank]
) -> None:
    """A photograph is opaque: what shines through a field that is not costs it dearly."""
    bank = build_bank(replace(make_scene(alpha=False), kind="unbounded", bounds=np.array(CUBE, dtype=np.float32)))
    background = draw_batch(bank, 0, 0, 200, 1).background
    assert len(background.unique(dim=0)) == 200


@pytest.fixture
def with_points(make_scene: Callable[..., Scene], build_bank: Callable[..., RayBank]) -> RayBank:
    """The ball without depth maps, but with points on its surface."""
    normals = np.random.default_rng(0).normal(size=(300, 3))
    points = (0.7 * normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)
    return build_bank(replace(make_scene(depth=False), points=points))


def test_one_ray_in_four_meets_a_point_if_depth_is_learned(with_points: RayBank) -> None:
    bank = with_points
    batch, plain = draw_batch(bank, 3, 5, 40, 1, depth=True), draw_batch(bank, 3, 5, 40, 1)
    known = batch.pixels.depth.isfinite()
    assert known.nonzero()[:, 0].tolist() == list(range(SEEN - 1, 40, SEEN))
    assert plain.pixels.depth is None
    assert torch.equal(batch.pixels.pixel[~known], plain.pixels.pixel[~known])
    pixels = batch.pixels[known]
    size = bank.camera(0).width * bank.camera(0).height
    distance = dict(zip(bank.seen_rays.tolist(), bank.seen_distance.tolist(), strict=True))
    assert [distance[ray] for ray in (pixels.view * size + pixels.pixel).tolist()] == pixels.depth.tolist()
    shorter = draw_batch(bank, 3, 5, 23, 1, depth=True).pixels
    assert torch.equal(shorter.pixel, batch.pixels.pixel[:23])
    assert torch.equal(shorter.depth.nan_to_num(), batch.pixels.depth[:23].nan_to_num())


def test_depth_maps_are_in_the_batch_if_depth_is_learned(bank: RayBank) -> None:
    assert draw_batch(bank, 0, 0, 20, 1).pixels.depth is None
    assert len(draw_batch(bank, 0, 0, 20, 1, depth=True).pixels.depth) == 20


def test_a_part_of_a_batch_keeps_its_numbers_together(bank: RayBank) -> None:
    batch = draw_batch(bank, 0, 0, 20, 5)
    assert len(batch) == 20
    for whole, part in zip(tensors(batch), tensors(batch[4:9]), strict=True):
        assert torch.equal(whole[4:9], part)


def test_to_moves_everything(bank: RayBank) -> None:
    moved = draw_batch(bank, 0, 0, 20, 5).to(torch.device("meta"))
    assert {tensor.device.type for tensor in tensors(moved)} == {"meta"}
