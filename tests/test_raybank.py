"""The ray bank: every pixel a ray, on disk."""

from __future__ import annotations

import json
import math
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from nerfpipe.geometry.rays import DepthRange, PixelBatch, RayBatch, near_far, rays_to_world
from nerfpipe.geometry.similarity import IDENTITY, Similarity
from nerfpipe.raybank.bank import RayBank, scale_lines
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.scene import Scene

TWO_LENSES = ((16, 12), (9, 14))
MakeScene = Callable[..., Scene]
BuildBank = Callable[..., RayBank]

FILES = ("poses", "directions", "colour", "train")


def rays_of(bank: RayBank, pixels: PixelBatch) -> RayBatch:
    """The rays of pixels, through the poses of their views."""
    return bank.space.rays(*rays_to_world(bank.poses[pixels.view], pixels.in_camera), pixels)


def assert_every_ray_is_that_of_its_pixel(bank: RayBank, scene: Scene) -> None:
    for view in range(scene.views):
        camera, pose, image = scene.camera(view), scene.poses[view].astype(np.float64), scene.read_image(view)
        rays = bank.view(view)
        assert len(rays) == camera.width * camera.height
        assert bank.camera(view) == camera
        ray = 0
        for row in range(camera.height):
            for column in range(camera.width):
                x, y = (column + 0.5 - camera.cx) / camera.fx, (camera.cy - row - 0.5) / camera.fy
                d = pose[:, :3] @ [x, y, -1]
                np.testing.assert_allclose(rays.directions[ray], d / np.linalg.norm(d), atol=1e-6)
                np.testing.assert_allclose(rays.target[ray] * 255, image[row, column], atol=1e-4)
                assert (rays.pixels.view[ray], rays.pixels.pixel[ray]) == (view, ray)
                ray += 1
        assert_close(rays.origins, torch.tensor(scene.poses[view, :, 3]).expand(ray, 3))
        assert_close(rays.directions.norm(dim=1), torch.ones(ray))
        near, far = near_far(rays.origins, rays.directions, torch.tensor(scene.bounds), 0.05)
        assert_close(torch.cat([rays.near, rays.far]), torch.cat([near, far]))
        # A disc with the variance of a square pixel, 1 / 12 along each axis, has the radius 2 / sqrt(12).
        assert_close(rays.pixels.radius, torch.full((ray,), 0.57735027 / camera.fx))


@pytest.mark.parametrize("sizes", [((16, 12),), TWO_LENSES], ids=["one lens", "two lenses"])
def test_every_ray_is_that_of_its_pixel(sizes: tuple, make_scene: MakeScene, build_bank: BuildBank) -> None:
    scene = make_scene(sizes=sizes, train=3)
    assert_every_ray_is_that_of_its_pixel(build_bank(scene), scene)


@pytest.mark.parametrize("sizes", [((16, 12),), TWO_LENSES], ids=["one lens", "two lenses"])
def test_train_rays_are_those_of_the_train_views_that_meet_the_bounds(
    sizes: tuple, make_scene: MakeScene, build_bank: BuildBank
) -> None:
    scene = make_scene(sizes=sizes)
    bank = build_bank(scene)
    views = [bank.view(int(view)) for view in scene.splits["train"]]
    assert 0 < bank.train_rays < sum(len(view) for view in views)
    pixels = bank.train(np.arange(bank.train_rays))
    rays = rays_of(bank, pixels)
    for name in ("origins", "directions", "near", "far", "target"):
        expected = torch.cat([getattr(view, name)[view.hits] for view in views])
        assert torch.equal(getattr(rays, name), expected), name
    for name in ("view", "pixel", "in_camera", "radius", "target"):
        expected = torch.cat([getattr(view.pixels, name)[view.hits] for view in views])
        assert torch.equal(getattr(pixels, name), expected), name
    assert torch.equal(rays_of(bank, bank.train(np.array([5, 2, 5]))).directions, rays.directions[[5, 2, 5]])


def test_a_bank_opened_again_is_the_same(bank: RayBank, scene: Scene) -> None:
    again = RayBank(bank.folder)
    assert_every_ray_is_that_of_its_pixel(again, scene)
    assert {name: views.tolist() for name, views in again.splits.items()} == {
        name: views.tolist() for name, views in scene.splits.items()
    }
    assert torch.equal(again.space.box, torch.tensor(scene.bounds))
    assert again.has_alpha
    assert again.background.tolist() == [1, 1, 1]


