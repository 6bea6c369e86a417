"""Resampling: what is drawn from a first look, by hand, by slow loops, and against plain marching."""

from __future__ import annotations

import math

import pytest
import torch
from analytic_fields import Balls
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from nerfpipe.geometry.rays import RayBatch
from nerfpipe.geometry.spaces import Bounded, Unbounded
from nerfpipe.ops import dispatch
from nerfpipe.ops.constants import EVERYWHERE
from nerfpipe.ops.resample import resample as fast
from nerfpipe.rendering.render_rays import Pass, render_rays
from nerfpipe.rendering.resampling import LOOK, Resampling, Survey, definition, resample, survey
from nerfpipe.samplers.stratified import Stratified

SPACE = Bounded(((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)), near=0.0)
STOP = 1e-4


def steps(density: list[float], length: float = 0.5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One ray's steps, the first of which begins at 0."""
    sigma = torch.tensor([density])
    s = (torch.arange(len(density)) + 0.5)[None] * length
    return s, torch.full_like(s, length), sigma, torch.tensor([len(density)])


def rays(count: int = 40) -> RayBatch:
    """Rays towards the ball, from all round."""
    random = torch.Generator().manual_seed(0)
    origins = torch.nn.functional.normalize(torch.randn(count, 3, generator=random), dim=1) * 2.5
    towards = torch.randn(count, 3, generator=random) * 0.3 - origins
    return SPACE.rays(origins, torch.nn.functional.normalize(towards, dim=1))


def ball() -> Balls:
    return Balls(((0.0, 0.0, 0.0), 0.5))


def test_an_empty_ray_is_sampled_evenly() -> None:
    places, lengths = definition(*steps([0.0, 0.0, 0.0, 0.0]), torch.tensor([0.5]), 8)
    assert_close(places, (torch.arange(8) + 0.5)[None] * 0.25)
    assert_close(lengths, torch.full((1, 8), 0.25))


def test_a_surface_gets_the_samples_but_for_the_share_of_everywhere() -> None:
    """One opaque step of eight. It and its two neighbours weigh 1, 1/2 and 1/2, each half of what the filter gives."""
    S, within = 200, torch.tensor([0.5])
    places, lengths = definition(*steps([0.0] * 4 + [1e4] + [0.0] * 3), within, S)
    counted = torch.bincount((places[0] / 0.5).long(), minlength=8)
    even = EVERYWHERE * 2 / 8
    expected = torch.tensor([0, 0, 0, 0.5, 1, 0.5, 0, 0]) + even
    assert_close(counted.double() / S, (expected / expected.sum()).double(), atol=1.5 / S, rtol=0)
    assert_close(lengths.sum(), torch.tensor(4.0))


def slow(s: list[float], delta: list[float], sigma: list[float], within: float, S: int) -> list[tuple[float, float]]:
    """Step by step, in double precision: places and lengths."""
    T, raw = 1.0, []
    for length, density in zip(delta, sigma, strict=True):
        alpha = 1 - math.exp(-density * length)
        raw.append(T * alpha)
        T *= 1 - alpha
    K = len(raw)
    wide = [(max(raw[max(k - 1, 0)], raw[k]) + max(raw[k], raw[min(k + 1, K - 1)])) / 2 for k in range(K)]
    w = [x + EVERYWHERE * max(sum(wide), 1e-6) / K for x in wide]

    def inverse(u: float) -> tuple[int, float]:
        k, below = 0, 0.0
        while k < K - 1 and below + w[k] < u * sum(w):
            below, k = below + w[k], k + 1
        return k, min(max((u * sum(w) - below) / w[k], 0.0), 1.0)

    made, last = [], 0.0
    for n in range(S):
        k, share = inverse((n + within) / S)
        place = s[k] + (share - 0.5) * delta[k]
        k, share = inverse((n + 1) / S)
        end = sum(delta) if n == S - 1 else sum(delta[:k]) + share * delta[k]
        made.append((place, end - last))
        last = end
    return made


density = st.floats(0, 0.01) | st.floats(0, 50)


@given(sigma=st.lists(density, min_size=1, max_size=12), within=st.floats(0, 0.99), samples=st.integers(1, 9))
def test_definition_and_kernel_are_the_slow_loop(sigma: list[float], within: float, samples: int) -> None:
    given_steps, at = steps(sigma), torch.tensor([within])
    s, delta, _, _ = (x[0].tolist() for x in given_steps)
    expected = torch.tensor(slow(s, delta, sigma, within, samples))
    for draw in (definition, fast):
        places, lengths = draw(*given_steps, at, samples)
        assert_close(places[0], expected[:, 0], atol=5e-3, rtol=0)  # where little weighs, single precision is coarse
        assert_close(lengths[0], expected[:, 1], atol=5e-3, rtol=0)
        assert (lengths >= 0).all()
        assert (places.diff(dim=1) >= 0).all()


@pytest.mark.parametrize("draw", [definition, fast])
def test_rays_of_different_lengths(draw: object) -> None:
    """What lies behind a ray's last step is not seen; a ray without steps has no length."""
    torch.manual_seed(0)
    counts = torch.tensor([0, 1, 5, 9])
    exists = torch.arange(9) < counts[:, None]
    s, delta = (torch.arange(9) + 0.5).expand(4, 9) * 0.25 * exists, 0.25 * exists
    sigma = torch.rand(4, 9) * 4 * exists
    within = torch.rand(4)
    places, lengths = draw(s, delta, sigma, counts, within, 6)
    assert_close(lengths.sum(dim=1), counts * 0.25)
    for r in (1, 2, 3):
        K = int(counts[r])
        alone = draw(
            s[r : r + 1, :K], delta[r : r + 1, :K], sigma[r : r + 1, :K], counts[r : r + 1], within[r : r + 1], 6
        )
        assert_close(places[r], alone[0][0], atol=1e-3, rtol=0)
        assert_close(lengths[r], alone[1][0], atol=1e-3, rtol=0)


def test_no_steps_at_all() -> None:
    none = torch.zeros(3, 0)
    for draw in (definition, fast):
        places, lengths = draw(none, none, none, torch.zeros(3, dtype=torch.int64), torch.zeros(3), 4)
        assert places.shape == (3, 4)
        assert lengths.sum() == 0


def test_a_survey_has_the_samplers_steps_up_to_where_the_ray_is_opaque() -> None:
    seen = survey(Stratified(64, SPACE), ball(), SPACE, rays(), None, STOP)
    steps_per_look = 64
    assert set(seen.counts.tolist()) <= {steps_per_look * n for n in range(1, math.ceil(1 / LOOK) + 2)}
    exists = torch.arange(seen.s.shape[1]) < seen.counts[:, None]
    assert ((seen.delta > 0) == exists).all()
    assert (seen.s[:, 1:] >= seen.s[:, :-1])[exists[:, 1:]].all()
    tau = (seen.density * seen.delta).cumsum(dim=1)
    hit = tau[:, -1] > -math.log(STOP)
    assert hit.any()
    assert not hit.all()
    behind = seen.s.amax(dim=1)[hit] > SPACE.rays(rays().origins, rays().directions).far[hit] - 0.1
    assert not behind.all(), "rays that meet the ball end there"


def test_a_survey_sees_all_of_a_ray_through_nothing() -> None:
    nothing = Balls(((9.0, 9.0, 9.0), 0.1))
    bundle = rays()
    seen = survey(Stratified(8, SPACE), nothing, SPACE, bundle, None, STOP)
    assert_close(seen.delta.sum(dim=1), bundle.far - bundle.near)


def test_even_fog_has_its_exact_transmittance_from_any_samples() -> None:
    """Segments cover what was seen: exp(-sigma · length), however few they are."""
    s, delta, sigma, counts = steps([0.7] * 10, 0.2)
    bundle = SPACE.rays(torch.tensor([[0.0, 0.0, -1.0]]), torch.tensor([[0.0, 0.0, 1.0]]))
    drawn = resample(Survey(s, delta, sigma, counts), SPACE, bundle, 3, torch.tensor([0.2]), STOP)
    assert_close(torch.exp(-(0.7 * drawn.delta).sum()), torch.tensor(math.exp(-0.7 * 2.0)))


@pytest.mark.parametrize("fast_form", [True, False])
def test_a_ball_looks_as_by_many_even_samples(fast_form: bool) -> None:
    bundle, field = rays(200), ball()
    truth = render_rays([Pass(Stratified(2048, SPACE), field)], bundle, torch.ones(3))[-1]
    pass_ = Pass(Stratified(12, SPACE), field, Resampling(SPACE, 16, STOP))
    if fast_form:
        seen = render_rays([pass_], bundle, torch.ones(3))[-1]
    else:
        with dispatch.definitions():
            seen = render_rays([pass_], bundle, torch.ones(3))[-1]
    assert len(seen.density) == 200 * 16
    error = (seen.colour - truth.colour).abs().mean(dim=1)
    assert truth.opacity.max() > 0.99
    assert error.median() < 0.02
    few = render_rays([Pass(Stratified(16, SPACE), field)], bundle, torch.ones(3))[-1]
    assert error.mean() < 0.5 * (few.colour - truth.colour).abs().mean(), "better than as many even samples"


def test_jitter_moves_samples_and_no_jitter_repeats_them() -> None:
    pass_, bundle = Pass(Stratified(12, SPACE), ball(), Resampling(SPACE, 16, STOP)), rays()
    assert pass_.random_numbers_per_ray == 13
    one, other = (torch.rand(len(bundle), 13, generator=torch.Generator().manual_seed(n)) for n in (1, 2))
    assert torch.equal(pass_.samples(bundle, None, one).t, pass_.samples(bundle, None, one).t)
    assert not torch.equal(pass_.samples(bundle, None, one).t, pass_.samples(bundle, None, other).t)
    assert torch.equal(pass_.samples(bundle, None, None).t, pass_.samples(bundle, None, None).t)


def test_samples_move_with_their_ray() -> None:
    """A pose can be refined: origins and directions have a gradient, where samples lie along the ray has none."""
    bundle = rays(5)
    origins = bundle.origins.clone().requires_grad_()
    moved = RayBatch(origins, bundle.directions, bundle.near, bundle.far)
    samples = Pass(Stratified(12, SPACE), ball(), Resampling(SPACE, 16, STOP)).samples(moved, None, None)
    samples.positions.sum().backward()
    assert_close(origins.grad, torch.full((5, 3), 16.0))
    assert not samples.t.requires_grad


def test_nothing_is_behind_the_camera_or_beyond_the_end_of_an_unbounded_ray() -> None:
    space = Unbounded(((-2.0, -2.0, -2.0), (2.0, 2.0, 2.0)), near=0.05)
    bundle = space.rays(torch.zeros(4, 3), torch.nn.functional.normalize(torch.randn(4, 3), dim=1))
    fog = Balls(((0.0, 0.0, 0.0), 50.0))
    for density in (fog, Balls(((9.0, 9.0, 9.0), 0.1))):
        sampler = Stratified(6, space)
        samples = Pass(sampler, density, Resampling(space, 32, STOP)).samples(bundle, None, torch.rand(4, 7))
        assert samples.positions.isfinite().all()
        assert (samples.pad(samples.t) >= bundle.near[:, None]).all()
        assert (samples.pad(samples.t) <= bundle.far[:, None] * 1.001).all()
        assert (samples.positions.abs() <= 2).all()
