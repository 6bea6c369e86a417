"""The built-in scene written out in every format and read back: the same pictures, the same rays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import scene_files
import torch
from PIL import Image

from nerfpipe.download.acquire import make_raw
from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.contraction import CUBE
from nerfpipe.geometry.rays import rays_to_world
from nerfpipe.procedural.generate import generate
from nerfpipe.project.catalogue import Entry
from nerfpipe.raybank.bank import RayBank
from nerfpipe.raybank.writer import build
from nerfpipe.scenes.formats import procedural
from nerfpipe.scenes.image_files import read_depth_map, read_picture
from nerfpipe.scenes.loading import load_scene
from nerfpipe.scenes.scene import Scene

SIZE = 24
TOLERANCE = 1e-4
K = (0.05, -0.02, 0.001, -0.002)


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("arm")
    generate(folder, SIZE, {"train": 12, "val": 2, "test": 3})
    return procedural.load(folder, "robot-arm", "white")


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scene]:
    """Brings tmp_path/data here as an entry with these keys would, and loads it."""
    monkeypatch.chdir(tmp_path)

    def make(**keys: object) -> Scene:
        raw = tmp_path / "raw"
        raw.mkdir()
        make_raw("stranger", Entry.model_validate({"path": str(tmp_path / "data"), **keys}), raw)
        return load_scene(raw)

    return make


def world_rays(scene: Scene, view: int, camera: Camera | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Origins and directions of a view's rays in the coordinates that the data came in."""
    camera = camera or scene.camera(view)
    in_camera = camera.directions(camera.pixel_centres())
    pose = torch.from_numpy(scene.poses[view].astype(np.float32)).expand(len(in_camera), 3, 4)
    origins, directions = (rays.numpy() for rays in rays_to_world(pose, in_camera))
    return scene.similarity.original(origins), directions @ np.array(scene.similarity.rotation)


def assert_same_rays(found: Scene, scene: Scene, views: dict[int, int], camera: Camera | None = None) -> None:
    """views: number in `found` -> number in `scene`, whose lens is `camera` where given."""
    assert found.views == len(views)
    for mine, theirs in views.items():
        for a, b in zip(world_rays(found, mine), world_rays(scene, theirs, camera), strict=True):
            np.testing.assert_allclose(a, b, atol=TOLERANCE)


def in_order(scene: Scene) -> dict[int, int]:
    return {view: view for view in range(scene.views)}


def test_blender(arm: Scene, tmp_path: Path, read: Callable[..., Scene]) -> None:
    scene_files.write_blender(arm, tmp_path / "data")
    found = read(background="white")
    order = [int(view) for split in ("train", "val", "test") for view in arm.splits[split]]
    assert_same_rays(found, arm, dict(enumerate(order)))
    assert [len(found.splits[name]) for name in ("train", "val", "test")] == [12, 2, 3]
    assert (found.has_alpha, found.background, found.kind) == (True, "white", "bounded")
    assert found.similarity.is_identity
    for view in (0, 13):
        np.testing.assert_array_equal(found.read_image(view), arm.read_image(order[view]))


def test_blender_without_val_and_test_holds_views_out(arm: Scene, tmp_path: Path, read: Callable[..., Scene]) -> None:
    scene_files.write_blender(arm, tmp_path / "data")
    for split in ("val", "test"):
        (tmp_path / "data" / f"transforms_{split}.json").unlink()
    found = read(test_every=5)
    assert found.splits["test"].tolist() == found.splits["val"].tolist() == [0, 5, 10]
    assert len(found.splits["train"]) == 9


@pytest.mark.parametrize("lens", ["perspective", "fisheye"])
@pytest.mark.parametrize("space", ["bounded", "unbounded"])
def test_transforms_with_distortion(
    lens: str, space: str, arm: Scene, tmp_path: Path, read: Callable[..., Scene]
) -> None:
    camera = replace(arm.cameras[0], fx=30.0, fy=31.0, cx=11.0, cy=12.5, lens=lens, distortion=K)
    scene_files.write_transforms(arm, tmp_path / "data", [camera] * arm.views)
    found = read(space=space)
    assert_same_rays(found, arm, in_order(arm), camera)
    assert found.kind == space
    assert found.similarity.is_identity == (space == "bounded")
    assert found.splits["test"].tolist() == found.splits["val"].tolist() == [0, 8, 16]
    assert not found.has_alpha
    np.testing.assert_array_equal(found.read_image(3)[..., :3], arm.read_image(3)[..., :3])


