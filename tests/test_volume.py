"""Compositing: numbers by hand, the closed form of an even medium, a slow loop, and gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from nerfpipe.images.convert import alpha_composite
from nerfpipe.rendering import volume_rendering
from nerfpipe.types import COLOUR, FieldOutput, Rendering, Samples

BLACK, WHITE = torch.zeros(3), torch.ones(3)


def packed(counts: list[int], t: Tensor, delta: Tensor) -> Samples:
    """Samples of rays with these counts; where they lie in space is of no matter to compositing."""
    ray = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), torch.tensor(counts).cumsum(0)])
    return Samples(torch.zeros(len(t), 3), torch.zeros(len(t), 3), t, delta, ray, offsets, max(counts))


def composite(samples: Samples, density: Tensor, colour: Tensor, background: Tensor) -> Rendering:
    return volume_rendering.composite(samples, FieldOutput(density, {COLOUR: colour}), background)


def slow_composite(
    samples: Samples, density: Tensor, colour: Tensor, background: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ray by ray and sample by sample, the light left over carried along."""
    colours, opacities, depths, weights = [], [], [], []
    for ray in range(samples.rays):
        light, seen, depth = 1.0, torch.zeros(3, dtype=density.dtype), 0.0
        for i in range(int(samples.ray_offsets[ray]), int(samples.ray_offsets[ray + 1])):
            passes = math.exp(-float(density[i] * samples.delta[i]))
            weight = light * (1 - passes)
            weights.append(weight)
            seen = seen + weight * colour[i]
            depth += weight * float(samples.t[i])
            light *= passes
        colours.append(seen + light * background)
        opacities.append(1 - light)
        depths.append(depth / (1 - light) if 1 - light > 1e-6 else 0.0)
    return torch.stack(colours), *(torch.tensor(x, dtype=density.dtype) for x in (opacities, depths, weights))


def test_three_rays_by_hand() -> None:
    #            ray 0, four samples       ray 1, none    ray 2, one
    # sigma      1     2     0     3                      4
    # delta      0.5   0.25  1     0.5                    0.25
    # tau        0.5   0.5   0     1.5                    1
    # T          1     e^-.5 e^-1  e^-1                   1
    # w          1-e^-.5     e^-.5-e^-1   0   e^-1-e^-2.5      1-e^-1
    samples = packed([4, 0, 1], torch.tensor([1.0, 2, 3, 4, 5]), torch.tensor([0.5, 0.25, 1, 0.5, 0.25]))
    density = torch.tensor([1.0, 2, 0, 3, 4])
    colour = torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 1], [0.5, 0.5, 0.5]])
    rendering = composite(samples, density, colour, background=torch.tensor([1.0, 1.0, 0.0]))
    assert_close(rendering.weights, torch.tensor([0.39346934, 0.23865122, 0.0, 0.28579444, 0.63212056]))
    assert_close(rendering.opacity, torch.tensor([0.91791500, 0.0, 0.63212056]))
    # Ray 0 lets e^-2.5 = 0.08208500 of the background through, ray 1 all of it, ray 2 e^-1 = 0.36787944.
    assert_close(
        rendering.colour,
        torch.tensor([[0.47555434, 0.32073622, 0.28579444], [1, 1, 0], [0.68393972, 0.68393972, 0.31606028]]),
    )
    # Depth: (0.39346934·1 + 0.23865122·2 + 0.28579444·4) / 0.917915; nothing is seen on ray 1.
    assert_close(rendering.depth, torch.tensor([2.1940484, 0.0, 5.0]))
    assert torch.equal(rendering.density, density)
    assert rendering.samples is samples


@given(
    st.floats(0.01, 20),
    st.lists(st.floats(0.001, 1), min_size=1, max_size=30),
    st.tuples(*[st.floats(0, 1)] * 3),
)
def test_an_even_medium_fades_exponentially_however_it_is_cut(sigma: float, deltas: list[float], rgb: tuple) -> None:
    delta = torch.tensor(deltas, dtype=torch.float64)
    samples = packed([len(deltas)], delta.cumsum(0), delta)
    c, background = torch.tensor(rgb, dtype=torch.float64), torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)
    rendering = composite(samples, torch.full_like(delta, sigma), c.expand(len(deltas), 3), background)
    left = torch.exp(-sigma * delta.sum())
    assert_close(rendering.opacity, (1 - left)[None])
    assert_close(rendering.colour, ((1 - left) * c + left * background)[None])


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(0, 2**32 - 1), st.sampled_from([0.01, 1.0, 30.0])
)
def test_rays_of_different_length_equal_a_slow_loop(counts: list[int], seed: int, thickness: float) -> None:
    random = torch.Generator().manual_seed(seed)
    density, delta, t = (torch.rand(sum(counts), generator=random, dtype=torch.float64) for _ in range(3))
    colour = torch.rand(sum(counts), 3, generator=random, dtype=torch.float64)
    background = torch.rand(3, generator=random, dtype=torch.float64)
    samples = packed(counts, t, delta)
    rendering = composite(samples, thickness * density, colour, background)
    slow_colour, opacity, depth, weights = slow_composite(samples, thickness * density, colour, background)
    assert_close(rendering.colour, slow_colour)
    assert_close(rendering.opacity, opacity)
    assert_close(rendering.depth, depth, atol=1e-8, rtol=1e-8)
    assert_close(rendering.weights, weights)


