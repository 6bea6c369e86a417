"""Camera paths."""

from __future__ import annotations

import math
import re

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.testing import assert_close

from nerfpipe.camera_paths.shapes import (
    FOCUS,
    SLIGHT_WOBBLE,
    WOBBLE,
    arc,
    orbit,
    path_poses,
    resolve_kind,
    spiral,
    wobble,
)
from nerfpipe.geometry.cameras import Camera, look_at, sized
from nerfpipe.runtime.errors import NerfpipeError

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


@given(st.floats(-80, 80), st.floats(-80, 80), st.floats(0.5, 9))
def test_a_tilted_orbit_leans_and_stays_round(elevation: float, tilt: float, radius: float) -> None:
    assume(abs(elevation) + abs(tilt) <= 85)
    poses = orbit(CENTRE, radius, elevation, 16, tilt)
    offsets, R = poses[:, :, 3] - CENTRE, poses[:, :, :3]
    assert_close(offsets.norm(dim=1), torch.full((16,), radius))
    steps = (offsets.roll(-1, dims=0) - offsets).norm(dim=1)
    assert_close(steps, steps[:1].expand(16), atol=1e-4 * radius, rtol=0)
    assert_close(R[:, :, 2] * radius, offsets, atol=1e-4 * radius, rtol=0)  # it looks at the centre
    assert_close(R[:, 2, 0], torch.zeros(16), atol=1e-4, rtol=0)  # and the horizon is level
    lean = math.radians(tilt)
    axis = torch.tensor([-math.sin(lean), 0.0, math.cos(lean)])  # of the orbit's plane
    assert_close(offsets @ axis, (radius * math.sin(math.radians(elevation))) * torch.ones(16), atol=1e-4, rtol=1e-4)
    above = torch.rad2deg(torch.asin(offsets[:, 2] / radius))
    assert_close(above[[0, 8]], torch.tensor([elevation + tilt, elevation - tilt]), atol=0.1, rtol=0)


@pytest.mark.parametrize(("elevation", "tilt"), [(60, 40), (-60, 40), (0, -89.5), (90, 1)])
def test_a_tilt_over_the_pole_is_told(elevation: float, tilt: float) -> None:
    told = f"render.tilt: {tilt:g} degrees at an elevation of {elevation:g} lead over the pole; the two together"
    with pytest.raises(NerfpipeError, match=re.escape(told)):
        orbit(CENTRE, 3.0, elevation, 8, tilt)


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
    path = path_poses("auto", cameras_at(list(range(0, 360, 30))), CENTRE, False, 1.0, None, 36)
    assert azimuths_of(path).sort().values.diff().max() == pytest.approx(10, abs=1e-2)
    assert_close(path[:, 2, 3], (CENTRE[2] + 2 * math.sin(math.radians(30))).expand(36))


def test_cameras_from_one_side_are_not_left() -> None:
    path = path_poses("auto", cameras_at([-40, -10, 0, 20, 40]), CENTRE, False, 1.0, None, 40)
    azimuths = azimuths_of(path)
    assert -33 < azimuths.min() < -31
    assert 31 < azimuths.max() < 33
    assert (azimuths.roll(-1) - azimuths).abs().max() < 10  # the last joins the first
    for name, seen in (("orbit", 170), ("swing", 31)):
        assert azimuths_of(path_poses(name, cameras_at([-40, 40]), CENTRE, False, 1.0, 10.0, 40)).max() > seen


def test_a_spiral_stays_among_forward_facing_cameras_and_looks_ahead() -> None:
    poses = torch.eye(3, 4).repeat(9, 1, 1)
    poses[:, :2, 3] = torch.cartesian_prod(torch.tensor([-0.2, 0.0, 0.2]), torch.tensor([-0.1, 0.0, 0.1]))
    path = spiral(poses, 1.0, 24)
    assert torch.equal(path_poses("auto", poses, CENTRE, True, 1.0, None, 24), path)
    assert torch.equal(path_poses("spiral", poses, CENTRE, True, 1.0, None, 24), path)
    assert path[:, 0, 3].abs().max() <= 0.2 + 1e-6
    assert path[:, 1, 3].abs().max() <= 0.1 + 1e-6
    assert path[:, :2, 3].abs().amax(dim=0).min() > 0.05
    assert (-path[:, 2, 2] < -0.99).all()  # along -z


