"""The terms of the loss: by hand, against slow loops, and with the gradient that they are there for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.testing import assert_close

from nerfpipe.config.params import Params
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.geometry.spaces import Bounded
from nerfpipe.ops import dispatch
from nerfpipe.rendering.volume_rendering import composite
from nerfpipe.training.losses import (
    colour_loss,
    depth_loss,
    depth_window,
    distortion_loss,
    entropy_loss,
    loss_terms,
)
from nerfpipe.types import COLOUR, FieldOutput, Rendering, Samples

COUNTS = [3, 0, 1, 4]
SPACE = Bounded(((-9.0, -9.0, -9.0), (9.0, 9.0, 9.0)), near=0.0)


@pytest.fixture
def rays() -> RayBatch:
    R = len(COUNTS)
    return RayBatch(torch.zeros(R, 3), torch.zeros(R, 3), near=torch.full((R,), 2.0), far=torch.full((R,), 6.0))


def rendering(density: torch.Tensor) -> Rendering:
    t = torch.tensor([2.5, 3.0, 5.0, 4.0, 2.2, 2.9, 3.1, 5.5], dtype=density.dtype)
    ray = torch.repeat_interleave(torch.arange(len(COUNTS)), torch.tensor(COUNTS))
    offsets = torch.tensor([0, 3, 3, 4, 8])
    samples = Samples(torch.zeros(8, 3), torch.zeros(8, 3), t, torch.full_like(t, 0.25), ray, offsets, 4)
    grey = FieldOutput(density, {COLOUR: torch.full((8, 3), 0.5, dtype=density.dtype)})
    with dispatch.definitions():
        return composite(samples, grey, torch.zeros(3))


def test_distortion_is_the_double_sum(rays: RayBatch) -> None:
    made = rendering(torch.tensor([1.0, 0.5, 3.0, 2.0, 0.1, 1.0, 2.0, 4.0]))
    expected = []
    for r in range(len(COUNTS)):
        span = slice(int(made.samples.ray_offsets[r]), int(made.samples.ray_offsets[r + 1]))
        w, s = made.weights[span].tolist(), ((made.samples.t[span] - 2) / 4).tolist()
        pairs = sum(w[i] * w[j] * abs(s[i] - s[j]) for i in range(len(w)) for j in range(len(w)))
        expected.append(pairs + sum(x * x for x in w) * (0.25 / 4) / 3)
    assert_close(distortion_loss(made, rays, SPACE), torch.tensor(expected))


def test_distortion_pulls_weight_together(rays: RayBatch) -> None:
    density = torch.tensor([1.0, 0.5, 3.0, 2.0, 0.1, 1.0, 2.0, 4.0], requires_grad=True)
    before = distortion_loss(rendering(density), rays, SPACE).sum()
    before.backward()
    after = distortion_loss(rendering((density - 0.1 * density.grad).clamp_min(0).detach()), rays, SPACE).sum()
    assert after < before


def test_distortion_and_entropy_have_the_gradient_of_finite_differences(rays: RayBatch) -> None:
    density = torch.tensor([1.0, 0.5, 3.0, 2.0, 0.1, 1.0, 2.0, 4.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: distortion_loss(rendering(x), rays, SPACE).sum(), density)
    assert torch.autograd.gradcheck(lambda x: entropy_loss(rendering(x).opacity).sum(), density)


def test_entropy_by_hand() -> None:
    assert_close(entropy_loss(torch.tensor([0.5, 0.25])), torch.tensor([0.69314718, 0.56233514]))
    assert (entropy_loss(torch.tensor([0.0, 1.0])) < 2e-4).all()


def test_huber_is_squared_near_zero_and_linear_far_from_it(with_params: Callable[..., Params]) -> None:
    settings = with_params(**{"ngp.train.loss": "huber", "ngp.train.huber_delta": 0.1}).ngp.train
    zero = torch.zeros(2, 3)
    errors = torch.tensor([[0.05, 0.05, 0.05], [0.5, 0.5, 0.5]])
    assert_close(colour_loss(errors, zero, settings), torch.tensor([0.0025, 0.1 * (2 * 0.5 - 0.1)]))
    assert_close(colour_loss(errors, zero, with_params().tiny.train), torch.tensor([0.0025, 0.25]))


def test_terms_are_named_weighted_and_left_out_at_weight_zero(rays: RayBatch, with_params) -> None:
    made, target = rendering(torch.ones(8)), torch.zeros(4, 3)
    assert loss_terms([made], rays, target, SPACE, with_params().ngp.train).keys() == {"colour"}
    settings = with_params(**{"ngp.train.distortion": 0.5, "ngp.train.entropy": 2.0}).ngp.train
    terms = loss_terms([made], rays, target, SPACE, settings)
    assert_close(terms["distortion"], 0.5 * distortion_loss(made, rays, SPACE).sum())
    assert_close(terms["entropy"], 2 * entropy_loss(made.opacity).sum())


def test_depth_loss_by_hand(rays: RayBatch) -> None:
    """What lies in front of the window, and what the window lacks; a ray without depth has no loss."""
    made = rendering(torch.tensor([1.0, 0.5, 3.0, 2.0, 0.1, 1.0, 2.0, 4.0]))
    w = made.weights
    depth = torch.tensor([3.1, torch.nan, torch.nan, 3.0])
    found = depth_loss(made, depth, SPACE, window=0.2)
    assert_close(found[0], (1 - w[1]) ** 2 + w[0] ** 2)  # samples at 2.5, 3.0 and 5.0
    assert_close(found[3], (1 - w[5] - w[6]) ** 2 + w[4] ** 2)  # at 2.2, 2.9, 3.1 and 5.5
    assert found[1] == found[2] == 0


def test_depth_loss_has_the_gradient_of_finite_differences(rays: RayBatch) -> None:
    density = torch.tensor([1.0, 0.5, 3.0, 2.0, 0.1, 1.0, 2.0, 4.0], dtype=torch.float64, requires_grad=True)
    depth = torch.tensor([3.1, torch.nan, torch.inf, 3.0])
    assert torch.autograd.gradcheck(lambda x: depth_loss(rendering(x), depth, SPACE, 0.2).sum(), density)


def test_the_window_of_depth_narrows_until_half_way() -> None:
    windows = [depth_window(SPACE, done) for done in (0.0, 0.25, 0.5, 1.0)]
    assert_close(torch.tensor(windows), 18 * torch.tensor([1 / 64, 1 / 128, 1 / 256, 1 / 256]))


def test_depth_is_a_term_where_it_is_known_and_weighted(rays: RayBatch, with_params) -> None:
    made, target, depth = rendering(torch.ones(8)), torch.zeros(4, 3), torch.tensor([3.0, torch.nan, 2.0, 3.0])
    settings = with_params(**{"ngp.train.depth": 0.5}).ngp.train
    assert loss_terms([made], rays, target, SPACE, settings).keys() == {"colour"}
    term = loss_terms([made], rays, target, SPACE, settings, depth, done=0.25)["depth"]
    assert_close(term, 0.5 * depth_loss(made, depth, SPACE, depth_window(SPACE, 0.25)).sum())
    assert "depth" not in loss_terms([made], rays, target, SPACE, with_params().ngp.train, depth)


def test_every_pass_of_a_step_has_its_share_of_every_term(rays: RayBatch, with_params) -> None:
    coarse, fine = rendering(torch.ones(8)), rendering(torch.full((8,), 3.0))
    target = torch.full((4, 3), 0.25)
    settings = with_params(**{"ngp.train.distortion": 0.5, "ngp.train.entropy": 2.0}).ngp.train
    both = loss_terms([coarse, fine], rays, target, SPACE, settings)
    alone = [loss_terms([made], rays, target, SPACE, settings) for made in (coarse, fine)]
    assert both.keys() == {"colour", "distortion", "entropy"}
    for name, term in both.items():
        assert_close(term, alone[0][name] + alone[1][name])
        assert alone[0][name] != alone[1][name]
