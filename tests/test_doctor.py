"""The usual mistakes, told before hours are spent, and the picture that shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from nerfpipe.contraction import CUBE
from nerfpipe.doctor import draw_cameras, usual_mistakes
from nerfpipe.scenes.scene import Scene
from nerfpipe.space import Space

MakeScene = Callable[..., Scene]


def warnings_of(scene: Scene) -> list[str]:
    return usual_mistakes(scene, scene.space(0.0, 0.05))


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
    """As OpenCV's poses would, taken for OpenGL's."""
    scene = make_scene(train=8)
    poses = scene.poses.copy()
    poses[2, :, 1:3] *= -1
    [warning] = warnings_of(replace(scene, poses=poses))
    assert "1 of 12 cameras, of which view 2 is the first, face away" in warning


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
        "unbounded": Space("unbounded", CUBE, 0.05),
        "forward": Space("forward", ((-1.2, -1.2, -1.0), (1.2, 1.2, 1.0)), 0.0, (1.5, 1.5)),
    }[kind]
    draw_cameras(scene, space, tmp_path / "with.png")
    draw_cameras(replace(scene, points=None), space, tmp_path / "without.png")
    pictures = [iio.imread(tmp_path / name) for name in ("with.png", "without.png")]
    assert pictures[0].shape == pictures[1].shape == (900, 900, 4)
    assert (pictures[0] != pictures[1]).any(axis=2).sum() > 100  # the points
    assert (pictures[1] != 255).any(axis=2).mean() > 0.02
