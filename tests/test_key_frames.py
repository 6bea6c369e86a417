"""Key frames: read, written, and the smooth path through them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation
from scipy.stats import special_ortho_group

from nerfpipe.camera_paths.key_frames import KeyFrames, interpolate, read_key_frames, spline_through, write_key_frames
from nerfpipe.geometry.cameras import look_at
from nerfpipe.geometry.similarity import IDENTITY, Similarity
from nerfpipe.runtime.errors import NerfpipeError

ORIGIN = torch.zeros(3)
MOVED = Similarity.of(np.array([3.0, -1.0, 2.0]), special_ortho_group.rvs(3, random_state=1), 0.25)


def towards(eyes: list, targets: list, loop: bool = False) -> KeyFrames:
    """Level cameras at `eyes` that look at `targets`, which is also how far they are focused."""
    eyes, targets = (torch.tensor(each, dtype=torch.float32) for each in (eyes, targets))
    poses = torch.stack([look_at(a, b, torch.tensor([0.0, 0.0, 1.0])) for a, b in zip(eyes, targets, strict=True)])
    return KeyFrames(poses.double().numpy(), (eyes - targets).norm(dim=1).double().numpy(), loop)


def around(azimuths: list[float], loop: bool = False, distance: float = 2.0, height: float = 0.5) -> KeyFrames:
    """Cameras about the z axis, in degrees, that look at the origin."""
    turns = [math.radians(azimuth) for azimuth in azimuths]
    eyes = [[distance * math.cos(turn), distance * math.sin(turn), height] for turn in turns]
    return towards(eyes, [[0, 0, 0]] * len(eyes), loop)


def steps(poses: torch.Tensor, closed: bool) -> torch.Tensor:
    """How far the eye goes from each pose to the next."""
    places = poses[:, :, 3]
    moved = places.roll(-1, dims=0) - places
    return (moved if closed else moved[:-1]).norm(dim=1)


def assert_rigid(poses: torch.Tensor) -> None:
    rotations = poses[:, :, :3].double()
    assert_allclose(rotations.transpose(1, 2) @ rotations, np.eye(3)[None].repeat(len(poses), 0), atol=1e-5)
    assert_allclose(torch.linalg.det(rotations), 1, atol=1e-5)


@pytest.mark.parametrize("loop", [False, True])
def test_the_path_goes_through_every_key_frame(loop: bool) -> None:
    frames = around([0, 40, 130, 200, 260], loop)
    spline, way = spline_through(frames)
    assert len(way) == 5 + loop
    for k, place in enumerate(way):
        eye, gaze, up = np.split(spline(place), 3)
        wanted = frames.poses[k % 5]
        pose = look_at(*(torch.from_numpy(each) for each in (eye, gaze, up)))
        assert_allclose(pose, wanted, atol=1e-6)
    poses = interpolate(frames, 400)
    for wanted in frames.poses:
        assert np.abs(poses.numpy() - wanted).max(axis=(1, 2)).min() < 0.02


def test_what_all_key_frames_look_at_stays_in_the_middle() -> None:
    poses = interpolate(around([0, 50, 110, 190]), 50)
    assert_rigid(poses)
    along = (poses[:, :, 3] * poses[:, :, 2]).sum(dim=1, keepdim=True)
    assert_allclose(poses[:, :, 3], along * poses[:, :, 2], atol=1e-5)  # the origin lies straight ahead
    assert (along > 0).all()
    assert_allclose(poses[:, 2, 0], 0, atol=1e-5)  # the horizon is level


def test_an_open_path_begins_and_ends_at_its_outer_key_frames() -> None:
    frames = around([0, 40, 90])
    poses = interpolate(frames, 20)
    assert_allclose(poses[[0, -1]], frames.poses[[0, -1]], atol=1e-5)


@pytest.mark.parametrize("azimuths", [[0, 90, 180, 270], [0, 120, 240], [0, 90, 180, 270, 0], [0, 180]])
def test_a_loop_closes_in_steps_like_the_others(azimuths: list[float]) -> None:
    poses = interpolate(around(azimuths, loop=True), 48)
    moved = steps(poses, closed=True)
    assert moved.max() < 1.15 * moved.min()
    assert_allclose(poses[:, :2, 3].norm(dim=1), 2, atol=0.1)  # and it is round
    assert_allclose(moved.sum(), 4 * math.pi, rtol=0.05)  # once
    assert_allclose(poses[0], around(azimuths).poses[0], atol=1e-5)


def test_a_loop_whose_last_key_frame_is_its_first_is_the_loop_without_it() -> None:
    azimuths = [0, 70, 150, 260]
    again = interpolate(around([*azimuths, 0], loop=True), 30)
    assert_allclose(again, interpolate(around(azimuths, loop=True), 30), atol=1e-6)


def test_a_last_key_frame_that_is_almost_the_first_does_no_harm() -> None:
    poses = interpolate(around([0, 70, 150, 260, 1e-6], loop=True), 30)
    assert_allclose(poses, interpolate(around([0, 70, 150, 260], loop=True), 30), atol=1e-4)


def test_key_frames_that_stand_still_count_once() -> None:
    assert_allclose(interpolate(around([0, 0, 40, 40, 90]), 9), interpolate(around([0, 40, 90]), 9), atol=1e-6)


def test_between_two_key_frames_the_way_is_straight() -> None:
    poses = interpolate(towards([[0, 0, 0], [0, 4, 0]], [[5, 0, 0], [5, 4, 0]]), 5)
    assert_allclose(poses[:, :, 3], [[0, y, 0] for y in range(5)], atol=1e-6)
    assert_allclose(poses[:, :, :3], poses[:1, :, :3].expand(5, 3, 3), atol=1e-6)


@pytest.mark.parametrize("loop", [False, True])
def test_two_key_frames_make_a_path_to_and_fro_or_one_way(loop: bool) -> None:
    places = interpolate(towards([[0, 0, 0], [0, 4, 0]], [[5, 0, 0], [5, 4, 0]], loop), 16)[:, 1, 3]
    assert places.max() == pytest.approx(4)
    assert int(places.argmax()) == (8 if loop else 15)
    if loop:
        assert_allclose(places[1:8], places.flip(0)[:7], atol=1e-5)


@pytest.mark.parametrize("turn", [30, 90, 150, 180])
def test_turning_on_the_spot_leaves_the_camera_where_it_is(turn: float) -> None:
    angle = math.radians(turn)
    poses = interpolate(
        towards([[1, 2, 3]] * 2, [[3, 2, 3], [1 + 2 * math.cos(angle), 2 + 2 * math.sin(angle), 3]]), 19
    )
    assert_allclose(poses[:, :, 3], [[1, 2, 3]] * 19, atol=1e-6)
    cosines = (poses[1:, :, 2] * poses[:-1, :, 2]).sum(dim=1)
    turned = torch.rad2deg(torch.acos(cosines.clamp(-1, 1)))
    assert turned.sum() == pytest.approx(turn, abs=0.5)
    assert turned.max() < 2.5 * turned.min()


def test_from_opposite_sides_the_camera_goes_round_what_it_looks_at() -> None:
    poses = interpolate(around([0, 180], height=0.0), 41)
    assert poses[:, :, 3].norm(dim=1).min() > 1.5
    assert_allclose(poses[20, :, 3].norm(), 2, atol=1e-5)
    assert_allclose(-poses[:, :, 2] * poses[:, :, 3].norm(dim=1, keepdim=True), -poses[:, :, 3], atol=1e-4)


def test_a_roll_alone_is_a_path() -> None:
    frames = around([0, 0])
    rolled = frames.poses.copy()
    rolled[1, :, :3] = rolled[1, :, :3] @ Rotation.from_euler("z", 180, degrees=True).as_matrix()
    poses = interpolate(KeyFrames(rolled, frames.focus), 13)
    assert_rigid(poses)
    assert_allclose(poses[:, :, [2, 3]], frames.poses[:1, :, [2, 3]].repeat(13, 0), atol=1e-5)
    assert abs(float(poses[6, 2, 1])) < 1e-5  # half way it lies on its side
    assert_allclose(poses[12, :, 1], rolled[1, :, 1], atol=1e-5)


@settings(max_examples=25)
@given(st.integers(2, 7), st.booleans(), st.integers(0, 10**6))
def test_neither_eye_nor_gaze_jerks(count: int, loop: bool, seed: int) -> None:
    """Of twice as many frames the second differences are a quarter as large; after a jerk they would be half."""
    random = np.random.default_rng(seed)
    azimuths = np.cumsum(random.uniform(20, 150, count)).tolist()
    frames = around(azimuths, loop, distance=random.uniform(1, 5), height=random.uniform(-1, 2))

    def sharpest(number: int) -> float:
        poses = interpolate(frames, number if loop else number + 1)
        assert_rigid(poses)
        poses = torch.cat([poses, poses[:2]]) if loop else poses
        return float((poses[2:].double() - 2 * poses[1:-1].double() + poses[:-2].double()).abs().max())

    assert sharpest(512) < 0.32 * sharpest(256) + 1e-5


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_path_may_have_few_frames(count: int) -> None:
    assert interpolate(around([0, 40, 90]), count).shape == (count, 3, 4)


@pytest.mark.parametrize("similarity", [IDENTITY, MOVED])
def test_what_is_written_is_read_again(tmp_path: Path, similarity: Similarity) -> None:
    frames = around([0, 50, 100], loop=True)
    write_key_frames(tmp_path / "path.json", frames, similarity)
    back = read_key_frames(tmp_path / "path.json", similarity, ORIGIN)
    assert_allclose(back.poses, frames.poses, atol=1e-9)
    assert_allclose(back.focus, frames.focus)
    assert back.loop is True


def test_a_file_is_in_the_units_of_the_data(tmp_path: Path) -> None:
    frames = around([0, 50])
    write_key_frames(tmp_path / "path.json", frames, MOVED)
    written = json.loads((tmp_path / "path.json").read_text())["frames"][0]
    assert written["focus"] == pytest.approx(frames.focus[0] / 0.25)
    place = np.array(written["transform_matrix"])[:3, 3]
    assert_allclose(MOVED.points(place[None])[0], frames.poses[0, :, 3], atol=1e-9)


def matrix(eye: list[float], target: list[float]) -> list[list[float]]:
    pose = towards([eye], [target]).poses[0]
    return [*pose.tolist(), [0, 0, 0, 1]]


def write(file: Path, entries: list[Any], **more: Any) -> Path:
    file.write_text(json.dumps({**more, "frames": entries}))
    return file


def test_the_cameras_of_a_scene_are_a_path_and_look_as_far_as_the_centre(tmp_path: Path) -> None:
    entries = [
        {"file_path": "images/1.png", "transform_matrix": matrix([2, 0, 0], [0, 0, 0])},
        {"file_path": "images/2.png", "transform_matrix": matrix([0, 4, 0], [0, 0, 0])},
        {"file_path": "images/3.png", "transform_matrix": matrix([0, 3, 0], [0, 9, 0])},  # looks away
    ]
    frames = read_key_frames(write(tmp_path / "transforms.json", entries, camera_angle_x=0.7), IDENTITY, ORIGIN)
    assert_allclose(frames.focus, [2, 4, 3])
    assert frames.loop is False


GOOD = {"transform_matrix": matrix([2, 0, 0], [0, 0, 0])}
OTHER = {"transform_matrix": matrix([0, 2, 0], [0, 0, 0])}
SCALED = {"transform_matrix": (2 * np.array(GOOD["transform_matrix"])).tolist()}
MIRRORED = {"transform_matrix": (np.array(GOOD["transform_matrix"]) * [-1, 1, 1, 1]).tolist()}


@pytest.mark.parametrize(
    ("entries", "more", "told"),
    [
        ([GOOD], {}, "frames: a path needs 2 key frames at least (got 1); add one"),
        ([], {}, "frames: must be a list with an object for each picture"),
        ([GOOD, {}], {}, "frames[1]: transform_matrix: must be 4 rows of 4 numbers"),
        ([GOOD, SCALED], {}, "frames[1]: transform_matrix: must be a rotation and a position, all finite"),
        ([MIRRORED, GOOD], {}, "frames[0]: transform_matrix: must be a rotation and a position, all finite"),
        ([GOOD, {**OTHER, "focus": 0}], {}, "frames[1]: focus: must be above 0 (got 0)"),
        ([GOOD, {**OTHER, "focus": "far"}], {}, "focus: must be a finite number (got 'far')"),
        ([GOOD, OTHER], {"loop": 1}, "loop: must be true or false (got 1)"),
    ],
)
def test_a_faulty_file_is_told_with_its_name(tmp_path: Path, entries: list, more: dict, told: str) -> None:
    file = write(tmp_path / "path.json", entries, **more)
    with pytest.raises(NerfpipeError) as caught:
        read_key_frames(file, IDENTITY, ORIGIN)
    assert str(caught.value) == f"{file}: {told}"


@pytest.mark.parametrize("loop", [False, True])
def test_key_frames_that_are_all_the_same_are_told(loop: bool) -> None:
    with pytest.raises(NerfpipeError, match="all key frames of the path are the same; move the camera"):
        interpolate(around([30, 30, 30], loop), 5)


def test_a_way_on_which_the_camera_would_turn_over_is_told() -> None:
    eyes = [[0, 10, 0], [0, 0.3, 0], [3, 0.3, 0], [3, 10, 0]]  # dives, and would overshoot what it looks at
    frames = towards(eyes, [[0, 0, 0]] * 2 + [[3, 0, 0]] * 2)
    with pytest.raises(NerfpipeError, match="turns over between key frames 2 and 3 of the path; add one between them"):
        interpolate(frames, 4)
