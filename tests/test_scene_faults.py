"""Other people's data with faults: one line that names the file and the remedy, and nothing left half-written."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import scene_files

from nerfpipe.download.acquire import make_raw
from nerfpipe.project.catalogue import Entry
from nerfpipe.raybank.bank import RayBank
from nerfpipe.raybank.writer import build
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.loading import load_scene
from nerfpipe.scenes.scene import Scene

Fault = Callable[..., str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fault:
    """What loading tmp_path/data and building its bank raises."""
    monkeypatch.chdir(tmp_path)

    def make(**keys: object) -> str:
        with pytest.raises(NerfpipeError) as caught:
            bring_and_build(tmp_path, **keys)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return make


def bring_and_build(tmp_path: Path, **keys: object) -> None:
    raw, bank = tmp_path / "raw", tmp_path / "bank"
    raw.mkdir()
    bank.mkdir()
    make_raw("stranger", Entry.model_validate({"path": str(tmp_path / "data"), **keys}), raw)
    build(load_scene(raw), bank, 0.0, 0.05)


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def set_pose(number: int, row: int, column: int, value: float | None) -> Callable[[dict[str, Any]], object]:
    def change(content: dict[str, Any]) -> None:
        content["frames"][number]["transform_matrix"][row][column] = value

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda c: c.pop("frames"), r"transforms.json: frames: must be a list"),
        (lambda c: c.update(frames=[]), r"transforms.json: frames: must be a list"),
        (lambda c: c.update(frames=["a"]), r"transforms.json: frames: must be a list with an object"),
        (lambda c: c.update(k1=10**400), r"k1: must be a finite number"),
        (set_pose(1, 0, 0, 10**400), r"frames\[1\]: transform_matrix: must be 4 rows"),
        (lambda c: c.update(train_filenames=5), r"train_filenames: must be a list of file names"),
        (lambda c: c.update(train_filenames=[{}], test_filenames=["b"]), r"train_filenames: must be a list of file"),
        (lambda c: c.update(w=0), r"w and h must be from 1 to 65,536 pixels"),
        (lambda c: c["frames"][2].pop("file_path"), r"frames\[2\]: file_path: must name a file \(got None\)"),
        (lambda c: c["frames"][2].pop("transform_matrix"), r"frames\[2\]: transform_matrix: must be 4 rows"),
        (lambda c: c["frames"][2].update(transform_matrix=[1, 2]), r"frames\[2\]: transform_matrix: must be 4 rows"),
        (set_pose(1, 0, 3, float("nan")), r"pose 1 \(001.png\) holds NaN"),
        (set_pose(1, 0, 0, 5.0), r"pose 1 \(001.png\) is not a rotation.*orthonormal"),
        (lambda c: c.pop("fl_x") and c.pop("fl_y"), r"fl_x: missing, and camera_angle_x too"),
        (lambda c: c.update(fl_x=-3), r"focal length must be above 0"),
        (lambda c: c.update(fl_x="wide"), r"fl_x: must be a finite number \(got 'wide'\)"),
        (lambda c: c.update(k1=True), r"k1: must be a finite number \(got True\)"),
        (lambda c: c.update(camera_model="SPHERICAL"), r"camera_model: 'SPHERICAL' is not known here"),
        (lambda c: c.update(k1=-5.0), r"perspective distortion \(-5, .*cannot be inverted at pixel \(0, 0\)"),
        (lambda c: c.update(w=16, h=16), r"000.png: has 16x12 pixels, its camera 16x16; pictures must have the size"),
        (lambda c: c["frames"][3].update(file_path="images/gone.png"), r"1 of 10 pictures are not there \(gone.png\)"),
        (lambda c: c["frames"][3].update(file_path="../../outside.png"), r"are not there \(outside.png\): .*raw holds"),
        (lambda c: c.update(ply_file_path="none.ply"), r"none.ply: not found"),
        (lambda c: c.update(train_filenames=["a"], test_filenames=["b"]), r"'a' is in a split and no frame has"),
    ],
)
def test_transforms(change: Callable, expected: str, scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_transforms(scene, data, [scene.cameras[0]] * scene.views)
    edit(data / "transforms.json", change)
    assert re.search(expected, fault(space="bounded"))


def test_transforms_cut_short(scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_transforms(scene, data, [scene.cameras[0]] * scene.views)
    file = data / "transforms.json"
    file.write_text(file.read_text()[:100])
    assert re.search(r"transforms.json: not valid JSON", fault())


def test_missing_pictures_may_be_skipped(
    scene: Scene, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene_files.write_transforms(scene, data, [scene.cameras[0]] * scene.views)
    for name in ("001.png", "004.png"):
        (data / "images" / name).unlink()
    raw = tmp_path / "raw"
    raw.mkdir()
    monkeypatch.chdir(tmp_path)
    make_raw("stranger", Entry.model_validate({"path": str(data), "missing": "skip", "space": "bounded"}), raw)
    found = load_scene(raw)
    assert found.views == scene.views - 2
    assert found.notes == ("2 of 10 pictures are not there (001.png, 004.png): left out",)
    np.testing.assert_allclose(found.poses[1], scene.poses[2], atol=1e-6)
    np.testing.assert_array_equal(found.read_image(1)[..., :3], scene.read_image(2)[..., :3])


def test_no_picture_at_all(scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_transforms(scene, data, [scene.cameras[0]] * scene.views)
    for file in (data / "images").iterdir():
        file.unlink()
    (data / "images" / "notes.txt").write_text("none")
    assert re.search(r"10 of 10 pictures are not there.*is the folder of pictures complete", fault(missing="skip"))


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda file: file.write_bytes(b"<html>"), r"003.png: not a readable picture"),
        (lambda file: file.write_bytes(file.read_bytes()[:-60]), r"003.png: a damaged or truncated picture"),
        (lambda file: iio.imwrite(file, np.zeros((9, 16, 3), np.uint8)), r"003.png: has 16x9 pixels, its camera 16x12"),
    ],
    ids=["no picture", "truncated", "another size"],
)
def test_pictures(spoil: Callable[[Path], object], expected: str, scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_transforms(scene, data, [scene.cameras[0]] * scene.views)
    spoil(data / "images" / "003.png")
    assert re.search(expected, fault(space="bounded"))


def test_heic(scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_llff(scene, data, 1.0, 5.0)
    (data / "images" / "IMG_1.HEIC").write_bytes(b"x")
    assert re.search(r"IMG_1.HEIC: HEIC pictures cannot be read; export them as JPEG", fault())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda rows: rows[:-1], r"has 9 rows and .*images 10 pictures"),
        (lambda rows: rows[:, :-1], r"must be \[N, 17\] numbers.*\(got \[10, 16\]\)"),
        (lambda rows: np.where(np.arange(17) == 3, np.nan, rows), r"row 0 holds NaN"),
        (lambda rows: np.where(np.arange(17) == 15, -1.0, rows), r"row 0: .*0 < near < far depth"),
        (lambda rows: np.where(np.arange(17) == 14, 0.0, rows), r"focal length above 0"),
        (lambda rows: rows.astype(object), r"not a whole .npy array"),
    ],
)
def test_llff(change: Callable, expected: str, scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_llff(scene, data, 1.0, 5.0)
    np.save(data / "poses_bounds.npy", change(np.load(data / "poses_bounds.npy")), allow_pickle=True)
    assert re.search(expected, fault())


def colmap(scene: Scene, data: Path, binary: bool = True) -> Path:
    camera = scene.cameras[0]
    scene_files.write_colmap(scene, data, "SIMPLE_PINHOLE", [camera.fx, 8, 6], np.zeros((3, 3)), binary)
    return data / "sparse" / "0"


def test_colmap_without_images(scene: Scene, data: Path, fault: Fault) -> None:
    (colmap(scene, data) / "images.bin").unlink()
    assert re.search(r"it has cameras.bin, points3D.bin, and no images.bin", fault(format="colmap"))


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "text"])
@pytest.mark.parametrize("gone", ["cameras", "images"])
def test_an_incomplete_colmap_model_alone_is_no_format(
    gone: str, binary: bool, scene: Scene, data: Path, fault: Fault
) -> None:
    suffix, other = (".bin", ".txt") if binary else (".txt", ".bin")
    (colmap(scene, data, binary) / f"{gone}{suffix}").unlink()
    kept = {"cameras": "images", "images": "cameras"}[gone]
    wanted = rf"model: it has {kept}{suffix}, points3D{suffix}, and no {gone}{suffix} \(or {other}\), at sparse/0"
    assert re.search(wanted, fault())


@pytest.mark.parametrize("name", ["cameras", "images", "points3D"])
def test_colmap_cut_short(name: str, scene: Scene, data: Path, fault: Fault) -> None:
    file = colmap(scene, data) / f"{name}.bin"
    file.write_bytes(file.read_bytes()[:-5])
    assert re.search(rf"{name}.bin: damaged or cut short", fault())


def test_colmap_text_with_nonsense(scene: Scene, data: Path, fault: Fault) -> None:
    file = colmap(scene, data, binary=False) / "cameras.txt"
    file.write_text("7 PINHOLE 16 12 five 5 5 5\n")
    assert re.search(r"cameras.txt: damaged or cut short", fault())


def test_colmap_lens_that_is_not_known(scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_colmap(scene, data, "THIN_PRISM_FISHEYE", [20, 20, 8, 6, *[0.1] * 8], np.zeros((3, 3)))
    assert re.search(r"camera model THIN_PRISM_FISHEYE is not known here; undistort", fault())


@pytest.mark.parametrize("omega", [1.6, 4.0, -4.0])
def test_colmap_field_of_view_that_bends_too_far(omega: float, scene: Scene, data: Path, fault: Fault) -> None:
    """At 8 pixels from the middle, 1.07 focal lengths, 1.6 is beyond a right angle; pi and more bends nothing."""
    scene_files.write_colmap(scene, data, "FOV", [7.5, 7.5, 8, 6, omega], np.zeros((3, 3)))
    assert re.search(r"the fov distortion .* cannot be inverted at pixel", fault(space="bounded"))


def test_a_colmap_lens_newer_than_these(scene: Scene, data: Path, fault: Fault) -> None:
    file = colmap(scene, data) / "cameras.bin"
    content = bytearray(file.read_bytes())
    content[12:16] = (11).to_bytes(4, "little")  # behind the count and the camera's number
    file.write_bytes(content)
    assert re.search(r"cameras.bin: camera model 11 is not known here; undistort", fault())


def test_a_colmap_lens_in_text_newer_than_these(scene: Scene, data: Path, fault: Fault) -> None:
    file = colmap(scene, data, binary=False) / "cameras.txt"
    file.write_text("7 RAD_TAN_THIN_PRISM_FISHEYE 16 12 5 5 5 5\n")
    assert re.search(r"cameras.txt: camera model RAD_TAN_THIN_PRISM_FISHEYE is not known here; undistort", fault())


@pytest.mark.skipif(os.name == "nt", reason="no file of such a name")
def test_colmap_pictures_may_be_named_by_the_time_of_day(
    scene: Scene, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = colmap(scene, data, binary=False) / "images.txt"
    file.write_text(file.read_text().replace("003.png", "12:30:05.png"))
    (data / "images" / "003.png").rename(data / "images" / "12:30:05.png")
    monkeypatch.chdir(tmp_path)
    bring_and_build(tmp_path, space="bounded")
    assert len(RayBank(tmp_path / "bank").header.camera_index) == scene.views


@pytest.mark.parametrize("name", ["/etc/outside.png", "../../outside.png", "C:/outside.png"])
def test_colmap_pictures_from_elsewhere(name: str, scene: Scene, data: Path, fault: Fault) -> None:
    file = colmap(scene, data, binary=False) / "images.txt"
    file.write_text(file.read_text().replace("003.png", name))
    assert re.search(r"1 of 10 pictures are not there \(outside.png\): .*images holds 000.png, 001.png", fault())


def test_colmap_text_with_half_a_line_of_features(scene: Scene, data: Path, fault: Fault) -> None:
    file = colmap(scene, data, binary=False) / "images.txt"
    file.write_text(file.read_text().replace("\n1 2 -1\n", "\n1 2\n", 1))
    assert re.search(r"images.txt: damaged or cut short \(a line of features that is none\)", fault())


def test_colmap_with_a_focal_length_of_nothing(scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_colmap(scene, data, "PINHOLE", [20, 0, 8, 6], np.zeros((3, 3)))
    assert re.search(r"cameras.bin: damaged or cut short \(a camera of 16x12", fault())


@pytest.mark.parametrize("content", [b"PK\x03\x04 no zip", b"\x93NUMPY\x01\x00\x10\x00{'descr': [", b""])
def test_llff_with_a_damaged_header(content: bytes, scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_llff(scene, data, 1.0, 5.0)
    (data / "poses_bounds.npy").write_bytes(content)
    assert re.search(r"poses_bounds.npy: not a whole .npy array", fault())


def test_llff_with_a_factor_that_its_pictures_do_not_have(scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_llff(scene, data, 1.0, 5.0)
    (data / "images").rename(data / "images_8")
    assert re.search(r"pictures made 8 times smaller are the largest here.*give a multiple of 8", fault(factor=4))


def test_llff_pictures_of_other_proportions(scene: Scene, data: Path, fault: Fault) -> None:
    """Turned by their EXIF, say, after the rows were made."""
    scene_files.write_llff(scene, data, 1.0, 5.0)
    for view in range(scene.views):
        iio.imwrite(data / "images" / f"{view:03d}.png", np.zeros((16, 12, 3), np.uint8))
    assert re.search(r"000.png: has 12x16 pixels, its camera 16x12", fault())


def test_masks_of_another_size(scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_transforms(scene, data, [scene.cameras[0]] * scene.views)
    (data / "m").mkdir()
    for view in range(scene.views):
        iio.imwrite(data / "m" / f"{view:03d}.png", np.zeros((5, 5), np.uint8))
    assert re.search(r"m/\d+.png: the mask has 5x5 pixels and its picture 16x12", fault(masks="m", space="bounded"))


def test_masks_that_are_missing(scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_transforms(scene, data, [scene.cameras[0]] * scene.views)
    assert re.search(r"m/\d+.png: no such picture", fault(masks="m", space="bounded"))


def test_all_poses_equal(scene: Scene, data: Path, fault: Fault) -> None:
    same = replace(scene, poses=scene.poses[:1].repeat(scene.views, axis=0))
    scene_files.write_transforms(same, data, [scene.cameras[0]] * scene.views)
    assert re.search(r"all cameras have one position", fault())


def test_a_folder_of_pictures_alone_leads_to_photos(scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_pictures(scene, data)
    assert re.search(r"pictures without cameras; find them with `nerfpipe photos", fault())


def test_a_folder_of_something_else(data: Path, fault: Fault) -> None:
    data.mkdir()
    (data / "letter.txt").write_text("x")
    assert re.search(r"no format was found: transforms_train.json", fault())


def test_several_scenes_in_one_folder(scene: Scene, data: Path, fault: Fault) -> None:
    for name in ("one", "two"):
        scene_files.write_transforms(scene, data / name, [scene.cameras[0]] * scene.views)
    assert re.search(r"holds 2 scenes \(one, two\); name one with `folder:`", fault())


def test_forward_without_any_depth(scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_transforms(scene, data, [scene.cameras[0]] * scene.views)
    assert re.search(r"needs to know what is near, from points or poses_bounds.npy", fault(space="forward"))


def test_blender_angle(scene: Scene, data: Path, fault: Fault) -> None:
    scene_files.write_blender(scene, data)
    edit(data / "transforms_train.json", lambda c: c.update(camera_angle_x=40))
    assert re.search(r"transforms_train.json: the focal length must be above 0 pixels, an angle of view", fault())