@pytest.mark.parametrize("sizes", [((16, 12),), TWO_LENSES], ids=["one lens", "two lenses"])
def test_true_depth_is_that_of_all_views(sizes: tuple, make_scene: MakeScene, build_bank: BuildBank) -> None:
    scene = make_scene(sizes=sizes)
    bank = build_bank(scene)
    for view in range(scene.views):
        np.testing.assert_array_equal(bank.true_depth(view).numpy(), scene.read_depth(view).ravel())
    pixels = sum(scene.camera(view).width * scene.camera(view).height for view in range(scene.views))
    assert np.load(bank.folder / "depth.npy", mmap_mode="r").shape == (pixels,)


@pytest.mark.parametrize("sizes", [((16, 12),), TWO_LENSES], ids=["one lens", "two lenses"])
def test_pixels_have_their_depth_if_it_is_asked_for(sizes: tuple, make_scene: MakeScene, build_bank: BuildBank) -> None:
    scene = make_scene(sizes=sizes)
    bank = build_bank(scene)
    pixels = bank.train(np.arange(bank.train_rays), depth=True)
    truth = [scene.read_depth(int(view)).ravel() for view in range(scene.views)]
    expected = [truth[view][pixel] for view, pixel in zip(pixels.view.tolist(), pixels.pixel.tolist(), strict=True)]
    np.testing.assert_array_equal(pixels.depth.numpy(), np.array(expected))
    assert bank.train(np.arange(3)).depth is None
    assert build_bank(make_scene(depth=False)).train(np.arange(3), depth=True).depth is None


def test_without_true_depth_there_is_none(make_scene: MakeScene, build_bank: BuildBank) -> None:
    scene = make_scene(depth=False)
    bank = build_bank(scene)
    assert not (bank.folder / "depth.npy").exists()
    assert bank.true_depth(int(scene.splits["test"][0])) is None


@pytest.mark.parametrize("depth", [True, False])
def test_a_ray_costs_at_most_12_bytes(depth: bool, make_scene: MakeScene, build_bank: BuildBank) -> None:
    bank = build_bank(make_scene(train=16, sizes=((100, 100),), depth=depth))
    on_disk = sum(file.stat().st_size for file in bank.folder.iterdir())
    assert bank.bytes_per_ray() == pytest.approx(on_disk / (20 * 100 * 100))
    assert bank.bytes_per_ray() <= 12


def test_the_margin_grows_the_bounds_by_a_fraction_of_their_size(scene: Scene, build_bank: BuildBank) -> None:
    scene = replace(scene, bounds=np.array([[-1.0, 0, 0], [1, 2, 0.5]], dtype=np.float32))
    bank = build_bank(scene, margin=0.5)
    assert_close(bank.space.box, torch.tensor([[-1.5, -0.5, -0.125], [1.5, 2.5, 0.625]]))
    assert bank.train_rays > build_bank(scene).train_rays


def test_min_near_is_kept(scene: Scene, build_bank: BuildBank) -> None:
    bank = build_bank(scene, min_near=2.8)
    rays = rays_of(bank, bank.train(np.arange(100)))
    assert rays.near.min() == pytest.approx(2.8)


def test_pictures_and_depths_are_read_once_and_let_go(scene: Scene, build_bank: BuildBank) -> None:
    alive: weakref.WeakSet[np.ndarray] = weakref.WeakSet()
    log: list[tuple[str, int]] = []

    class Reading(np.ndarray):
        """An array that shows whether anything still holds it."""

        __hash__ = object.__hash__

    def watched(what: str, read: Callable[[int], np.ndarray]) -> Callable[[int], np.ndarray]:
        def reading(view: int) -> np.ndarray:
            assert len(alive) <= 1, f"{len(alive)} {what} held in memory at view {view}"
            log.append((what, int(view)))
            array = read(view).view(Reading)
            alive.add(array)
            return array

        return reading

    splits = {**scene.splits, "test": np.concatenate([scene.splits["val"], scene.splits["test"]])}
    watching = replace(
        scene,
        splits=splits,
        read_image=watched("pictures", scene.read_image),
        read_depth=watched("depths", scene.read_depth),
    )
    build_bank(watching)
    assert sorted(log) == [(what, view) for what in ("depths", "pictures") for view in range(scene.views)]