def test_transforms_with_a_lens_in_every_frame(arm: Scene, tmp_path: Path, read: Callable[..., Scene]) -> None:
    cameras = [replace(arm.cameras[0], fx=30.0 + view, fy=30.0 + view) for view in range(arm.views)]
    scene_files.write_transforms(arm, tmp_path / "data", cameras)
    found = read()
    assert len(found.cameras) == arm.views
    for view in range(arm.views):
        origins, directions = world_rays(arm, view, cameras[view])
        np.testing.assert_allclose(world_rays(found, view)[1], directions, atol=TOLERANCE)
        np.testing.assert_allclose(world_rays(found, view)[0], origins, atol=TOLERANCE)


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "text"])
@pytest.mark.parametrize(
    ("model", "numbers", "camera"),
    [
        ("SIMPLE_PINHOLE", [30, 12, 11], Camera(SIZE, SIZE, 30, 30, 12, 11)),
        ("PINHOLE", [30, 31, 12, 11], Camera(SIZE, SIZE, 30, 31, 12, 11)),
        ("SIMPLE_RADIAL", [30, 12, 11, 0.05], Camera(SIZE, SIZE, 30, 30, 12, 11, "perspective", (0.05,))),
        ("RADIAL", [30, 12, 11, 0.05, -0.02], Camera(SIZE, SIZE, 30, 30, 12, 11, "perspective", (0.05, -0.02))),
        ("OPENCV", [30, 31, 12, 11, *K], Camera(SIZE, SIZE, 30, 31, 12, 11, "perspective", K)),
        ("OPENCV_FISHEYE", [30, 31, 12, 11, *K], Camera(SIZE, SIZE, 30, 31, 12, 11, "fisheye", K)),
        (
            "FULL_OPENCV",
            [30, 31, 12, 11, *K, 0.01, 0.02, -0.01, 0.003],
            Camera(SIZE, SIZE, 30, 31, 12, 11, "perspective", (*K, 0.01, 0.02, -0.01, 0.003)),
        ),
        ("FOV", [30, 31, 12, 11, 0.9], Camera(SIZE, SIZE, 30, 31, 12, 11, "fov", (0.9,))),
        ("FOV", [30, 31, 12, 11, 0], Camera(SIZE, SIZE, 30, 31, 12, 11)),
        ("SIMPLE_RADIAL_FISHEYE", [30, 12, 11, 0.05], Camera(SIZE, SIZE, 30, 30, 12, 11, "fisheye", (0.05,))),
        ("RADIAL_FISHEYE", [30, 12, 11, 0.05, 0.01], Camera(SIZE, SIZE, 30, 30, 12, 11, "fisheye", (0.05, 0.01))),
    ],
)
def test_colmap(
    model: str, numbers: list[float], camera: Camera, binary: bool, arm: Scene, tmp_path: Path,
    read: Callable[..., Scene],
) -> None:  # fmt: skip
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3))
    scene_files.write_colmap(arm, tmp_path / "data", model, numbers, points, binary)
    found = read()
    assert_same_rays(found, arm, in_order(arm), camera)
    np.testing.assert_allclose(found.similarity.original(found.points), points, atol=1e-5)
    assert found.kind == "unbounded"
    assert found.near > 0


def test_llff_round_an_object(arm: Scene, tmp_path: Path, read: Callable[..., Scene]) -> None:
    scene_files.write_llff(arm, tmp_path / "data", near=1.5, far=5.0)
    found = read()
    assert_same_rays(found, arm, in_order(arm))
    assert found.kind == "unbounded"
    assert found.near == pytest.approx(1.5 * found.similarity.scale)


@pytest.mark.parametrize(("folders", "factor", "size"), [((1, 4), 4, 6), ((1,), 4, 6), ((4,), 1, 6), ((2, 4), 8, 3)])
def test_llff_takes_pictures_that_are_smaller_already(
    folders: tuple[int, ...], factor: int, size: int, arm: Scene, tmp_path: Path, read: Callable[..., Scene]
) -> None:
    data = tmp_path / "data"
    scene_files.write_llff(arm, data, near=1.5, far=5.0)
    names = {1: "images", 2: "images_2", 4: "images_4"}
    for times in set(folders) - {1}:
        (data / names[times]).mkdir()
        for file in (data / "images").iterdir():
            iio.imwrite(data / names[times] / file.name, iio.imread(file)[::times, ::times])
    if 1 not in folders:
        shutil.rmtree(data / "images")
    found = read(factor=factor)
    assert (found.cameras[0].width, found.cameras[0].height) == (size, size)
    assert found.read_image(0).shape == (size, size, 4)
    assert found.cameras[0].fx == pytest.approx(arm.cameras[0].fx * size / SIZE)


