"""Pictures that are there twice: under other spellings, in other formats, and those that only look alike."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import scene_files
from PIL import Image
from test_scene_finder import duplicate
from test_scene_places import Read, data, edit, read, transforms

from nerfpipe.scenes.formats import tiny_nerf
from nerfpipe.scenes.repeats import content_keys, without_repeats
from nerfpipe.scenes.scene import Scene

__all__ = ["data", "read"]  # fixtures


@pytest.mark.parametrize(
    "spelling",
    ["images/000.png", "images/000", "./images/000.PNG", "/home/somebody/images/000.png", "x/../images/000.png"],
)
def test_one_picture_in_two_spellings_counts_once(spelling: str, scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data)
    duplicate(data, 0, spelling, "none")
    found = read(space="bounded", test_every=4)
    assert found.splits["train"].tolist() == [1, 2, 3, 5, 6, 7, 9]
    assert found.splits["test"].tolist() == [0, 4, 8]
    assert "1 train pictures, as 000.png, are also held out: not trained on" in found.notes


def test_a_copy_in_another_format_is_known_by_its_pixels(scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data)
    Image.open(data / "images/000.png").save(data / "images/zzz.bmp")
    duplicate(data, 0, "images/zzz.bmp", "none")
    found = read(space="bounded", test_every=4)
    assert "1 train pictures, as zzz.bmp, are also held out: not trained on" in found.notes


def test_pictures_of_one_pose_that_differ_are_kept(scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data)
    edit(
        data / "transforms.json",
        lambda content: content["frames"][1].update(transform_matrix=content["frames"][0]["transform_matrix"]),
    )
    assert read(space="bounded").notes == ()


def test_blender_names_a_train_picture_with_its_suffix_in_test(scene: Scene, data: Path, read: Read) -> None:
    scene_files.write_blender(scene, data)
    (first, *_) = scene_files.json.loads((data / "transforms_train.json").read_text())["frames"]
    edit(
        data / "transforms_test.json",
        lambda content: content["frames"].append({**first, "file_path": first["file_path"] + ".png"}),
    )
    found = read()
    assert 0 not in found.splits["train"]
    assert len(found.splits["test"]) == len(scene.splits["test"]) + 1


def test_empty_pictures_all_round_are_views_of_their_own(tmp_path: Path) -> None:
    """Close by one another, too: no chain of neighbours makes them one."""
    count = 2000
    file = tmp_path / "a.png"
    Image.new("RGB", (4, 3)).save(file)
    turns = 2 * math.pi * np.arange(count) / count
    poses = np.zeros((count, 3, 4))
    poses[:, :, :3] = np.eye(3)
    poses[:, 0, 3], poses[:, 1, 3] = 3 * np.cos(turns), 3 * np.sin(turns)
    splits = {"train": list(range(1, count)), "val": [0], "test": [0]}
    kept, notes = without_repeats(splits, content_keys([file] * count, poses), poses, ["a.png"] * count)
    assert kept == splits
    assert notes == ["one picture, a.png, has several poses: is it named for the right ones?"]


def test_tiny_nerf_does_not_train_on_what_is_held_out(scene: Scene, tmp_path: Path) -> None:
    order = [*range(scene.views), 0]
    images = np.stack([scene.read_image(view)[..., :3] for view in order])
    poses = np.stack([np.vstack([scene.poses[view], [0, 0, 0, 1]]) for view in order])
    np.savez(tmp_path / "t.npz", images=images, poses=poses, focal=np.array(scene.cameras[0].fx))
    found = tiny_nerf.load(tmp_path / "t.npz", "t", "black", None, train_views=6)
    assert found.splits["train"].tolist() == [1, 2, 3, 4, 5]
    assert found.splits["test"].tolist() == [6, 7, 8, 9, 10]
    assert "1 train pictures, as view 0, are also held out: not trained on" in found.notes