def test_a_picture_of_another_size_than_its_camera_is_refused(scene: Scene, build_bank: BuildBank) -> None:
    wrong = replace(scene, read_image=lambda view: scene.read_image(view)[:, : 16 - (view == 3)])
    with pytest.raises(NerfpipeError, match=r"view 3 is \[12, 15, 4\], its camera has \[12, 16, 4\]"):
        build_bank(wrong)


def test_bounds_that_no_train_ray_meets_are_refused(scene: Scene, build_bank: BuildBank) -> None:
    wrong = replace(scene, bounds=scene.bounds + np.float32(100))
    with pytest.raises(NerfpipeError, match="no train ray meets the bounds"):
        build_bank(wrong)


@pytest.mark.parametrize("name", [f"{name}.npy" for name in FILES] + ["bank.json"])
def test_a_missing_file_is_named_with_the_remedy(bank: RayBank, name: str) -> None:
    (bank.folder / name).unlink()
    with pytest.raises(NerfpipeError, match=rf"{name}: not found; run `dvc repro rays`"):
        RayBank(bank.folder)


@pytest.mark.parametrize("name", [*(f"{name}.npy" for name in FILES), "depth.npy", "bank.json"])
@pytest.mark.parametrize("left", [0.0, 0.1, 0.9])
def test_a_file_cut_short_is_named_with_the_remedy(bank: RayBank, name: str, left: float) -> None:
    file = bank.folder / name
    content = file.read_bytes()
    file.write_bytes(content[: int(left * len(content))])
    with pytest.raises(NerfpipeError, match=rf"{name}: damaged.*`dvc repro --force rays`"):
        RayBank(bank.folder)


@pytest.mark.parametrize(
    ("shared", "rows"),
    [(2, 7 * 5 + 9 * 4), (99, 9 * 4)],  # one table for both bent lenses, none for the plain; only for the fisheye
    ids=["many views", "few views"],
)
def test_directions_are_those_of_each_camera_with_a_table_or_without(
    make_scene: MakeScene, build_bank: BuildBank, monkeypatch: pytest.MonkeyPatch, shared: int, rows: int
) -> None:
    monkeypatch.setattr("nerfpipe.raybank.directions.SHARED", shared)
    scene = make_scene(train=5, sizes=((8, 6), (7, 5), (7, 5), (9, 4)))
    plain, lens, again, other = scene.cameras
    bent = replace(lens, distortion=(0.1, -0.02))
    fisheye = replace(other, lens="fisheye", distortion=(0.01,))
    cameras = (plain, bent, replace(again, distortion=(0.1, -0.02)), fisheye)
    bank = build_bank(replace(scene, cameras=cameras))
    assert bank.arrays["directions"].shape == (rows, 3)
    everywhere = bank.pixels(
        np.arange(sum(bank.camera(view).width * bank.camera(view).height for view in range(scene.views)))
    )
    for view in range(scene.views):
        camera = bank.camera(view)
        expected = camera.directions(camera.pixel_centres())
        assert_close(everywhere.in_camera[everywhere.view == view], expected)
        assert_close(bank.view(view).pixels.in_camera, expected)


@pytest.mark.parametrize("distortion", [(), (0.1, -0.02, 0.001, 0.002)])
def test_a_camera_per_picture_costs_no_table(
    make_scene: MakeScene, build_bank: BuildBank, distortion: tuple[float, ...]
) -> None:
    scene = make_scene(train=2, sizes=((80, 60),) * 6, depth=False)
    bank = build_bank(replace(scene, cameras=tuple(replace(camera, distortion=distortion) for camera in scene.cameras)))
    assert bank.arrays["directions"].shape == (0, 3)
    assert bank.bytes_per_ray() < 8.5


def test_a_lens_without_a_table_that_folds_is_refused(make_scene: MakeScene, build_bank: BuildBank) -> None:
    scene = make_scene(train=2)
    folded = tuple(replace(camera, distortion=(-9.0,)) for camera in scene.cameras)
    with pytest.raises(NerfpipeError, match="its distortion cannot be inverted; correct its numbers"):
        build_bank(replace(scene, cameras=folded))


def test_a_table_of_directions_that_does_not_fit_is_named(bank: RayBank) -> None:
    np.save(bank.folder / "directions.npy", np.zeros((5, 3), np.float32))
    with pytest.raises(NerfpipeError, match=r"directions\.npy: does not fit .*`dvc repro --force rays`"):
        RayBank(bank.folder)