def test_llff_facing_forward_is_seen_in_ndc(arm: Scene, tmp_path: Path, read: Callable[..., Scene]) -> None:
    """The rays in the cube pass through the same points as the world rays."""
    ahead = arm.poses[:1].repeat(arm.views, axis=0)
    ahead[:, :, 3] += np.random.default_rng(0).uniform(-0.1, 0.1, (arm.views, 3)).astype(np.float32)
    scene_files.write_llff(replace(arm, poses=ahead), tmp_path / "data", near=1.5, far=5.0)
    found = read()
    assert found.kind == "forward"
    assert_same_rays(found, replace(arm, poses=ahead), in_order(arm))
    space = found.space(0.0, 0.05)
    camera = found.camera(3)
    in_camera = camera.directions(camera.pixel_centres())
    pose = torch.from_numpy(found.poses[3]).expand(len(in_camera), 3, 4)
    origins, directions = rays_to_world(pose, in_camera)
    rays = space.rays(origins, directions)
    assert rays.hits.all()  # the box holds all that the pictures show
    assert rays.near.max() < 1e-4  # from the near plane on
    t = torch.full((len(rays),), 0.5)
    distance = space.distance(origins, directions, t)
    assert (distance > 0.9).all()  # the near plane is 1 ahead of the mean camera


def test_an_unbounded_scene_is_centred_upright_and_of_known_size(
    arm: Scene, tmp_path: Path, read: Callable[..., Scene]
) -> None:
    """Cameras from all round in coordinates turned, moved and scaled at will: z is up again, the farthest is at 1."""
    angle = 0.9
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    poses = np.concatenate([turn @ arm.poses[:, :, :3], turn @ (arm.poses[:, :, 3:] * 7) + 100], axis=2)
    scene_files.write_transforms(replace(arm, poses=poses), tmp_path / "data", [arm.cameras[0]] * arm.views)
    found = read()
    assert_same_rays(found, replace(arm, poses=poses.astype(np.float32)), in_order(arm))
    np.testing.assert_allclose(np.array(found.similarity.rotation) @ turn @ [0, 0, 1], [0, 0, 1], atol=0.02)
    assert np.linalg.norm(found.poses[:, :, 3], axis=1).max() == pytest.approx(1, abs=1e-4)
    assert found.bounds.tolist() == np.array(CUBE).tolist()
    axes, positions = -found.poses[:, :, 2], found.poses[:, :, 3]
    nearest = positions - (positions * axes).sum(axis=1, keepdims=True) * axes
    assert np.abs(nearest.mean(axis=0)).max() < 0.05  # they look at the origin


def test_a_factor_makes_pictures_smaller_and_keeps_the_rays(
    arm: Scene, tmp_path: Path, read: Callable[..., Scene]
) -> None:
    scene_files.write_blender(arm, tmp_path / "data")
    found = read(factor=3)
    view = int(arm.splits["train"][0])
    assert (found.cameras[0].width, found.cameras[0].height) == (8, 8)
    image = found.read_image(0).astype(float)
    whole = arm.read_image(view).astype(float).reshape(8, 3, 8, 3, 4)
    np.testing.assert_allclose(image[..., 3], whole[..., 3].mean(axis=(1, 3)), atol=1)
    weighted = (whole[..., :3] * whole[..., 3:]).sum(axis=(1, 3)) / whole[..., 3:].sum(axis=(1, 3)).clip(1)
    opaque = image[..., 3] == 255
    np.testing.assert_allclose(image[opaque][:, :3], weighted[opaque], atol=2)
    centre = arm.cameras[0].directions(torch.tensor([[1.5, 1.5]]))  # the middle of the first 3 x 3 pixels
    np.testing.assert_allclose(found.cameras[0].directions(torch.tensor([[0.5, 0.5]])), centre, atol=1e-6)


def test_pictures_of_another_size_scale_the_camera(arm: Scene, tmp_path: Path, read: Callable[..., Scene]) -> None:
    big = arm.cameras[0].resized(4 * SIZE, 4 * SIZE)
    scene_files.write_transforms(arm, tmp_path / "data", [big] * arm.views)
    found = read(space="bounded")
    assert_same_rays(found, arm, in_order(arm))
    assert "scaled" in found.notes[0]


