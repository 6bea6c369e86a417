"""Pictures that cameras stored on their side: turned where only that fits, and told of where it does not tell."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nerfpipe.images.image_file import AGAINST, ORIENTATION, SIDEWAYS, TURNS
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.formats import transforms
from nerfpipe.scenes.frames import ReadOptions
from nerfpipe.scenes.scene import Scene

VIEWS = 4


def options(**keys: Any) -> ReadOptions:
    bounds = np.array([[-1.0] * 3, [1.0] * 3], np.float32)
    usual = {"bounds": bounds, "space": None, "images": None, "masks": None, "factor": 1, "missing": "error"}
    return ReadOptions(**{"name": "mine", "background": "black", "test_every": 2, **usual, **keys})


def pose(view: int) -> list[list[float]]:
    c, s = math.cos(view), math.sin(view)
    return [[c, 0, s, 3 * s], [0, 1, 0, 0], [-s, 0, c, 3 * c], [0, 0, 0, 1]]


def write(folder: Path, orientation: int, lens: dict[str, Any], upright: np.ndarray) -> None:
    """A scene whose pictures are stored so that EXIF's orientation makes them `upright`."""
    stored = Image.fromarray(upright).transpose(TURNS[AGAINST.get(orientation, orientation)])
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    (folder / "images").mkdir(exist_ok=True)
    frames = []
    for view in range(VIEWS):
        stored.save(folder / f"images/{view}.png", exif=tags)
        frames.append({"file_path": f"images/{view}.png", "transform_matrix": pose(view)})
    (folder / "transforms.json").write_text(json.dumps({"fl_x": 40, **lens, "frames": frames}))


@pytest.fixture
def upright() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)


def load(folder: Path, **keys: Any) -> Scene:
    return transforms.load(folder, options(**keys))


@pytest.mark.parametrize("orientation", SIDEWAYS)
@pytest.mark.parametrize("scale", [1, 2])
def test_a_picture_on_its_side_is_turned_where_only_that_fits(
    tmp_path: Path, upright: np.ndarray, orientation: int, scale: int
) -> None:
    write(tmp_path, orientation, {"w": 30 * scale, "h": 20 * scale}, upright)
    scene = load(tmp_path)
    assert (scene.camera(0).width, scene.camera(0).height) == (30, 20)
    np.testing.assert_array_equal(scene.read_image(1)[..., :3], upright)
    assert any("4 of 4 pictures, as 0.png, are stored on their side: turned" in note for note in scene.notes)


@pytest.mark.parametrize("orientation", sorted(TURNS))
def test_where_the_file_gives_no_size_pictures_are_read_as_stored_and_it_is_said_once(
    tmp_path: Path, upright: np.ndarray, orientation: int
) -> None:
    write(tmp_path, orientation, {}, upright)
    scene = load(tmp_path)
    stored = np.asarray(Image.open(tmp_path / "images/0.png"))
    assert (scene.camera(0).width, scene.camera(0).height) == stored.shape[1::-1]
    np.testing.assert_array_equal(scene.read_image(0)[..., :3], stored)
    [note] = [note for note in scene.notes if "orientation" in note]
    assert note.startswith("4 of 4 pictures, as 0.png, have an orientation in their EXIF, which is not followed")


def test_a_nearly_square_picture_is_turned_where_its_camera_has_just_the_upright_size(tmp_path: Path) -> None:
    nearly = np.random.default_rng(0).integers(0, 256, (200, 201, 3)).astype(np.uint8)
    write(tmp_path, 6, {"w": 201, "h": 200}, nearly)
    scene = load(tmp_path)
    np.testing.assert_array_equal(scene.read_image(0)[..., :3], nearly)
    assert any("stored on their side: turned" in note for note in scene.notes)


def test_cameras_of_the_stored_pixels_are_believed(tmp_path: Path, upright: np.ndarray) -> None:
    """As COLMAP finds them: it does not look at EXIF's orientation."""
    write(tmp_path, 6, {"w": 20, "h": 30}, upright)
    scene = load(tmp_path)
    np.testing.assert_array_equal(scene.read_image(0)[..., :3], np.asarray(Image.open(tmp_path / "images/0.png")))
    assert len([note for note in scene.notes if "not followed" in note]) == 1


def test_upright_pictures_are_not_spoken_of(tmp_path: Path, upright: np.ndarray) -> None:
    write(tmp_path, 6, {"w": 30, "h": 20}, upright)
    for view in range(VIEWS):
        Image.fromarray(upright).save(tmp_path / f"images/{view}.png")
    assert not [note for note in load(tmp_path).notes if "EXIF" in note or "turned" in note]


def test_a_picture_that_fits_neither_way_is_refused(tmp_path: Path, upright: np.ndarray) -> None:
    write(tmp_path, 6, {"w": 30, "h": 29}, upright)
    with pytest.raises(NerfpipeError, match=r"0.png: has 20x30 pixels, its camera 30x29"):
        load(tmp_path)


@pytest.mark.parametrize("lies", [False, True])
def test_a_mask_is_turned_like_its_picture_where_it_lies_like_its_pixels(
    tmp_path: Path, upright: np.ndarray, lies: bool
) -> None:
    write(tmp_path, 6, {"w": 30, "h": 20}, upright)
    kept = np.zeros((20, 30), np.uint8)
    kept[3:9, 20:] = 255
    (tmp_path / "masks").mkdir()
    mask = Image.fromarray(kept).transpose(TURNS[8]) if lies else Image.fromarray(kept)
    for view in range(VIEWS):
        mask.save(tmp_path / f"masks/{view}.png")
    scene = load(tmp_path, masks="masks")
    assert scene.read_mask is not None
    np.testing.assert_array_equal(scene.read_mask(0), kept == 255)


def test_a_depth_map_is_turned_like_its_picture(tmp_path: Path, upright: np.ndarray) -> None:
    write(tmp_path, 6, {"w": 30, "h": 20}, upright)
    depth = np.random.default_rng(1).integers(1000, 2000, (20, 30)).astype(np.uint16)
    content = json.loads((tmp_path / "transforms.json").read_text())
    for frame in content["frames"]:
        frame["depth_file_path"] = "depth.npy"
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    np.save(tmp_path / "depth.npy", depth)
    scene = load(tmp_path)
    assert scene.read_depth is not None
    expected = scene.read_depth(0)
    np.save(tmp_path / "depth.npy", np.rot90(depth))  # as the stored pixels lie
    np.testing.assert_array_equal(scene.read_depth(0), expected)