def test_each_ray_may_have_a_background_of_its_own() -> None:
    samples = packed([1, 1], torch.ones(2), torch.ones(2))
    background = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    assert_close(composite(samples, torch.zeros(2), torch.ones(2, 3), background).colour, background)


def test_nothing_is_seen_of_empty_space() -> None:
    rendering = composite(packed([5], torch.ones(5), torch.ones(5)), torch.zeros(5), torch.ones(5, 3), BLACK)
    assert rendering.colour.tolist() == [[0, 0, 0]]
    assert rendering.opacity.tolist() == [0]
    assert rendering.depth.tolist() == [0]


@pytest.mark.parametrize("sigma", [1e2, 1e4, 1e6, 1e10, 1e30])
def test_a_wall_behind_a_haze_hides_only_what_is_left(sigma: float) -> None:
    # The haze takes 1 - e^-0.35, the wall all the rest, however thick it is; what lies behind gives nothing.
    samples = packed([3], torch.tensor([1.0, 2, 3]), torch.full((3,), 0.5))
    rendering = composite(samples, torch.tensor([0.7, sigma, 1.0]), torch.eye(3), WHITE)
    assert_close(rendering.weights, torch.tensor([0.29531191, 0.70468809, 0.0]))
    assert_close(rendering.opacity, torch.ones(1))
    assert_close(rendering.colour, torch.tensor([[0.29531191, 0.70468809, 0.0]]))


@pytest.mark.parametrize("sigma", [0.0, 1e-30, 1e-10, 1e4, 1e10])
def test_gradients_stay_finite_at_the_extremes(sigma: float) -> None:
    density = torch.full((4,), sigma, requires_grad=True)
    colour = torch.rand(4, 3, requires_grad=True)
    rendering = composite(packed([4], torch.arange(4.0), torch.full((4,), 0.1)), density, colour, WHITE)
    for part in (rendering.colour, rendering.opacity, rendering.depth):
        assert torch.isfinite(part).all()
    (rendering.colour.sum() + rendering.opacity.sum() + rendering.depth.sum()).backward()
    assert torch.isfinite(density.grad).all()
    assert torch.isfinite(colour.grad).all()


def test_a_little_density_in_empty_space_is_worth_its_length() -> None:
    # Training starts from such gradients: d opacity / d sigma = delta where there is nothing before.
    density = torch.zeros(3, requires_grad=True)
    composite(
        packed([3], torch.ones(3), torch.tensor([0.1, 0.2, 0.3])), density, torch.ones(3, 3), BLACK
    ).opacity.sum().backward()
    assert_close(density.grad, torch.tensor([0.1, 0.2, 0.3]))


def test_thin_segments_lose_nothing() -> None:
    # 1 - e^-tau is tau to seven digits here; computed as written it would be 5% off in float32.
    rendering = composite(packed([1], torch.ones(1), torch.ones(1)), torch.tensor([1e-6]), torch.ones(1, 3), BLACK)
    assert_close(rendering.opacity, torch.tensor([1e-6]), atol=0, rtol=1e-5)


def test_gradients_equal_finite_differences() -> None:
    random = torch.Generator().manual_seed(0)
    density, t = (torch.rand(7, generator=random, dtype=torch.float64) + 0.1 for _ in range(2))
    colour = torch.rand(7, 3, generator=random, dtype=torch.float64)
    samples = packed([4, 0, 1, 2], t, torch.rand(7, generator=random, dtype=torch.float64))
    background = torch.rand(4, 3, generator=random, dtype=torch.float64)

    def outputs(density: Tensor, colour: Tensor) -> tuple[Tensor, ...]:
        rendering = composite(samples, density, colour, background)
        return rendering.colour, rendering.opacity, rendering.depth, rendering.weights

    assert torch.autograd.gradcheck(outputs, (density.requires_grad_(), colour.requires_grad_()))


def test_alpha_compositing_mixes_straight_alpha_with_the_background() -> None:
    rgba = torch.tensor([[0.5, 1.0, 0.0, 1.0], [0.5, 1.0, 0.0, 0.0], [0.5, 1.0, 0.0, 0.25]])
    background = torch.tensor([1.0, 0.0, 0.0])
    expected = torch.tensor([[0.5, 1.0, 0.0], [1.0, 0.0, 0.0], [0.875, 0.25, 0.0]])
    assert_close(alpha_composite(rgba, background), expected)
    assert_close(alpha_composite(rgba, background.expand(3, 3)), expected)
    assert_close(alpha_composite(rgba.reshape(1, 3, 4), background), expected[None])
