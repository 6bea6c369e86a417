"""Camera paths."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from nerfpipe.cameras import Camera, look_at
from nerfpipe.errors import NerfpipeError
from nerfpipe.paths import arc, camera_path, orbit, spiral
from nerfpipe.turn import sized

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


def cameras_at(azimuths: list[float], elevation: float = 30.0, distance: float = 2.0) -> torch.Tensor:
    """Cameras [N, 3, 4] around CENTRE that look at it; azimuths in degrees."""
    lift, poses = math.radians(elevation), []
    for turn in map(math.radians, azimuths):
        outward = [math.cos(lift) * math.cos(turn), math.cos(lift) * math.sin(turn), math.sin(lift)]
        poses.append(look_at(CENTRE + distance * torch.tensor(outward), CENTRE, torch.tensor([0.0, 0.0, 1.0])))
    return torch.stack(poses)


def azimuths_of(poses: torch.Tensor) -> torch.Tensor:
    offsets = poses[:, :, 3] - CENTRE
    return torch.rad2deg(torch.atan2(offsets[:, 1], offsets[:, 0]))


@pytest.mark.parametrize(
    ("azimuths", "middle", "width"), [([10, 40, 80], 45, 70), ([170, -170, -150], 190, 40), ([5], 5, 0)]
)
def test_the_arc_of_cameras(azimuths: list[float], middle: float, width: float) -> None:
    found = arc(cameras_at(azimuths)[:, :, 3] - CENTRE)
    assert math.cos(math.radians(found[0] - middle)) == pytest.approx(1, abs=1e-6)
    assert found[1] == pytest.approx(width, abs=1e-3)


def test_cameras_from_all_round_are_followed_all_round_at_their_own_height() -> None:
    path = camera_path("auto", cameras_at(list(range(0, 360, 30))), CENTRE, False, 1.0, None, 36)
    assert azimuths_of(path).sort().values.diff().max() == pytest.approx(10, abs=1e-2)
    assert_close(path[:, 2, 3], (CENTRE[2] + 2 * math.sin(math.radians(30))).expand(36))


def test_cameras_from_one_side_are_not_left() -> None:
    path = camera_path("auto", cameras_at([-40, -10, 0, 20, 40]), CENTRE, False, 1.0, None, 40)
    azimuths = azimuths_of(path)
    assert -33 < azimuths.min() < -31
    assert 31 < azimuths.max() < 33
    assert (azimuths.roll(-1) - azimuths).abs().max() < 10  # the last joins the first
    for name, seen in (("orbit", 170), ("swing", 31)):
        assert azimuths_of(camera_path(name, cameras_at([-40, 40]), CENTRE, False, 1.0, 10.0, 40)).max() > seen


def test_a_spiral_stays_among_forward_facing_cameras_and_looks_ahead() -> None:
    poses = torch.eye(3, 4).repeat(9, 1, 1)
    poses[:, :2, 3] = torch.cartesian_prod(torch.tensor([-0.2, 0.0, 0.2]), torch.tensor([-0.1, 0.0, 0.1]))
    path = spiral(poses, 1.0, 24)
    assert torch.equal(camera_path("auto", poses, CENTRE, True, 1.0, None, 24), path)
    assert torch.equal(camera_path("spiral", poses, CENTRE, True, 1.0, None, 24), path)
    assert path[:, 0, 3].abs().max() <= 0.2 + 1e-6
    assert path[:, 1, 3].abs().max() <= 0.1 + 1e-6
    assert path[:, :2, 3].abs().amax(dim=0).min() > 0.05
    assert (-path[:, 2, 2] < -0.99).all()  # along -z


@pytest.mark.parametrize(
    ("size", "asked", "got"), [((1000, 500), 0, (480, 240)), ((100, 60), 0, (100, 60)), ((100, 60), 200, (200, 120))]
)
def test_frames_are_as_large_as_asked_and_never_huge_by_chance(
    size: tuple[int, int], asked: int, got: tuple[int, int]
) -> None:
    camera = sized(Camera.centred(*size, focal=900.0), asked)
    assert (camera.width, camera.height) == got
    assert camera.fx == pytest.approx(900 * got[0] / size[0])


@pytest.mark.parametrize(("kind", "forward"), [("orbit", True), ("swing", True), ("spiral", False)])
def test_a_path_that_does_not_fit_is_refused(kind: str, forward: bool) -> None:
    with pytest.raises(NerfpipeError, match=f"render.path: {kind} does not fit this scene"):
        camera_path(kind, cameras_at([0, 90]), CENTRE, forward, 1.0, None, 4)
