"""Names that data gives its files, in the spellings that differ least from others and mean something else."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scene_files
from hypothesis import given
from hypothesis import strategies as st
from test_scene_finder import colmap, same_pictures
from test_scene_places import Read, data, edit, read, transforms, two_cameras

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.file_names import MAX_PATH_BYTES, from_elsewhere, plain_name
from nerfpipe.scenes.folder_index import FolderIndex
from nerfpipe.scenes.scene import Scene

__all__ = ["data", "read"]  # fixtures


def name_all(data: Path, name: Callable[[str], str]) -> None:
    """Call every frame's picture otherwise; `name` takes 003."""
    edit(
        data / "transforms.json",
        lambda content: [frame.update(file_path=name(Path(frame["file_path"]).stem)) for frame in content["frames"]],
    )


def rename_all(data: Path, name: Callable[[str], str]) -> None:
    """Call every file otherwise."""
    for file in sorted((data / "images").iterdir()):
        file.rename(file.with_name(name(file.stem)))


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("cam_A:{}.png", "images/cam_A:{}.png"),
        ("my {}.png", "images/my%20{}.png"),
        ("100%25 {}.png", "images/100%25 {}.png"),
        (unicodedata.normalize("NFD", "ö{}.png"), unicodedata.normalize("NFC", "images/ö{}.png")),
        ("{}.png", "file:///home/somebody/scene/images/{}.png"),
        ("{}.png", "masks/../images/{}.png"),
        ("1.5 {}.png", "/home/somebody/images/1.5 {}"),
    ],
)
def test_a_picture_is_found_by_a_name_with_signs(file: str, name: str, scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data)
    name_all(data, name.format)
    rename_all(data, file.format)
    same_pictures(read(space="bounded"), scene)


def test_a_way_up_leaves_the_folder_before_it(scene: Scene, data: Path, read: Read) -> None:
    """images/../003.png is 003.png, although there is an images/003.png."""
    transforms(scene, data)
    for view in range(scene.views):
        (data / f"{view:03d}.png").write_bytes((data / f"images/{view:03d}.png").read_bytes())
        (data / f"images/{view:03d}.png").write_bytes((data / "images/000.png").read_bytes())
    name_all(data, "images/../{}.png".format)
    same_pictures(read(space="bounded"), scene)


def test_of_two_that_differ_in_case_the_one_spelled_alike_is_taken(tmp_path: Path) -> None:
    for name in ("a.png", "A.png"):
        (tmp_path / name).touch()
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this disk does not tell them apart")
    found = FolderIndex(tmp_path).find(plain_name("/x/A.png"), deeper=False)
    assert found is not None
    assert found.file.name == "A.png"


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "b/" * 2040 + "c.png"])
def test_a_name_that_no_file_can_have_is_one_line(name: str, scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data, lambda content: content["frames"][3].update(file_path=name))
    with pytest.raises(NerfpipeError, match="no file has one") as error:
        read()
    assert len(str(error.value)) < 300


@given(st.text(max_size=60))
def test_a_plain_name_stays_within_the_scene(named: str) -> None:
    try:
        name = plain_name(named)
    except NerfpipeError:
        return
    assert not name.is_absolute()
    assert not {"..", "."} & set(name.parts)
    assert len(str(name)) <= MAX_PATH_BYTES


@pytest.mark.parametrize(
    ("name", "elsewhere"),
    [("images/a.png", False), ("./a.png", False), ("..a.png", False), ("c:a.png", False), ("/a.png", True),
     ("../a.png", True), ("C:\\a.png", True), ("\\\\server\\a.png", True), ("~/a.png", True)],
)  # fmt: skip
def test_names_from_elsewhere(name: str, elsewhere: bool) -> None:
    assert from_elsewhere(name) == elsewhere


def test_a_missing_picture_is_never_another_cameras(scene: Scene, data: Path, read: Read) -> None:
    two_cameras(scene, data)
    (data / "images/cam0/0001.png").unlink()
    (data / "images").rename(data / "small")
    with pytest.raises(NerfpipeError, match=r"1 of 10 pictures are not there \(0001.png\): .* holds"):
        read(images="small", space="bounded")
    found = read(images="small", missing="skip", space="bounded")
    for mine, view in enumerate(view for view in range(scene.views) if view != 2):
        np.testing.assert_array_equal(found.read_image(mine)[..., :3], scene.read_image(view)[..., :3])