@pytest.mark.parametrize("name", ["poses.npy", "colour.npy"])
def test_a_file_of_another_bank_is_named_with_the_remedy(
    bank: RayBank, make_scene: MakeScene, build_bank: BuildBank, name: str
) -> None:
    other = build_bank(make_scene(train=3, sizes=((8, 8),)))
    (other.folder / name).replace(bank.folder / name)
    with pytest.raises(NerfpipeError, match=rf"{name}: .*`dvc repro --force rays`"):
        RayBank(bank.folder)


@pytest.mark.parametrize("content", ["{}", "[]", "null"])
def test_a_bank_without_its_particulars_is_named_with_the_remedy(bank: RayBank, content: str) -> None:
    (bank.folder / "bank.json").write_text(content)
    with pytest.raises(NerfpipeError, match=r"bank\.json: damaged; run `dvc repro --force rays`"):
        RayBank(bank.folder)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda header: header["cameras"][0].update(fx=float("nan")), "cameras[0].fx: must be above 0"),
        (lambda header: header["cameras"][0].update(width=1.5), "cameras.0.width: must be a whole number"),
        (lambda header: header["cameras"][0].update(cx=10**400), "cameras.0.cx: must be a finite number"),
        (lambda header: header["space"].update(near=float("inf")), "space.near: must be 0 or more and finite"),
        (lambda header: header["similarity"].update(scale=0.0), "similarity.scale: must be above 0"),
        (lambda header: header["camera_index"].__setitem__(0, 1), "camera_index: must be from 0 to 0"),
        (lambda header: header["splits"]["test"].__setitem__(0, -1), "splits.test: must be from 0 to 9"),
        (lambda header: header["splits"].pop("val"), "splits: must be train, val, test"),
    ],
)
def test_what_a_bank_cannot_say_is_told_by_its_key(
    bank: RayBank, change: Callable[[dict[str, Any]], Any], fault: str
) -> None:
    file = bank.folder / "bank.json"
    header = json.loads(file.read_text())
    change(header)
    file.write_text(json.dumps(header))
    with pytest.raises(NerfpipeError) as error:
        RayBank(bank.folder)
    assert str(error.value).startswith(f"{file}: damaged ({fault}")
    assert str(error.value).endswith("; run `dvc repro --force rays`")


def test_a_pose_that_is_none_is_told(bank: RayBank) -> None:
    poses = np.load(bank.folder / "poses.npy")
    poses[3, 0, 3] = np.nan
    np.save(bank.folder / "poses.npy", poses)
    with pytest.raises(NerfpipeError, match=r"poses\.npy: damaged \(pose\[3\]: must be a rotation and a position"):
        RayBank(bank.folder)


def test_the_summary_tells_views_bounds_and_rays(bank: RayBank) -> None:
    lines = bank.summary().splitlines()
    assert lines[0] == "scene ball: 6 train, 2 val, 2 test views"
    assert lines[1] == "bounds (-0.8, -0.8, -0.8) to (0.8, 0.8, 0.8), background white behind an alpha channel"
    rays = rays_of(bank, bank.train(np.arange(bank.train_rays)))
    assert lines[2].startswith(f"near {float(rays.near.min()):.3g}, far {float(rays.far.max()):.3g} scene units")
    assert lines[3].startswith(f"{bank.train_rays:,} of {6 * 16 * 12:,} train rays meet the bounds")


