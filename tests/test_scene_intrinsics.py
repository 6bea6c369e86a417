"""Lenses that are impossible for their pictures: refused with a remedy, in every format."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scene_files
from test_scene_places import Read, data, edit, read, transforms

from nerfpipe.geometry.cameras import Camera
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.intrinsics import lens_doubt, lens_fault
from nerfpipe.scenes.scene import Scene

__all__ = ["data", "read"]  # fixtures
WIDTH, HEIGHT = 480, 270


def camera(**change: Any) -> Camera:
    usual = {"width": WIDTH, "height": HEIGHT, "fx": 400.0, "fy": 400.0, "cx": 240.0, "cy": 135.0}
    return Camera(**{**usual, **change})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"cx": 960.0, "cy": 540.0, "fx": 1600.0, "fy": 1600.0}, "outside"),  # of 1920x1080
        ({"cx": 0.0, "cy": 0.0}, "outside"),
        ({"cy": -50.0}, "outside"),
        ({"cx": 480.0}, "outside"),
        ({"cx": 0.5, "cy": 0.5, "fx": 1.4, "fy": 1.4}, "in the corner"),
        ({"fx": 1.4}, "degrees of view"),
        ({"fy": 1e7}, "degrees of view"),
        ({"fx": 1.4, "lens": "fisheye", "distortion": (0.1,)}, "degrees of view"),
    ],
)
def test_what_is_impossible_is_told_with_a_remedy(change: dict[str, Any], fault: str) -> None:
    found = lens_fault(camera(**change))
    assert found is not None
    assert fault in found
    assert "another resolution" in found
    assert "normalised" in found


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"cx": 10.0, "cy": 260.0},  # cropped
        {"fx": 160.0, "fy": 160.0},  # 113 degrees
        {"fx": 40000.0, "fy": 40000.0},  # a telephoto lens
        {"fx": 120.0, "fy": 120.0, "lens": "fisheye", "distortion": (0.1,)},  # 229 degrees
    ],
)
def test_lenses_that_are_made_are_believed(change: dict[str, Any]) -> None:
    assert lens_fault(camera(**change)) is None


def test_a_point_a_quarter_in_both_ways_is_doubted() -> None:
    """As of numbers for a picture of half the size."""
    assert lens_doubt(camera()) is None
    assert lens_doubt(camera(cx=100.0, cy=135.0)) is None
    doubt = lens_doubt(camera(cx=120.0, cy=67.5))
    assert doubt is not None
    assert "25% across and down" in doubt


def test_pixels_of_twice_the_height_are_doubted() -> None:
    doubt = lens_doubt(camera(fx=1111.0, fy=300.0))
    assert doubt is not None
    assert "fl_x = 1111 and fl_y = 300 pixels are far apart" in doubt


@pytest.mark.parametrize("times", [1, 2])
def test_a_focal_length_that_contradicts_the_angle_of_view_is_told_of(
    times: int, scene: Scene, data: Path, read: Read
) -> None:
    """As where both are for another resolution, and w and h are missing."""
    lens = scene.cameras[0]
    angle = 2 * math.atan(0.5 * lens.width / lens.fx)

    def change(content: dict[str, Any]) -> None:
        for key in ("w", "h", "cx", "cy", "fl_y"):
            del content[key]
        content.update(fl_x=content["fl_x"] * times, camera_angle_x=angle)

    transforms(scene, data, change)
    told = [note for note in read(space="bounded").notes if "camera_angle_x is" in note]
    assert len(told) == times - 1


def test_transforms(scene: Scene, data: Path, read: Read) -> None:
    def change(content: dict[str, Any]) -> None:
        content.update(cx=content["cx"] * 4, cy=content["cy"] * 4, fl_x=content["fl_x"] * 4)
        del content["w"], content["h"]

    transforms(scene, data, change)
    with pytest.raises(NerfpipeError, match=r"transforms.json: 000.png: the principal point .* outside its picture"):
        read()


def test_blender(scene: Scene, data: Path, read: Read) -> None:
    scene_files.write_blender(scene, data)
    edit(data / "transforms_train.json", lambda content: content.update(cx=0, cy=0))
    with pytest.raises(NerfpipeError, match=r"the principal point \(0, 0\) lies outside"):
        read()


def test_colmap(scene: Scene, data: Path, read: Read) -> None:
    scene_files.write_colmap(scene, data, "PINHOLE", [1.4, 1.4, 0.5, 0.5], np.zeros((0, 3)))
    with pytest.raises(NerfpipeError, match=r"sparse/0: 000.png: the principal point \(0.5, 0.5\) lies in the corner"):
        read()


def test_llff(scene: Scene, data: Path, read: Read) -> None:
    scene_files.write_llff(scene, data, 1.0, 5.0)
    rows = np.load(data / "poses_bounds.npy")
    rows[:, 14] = 0.7
    np.save(data / "poses_bounds.npy", rows)
    with pytest.raises(NerfpipeError, match=r"poses_bounds.npy: 000.png: the focal length .* degrees of view"):
        read()


def test_tiny_nerf(scene: Scene, data: Path, read: Read) -> None:
    data.mkdir()
    images = np.stack([scene.read_image(view)[..., :3] for view in range(scene.views)])
    poses = np.concatenate([scene.poses, np.tile([[[0.0, 0, 0, 1]]], (scene.views, 1, 1))], axis=1)
    np.savez(data / "tiny.npz", images=images, poses=poses, focal=0.6)
    with pytest.raises(NerfpipeError, match=r"tiny.npz: the focal length fl_x = 0.6 pixels means"):
        read(format="tiny_nerf", train_views=8)
