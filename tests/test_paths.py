"""Camera paths."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from nerfpipe.paths import orbit

CENTRE = torch.tensor([1.0, -2.0, 0.5])


@pytest.mark.parametrize("elevation", [0.0, 25.0, -40.0])
def test_an_orbit_goes_round_in_equal_steps_and_closes(elevation: float) -> None:
    positions = orbit(CENTRE, 3.0, elevation, 12)[:, :, 3]
    steps = (positions.roll(-1, dims=0) - positions).norm(dim=1)  # the last one joins the first
    assert_close(steps, steps[:1].expand(12))
    assert_close((positions - CENTRE).norm(dim=1), torch.full((12,), 3.0))
    assert_close(positions[:, 2], (CENTRE[2] + 3 * math.sin(math.radians(elevation))).expand(12))
    assert_close(positions.mean(dim=0)[:2], CENTRE[:2], atol=1e-5, rtol=0)
    offset = positions - CENTRE
    turned = torch.atan2(offset[1, 1], offset[1, 0]) - torch.atan2(offset[0, 1], offset[0, 0])
    assert_close(turned, torch.tensor(2 * math.pi / 12))  # once, not several times


@pytest.mark.parametrize("elevation", [25.0, 90.0, -90.0])
def test_every_frame_looks_at_the_centre_and_stands_upright(elevation: float) -> None:
    poses = orbit(CENTRE, 3.0, elevation, 7)
    R = poses[:, :, :3]
    assert_close(R.transpose(1, 2) @ R, torch.eye(3).expand(7, 3, 3), atol=1e-5, rtol=0)
    assert_close(torch.linalg.det(R), torch.ones(7))
    assert_close(poses[:, :, 3] - 3 * R[:, :, 2], CENTRE.expand(7, 3), atol=1e-4, rtol=0)  # 3 ahead, along -z
    assert_close(R[:, 2, 0], torch.zeros(7), atol=1e-5, rtol=0)  # the horizon is level
    assert (R[:, 2, 1] > 0).all()


def test_one_frame_is_an_orbit_too() -> None:
    assert orbit(CENTRE, 3.0, 10.0, 1).shape == (1, 3, 4)
