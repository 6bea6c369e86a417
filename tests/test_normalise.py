"""Which way is up, where the middle is, and what is near, from cameras and points alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from nerfpipe.cameras import Camera, look_at
from nerfpipe.errors import NerfpipeError
from nerfpipe.scenes.normalise import around_origin, box_of, faces_forward, near_from_points, up_direction

WORLD = Rotation.from_euler("xyz", [0.7, -1.1, 2.0]).as_matrix()  # structure from motion turns the world at will
UP = WORLD @ [0, 0, 1]


def around(elevation: float, azimuths: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """Cameras [N, 3, 4] that look at the origin of the turned world; elevation, azimuths and roll in degrees."""
    lift, poses = math.radians(elevation), []
    for turn in np.radians(azimuths):
        outward = torch.tensor(
            [math.cos(lift) * math.cos(turn), math.cos(lift) * math.sin(turn), math.sin(lift)], dtype=torch.float64
        )
        pose = look_at(3 * outward, torch.zeros(3).double(), torch.tensor([0.0, 0, 1]).double()).numpy()
        pose[:, :3] = pose[:, :3] @ Rotation.from_euler("z", roll, degrees=True).as_matrix()
        poses.append(WORLD @ pose)
    return np.stack(poses)


@pytest.mark.parametrize("elevation", [-20.0, 5.0, 35.0, 70.0])
@pytest.mark.parametrize("azimuths", [np.arange(0, 360, 20), np.arange(-50, 51, 10)], ids=["round", "an arc"])
def test_up_is_found_from_cameras_held_level(elevation: float, azimuths: np.ndarray) -> None:
    np.testing.assert_allclose(up_direction(around(elevation, azimuths)), UP, atol=1e-6)


@pytest.mark.parametrize("roll", [90.0, -90.0])
@pytest.mark.parametrize("elevation", [15.0, 40.0])
def test_up_is_found_in_pictures_stored_sideways(roll: float, elevation: float) -> None:
    np.testing.assert_allclose(up_direction(around(elevation, np.arange(-80, 81, 10), roll)), UP, atol=1e-6)


def test_up_is_about_right_for_hands_that_shake() -> None:
    rng = np.random.default_rng(0)
    poses = around(30.0, np.arange(0, 360, 15))
    for pose in poses:
        pose[:, :3] = pose[:, :3] @ Rotation.from_euler("xyz", rng.normal(0, 3, 3), degrees=True).as_matrix()
    assert up_direction(poses) @ UP > math.cos(math.radians(3))


def test_the_scene_is_put_upright_around_the_origin() -> None:
    poses = around(30.0, np.arange(0, 360, 30))
    poses[:, :, 3] = 7 * poses[:, :, 3] + [10, 20, 30]
    similarity = around_origin(poses)
    np.testing.assert_allclose(similarity.centre, [10, 20, 30], atol=1e-6)
    np.testing.assert_allclose(np.array(similarity.rotation) @ UP, [0, 0, 1], atol=1e-6)
    assert similarity.scale == pytest.approx(1 / 21)


def test_cameras_that_look_outwards_have_their_own_middle() -> None:
    poses = around(0.0, np.arange(0, 360, 30))
    poses[:, :, [0, 2]] *= -1  # turned round
    np.testing.assert_allclose(around_origin(poses).centre, 0, atol=1e-6)


def test_one_place_is_refused() -> None:
    poses = around(0.0, np.arange(0, 360, 30))
    poses[:, :, 3] = 5
    with pytest.raises(NerfpipeError, match="all cameras stand in one place"):
        around_origin(poses)


def test_facing_forward() -> None:
    assert faces_forward(around(10.0, np.arange(-25, 26, 5)))
    assert not faces_forward(around(10.0, np.arange(0, 360, 30)))


def test_near_is_before_almost_all_points_of_every_camera() -> None:
    camera, pose = Camera.centred(20, 20, 20.0), np.eye(3, 4)[None]
    points = np.zeros((1000, 3))
    points[:, 2] = -np.linspace(2, 12, 1000)
    points = np.concatenate([points, [[0, 0, 5.0]] * 500, [[50.0, 0, -0.1]] * 500])  # behind, and beside
    assert near_from_points(points, [camera], pose) == pytest.approx(0.7 * 2.1, rel=0.01)
    assert near_from_points(points[:5], [camera], pose) is None


def test_a_box_leaves_strays_out() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (10_000, 3))
    points[:20] = 1e6
    np.testing.assert_allclose(box_of(points), [[-1.2] * 3, [1.2] * 3], atol=0.05)