def test_a_wobble_is_a_small_circle_round_the_middle_camera_and_looks_at_the_centre() -> None:
    cameras = cameras_at([-40, -10, 3, 20, 40])
    path = path_poses("wobble", cameras, CENTRE, False, 1.0, None, 24)
    aside = path[:, :, 3] - cameras[2, :, 3]
    assert_close(aside.norm(dim=1), torch.full((24,), WOBBLE * 2.0))
    assert_close(aside.mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)
    assert_close(aside @ cameras[2, :, 2], torch.zeros(24), atol=1e-5, rtol=0)  # across the view
    steps = (aside.roll(-1, dims=0) - aside).norm(dim=1)
    assert_close(steps, steps[:1].expand(24))
    ahead = (path[:, :, 3] - CENTRE).norm(dim=1, keepdim=True) * path[:, :, 2]
    assert_close(path[:, :, 3] - ahead, CENTRE.expand(24, 3), atol=1e-5, rtol=0)
    wide = path_poses("wobble", cameras, CENTRE, False, 3.0, None, 24)[:, :, 3] - cameras[2, :, 3]
    assert_close(wide, 3 * aside, atol=1e-5, rtol=0)


def test_a_wobble_of_cameras_all_round_stands_among_them() -> None:
    path = path_poses("wobble", cameras_at(list(range(0, 360, 30))), CENTRE, False, 1.0, None, 8)
    assert_close((path[:, :, 3].mean(dim=0) - CENTRE).norm(), torch.tensor(2.0), atol=1e-4, rtol=0)


def test_a_wobble_of_forward_facing_cameras_looks_ahead() -> None:
    poses = torch.eye(3, 4).repeat(3, 1, 1)
    poses[:, 0, 3] = torch.tensor([-0.3, 0.01, 0.3])
    path = path_poses("wobble", poses, torch.zeros(3), True, 1.0, None, 12)  # the centre may lie among the cameras
    assert_close(path[:, :, 3].mean(dim=0), poses[1, :, 3], atol=1e-5, rtol=0)
    assert_close(
        (path[:, :, 3] - poses[1, :, 3]).norm(dim=1), torch.full((12,), SLIGHT_WOBBLE * FOCUS), rtol=1e-3, atol=0
    )
    ahead = (path[:, :, 3] - torch.tensor([0.0, 0.0, -FOCUS])).norm(dim=1, keepdim=True) * path[:, :, 2]
    assert_close(path[:, :, 3] - ahead, torch.tensor([[0.0, 0.0, -FOCUS]]).expand(12, 3), atol=1e-5, rtol=0)


def test_a_wobble_needs_no_camera_that_looks_at_the_centre() -> None:
    pose = torch.eye(3, 4)  # looks along -z, y up, and the centre is straight above
    path = wobble(pose, torch.tensor([0.0, 5.0, 0.0]), WOBBLE, 6)
    assert_close(path[:, :, 2] @ torch.tensor([0.0, -1.0, 0.0]), torch.full((6,), 1 / math.hypot(1, WOBBLE)))


@pytest.mark.parametrize(
    ("azimuths", "forward", "meant"),
    [(range(0, 360, 30), False, "orbit"), ([-40, 0, 40], False, "swing"), ([-40, 0, 40], True, "spiral")],
)
def test_auto_means_the_path_that_fits(azimuths: list[float], forward: bool, meant: str) -> None:
    assert resolve_kind("auto", cameras_at(list(azimuths)), CENTRE, forward) == meant


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
        path_poses(kind, cameras_at([0, 90]), CENTRE, forward, 1.0, None, 4)
