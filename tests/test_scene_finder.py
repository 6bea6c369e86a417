"""The one finder of a scene's files: whatever data calls them, the right one, or none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scene_files
from test_scene_places import Read, data, edit, read, transforms

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.file_names import plain_name
from nerfpipe.runtime.json_file import read_object
from nerfpipe.scenes.file_finder import FileFinder
from nerfpipe.scenes.scene import Scene

__all__ = ["data", "read"]  # fixtures


ODD = ["a:left {}.png", "take a: {}.png", "{}\x1b[31m.png", "{}\nerror: forged.png", "{}\udce9.png"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("odd", ODD)
def test_names_that_look_like_drives_or_are_no_text_are_names(odd: str, scene: Scene, data: Path, read: Read) -> None:
    def named(content: dict) -> None:
        for view, frame in enumerate(content["frames"]):
            frame["file_path"] = f"images/{odd.format(f'{view:03d}')}"

    transforms(scene, data, named)
    for view in range(scene.views):
        (data / f"images/{view:03d}.png").rename(data / f"images/{odd.format(f'{view:03d}')}")
    same_pictures(read(), scene)


def colmap(scene: Scene, data: Path, rename: Callable[[str], str] = str, binary: bool = False) -> None:
    camera = scene.cameras[0]
    scene_files.write_colmap(scene, data, "PINHOLE", [camera.fx, camera.fx, 8, 6], np.zeros((0, 3)), binary=binary)
    names = data / "sparse/0/images.txt"
    for view in range(scene.views):
        names.write_text(names.read_text().replace(f"{view:03d}.png", rename(f"{view:03d}.png")))


def same_pictures(found: Scene, scene: Scene) -> None:
    assert found.views == scene.views
    for view in range(scene.views):
        np.testing.assert_array_equal(found.read_image(view)[..., :3], scene.read_image(view)[..., :3])


@pytest.mark.parametrize(
    "spelling",
    [
        "images/{}.png",
        "./images/{}.png",
        "images/{}",
        "images//./{}.png",
        "../scene/images/{}",
        "../../other/scene/images/{}.png",
        "/home/somebody/scene/images/{}.png",
        "/home/somebody/scene/images/{}",
        "C:\\Users\\somebody\\scene\\images\\{}.png",
        "images\\{}.png",
        "images/{}.PNG",
        "Images/{}.png",
        "images/{}.jpg",
    ],
)
def test_a_picture_is_found_whatever_machine_named_it(spelling: str, scene: Scene, data: Path, read: Read) -> None:
    def named(content: dict) -> None:
        for view, frame in enumerate(content["frames"]):
            frame["file_path"] = spelling.format(f"{view:03d}")

    transforms(scene, data, named)
    same_pictures(read(space="bounded"), scene)
    (data / "images").rename(data / "small")
    same_pictures(read(space="bounded", images="small"), scene)


@pytest.mark.parametrize("spelling", ["/somewhere/images/{}", "../scene/images/{}.png", "images/{}"])
def test_what_is_missing_may_be_skipped_on_every_way(spelling: str, scene: Scene, data: Path, read: Read) -> None:
    def named(content: dict) -> None:
        for view, frame in enumerate(content["frames"]):
            frame["file_path"] = spelling.format(f"{view:03d}")

    transforms(scene, data, named)
    (data / "images/003.png").unlink()
    with pytest.raises(NerfpipeError, match=r"1 of 10 pictures are not there \(003.png\): .*holds"):
        read(space="bounded")
    assert read(space="bounded", missing="skip").views == scene.views - 1


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name.replace(".png", ".JPG"),
        lambda name: f"images/{name}",
        lambda name: f"a/b/{name}",
        lambda name: f"/data/scene/images/{name}",
        lambda name: f"../images/{name}",
        lambda name: f"a/{name.replace('.png', '.jpg')}",
    ],
)
def test_colmaps_pictures_are_found_in_copies_of_every_kind(
    rename: Callable[[str], str], scene: Scene, data: Path, read: Read
) -> None:
    colmap(scene, data, rename)
    same_pictures(read(space="bounded"), scene)


def test_pictures_may_lie_in_folders_that_names_do_not_have(scene: Scene, data: Path, read: Read) -> None:
    colmap(scene, data)
    (data / "images").rename(data / "all")
    (data / "images/cam0").mkdir(parents=True)
    for file in (data / "all").iterdir():
        file.rename(data / "images/cam0" / file.name)
    same_pictures(read(space="bounded"), scene)


def test_pictures_beside_the_model_are_found_where_there_is_no_folder_of_them(
    scene: Scene, data: Path, read: Read
) -> None:
    colmap(scene, data, lambda name: f"images/{name}")
    for file in (data / "images").iterdir():
        file.rename(data / file.name)
    (data / "images").rmdir()
    same_pictures(read(space="bounded"), scene)


def test_two_that_fit_equally_well_are_an_error(scene: Scene, data: Path, read: Read) -> None:
    colmap(scene, data)
    for folder in ("cam0", "cam1"):
        (data / "images" / folder).mkdir()
        (data / "images" / folder / "004.png").write_bytes((data / "images/004.png").read_bytes())
    (data / "images/004.png").unlink()
    with pytest.raises(NerfpipeError, match=r"004.png may be cam0/004.png and cam1/004.png, which fit equally well"):
        read()


def test_one_picture_never_serves_two_names(scene: Scene, data: Path, read: Read) -> None:
    colmap(scene, data, lambda name: name.replace("001", "a/000"))
    with pytest.raises(NerfpipeError, match=r"images/000.png: would serve both 000.png and a/000.png"):
        read()


def test_a_mask_of_the_same_name_is_not_taken_for_a_missing_picture(scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data)
    (data / "masks").mkdir()
    (data / "images/003.png").rename(data / "masks/003.png")
    with pytest.raises(NerfpipeError, match=r"1 of 10 pictures are not there \(003.png\)"):
        read()


def test_masks_and_depth_of_another_machine_are_found(scene: Scene, data: Path, read: Read) -> None:
    def named(content: dict) -> None:
        for frame in content["frames"]:
            frame["mask_path"], frame["depth_file_path"] = "/home/somebody/masks/m.png", "..\\scene\\depth\\d.npy"

    transforms(scene, data, named)
    camera = scene.cameras[0]
    (data / "masks").mkdir()
    (data / "depth").mkdir()
    mask = np.full((camera.height, camera.width), 255, np.uint8)
    scene_files.iio.imwrite(data / "masks/m.png", mask)
    np.save(data / "depth/d.npy", np.ones((camera.height, camera.width), np.float32))
    found = read(space="bounded")
    assert found.read_mask is not None
    assert found.read_mask(0).all()
    assert found.read_depth is not None
    [note] = [note for note in found.notes if ".npy" in note]
    assert "taken to be in millimetres" in note


def test_blender_scenes_have_depth_too(scene: Scene, data: Path, read: Read) -> None:
    scene_files.write_blender(scene, data)
    camera = scene.cameras[0]
    np.save(data / "d.npy", np.full((camera.height, camera.width), 2.0, np.float32))

    def named(content: dict) -> None:
        content["depth_unit_scale_factor"] = 1.0
        for frame in content["frames"]:
            frame["depth_file_path"] = "d.npy"

    for split in ("train", "val", "test"):
        edit(data / f"transforms_{split}.json", named)
    found = read()
    assert found.read_depth is not None
    assert found.read_depth(0).min() >= 2 * 0.999


@pytest.mark.parametrize("name", ["../" * 100_000 + "a.png", "a" * 5000, "/" * 5000])
def test_a_path_longer_than_any_is_refused_at_once(name: str, scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data, lambda content: content["frames"][3].update(file_path=name))
    with pytest.raises(NerfpipeError, match=r"frames\[3\]: file_path: names a path of more than 4,096 bytes"):
        read()


@pytest.mark.parametrize("name", ["..", "./.", "/", "C:\\"])
def test_a_name_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(NerfpipeError, match="names no file"):
        plain_name(name)


def test_a_name_never_leads_out_of_the_scene(tmp_path: Path) -> None:
    (tmp_path / "outside.png").touch()
    (tmp_path / "scene").mkdir()
    finder = FileFinder(tmp_path / "scene", None, None)
    for name in ("../outside.png", str(tmp_path / "outside.png"), "images/../../outside.png"):
        assert finder.pictures([name])[0].is_relative_to(tmp_path / "scene")


def test_a_pipe_where_json_is_expected_is_refused(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "transforms.json")
    with pytest.raises(NerfpipeError, match="is a named pipe"):
        read_object(tmp_path / "transforms.json")


def test_lists_of_splits_may_spell_names_otherwise(scene: Scene, data: Path, read: Read) -> None:
    def listed(content: dict) -> None:
        names = [frame["file_path"] for frame in content["frames"]]
        content["train_filenames"] = [f"./{name}" for name in names[2:]]
        content["test_filenames"] = [name.removesuffix(".png") for name in names[:2]]

    transforms(scene, data, listed)
    found = read(space="bounded")
    assert found.splits["test"].tolist() == [0, 1]
    assert found.splits["train"].tolist() == list(range(2, scene.views))


# --- what is there twice ---


def duplicate(data: Path, of: int, name: str, link: str) -> None:
    """Another frame with the picture and pose of frame `of`, under a name of its own."""
    content = json.loads((data / "transforms.json").read_text())
    frame = content["frames"][of]
    source, target = data / frame["file_path"], data / name
    if link == "copy":
        target.write_bytes(source.read_bytes())
    elif link == "hard":
        target.hardlink_to(source)
    content["frames"].append({**frame, "file_path": name})
    (data / "transforms.json").write_text(json.dumps(content))


@pytest.mark.parametrize("link", ["copy", "hard"])
def test_training_does_not_see_what_it_is_tested_on(link: str, scene: Scene, data: Path, read: Read) -> None:
    """Frame 0 is held out; its duplicate, frame 10, would train."""
    transforms(scene, data)
    duplicate(data, 0, "images/zzz.png", link)
    found = read(space="bounded", test_every=4)
    assert 0 in found.splits["test"]
    assert 10 not in found.splits["train"]
    assert "1 train pictures, as zzz.png, are also held out: not trained on" in found.notes


def test_a_picture_that_is_there_twice_counts_once(scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data)
    duplicate(data, 1, "images/zzz.png", "copy")
    found = read(space="bounded", test_every=4)
    assert found.splits["train"].tolist() == [1, 2, 3, 5, 6, 7, 9]
    assert "1 pictures, as zzz.png, are there twice: counted once" in found.notes


def test_blenders_test_frames_do_not_train(scene: Scene, data: Path, read: Read) -> None:
    scene_files.write_blender(scene, data)
    (data / "transforms_test.json").write_bytes((data / "transforms_train.json").read_bytes())

    def first_two(content: dict) -> None:
        content["frames"] = content["frames"][:2]

    edit(data / "transforms_test.json", first_two)
    found = read()
    held_out = {(found.poses[view].tobytes()) for view in found.splits["test"]}
    assert not held_out & {found.poses[view].tobytes() for view in found.splits["train"]}
    assert any("are also held out: not trained on" in note for note in found.notes)


def test_one_picture_under_several_poses_is_told_of_and_kept(scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data)
    for view in (1, 2):
        (data / f"images/{view:03d}.png").write_bytes((data / "images/000.png").read_bytes())
    found = read(space="bounded", test_every=4)
    assert found.splits["train"].tolist() == [1, 2, 3, 5, 6, 7, 9]
    assert any("has several poses" in note for note in found.notes)