def test_masks_leave_rays_out_of_training(arm: Scene, tmp_path: Path, read: Callable[..., Scene]) -> None:
    scene_files.write_transforms(arm, tmp_path / "data", [arm.cameras[0]] * arm.views)
    (tmp_path / "data" / "masks").mkdir()
    kept = np.zeros((SIZE, SIZE), np.uint8)
    kept[:, : SIZE // 2] = 255
    for view in range(arm.views):
        iio.imwrite(tmp_path / "data" / "masks" / f"{view:03d}.png", kept)
    found = read(masks="masks")
    assert (found.read_mask(0) == (kept > 0)).all()
    (tmp_path / "bank").mkdir()
    bank = build(found, tmp_path / "bank", 0.0, 0.05)
    assert bank.train_rays == len(found.splits["train"]) * SIZE * SIZE // 2
    assert (bank.arrays["train"] % SIZE < SIZE // 2).all()
    assert torch.equal(RayBank(tmp_path / "bank").mask(4), torch.from_numpy(kept > 0).flatten())


def test_depth_maps_become_distances_along_the_rays(arm: Scene, tmp_path: Path, read: Callable[..., Scene]) -> None:
    """A wall 2 units ahead, square to the camera: 2000 mm everywhere, further off along slanted rays."""
    scene_files.write_transforms(arm, tmp_path / "data", [arm.cameras[0]] * arm.views)
    file = tmp_path / "data" / "transforms.json"
    content = json.loads(file.read_text())
    wall = np.full((SIZE, SIZE), 2000, np.uint16)
    wall[0, 0] = 0
    iio.imwrite(tmp_path / "data" / "depth.png", wall)
    for frame in content["frames"]:
        frame["depth_file_path"] = "depth.png"
    file.write_text(json.dumps(content))
    found = read(space="bounded")
    depth = found.read_depth(5)
    camera = found.cameras[0]
    cosine = -camera.directions(camera.pixel_centres())[:, 2].numpy().reshape(SIZE, SIZE)
    assert np.isnan(depth[0, 0])
    np.testing.assert_allclose(depth.ravel()[1:], (2 / cosine).ravel()[1:], rtol=1e-5)


def test_split_names_may_be_spelled_otherwise(arm: Scene, tmp_path: Path, read: Callable[..., Scene]) -> None:
    scene_files.write_transforms(arm, tmp_path / "data", [arm.cameras[0]] * arm.views)
    file = tmp_path / "data" / "transforms.json"
    content = json.loads(file.read_text())
    names = [frame["file_path"] for frame in content["frames"]]
    content |= {"train_filenames": [f"./{name}" for name in names[2:]], "test_filenames": names[:2]}
    file.write_text(json.dumps(content))
    found = read()
    assert found.splits["test"].tolist() == found.splits["val"].tolist() == [0, 1]
    assert found.splits["train"].tolist() == list(range(2, arm.views))


def test_blender_files_that_tell_more_of_the_lens(arm: Scene, tmp_path: Path, read: Callable[..., Scene]) -> None:
    scene_files.write_blender(arm, tmp_path / "data")
    camera = replace(arm.cameras[0], fx=30.0, fy=31.0, cx=11.0, cy=12.5, distortion=K)
    for split in ("train", "val", "test"):
        file = tmp_path / "data" / f"transforms_{split}.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | scene_files.lens(camera)))
    found = read(test_every=3, masks=None)
    order = [int(view) for split in ("train", "val", "test") for view in arm.splits[split]]
    assert_same_rays(found, arm, dict(enumerate(order)), replace(camera, distortion=(*K, 0.0, 0.0, 0.0, 0.0)))


def test_bounds_come_from_the_points_where_there_are_any(
    arm: Scene, tmp_path: Path, read: Callable[..., Scene]
) -> None:
    points = np.random.default_rng(0).uniform([-1, -2, 0], [1, 2, 3], (5000, 3))
    points[:10] = 1000  # strays
    scene_files.write_colmap(arm, tmp_path / "data", "SIMPLE_PINHOLE", [30, 12, 12], points)
    found = read(space="bounded")
    np.testing.assert_allclose(found.bounds, [[-1.4, -2.4, -0.4], [1.4, 2.4, 3.4]], atol=0.1)


@pytest.mark.parametrize(("size", "factor"), [((10, 10), 4), ((11, 9), 2), ((7, 5), 3), ((8, 8), 8)])
def test_depth_maps_shrink_to_the_size_of_their_pictures(size: tuple[int, int], factor: int, tmp_path: Path) -> None:
    width, height = size
    depth = np.arange(1, width * height + 1, dtype=np.uint16).reshape(height, width)
    iio.imwrite(tmp_path / "d.png", depth)
    small = read_depth_map(tmp_path / "d.png", width, height, factor)
    camera = Camera.centred(width, height, 10.0).reduced(factor)
    assert small.shape == (camera.height, camera.width)
    assert small[0, 0] == depth[factor // 2, factor // 2]


@pytest.mark.parametrize("mode", ["I;16", "L", "LA", "P", "RGBA", "CMYK"])
def test_pictures_of_every_kind_become_rgba(mode: str, tmp_path: Path) -> None:
    grey = np.linspace(0, 255, SIZE * SIZE).round().astype(np.uint8).reshape(SIZE, SIZE)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey if mode == "P" else np.stack([grey] * 3, axis=2)).convert(mode)
    file = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(file)
    picture = read_picture(file)
    assert (picture.shape, picture.dtype) == ((SIZE, SIZE, 4), np.uint8)
    assert np.abs(picture[..., :3].astype(int) - grey[..., None]).max() <= 1
    assert (picture[..., 3] == 255).all()
