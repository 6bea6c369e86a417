"""Normalised device coordinates against their formula, and rays in them against points."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from nerfpipe.geometry.ndc import distance_from_ndc, from_ndc, rays_to_ndc, t_in_ndc, to_ndc
from nerfpipe.geometry.rays import near_far

FRUSTUM = (1.7, 2.3)
sideways = st.floats(-3, 3)
ahead = st.floats(-50, -1.0)


def tensor(*numbers: float) -> torch.Tensor:
    return torch.tensor([numbers], dtype=torch.float64)


def test_the_frustum_becomes_the_cube() -> None:
    ax, ay = FRUSTUM
    near = tensor(1 / ax, -1 / ay, -1)  # a corner of the picture on the near plane
    assert_close(to_ndc(near, FRUSTUM), tensor(1, -1, -1))
    assert_close(to_ndc(near * 1e9, FRUSTUM), tensor(1, -1, 1))


@given(sideways, sideways, ahead)
def test_there_and_back(x: float, y: float, z: float) -> None:
    assert_close(from_ndc(to_ndc(tensor(x, y, z), FRUSTUM), FRUSTUM), tensor(x, y, z), rtol=1e-9, atol=1e-9)


@given(sideways, sideways, st.floats(-0.5, 0.5), sideways, sideways, st.floats(0.01, 40))
def test_a_ray_stays_the_same_ray(x: float, y: float, z: float, dx: float, dy: float, beyond: float) -> None:
    """Every point on the world ray behind the near plane lies on the ray in the cube, and its distance comes back."""
    origin, direction = tensor(x, y, z), torch.nn.functional.normalize(tensor(dx / 3, dy / 3, -1.0))
    t = (-1 - origin[:, 2]) / direction[:, 2] + beyond
    point = to_ndc(origin + t[:, None] * direction, FRUSTUM)
    start, towards = rays_to_ndc(origin, direction, FRUSTUM)
    along = ((point - start) * towards).sum(dim=1)
    assert along > 0
    assert_close(start + along[:, None] * towards, point, atol=1e-9, rtol=0)
    assert_close(start[:, 2], torch.tensor([-1.0], dtype=torch.float64))
    assert_close(distance_from_ndc(origin, direction, along, FRUSTUM), t, rtol=1e-6, atol=1e-9)
    assert_close(t_in_ndc(origin, direction, t, FRUSTUM), along, rtol=1e-9, atol=1e-9)


def test_rays_that_do_not_look_forward_meet_nothing() -> None:
    directions = torch.nn.functional.normalize(torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0.1], [0, 0, -1]]), dim=1)
    start, towards = rays_to_ndc(torch.zeros(4, 3), directions, FRUSTUM)
    assert torch.isfinite(start).all()
    assert torch.isfinite(towards).all()
    near, far = near_far(start, towards, torch.tensor([[-2.0, -2, -1], [2, 2, 1]]), 0.0)
    assert (far > near).tolist() == [False, False, False, True]
