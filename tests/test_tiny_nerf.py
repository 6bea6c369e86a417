"""The tiny_nerf format: what is read, and how every fault is told."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nerfpipe.camera_paths.shapes import orbit
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.formats import tiny_nerf
from nerfpipe.scenes.scene import Scene

N, H, W, TRAIN = 6, 4, 5, 4
BOUNDS = np.array([[-1, -1, -1], [1, 1, 1]], dtype=np.float32)


def good_arrays() -> dict[str, Any]:
    bottom = np.tile(np.array([[[0, 0, 0, 1]]], dtype=np.float32), (N, 1, 1))
    return {
        "images": np.random.default_rng(0).random((N, H, W, 3)).astype(np.float32),
        "poses": np.concatenate([orbit(torch.zeros(3), 3.0, 20.0, N).numpy(), bottom], axis=1),
        "focal": np.array(6.0),
    }


def load(file: Path, train_views: int = TRAIN, bounds: np.ndarray | None = BOUNDS) -> Scene:
    return tiny_nerf.load(file, "toy", "black", bounds, train_views)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "toy.npz", **good_arrays())
    return tmp_path / "toy.npz"


def fault(file: Path, **options: Any) -> str:
    with pytest.raises(NerfpipeError) as caught:
        load(file, **options)
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"{file}: ")
    return line.removeprefix(f"{file}: ")


def test_a_good_file_becomes_a_scene(file: Path) -> None:
    scene, arrays = load(file), good_arrays()
    assert (scene.name, scene.background, scene.has_alpha, scene.views) == ("toy", "black", False, N)
    assert [scene.splits[name].tolist() for name in ("train", "val", "test")] == [[0, 1, 2, 3], [4, 5], [4, 5]]
    camera = scene.camera(3)
    assert (camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy) == (W, H, 6, 6, W / 2, H / 2)
    np.testing.assert_array_equal(scene.poses, arrays["poses"][:, :3])
    np.testing.assert_array_equal(scene.bounds, BOUNDS)
    image = scene.read_image(2)
    assert (image.shape, image.dtype) == ((H, W, 4), np.uint8)
    assert (image[..., 3] == 255).all()
    np.testing.assert_allclose(image[..., :3] / 255, arrays["images"][2], atol=0.5 / 255 + 1e-6)
    assert scene.read_depth is None


def test_bounds_are_found_where_none_are_given(file: Path) -> None:
    # The cameras are 3 from the origin; the narrower side of the picture is 4 pixels, the focal length 6.
    np.testing.assert_allclose(load(file, bounds=None).bounds, BOUNDS * 3 * 4 / 6 / 2, atol=1e-4)


def test_8_bit_pictures_are_taken_as_they_are(file: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (N, H, W, 3), dtype=np.uint8)
    np.savez(file, **{**good_arrays(), "images": images})
    np.testing.assert_array_equal(load(file).read_image(5)[..., :3], images[5])


def test_poses_may_leave_out_their_last_row(file: Path) -> None:
    arrays = good_arrays()
    np.savez(file, **{**arrays, "poses": arrays["poses"][:, :3]})
    np.testing.assert_array_equal(load(file).poses, arrays["poses"][:, :3])


def images_with(value: float) -> np.ndarray:
    images = good_arrays()["images"]
    images[3, 1, 2, 0] = value
    return images


def poses_with(change: Callable[[np.ndarray], None]) -> np.ndarray:
    poses = good_arrays()["poses"]
    change(poses[2])
    return poses


def scale_all(pose: np.ndarray) -> None:
    pose[:3, :3] *= 2


def flatten_z(pose: np.ndarray) -> None:
    pose[:3, 2] = 0


def mirror_x(pose: np.ndarray) -> None:
    pose[:3, 0] *= -1


def lose_position(pose: np.ndarray) -> None:
    pose[1, 3] = np.nan


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("images", np.zeros((N, H, W)), ("images: ", "[N, H, W, 3]", "[6, 4, 5]")),
        ("images", np.zeros((N, H, W, 4)), ("images: ", "[N, H, W, 3]", "[6, 4, 5, 4]")),
        ("images", np.zeros((N, H, 0, 3)), ("images: ", "[N, H, W, 3]")),
        ("images", np.zeros((N, H, W, 3), dtype=np.int64), ("images: ", "uint8", "int64")),
        ("images", np.full((N, H, W, 3), "x"), ("images: ", "numbers")),
        ("images", images_with(np.nan), ("images: ", "NaN")),
        ("images", images_with(np.inf), ("images: ", "infinity")),
        ("images", images_with(1.5), ("images: ", "[0, 1]", "1.5")),
        ("images", images_with(-0.5), ("images: ", "[0, 1]", "-0.5")),
        ("images", np.zeros((N, H, W, 3), dtype=object), ("pickled",)),
        ("poses", np.zeros((N, 4, 3)), ("poses: ", "[N, 4, 4]", "[6, 4, 3]")),
        ("poses", np.zeros((N + 1, 4, 4)), ("poses: ", "[7, 4, 4]")),
        ("poses", np.full((N, 4, 4), "x"), ("poses: ", "numbers")),
        ("poses", poses_with(flatten_z), ("poses: ", "pose 2", "singular")),
        ("poses", poses_with(scale_all), ("poses: ", "pose 2", "not a rotation")),
        ("poses", poses_with(mirror_x), ("poses: ", "pose 2", "left-handed")),
        ("poses", poses_with(lose_position), ("poses: ", "pose 2", "NaN")),
        ("focal", np.array(0.0), ("focal: ", "positive", "0")),
        ("focal", np.array(-5.0), ("focal: ", "positive", "-5")),
        ("focal", np.array(np.nan), ("focal: ", "positive", "nan")),
        ("focal", np.array([6.0, 7.0]), ("focal: ", "one", "7")),
        ("focal", np.array("wide"), ("focal: ", "positive", "wide")),
    ],
)
def test_a_fault_is_told_in_one_line_with_file_and_key(file: Path, key: str, value: Any, told: tuple) -> None:
    np.savez(file, **{**good_arrays(), key: value})
    line = fault(file)
    for part in told:
        assert part in line


@pytest.mark.parametrize("key", ["images", "poses", "focal"])
def test_a_missing_key_is_named(file: Path, key: str) -> None:
    arrays = good_arrays()
    del arrays[key]
    np.savez(file, **arrays, other=1)
    assert fault(file).startswith(f"missing {key}; it holds ")


def test_several_faults_are_told_together(file: Path) -> None:
    np.savez(file, images=np.zeros((N, H, W)), poses=np.zeros((N, 2, 2)), focal=-1)
    with pytest.raises(NerfpipeError) as caught:
        load(file)
    assert [line.removeprefix(f"{file}: ").split(":")[0] for line in str(caught.value).splitlines()] == [
        "images",
        "poses",
        "focal",
    ]


def test_a_file_without_images_is_refused(file: Path) -> None:
    np.savez(file, **{**good_arrays(), "images": np.zeros((0, H, W, 3)), "poses": np.zeros((0, 4, 4))})
    assert fault(file) == "images: there are none"


@pytest.mark.parametrize("train_views", [N, N + 1])
def test_an_empty_test_split_is_refused(file: Path, train_views: int) -> None:
    line = fault(file, train_views=train_views)
    assert "test split is empty" in line
    assert "train_views" in line


def test_an_archive_cut_short_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for length in (0, 2, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert "get the file again" in fault(file)


def test_other_kinds_of_file_are_refused(file: Path) -> None:
    single = io.BytesIO()
    np.save(single, np.zeros(3))
    for content in (single.getvalue(), b"<html>404</html>"):
        file.write_bytes(content)
        assert "not a whole .npz archive" in fault(file)


def test_a_pickle_is_not_loaded(file: Path) -> None:
    file.write_bytes(pickle.dumps(good_arrays()))
    fault(file)


def test_an_archive_of_something_else_is_refused(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for key in ("images", "poses", "focal"):
            archive.writestr(f"{key}.npy", "not an array")
    fault(file)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_damaged_byte_never_gives_anything_but_a_line(
    file: Path, save: Callable[..., None], position: float, change: int
) -> None:
    save(file, **good_arrays())
    content = bytearray(file.read_bytes())
    content[int(position * len(content))] ^= change
    file.write_bytes(content)
    told = f"{file}: "
    try:
        load(file)
    except NerfpipeError as error:
        told = str(error)
    assert told.startswith(f"{file}: ")


def test_arrays_that_unpack_to_far_more_are_not_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 MB of zeros in 200 kB: refused by what the archive declares, with nothing inflated."""
    arrays = good_arrays() | {"images": np.zeros((25, 1000, 1000), np.float64)}
    np.savez_compressed(file, **arrays)
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("was read"))
    assert re.fullmatch(r"has 0\.2 MB and would unpack to 200\.0 MB; the limit is 100\.0 MB; if you .*", fault(file))
