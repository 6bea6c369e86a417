"""Pictures, masks and depth maps that lie elsewhere than usual: found, and never one file for two frames."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import scene_files
import trimesh

from nerfpipe.download.acquire import make_raw
from nerfpipe.project.catalogue import Entry
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.image_files import read_depth_map, read_picture
from nerfpipe.scenes.loading import load_scene
from nerfpipe.scenes.scene import Scene

H, W = 12, 16  # of the ball's pictures

Read = Callable[..., Scene]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def read(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Brings `data` here as an entry with these keys would, and loads it."""
    monkeypatch.chdir(tmp_path)

    def make(**keys: object) -> Scene:
        raw = tmp_path / f"raw-{len(list(tmp_path.iterdir()))}"
        raw.mkdir()
        make_raw("stranger", Entry.model_validate({"path": str(data), **keys}), raw)
        return load_scene(raw)

    return make


def transforms(scene: Scene, data: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
    scene_files.write_transforms(scene, data, [scene.cameras[0]] * scene.views)
    edit(data / "transforms.json", change)


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def two_cameras(scene: Scene, data: Path) -> None:
    """Views by turns in cam0 and cam1, under the same names."""

    def moved(content: dict[str, Any]) -> None:
        for view, frame in enumerate(content["frames"]):
            name = f"images/cam{view % 2}/{view // 2:04d}.png"
            (data / name).parent.mkdir(exist_ok=True)
            (data / frame["file_path"]).rename(data / name)
            frame["file_path"] = name

    transforms(scene, data, moved)


def write_png(file: Path, pixels: np.ndarray) -> None:
    """A PNG of 16 bits in each of its channels, 3 or 4, which Pillow reads and does not write."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    packed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def mask_of(view: int) -> np.ndarray:
    """Another one for every view: its first columns are black."""
    return np.where(np.arange(W) < 1 + view, 0, 255).astype(np.uint8)[None].repeat(H, axis=0)


def write_mask(file: Path, view: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    iio.imwrite(file, mask_of(view))


def assert_masks(found: Scene, views: list[int]) -> None:
    assert found.read_mask is not None
    for mine, theirs in enumerate(views):
        np.testing.assert_array_equal(found.read_mask(mine), mask_of(theirs) > 0)


# --- names in nested folders ---


@pytest.mark.parametrize("kept", ["images/", ""], ids=["whole path", "below images"])
def test_pictures_of_two_cameras_are_told_apart_in_another_folder(
    kept: str, scene: Scene, data: Path, read: Read
) -> None:
    two_cameras(scene, data)
    for camera in ("cam0", "cam1"):
        (data / "small" / kept).mkdir(parents=True, exist_ok=True)
        (data / "images" / camera).rename(data / "small" / kept / camera)
    found = read(images="small", space="bounded")
    for view in range(scene.views):
        np.testing.assert_array_equal(found.read_image(view)[..., :3], scene.read_image(view)[..., :3])


def test_one_picture_for_two_frames_is_refused(scene: Scene, data: Path, read: Read) -> None:
    two_cameras(scene, data)
    (data / "images" / "cam1").rename(data / "small")
    with pytest.raises(
        NerfpipeError, match=r"small/0000.png: would serve both images/cam0/0000.png and images/cam1/00"
    ):
        read(images="small")


@pytest.mark.parametrize("pattern", ["masks/images/cam{}/{:04d}.png", "masks/cam{}/{:04d}.png.png"])
def test_masks_of_two_cameras_are_told_apart(pattern: str, scene: Scene, data: Path, read: Read) -> None:
    two_cameras(scene, data)
    for view in range(scene.views):
        write_mask(data / pattern.format(view % 2, view // 2), view)
    assert_masks(read(masks="masks", space="bounded"), list(range(scene.views)))


def test_one_mask_for_two_pictures_is_refused(scene: Scene, data: Path, read: Read) -> None:
    two_cameras(scene, data)
    write_mask(data / "masks" / "0000.png", 0)
    with pytest.raises(NerfpipeError, match=r"masks/0000.png: would serve both .*; in the folder that `masks:` names"):
        read(masks="masks")


def test_masks_of_blender_scenes_are_told_apart_by_split(scene: Scene, data: Path, read: Read) -> None:
    """train/r_0, val/r_0 and test/r_0 are three pictures."""
    scene_files.write_blender(scene, data)
    order = [int(view) for split in ("train", "val", "test") for view in scene.splits[split]]
    for split in ("train", "val", "test"):
        for number, view in enumerate(scene.splits[split]):
            write_mask(data / "masks" / split / f"r_{number}.png", int(view))
    assert_masks(read(masks="masks"), order)


def test_blender_masks_by_name_alone_are_refused(scene: Scene, data: Path, read: Read) -> None:
    scene_files.write_blender(scene, data)
    for number in range(scene.views):
        write_mask(data / "masks" / f"r_{number}.png", number)
    with pytest.raises(NerfpipeError, match=r"r_0.png: would serve both train/r_0.png and val/r_0.png"):
        read(masks="masks")


def test_a_picture_that_val_and_test_share_is_no_clash(scene: Scene, data: Path, read: Read) -> None:
    scene_files.write_blender(scene, data)
    (data / "transforms_test.json").write_bytes((data / "transforms_val.json").read_bytes())
    for split in ("train", "val"):
        (data / "small").mkdir(exist_ok=True)
        (data / split).rename(data / "small" / split)
    assert len(read(images="small").splits["test"]) == len(scene.splits["val"])


@pytest.mark.parametrize("name", ["{:03d}.png.png", "{:03d}.png"])
def test_masks_of_colmap_and_llff(name: str, scene: Scene, data: Path, read: Read) -> None:
    camera = scene.cameras[0]
    scene_files.write_colmap(scene, data, "PINHOLE", [camera.fx, camera.fx, 8, 6], np.zeros((0, 3)))
    scene_files.write_llff(scene, data, 1.0, 5.0)
    for view in range(scene.views):
        write_mask(data / "masks" / name.format(view), view)
    for form in ("colmap", "llff"):
        assert_masks(read(format=form, masks="masks"), list(range(scene.views)))


# --- masks and depth that transforms.json names ---


def test_masks_that_frames_name_are_read(scene: Scene, data: Path, read: Read) -> None:
    def named(content: dict[str, Any]) -> None:
        for view, frame in enumerate(content["frames"]):
            frame["mask_path"] = f"m/{view}.png"
            write_mask(data / "m" / f"{view}.png", view)

    transforms(scene, data, named)
    assert_masks(read(space="bounded"), list(range(scene.views)))


def test_dynamic_masks_leave_out_what_is_white(scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data)
    for view in (0, 3):
        iio.imwrite(data / "images" / f"dynamic_mask_{view:03d}.png", 255 - mask_of(view))
    found = read(space="bounded")
    for view in (0, 3):
        np.testing.assert_array_equal(found.read_mask(view), mask_of(view) > 0)
    assert found.read_mask(1).all()


def with_depth(data: Path, depth: np.ndarray, name: str = "d.png", **keys: object) -> Callable[[dict[str, Any]], None]:
    """A change that gives every frame this depth map and the file these keys."""

    def change(content: dict[str, Any]) -> None:
        np.save(data / name, depth) if name.endswith(".npy") else iio.imwrite(data / name, depth)
        content.update(keys)
        for frame in content["frames"]:
            frame["depth_path" if "integer_depth_scale" in keys else "depth_file_path"] = name

    return change


def along_axis(found: Scene) -> np.ndarray:
    """What the depth of view 0 is along the optical axis."""
    camera = found.camera(0)
    return found.read_depth(0) * -camera.directions(camera.pixel_centres())[:, 2].numpy().reshape(H, W)


@pytest.mark.parametrize("name", ["d.png", "d.npy"])
def test_depth_in_the_unit_that_the_file_says(name: str, scene: Scene, data: Path, read: Read) -> None:
    depth = np.arange(1, H * W + 1, dtype=np.uint16).reshape(H, W)
    transforms(scene, data, with_depth(data, depth, name, depth_unit_scale_factor=0.25))
    np.testing.assert_allclose(along_axis(read(space="bounded")), 0.25 * depth, rtol=1e-5)


def test_depth_as_instant_ngp_names_it(scene: Scene, data: Path, read: Read) -> None:
    depth = np.arange(1, H * W + 1, dtype=np.uint16).reshape(H, W)
    transforms(scene, data, with_depth(data, depth, integer_depth_scale=1 / 512))
    np.testing.assert_allclose(along_axis(read(space="bounded")), depth / 512, rtol=1e-5)
    edit(data / "transforms.json", lambda c: c.update(enable_depth_loading=False))
    assert read(space="bounded").read_depth is None
    edit(data / "transforms.json", lambda c: c.pop("integer_depth_scale"))
    found = read(space="bounded")
    assert found.read_depth is None
    assert "depth_path without integer_depth_scale: those depth maps are not read" in found.notes


def test_a_coarser_depth_map_is_spread_over_its_picture(scene: Scene, data: Path, read: Read) -> None:
    """As of telephones, whose depth has 256x192 pixels."""
    depth = np.arange(1, H * W // 16 + 1, dtype=np.uint16).reshape(H // 4, W // 4)
    transforms(scene, data, with_depth(data, depth))
    expected = depth.repeat(4, axis=0).repeat(4, axis=1) * 1e-3
    np.testing.assert_allclose(along_axis(read(space="bounded")), expected, rtol=1e-5)


def test_a_depth_map_may_miss_its_pictures_proportions_by_a_pixel(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", np.ones((192, 256)))
    assert read_depth_map(tmp_path / "d.npy", 1917, 1437).shape == (1437, 1917)
    assert read_depth_map(tmp_path / "d.npy", 128, 96, 2).shape == (48, 64)
    with pytest.raises(NerfpipeError, match=r"depth map is \[192, 256\] and its picture \[1080, 1920\].*proportions"):
        read_depth_map(tmp_path / "d.npy", 1920, 1080)


def test_a_depth_map_in_colours_is_refused(tmp_path: Path) -> None:
    iio.imwrite(tmp_path / "d.png", np.ones((H, W, 3), np.uint8))
    with pytest.raises(NerfpipeError, match=r"the depth map is \[12, 16, 3\]"):
        read_depth_map(tmp_path / "d.png", W, H)


# --- what else transforms.json says ---


def test_points_that_the_file_names(scene: Scene, data: Path, read: Read) -> None:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3))
    transforms(scene, data, lambda c: c.update(ply_file_path="points.ply"))
    trimesh.PointCloud(points).export(data / "points.ply")
    found = read()
    np.testing.assert_allclose(found.similarity.original(found.points), points, atol=1e-5)


def test_the_angle_of_view_may_be_that_of_the_height(scene: Scene, data: Path, read: Read) -> None:
    def angle(content: dict[str, Any]) -> None:
        for key in ("fl_x", "fl_y", "w", "h"):
            del content[key]
        content["camera_angle_y"] = 2 * float(np.arctan(H / 2 / 20))

    transforms(scene, data, angle)
    camera = read(space="bounded").camera(0)
    assert (camera.width, camera.height) == (W, H)
    assert (camera.fx, camera.fy) == pytest.approx((20, 20))


def test_is_fisheye_makes_a_fisheye(scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data, lambda c: c.update(is_fisheye=True, k1=0.02) or c.pop("camera_model"))
    camera = read(space="bounded").camera(0)
    assert (camera.lens, camera.distortion) == ("fisheye", (0.02, 0.0, 0.0, 0.0))


@pytest.mark.parametrize("key", ["is_equirectangular", "equirectangular", "latlong", "ftheta_p0"])
def test_lenses_that_are_no_pinholes_are_refused(key: str, scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data, lambda c: c.update({key: True}))
    with pytest.raises(NerfpipeError, match=rf"transforms.json: {key}: lenses of that kind are not known here"):
        read()


def test_a_list_of_train_pictures_alone(scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data, lambda c: c.update(train_filenames=[f["file_path"] for f in c["frames"][2:]]))
    found = read(test_every=4)
    assert found.splits["test"].tolist() == found.splits["val"].tolist() == [2, 6]
    assert found.splits["train"].tolist() == [3, 4, 5, 7, 8, 9]
    assert found.notes == ("train_filenames without test_filenames: one in 4 of them is held out",)


def test_a_list_of_test_pictures_alone(scene: Scene, data: Path, read: Read) -> None:
    transforms(scene, data, lambda c: c.update(test_filenames=[f["file_path"] for f in c["frames"][:2]]))
    found = read()
    assert found.splits["test"].tolist() == found.splits["val"].tolist() == [0, 1]
    assert found.splits["train"].tolist() == list(range(2, scene.views))
    assert found.notes == ("test_filenames without train_filenames: all other frames train",)


# --- pictures that are not there, or of other kinds ---


def test_missing_pictures_of_blender_and_colmap_may_be_skipped(scene: Scene, data: Path, read: Read) -> None:
    scene_files.write_blender(scene, data)
    (data / "train" / "r_1.png").unlink()
    found = read(missing="skip")
    assert found.views == scene.views - 1
    assert found.splits["val"].tolist() == [len(scene.splits["train"]) - 1, len(scene.splits["train"])]
    np.testing.assert_allclose(found.poses[1], scene.poses[scene.splits["train"][2]], atol=1e-6)
    camera = scene.cameras[0]
    scene_files.write_colmap(scene, data, "PINHOLE", [camera.fx, camera.fx, 8, 6], np.zeros((0, 3)))
    (data / "images" / "001.png").unlink()
    found = read(missing="skip", format="colmap", space="bounded")
    assert found.notes == ("1 of 10 pictures are not there (001.png): left out",)
    np.testing.assert_allclose(found.poses[1], scene.poses[2], atol=1e-5)


@pytest.mark.parametrize("form", ["blender", "transforms", "colmap", "llff"])
def test_heic_is_said_to_be_heic(form: str, scene: Scene, data: Path, read: Read) -> None:
    camera = scene.cameras[0]
    if form == "blender":
        scene_files.write_blender(scene, data)
        picture = data / "train" / "r_0.png"
    elif form == "transforms":
        transforms(scene, data, lambda c: c["frames"][0].update(file_path="images/000"))
        picture = data / "images" / "000.png"
    elif form == "colmap":
        scene_files.write_colmap(scene, data, "PINHOLE", [camera.fx, camera.fx, 8, 6], np.zeros((0, 3)), binary=False)
        names = data / "sparse" / "0" / "images.txt"
        names.write_text(names.read_text().replace("000.png", "000.HEIC"))
        picture = data / "images" / "000.png"
    else:
        scene_files.write_llff(scene, data, 1.0, 5.0)
        picture = data / "images" / "000.png"
    picture.rename(picture.with_suffix(".HEIC")).write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(NerfpipeError, match=r"0.HEIC: HEIC pictures cannot be read; export them as JPEG"):
        read(format=form)


def test_a_folder_of_heic_leads_to_jpeg_and_photos(data: Path, read: Read) -> None:
    data.mkdir()
    (data / "IMG_1.HEIC").write_bytes(b"x")
    with pytest.raises(NerfpipeError) as caught:
        read()
    assert re.search(r"HEIC pictures cannot be read; export them as JPEG .* then .*`nerfpipe photos", str(caught.value))


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bits_of_colour_become_8(channels: int, tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (H, W, channels), dtype=np.uint16)
    write_png(tmp_path / "a.png", deep)
    picture = read_picture(tmp_path / "a.png")
    assert np.abs(picture[..., :channels].astype(int) - deep // 257).max() <= 1
