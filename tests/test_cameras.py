"""Cameras: where a pixel looks, and where a point appears."""

from __future__ import annotations

import math

import pytest
import torch
from camera_points import to_world, unproject
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from nerfpipe.geometry.cameras import Camera, look_at, to_camera

ROOT_HALF = math.sqrt(0.5)


def vectors(limit: float = 10.0) -> st.SearchStrategy[Tensor]:
    number = st.floats(-limit, limit)
    return st.tuples(number, number, number).map(lambda xyz: torch.tensor(xyz, dtype=torch.float64))


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    focal, shift = st.floats(5, 500), st.floats(-20, 20)
    width, height = draw(st.integers(1, 100)), draw(st.integers(1, 100))
    return Camera(width, height, draw(focal), draw(focal), width / 2 + draw(shift), height / 2 + draw(shift))


@st.composite
def poses(draw: st.DrawFn) -> Tensor:
    position, target, up = draw(vectors()), draw(vectors()), draw(vectors(1.0))
    assume(torch.linalg.cross(up, position - target).norm() > 1e-2)
    return look_at(position, target, up)


def test_pixel_centres_lie_at_a_half_and_run_row_by_row() -> None:
    expected = [[0.5, 0.5], [1.5, 0.5], [2.5, 0.5], [0.5, 1.5], [1.5, 1.5], [2.5, 1.5]]
    assert Camera.centred(3, 2, 1.0).pixel_centres().tolist() == expected


def test_centred_puts_the_principal_point_in_the_middle() -> None:
    assert Camera.centred(6, 4, 7.0) == Camera(6, 4, 7.0, 7.0, 3.0, 2.0)


@pytest.mark.parametrize(
    ("pixel", "direction"),
    [
        ((2.0, 4.0), (0.0, 0.0, -1.0)),  # the principal ray looks along -z
        ((4.0, 4.0), (ROOT_HALF, 0.0, -ROOT_HALF)),  # the right edge: x to the right
        ((2.0, 0.0), (0.0, ROOT_HALF, -ROOT_HALF)),  # the top edge: y up
        ((0.0, 8.0), (-1 / math.sqrt(3), -1 / math.sqrt(3), -1 / math.sqrt(3))),  # the bottom left corner
    ],
)
def test_directions_of_a_picture_twice_as_high_as_wide(pixel: tuple, direction: tuple) -> None:
    camera = Camera(width=4, height=8, fx=2.0, fy=4.0, cx=2.0, cy=4.0)  # 90 degrees both ways
    assert_close(camera.directions(torch.tensor([pixel])), torch.tensor([direction]))


def test_the_principal_point_may_lie_off_the_centre() -> None:
    camera = Camera(width=4, height=4, fx=2.0, fy=2.0, cx=1.0, cy=3.0)
    d = camera.directions(torch.tensor([[1.0, 3.0], [3.0, 3.0], [1.0, 1.0]]))
    assert_close(d, torch.tensor([[0, 0, -1], [ROOT_HALF, 0, -ROOT_HALF], [0, ROOT_HALF, -ROOT_HALF]]))


def test_project_by_hand() -> None:
    camera = Camera(width=4, height=4, fx=2.0, fy=3.0, cx=1.0, cy=2.0)
    pixels, t = camera.project(torch.tensor([[1.0, 2.0, -2.0]]))  # u = 1 + 2·1/2, v = 2 - 3·2/2
    assert_close(pixels, torch.tensor([[2.0, -1.0]]))
    assert_close(t, torch.tensor([3.0]))  # |(1, 2, -2)|, not the depth 2


@given(cameras(), st.floats(-50, 150), st.floats(-50, 150), st.floats(0.01, 100))
def test_project_undoes_unproject(camera: Camera, u: float, v: float, distance: float) -> None:
    pixels, t = torch.tensor([[u, v]], dtype=torch.float64), torch.tensor([distance], dtype=torch.float64)
    again, t_again = camera.project(unproject(camera, pixels, t))
    assert_close(again, pixels, atol=1e-8, rtol=1e-8)
    assert_close(t_again, t)


def test_points_behind_the_camera_have_no_pixel() -> None:
    pixels, _ = Camera.centred(4, 4, 2.0).project(torch.tensor([[1.0, 1, 0], [1, 1, 0.5], [0, 0, -0.5]]))
    assert pixels.isnan().all(dim=1).tolist() == [True, True, False]


@given(poses(), vectors())
def test_to_camera_undoes_to_world(pose: Tensor, point: Tensor) -> None:
    assert_close(to_camera(pose, to_world(pose, point[None])), point[None], atol=1e-9, rtol=1e-9)
    assert_close(to_world(pose, to_camera(pose, point[None])), point[None], atol=1e-9, rtol=1e-9)


def test_to_world_turns_and_moves() -> None:
    pose = look_at(torch.tensor([5.0, 0, 0]), torch.zeros(3), torch.tensor([0.0, 0, 1]))
    ahead_right_above = torch.tensor([[0.0, 0, -1], [1, 0, 0], [0, 1, 0]])
    # Looking from +x to the origin with z up: ahead is -x, right is +y, above is +z.
    assert_close(to_world(pose, ahead_right_above), torch.tensor([[4.0, 0, 0], [5, 1, 0], [5, 0, 1]]))


@given(vectors(), vectors(), vectors(1.0))
def test_look_at_gives_a_rotation_that_looks_at_the_target(position: Tensor, target: Tensor, up: Tensor) -> None:
    assume(torch.linalg.cross(up, position - target).norm() > 1e-2)
    pose = look_at(position, target, up)
    R = pose[:, :3]
    assert_close(R.T @ R, torch.eye(3, dtype=torch.float64), atol=1e-9, rtol=0)
    assert_close(torch.det(R), torch.tensor(1.0, dtype=torch.float64))  # right-handed
    assert_close(pose[:, 3], position)
    pixels, t = Camera.centred(10, 20, 5.0).project(to_camera(pose, target[None]))
    assert_close(pixels, torch.tensor([[5.0, 10.0]], dtype=torch.float64), atol=1e-6, rtol=0)
    assert_close(t[0], (target - position).norm())
    assert R[:, 1] @ up > 0  # up is up in the picture


@pytest.mark.parametrize("target", [(0.0, 0.0, 0.0), (0.0, 0.0, 9.0), (0.0, 0.0, 3.0)], ids=["down", "up", "itself"])
def test_look_at_refuses_a_view_without_an_up(target: tuple) -> None:
    with pytest.raises(ValueError, match="parallel"):
        look_at(torch.tensor([0.0, 0.0, 3.0]), torch.tensor(target), torch.tensor([0.0, 0.0, 1.0]))


@given(cameras(), st.integers(1, 50), st.integers(1, 50))
def test_resized_keeps_the_field_of_view(camera: Camera, width: int, height: int) -> None:
    small = camera.resized(width, height)
    assert (small.width, small.height) == (width, height)
    corners = torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1], [0.3, 0.6]], dtype=torch.float64)
    size, small_size = torch.tensor([camera.width, camera.height]), torch.tensor([width, height])
    assert_close(small.directions(corners * small_size), camera.directions(corners * size))


def test_a_camera_survives_json() -> None:
    camera = Camera(4, 8, 2.0, 4.5, 1.25, 4.0)
    assert Camera.from_dict(camera.to_dict()) == camera