def test_the_extent_of_a_split_is_found_a_few_rows_at_a_time(bank: RayBank, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rays of a picture of 12 megapixels took 1.8 GB at once."""
    whole = DepthRange()
    for view in bank.splits["test"]:
        whole.include(bank.view(view))
    asked, rays = [], RayBank.rays

    def counted(self: RayBank, numbers: np.ndarray) -> RayBatch:
        asked.append(len(numbers))
        return rays(self, numbers)

    monkeypatch.setattr("nerfpipe.geometry.cameras.STRIP", 40)
    monkeypatch.setattr(RayBank, "rays", counted)
    assert bank.depth_range("test") == whole
    assert sum(asked) == whole.rays
    assert max(asked) <= 40


def test_centre_scale_near_and_far_are_told_in_the_datas_units() -> None:
    moved = Similarity.of(np.array([500_012.3, -1e-17, -0.25]), np.eye(3), 1 / 50)
    assert scale_lines(moved, 0.05, 4.0) == [
        "in the data's units: centre (500012.30, 0.00, -0.25), a scene unit 50, near 2.5, far 200"
    ]
    [line] = scale_lines(moved, 0.05, math.inf)
    assert line.endswith("far infinity")
    assert scale_lines(IDENTITY, 0.05, 4.0) == []


def test_a_number_beyond_the_last_ray_is_told(scene: Scene, build_bank: BuildBank) -> None:
    folder = build_bank(scene).folder
    numbers = np.load(folder / "train.npy")
    numbers[5] += 2**20
    np.save(folder / "train.npy", numbers)
    bank = RayBank(folder)
    with pytest.raises(NerfpipeError, match=r"train.npy: damaged; run `dvc repro --force rays`"):
        bank.train(np.arange(bank.train_rays))


@pytest.mark.parametrize("name", FILES)
def test_an_array_of_another_type_or_none_is_refused(name: str, scene: Scene, build_bank: BuildBank) -> None:
    file = build_bank(scene).folder / f"{name}.npy"
    np.save(file, np.load(file).astype(np.float64))
    with pytest.raises(NerfpipeError, match=f"{name}.npy: does not fit bank.json"):
        RayBank(file.parent)
    file.write_bytes(b"PK\x03\x04")  # how a zip file begins, and so an .npz
    with pytest.raises(NerfpipeError, match=f"{name}.npy: damaged"):
        RayBank(file.parent)


def on_the_ball(count: int) -> np.ndarray:
    normals = np.random.default_rng(1).normal(size=(count, 3))
    return (0.7 * normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("tracked", [True, False])
def test_rays_that_meet_a_point_know_its_distance(make_scene: MakeScene, build_bank: BuildBank, tracked: bool) -> None:
    """The distance is that of the ball's surface, to a pixel; points on its far side are not seen."""
    scene, points = make_scene(sizes=((64, 48),)), on_the_ball(2000)
    towards = scene.poses[:, None, :, 3] - points  # [N, P, 3]
    facing = (towards * points).sum(axis=2) > 0.2
    sightings = np.argwhere(facing) if tracked else None
    bank = build_bank(replace(scene, points=points, sightings=sightings))
    rays, distance = bank.seen_rays, bank.seen_distance
    assert len(rays) == len(distance) > 1000
    assert len(np.unique(rays)) == len(rays)
    pixels = bank.pixels(rays, depth=True)
    assert set(pixels.view.tolist()) <= set(scene.splits["train"].tolist())
    error = (torch.from_numpy(np.array(distance)) - pixels.depth).abs()
    assert error[pixels.depth.isfinite()].median() < 0.02
    assert (error < 0.3).float().mean() > 0.85  # at the outline a point's pixel may look past the ball


def test_points_that_are_nowhere_are_not_seen(make_scene: MakeScene, build_bank: BuildBank) -> None:
    nowhere = np.array([[0, 0, 1e4], [np.nan, 0, 0], [0, 0, -1e9]], dtype=np.float32)
    assert len(build_bank(replace(make_scene(depth=False), points=nowhere)).seen_rays) == 0


def test_points_in_pixels_that_do_not_count_are_not_seen(make_scene: MakeScene, build_bank: BuildBank) -> None:
    chequered = (np.add.outer(np.arange(12), np.arange(16)) % 2).astype(bool)
    scene = replace(make_scene(depth=False), points=on_the_ball(500), read_mask=lambda _: chequered)
    bank = build_bank(scene)
    assert len(bank.seen_rays) > 50
    assert chequered.ravel()[bank.seen_rays % (16 * 12)].all()


def test_damaged_sightings_are_named(make_scene: MakeScene, build_bank: BuildBank) -> None:
    bank = build_bank(replace(make_scene(depth=False), points=on_the_ball(500)))
    np.save(bank.folder / "seen_rays.npy", np.full(len(bank.seen_rays), 10**9))
    which, seen = np.zeros(4, np.int64), np.array([-1, 0, -1, 1])
    with pytest.raises(NerfpipeError, match=r"seen_rays\.npy: damaged; run `dvc repro --force rays`"):
        RayBank(bank.folder).train(which, depth=True, seen=seen)
    np.save(bank.folder / "seen_distance.npy", np.ones(3, np.float32))
    with pytest.raises(NerfpipeError, match=r"seen_distance\.npy: does not fit"):
        RayBank(bank.folder)
