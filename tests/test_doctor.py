"""`nerfpipe doctor`: warnings about common mistakes, and the picture of the cameras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from conftest import ORBIT_RADIUS
from scipy.spatial.transform import Rotation

from nerfpipe.cli import doctor
from nerfpipe.cli.doctor import draw_cameras, machine_lines, usual_mistakes
from nerfpipe.config.params import Params
from nerfpipe.geometry.cameras import look_at
from nerfpipe.geometry.contraction import CUBE
from nerfpipe.geometry.spaces import Forward, Unbounded
from nerfpipe.ops import dispatch
from nerfpipe.scenes.scene import Scene

MakeScene = Callable[..., Scene]


def warnings_of(scene: Scene) -> list[str]:
    return usual_mistakes(scene, scene.space(0.0, 0.05))


@pytest.mark.parametrize(
    ("kernels", "told"), [("auto", "kernels numba, on the CPU: "), ("torch", "kernels plain torch")]
)
def test_the_machine_tells_whether_kernels_run(kernels: str, told: str, with_params: Callable[..., Params]) -> None:
    try:
        lines = machine_lines(with_params(**{"runtime.kernels": kernels, "runtime.device": "cpu"}).runtime)
    finally:
        dispatch.allow(True)
    assert [line.split()[0] for line in lines] == ["device", "kernels", "bf16"]
    assert lines[1].startswith(told)


def test_a_sound_scene_gets_no_warning(make_scene: MakeScene) -> None:
    assert warnings_of(make_scene(train=8)) == []


def test_few_views(make_scene: MakeScene) -> None:
    [warning] = warnings_of(make_scene(train=3))
    assert "3 train views are few" in warning


def test_all_poses_equal(make_scene: MakeScene) -> None:
    scene = make_scene(train=8)
    [warning] = warnings_of(replace(scene, poses=scene.poses[:1].repeat(scene.views, axis=0)))
    assert "all poses are equal" in warning


def test_cameras_that_only_turn(make_scene: MakeScene) -> None:
    scene = make_scene(train=8)
    poses = scene.poses.copy()
    poses[:, :, 3] = 0
    assert any("all cameras stand in one place" in warning for warning in warnings_of(replace(scene, poses=poses)))


def test_cameras_facing_away(make_scene: MakeScene) -> None:
    """OpenCV's poses, read as OpenGL's."""
    scene = make_scene(train=8)
    poses = scene.poses.copy()
    poses[2, :, 1:3] *= -1
    [warning] = warnings_of(replace(scene, poses=poses))
    assert "1 of 12 cameras, of which view 2 is the first, face away" in warning


def captured(scene: Scene, kind: str, points: bool = True) -> Scene:
    """The ball as an unbounded scene, or seen by cameras in a row that look at its centre, with points on it."""
    poses, rng = scene.poses.copy(), np.random.default_rng(0)
    poses[:, :, 3] /= ORBIT_RADIUS
    if kind == "forward":
        eyes = torch.tensor([[x, 0.1 * (k % 2), 3.0] for k, x in enumerate(np.linspace(-0.5, 0.5, len(poses)))])
        poses = torch.stack([look_at(eye, torch.zeros(3), torch.tensor([0.0, 1, 0])) for eye in eyes.float()]).numpy()
    normals = rng.normal(size=(4000, 3))
    surface = (0.2 * normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)
    frustum = (1.5, 1.5) if kind == "forward" else None
    bounds = np.array(CUBE, dtype=np.float32)
    return replace(
        scene, kind=kind, poses=poses, points=surface if points else None, bounds=bounds, frustum=frustum, near=0.1
    )


def turned(poses: np.ndarray) -> np.ndarray:
    """OpenCV's poses, read as OpenGL's."""
    return poses * np.array([1, -1, -1, 1], dtype=np.float32)


captures = pytest.mark.parametrize("kind", ["unbounded", "forward"])


@captures
@pytest.mark.parametrize("points", [True, False])
def test_a_sound_capture_gets_no_warning(kind: str, points: bool, make_scene: MakeScene) -> None:
    assert warnings_of(captured(make_scene(train=8), kind, points)) == []


@captures
def test_a_capture_with_all_cameras_facing_away(kind: str, make_scene: MakeScene) -> None:
    scene = captured(make_scene(train=8), kind, points=False)
    [warning] = warnings_of(replace(scene, poses=turned(scene.poses)))
    assert "12 of 12 cameras, of which view 0 is the first, face away" in warning
    assert "looking along -z?" in warning


@captures
def test_a_capture_with_some_cameras_facing_away(kind: str, make_scene: MakeScene) -> None:
    scene = captured(make_scene(train=8), kind)
    poses = scene.poses.copy()
    poses[3:5] = turned(poses[3:5])
    away, blind = warnings_of(replace(scene, poses=poses))
    assert "2 of 12 cameras, of which view 3 is the first, face away" in away
    assert "2 of 12 cameras, of which view 3 is the first, see fewer than 20 of the 4,000 points" in blind


def test_cameras_that_look_every_which_way_are_not_suspected(make_scene: MakeScene) -> None:
    """Their axes do not meet, so none faces away from a common point."""
    scene = captured(make_scene(train=8), "unbounded", points=False)
    rng = np.random.default_rng(0)
    shaken = np.tile(np.eye(3, 4, dtype=np.float32), (12, 1, 1))
    shaken[:, :, :3] = Rotation.from_euler("xyz", rng.normal(0, 5, (12, 3)), degrees=True).as_matrix()
    shaken[:, 0, 3] = np.linspace(-1, 1, 12)
    assert warnings_of(replace(scene, poses=shaken)) == []


@captures
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_points_in_other_units_than_the_poses(kind: str, factor: float, make_scene: MakeScene) -> None:
    scene = captured(make_scene(train=8), kind)
    warnings = warnings_of(replace(scene, points=scene.points * np.float32(factor)))
    assert any("are they in the poses' units?" in warning for warning in warnings)


def test_many_points_are_thinned_before_they_are_counted(
    make_scene: MakeScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "POINTS_SHOWN", 15)
    scene = captured(make_scene(train=8), "unbounded")
    assert warnings_of(scene) == []
    poses = scene.poses.copy()
    poses[2] = turned(poses[2])
    assert any("1 of 12 cameras, of which view 2" in warning for warning in warnings_of(replace(scene, poses=poses)))


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_scale_that_is_off(factor: float, make_scene: MakeScene) -> None:
    scene = make_scene(train=8)
    [warning] = warnings_of(replace(scene, bounds=scene.bounds * np.float32(factor)))
    assert "is the scale right?" in warning


@pytest.mark.parametrize("kind", ["bounded", "unbounded", "forward"])
def test_the_picture_shows_cameras_points_and_box(kind: str, make_scene: MakeScene, tmp_path: Path) -> None:
    scene = make_scene(train=8)
    scene = replace(scene, points=np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32))
    space = {
        "bounded": scene.space(0.0, 0.05),
        "unbounded": Unbounded(CUBE, 0.05),
        "forward": Forward(((-1.2, -1.2, -1.0), (1.2, 1.2, 1.0)), 0.0, (1.5, 1.5)),
    }[kind]
    draw_cameras(scene, space, tmp_path / "with.png")
    draw_cameras(replace(scene, points=None), space, tmp_path / "without.png")
    pictures = [iio.imread(tmp_path / name) for name in ("with.png", "without.png")]
    assert pictures[0].shape == pictures[1].shape == (900, 900, 4)
    assert (pictures[0] != pictures[1]).any(axis=2).sum() > 100  # the points
    assert (pictures[1] != 255).any(axis=2).mean() > 0.02
