"""Sampling: where along a ray to look, first evenly and then again."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from nerfpipe.geometry.rays import RayBatch
from nerfpipe.geometry.spaces import Bounded
from nerfpipe.rendering.volume_rendering import composite
from nerfpipe.samplers.importance import EVERYWHERE, Importance, inverse_transform
from nerfpipe.samplers.intervals import pack, segment_edges
from nerfpipe.samplers.stratified import Stratified, stratified
from nerfpipe.types import COLOUR, FieldOutput, Rendering, Samples

SPACE = Bounded(((-9.0, -9.0, -9.0), (9.0, 9.0, 9.0)), near=0.0)


def make_rays(count: int) -> RayBatch:
    random = torch.Generator().manual_seed(0)
    directions = torch.randn(count, 3, generator=random)
    near = torch.rand(count, generator=random) + 0.1
    return RayBatch(
        origins=torch.randn(count, 3, generator=random),
        directions=directions / directions.norm(dim=1, keepdim=True),
        near=near,
        far=near + 0.5 + torch.rand(count, generator=random),
    )


def uniform(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def rendering_of(samples: Samples, weights: Tensor) -> Rendering:
    """What a pass that found these weights [R, S] hands on."""
    even = FieldOutput(torch.ones_like(samples.t), {COLOUR: torch.ones(len(samples.t), 3)})
    return replace(composite(samples, even, torch.zeros(3)), weights=weights.reshape(-1))


def assert_covers(samples: Samples, rays: RayBatch) -> None:
    """Sorted samples within [near, far] whose segments hold them and fill the ray; positions on the ray."""
    t, delta = samples.pad(samples.t), samples.pad(samples.delta)
    assert (t[:, 1:] >= t[:, :-1]).all()
    assert (t >= rays.near[:, None]).all()
    assert (t <= rays.far[:, None]).all()
    assert (delta >= 0).all()
    assert_close(delta.sum(dim=1), rays.far - rays.near)
    ends = rays.near[:, None] + delta.cumsum(dim=1)
    assert (t <= ends + 1e-5).all()
    assert (t >= ends - delta - 1e-5).all()
    expected = rays.origins[samples.ray] + samples.t[:, None] * rays.directions[samples.ray]
    assert_close(samples.positions, expected)


def test_stratified_puts_one_sample_into_each_bin() -> None:
    rays, S = make_rays(50), 16
    samples = Stratified(S, SPACE)(rays, None, uniform(50, S))
    assert_covers(samples, rays)
    place = (samples.pad(samples.t) - rays.near[:, None]) / (rays.far - rays.near)[:, None] * S  # in bins
    bins = torch.arange(S)
    assert (place >= bins - 1e-4).all()
    assert (place <= bins + 1 + 1e-4).all()
    assert_close(place - bins, uniform(50, S), atol=1e-4, rtol=0)  # the jitter is the place in the bin


def test_stratified_without_jitter_takes_the_middles() -> None:
    near, far = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 10.0])
    assert_close(stratified(near, far, 4, None), torch.tensor([[1.25, 1.75, 2.25, 2.75], [3.0, 5.0, 7.0, 9.0]]))


def test_segments_meet_halfway_and_end_at_near_and_far() -> None:
    edges = segment_edges(torch.tensor([[2.0, 3.0, 5.0]]), torch.tensor([1.0]), torch.tensor([9.0]))
    assert edges.tolist() == [[1.0, 2.5, 4.0, 9.0]]


def test_stratified_samples_follow_from_the_jitter_alone() -> None:
    rays, sampler = make_rays(5), Stratified(8, SPACE)
    before = torch.get_rng_state()
    one, again, other = (sampler(rays, None, uniform(5, 8, seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(one.t, again.t)
    assert not torch.equal(one.t, other.t)
    assert torch.equal(torch.get_rng_state(), before)


def slow_inverse_transform(edges: list[float], weights: list[float], u: list[float]) -> list[float]:
    """Walk along the segments until the probability passed reaches u."""
    total = sum(weight + EVERYWHERE for weight in weights)
    found = []
    for number in u:
        passed = 0.0
        segment, share = 0, (weights[0] + EVERYWHERE) / total
        while number >= passed + share and segment + 1 < len(weights):
            passed += share
            segment += 1
            share = (weights[segment] + EVERYWHERE) / total
        left, right = edges[segment], edges[segment + 1]
        found.append(left + min(1.0, (number - passed) / share) * (right - left))
    return found


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(0, 1)), min_size=1, max_size=12),
    st.integers(1, 20),
    st.integers(0, 2**32 - 1),
)
def test_inverse_transform_equals_a_slow_loop(weights: list[float], fine: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    w = torch.tensor([weights, weights[::-1]], dtype=torch.float64)
    edges = torch.rand(2, len(weights) + 1, generator=random, dtype=torch.float64).cumsum(dim=1)
    jitter = torch.rand(2, fine, generator=random, dtype=torch.float64)
    u = (torch.arange(fine) + jitter) / fine
    expected = [slow_inverse_transform(*row) for row in zip(edges.tolist(), w.tolist(), u.tolist(), strict=True)]
    t = inverse_transform(edges, w, fine, jitter)
    assert_close(t, torch.tensor(expected, dtype=torch.float64), atol=1e-9, rtol=0)
    assert (t[:, 1:] >= t[:, :-1]).all()


def test_inverse_transform_follows_the_weights() -> None:
    # Weights 1 : 3 over segments of lengths 1 and 2: a quarter of the samples lies in [0, 1], evenly.
    t = inverse_transform(torch.tensor([[0.0, 1.0, 3.0]]), torch.tensor([[1.0, 3.0]]), 8, None)
    expected = torch.tensor([[0.25, 0.75, 1 + 1 / 6, 1.5, 1 + 5 / 6, 2 + 1 / 6, 2.5, 2 + 5 / 6]])
    assert_close(t, expected, atol=1e-4, rtol=0)


def test_inverse_transform_is_even_where_nothing_was_found() -> None:
    edges = torch.linspace(2, 4, 9).expand(3, 9)
    t = inverse_transform(edges, torch.zeros(3, 8), 10, None)
    assert_close(t, (2 + 2 * (torch.arange(10) + 0.5) / 10).expand(3, 10))


@pytest.mark.parametrize("segment", [0, 3, 7])
@pytest.mark.parametrize("weight", [1e-2, 1.0])
def test_all_samples_go_where_all_the_weight_is(segment: int, weight: float) -> None:
    weights = torch.zeros(1, 8)
    weights[0, segment] = weight
    for jitter in (None, uniform(1, 64), torch.zeros(1, 64), torch.full((1, 64), 1 - 2**-24)):
        t = inverse_transform(torch.linspace(0, 8, 9)[None], weights, 64, jitter)
        assert torch.isfinite(t).all()
        assert ((t >= 0) & (t <= 8)).all()
        assert ((t >= segment) & (t <= segment + 1)).float().mean() > 0.95


def test_importance_looks_again_where_something_was_found() -> None:
    rays, C, F = make_rays(20), 8, 32
    coarse = Stratified(C, SPACE)(rays, None, uniform(20, C))
    weights = torch.full((20, C), 1e-3)
    weights[:, 5] = 0.9
    fine = Importance(C, F, SPACE)(rays, rendering_of(coarse, weights), uniform(20, F, seed=2))
    assert_covers(fine, rays)
    assert fine.longest == C + F
    t, coarse_t = fine.pad(fine.t), coarse.pad(coarse.t)
    assert (t[:, :, None] == coarse_t[:, None, :]).any(dim=1).all()  # the coarse samples are among them
    edges = segment_edges(coarse_t, rays.near, rays.far)
    within = (t >= edges[:, 5:6]) & (t <= edges[:, 6:7])
    assert (within.sum(dim=1) >= 0.9 * F).all()


def test_importance_gives_no_gradient_to_the_pass_before() -> None:
    rays = make_rays(3)
    weights = torch.rand(3, 4, requires_grad=True)
    fine = Importance(4, 6, SPACE)(rays, rendering_of(Stratified(4, SPACE)(rays, None, None), weights), None)
    assert not fine.t.requires_grad
    assert not fine.delta.requires_grad
    assert not fine.positions.requires_grad


def test_importance_needs_a_pass_before_it() -> None:
    with pytest.raises(ValueError, match="before"):
        Importance(4, 6, SPACE)(make_rays(3), None, None)


def test_samplers_say_what_they_use() -> None:
    even, important = Stratified(7, SPACE), Importance(4, 6, SPACE)
    assert (even.random_numbers_per_ray, even.samples_per_ray) == (7, 7)
    assert (important.random_numbers_per_ray, important.samples_per_ray) == (6, 10)


def test_pack_lays_ray_after_ray() -> None:
    rays = make_rays(2)
    samples = pack(SPACE, rays, torch.tensor([[1.0, 2, 3], [4, 5, 6]]), torch.ones(2, 3))
    assert samples.t.tolist() == [1, 2, 3, 4, 5, 6]
    assert samples.ray.tolist() == [0, 0, 0, 1, 1, 1]
    assert samples.ray_offsets.tolist() == [0, 3, 6]
    assert (samples.rays, samples.longest) == (2, 3)
    assert_close(samples.positions[4], rays.origins[1] + 5 * rays.directions[1])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_padded_and_packed_hold_the_same(counts: list[int]) -> None:
    M = sum(counts)
    ray = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), torch.tensor(counts).cumsum(0)])
    numbers = torch.arange(1.0, M + 1)
    samples = Samples(torch.zeros(M, 3), torch.zeros(M, 3), numbers, numbers, ray, offsets, max(counts))
    padded = samples.pad(numbers)
    for row, count in enumerate(counts):
        start = int(offsets[row])
        assert padded[row].tolist() == list(range(start + 1, start + count + 1)) + [0] * (max(counts) - count)
    assert torch.equal(samples.pack(padded), numbers)
    colours = numbers[:, None] * torch.tensor([1.0, 10, 100])
    assert samples.pad(colours).shape == (len(counts), max(counts), 3)
    assert torch.equal(samples.pack(samples.pad(colours)), colours)
