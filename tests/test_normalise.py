"""Up direction, centre, scale and near, from cameras and points alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from nerfpipe.geometry.cameras import Camera, look_at
from nerfpipe.geometry.focus import focus_point
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.normalise import (
    box_around,
    box_similarity,
    faces_forward,
    near_from_points,
    unbounded_similarity,
    up_direction,
)

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
    similarity = unbounded_similarity(poses)
    np.testing.assert_allclose(similarity.centre, [10, 20, 30], atol=1e-6)
    np.testing.assert_allclose(np.array(similarity.rotation) @ UP, [0, 0, 1], atol=1e-6)
    assert similarity.scale == pytest.approx(1 / 21)


def test_cameras_that_look_outwards_have_their_own_middle() -> None:
    poses = around(0.0, np.arange(0, 360, 30))
    poses[:, :, [0, 2]] *= -1  # turned round
    np.testing.assert_allclose(unbounded_similarity(poses).centre, 0, atol=1e-6)


def test_one_place_is_refused() -> None:
    poses = around(0.0, np.arange(0, 360, 30))
    poses[:, :, 3] = 5
    with pytest.raises(NerfpipeError, match="all cameras have one position"):
        unbounded_similarity(poses)


def in_a_row(shake: float, seed: int, count: int = 20) -> np.ndarray:
    """Cameras [N, 3, 4] along the x axis that look along -z, but for hands that shake by so many degrees."""
    rng, poses = np.random.default_rng(seed), np.tile(np.eye(3, 4), (count, 1, 1))
    poses[:, 0, 3] = np.linspace(-0.5, 0.5, count)
    poses[:, :, 3] += rng.normal(0, 0.01, (count, 3))
    if shake:
        turns = Rotation.from_euler("xyz", rng.normal(0, shake, (count, 3)), degrees=True).as_matrix()
        poses[:, :, :3] = turns @ poses[:, :, :3]
    return poses


def wall(width: float) -> np.ndarray:
    """Points [P, 3] on a wall 5 in front of `in_a_row`, some of them strays."""
    points = np.random.default_rng(1).uniform([-width / 2, -1, -5.1], [width / 2, 1, -4.9], (2000, 3))
    points[:20] = 1000
    return points


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shake", [0.0, 1.0, 4.0, 10.0])
def test_points_tell_the_middle_where_cameras_look_in_parallel(shake: float, seed: int) -> None:
    """By the cameras alone, the unit would be their own spread, and the wall ten of them away."""
    poses, points = in_a_row(shake, seed), wall(width=4)
    similarity = unbounded_similarity(poses, points)
    np.testing.assert_allclose(similarity.centre, [0, 0, -5], atol=0.2)
    assert np.linalg.norm(similarity.poses(poses)[:, :, 3], axis=1).max() == pytest.approx(1)


def test_most_points_are_within_one_where_they_reach_further_than_the_cameras() -> None:
    similarity = unbounded_similarity(in_a_row(0.0, 0), wall(width=40))
    share = (np.linalg.norm(similarity.points(wall(width=40)), axis=1) <= 1).mean()
    assert share == pytest.approx(0.8, abs=0.01)


def test_points_tell_the_middle_where_cameras_look_outwards() -> None:
    poses = around(0.0, np.arange(0, 360, 30))
    poses[:, :, [0, 2]] *= -1  # turned round, in a room 20 wide, centred elsewhere
    points = np.random.default_rng(0).uniform([-7, -10, -10], [13, 10, 10], (5000, 3))
    similarity = unbounded_similarity(poses, points)
    np.testing.assert_allclose(similarity.centre, [3, 0, 0], atol=0.5)
    assert 9 < 1 / similarity.scale < 14


@pytest.mark.parametrize("azimuths", [np.arange(0, 360, 20), np.arange(-20, 21, 5)], ids=["round", "an arc"])
def test_points_change_nothing_where_cameras_tell_the_middle(azimuths: np.ndarray) -> None:
    poses = around(20.0, azimuths)
    poses[:, :, 3] += np.random.default_rng(0).normal(0, 0.05, (len(poses), 3))
    points = np.random.default_rng(0).normal(3, 5, (1000, 3))
    assert unbounded_similarity(poses, points) == unbounded_similarity(poses)


@pytest.mark.parametrize("seed", range(8))
def test_shaking_hands_tell_no_middle(seed: int) -> None:
    focus = focus_point(in_a_row(5.0, seed))
    assert focus is not None
    assert not focus.certain
    assert focus_point(in_a_row(0.0, seed)) is None


def test_points_do_not_help_cameras_in_one_place() -> None:
    poses = around(0.0, np.arange(0, 360, 30))
    poses[:, :, 3] = 5
    with pytest.raises(NerfpipeError, match="all cameras have one position"):
        unbounded_similarity(poses, wall(width=4))


@pytest.mark.parametrize(("lower", "upper"), [(-1.5, 1.5), (-4, 4), (3, 3.5), ([-1, -1, -0.15], [1, 1, 1.35])])
def test_a_box_of_a_usual_size_stays_where_it_is(lower: object, upper: object) -> None:
    assert box_similarity(np.array([np.broadcast_to(lower, 3), np.broadcast_to(upper, 3)], np.float32)).is_identity


@pytest.mark.parametrize(
    ("lower", "upper"), [(999.0, 1001.0), (-0.02, 0.03), (-1500.0, 1500.0), ([-3, -3, 7], [3, 2, 8])]
)
def test_a_box_of_another_size_or_elsewhere_is_moved_to_the_origin(lower: object, upper: object) -> None:
    box = np.array([np.broadcast_to(lower, 3), np.broadcast_to(upper, 3)], np.float32)
    moved = box_similarity(box).points(box.astype(np.float64))
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=1e-6)
    assert np.ptp(moved, axis=0).max() == pytest.approx(2)
    np.testing.assert_array_equal(box_similarity(box).rotation, np.eye(3))


def test_a_box_that_is_none_is_left_for_others_to_refuse() -> None:
    assert box_similarity(np.array([[9.0, 9, 9], [8, 9, 9]])).is_identity
    assert box_similarity(np.array([[np.nan] * 3, [9.0] * 3])).is_identity


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
    np.testing.assert_allclose(box_around(points), [[-1.2] * 3, [1.2] * 3], atol=0.05)