def test_what_is_missing_may_be_skipped_where_another_has_its_file(scene: Scene, data: Path, read: Read) -> None:
    """Of a picture's own name and one that ends in it, the first is right."""
    colmap(scene, data, lambda name: {"000.png": "b/x.png", "001.png": "a/b/x.png"}.get(name, name))
    (data / "images/b").mkdir()
    (data / "images/000.png").rename(data / "images/b/x.png")
    with pytest.raises(NerfpipeError, match="would serve both"):
        read(space="bounded")
    assert read(missing="skip", space="bounded").views == scene.views - 1


def test_a_picture_is_not_taken_for_its_missing_mask_or_depth(scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data)
    for file in sorted((data / "images").iterdir()):
        file.rename(data / file.name)
    for key, folder in (("mask_path", "masks"), ("depth_file_path", "depth")):

        def named(content: dict, key: str = key, folder: str = folder) -> None:
            for frame in content["frames"]:
                name = Path(frame["file_path"]).name
                frame.update(file_path=name, **{key: f"{folder}/{name}"})

        edit(data / "transforms.json", named)
    found = read(space="bounded")
    for look in (found.read_mask, found.read_depth):
        assert look is not None
        with pytest.raises(NerfpipeError, match=r"(masks|depth)/000.png: no such picture"):
            look(0)


def test_masks_may_be_spelled_in_capitals(scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data)
    (data / "masks").mkdir()
    camera = scene.cameras[0]
    for view in range(scene.views):
        scene_files.iio.imwrite(data / f"masks/{view:03d}.png", np.zeros((camera.height, camera.width), np.uint8))
        (data / f"masks/{view:03d}.png").rename(data / f"masks/{view:03d}.PNG")
    found = read(space="bounded", masks="masks")
    assert found.read_mask is not None
    assert not found.read_mask(0).any()


@pytest.mark.parametrize("elsewhere", ["frames", "lists"])
def test_lists_of_splits_may_be_from_another_machine(elsewhere: str, scene: Scene, data: Path, read: Read) -> None:
    def listed(content: dict) -> None:
        names = [frame["file_path"] for frame in content["frames"]]
        foreign = [f"/home/somebody/scene/{name}" for name in names]
        content["train_filenames"] = (foreign if elsewhere == "lists" else names)[2:]
        content["test_filenames"] = names[:2]
        if elsewhere == "frames":
            for frame, name in zip(content["frames"], foreign, strict=True):
                frame["file_path"] = name

    transforms(scene, data, listed)
    found = read(space="bounded")
    assert found.splits["test"].tolist() == [0, 1]
    assert found.splits["train"].tolist() == list(range(2, scene.views))


def test_a_name_in_a_split_that_is_of_no_frame_is_told_of(scene: Scene, data: Path, read: Read) -> None:
    def listed(content: dict) -> None:
        names = [frame["file_path"] for frame in content["frames"]]
        content["train_filenames"], content["test_filenames"] = [*names[2:], "images/typo.png"], names[:2]

    transforms(scene, data, listed)
    (data / "images/005.png").unlink()
    found = read(space="bounded", missing="skip")
    assert found.views == scene.views - 1
    assert "1 names in splits, as images/typo.png, are of no frame: left out" in found.notes


def test_thousands_of_files_of_one_name_are_found_each_by_its_folder(tmp_path: Path) -> None:
    """Each is looked up once: no list of all that are called alike is gone through."""
    for number in range(300):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}/rgb.png").touch()
    index, looks = FolderIndex(tmp_path), []
    best = index._best
    index._best = lambda files, *rest: (looks.append(len(files)), best(files, *rest))[1]  # type: ignore[method-assign]
    for number in range(300):
        found = index.find(plain_name(f"/home/somebody/{number}/rgb.jpg"), deeper=True)
        assert found is not None
        assert found.file == tmp_path / f"{number}/rgb.png"
    assert sum(looks) == 300


def test_json_as_powershell_writes_it(scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data)
    content = json.dumps(json.loads((data / "transforms.json").read_text()))
    (data / "transforms.json").write_bytes(content.encode("utf-16"))
    same_pictures(read(space="bounded"), scene)
