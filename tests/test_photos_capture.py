"""The files of a capture, its catalogue entry, and the refusals of `nerfpipe photos`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner, Result

from nerfpipe.camera_paths.shapes import orbit
from nerfpipe.cli.app import app
from nerfpipe.geometry.cameras import Camera, to_camera
from nerfpipe.photos import command
from nerfpipe.photos.capture import POINTS, TRANSFORMS, add_entry, capture_folder, write_capture
from nerfpipe.photos.pairs import exhaustive, sequential, tiles
from nerfpipe.photos.preparing import IMAGES, MASKS, View
from nerfpipe.photos.reconstruct import Reconstruction
from nerfpipe.project.catalogue import load_entry
from nerfpipe.project.paths import CAPTURES, CATALOGUE_FILE
from nerfpipe.runtime.errors import NerfpipeError

CATALOGUE = """\
# The catalogue, with a comment.
lego:
  format: tiny_nerf  # another
  path: lego.npz
"""
DESK = CAPTURES / "desk"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder is a project with one scene."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    CATALOGUE_FILE.parent.mkdir()
    CATALOGUE_FILE.write_text(CATALOGUE)


def photos(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["photos", *arguments])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of four arbitrary pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(4):
        noise = np.random.default_rng(i).integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"IMG_{i}.png")
    return folder


def test_the_entry_is_appended_and_the_rest_left_alone() -> None:
    assert add_entry("desk", DESK)
    assert CATALOGUE_FILE.read_text() == CATALOGUE + "\ndesk:\n  path: data/captures/desk\n"
    assert load_entry("desk").path == "data/captures/desk"
    assert not add_entry("desk", DESK)
    assert CATALOGUE_FILE.read_text().count("desk:") == 1


@pytest.mark.parametrize("name", ["no", "12", "1e3", "-", "x_y-Z9"])
def test_names_that_yaml_would_take_for_something_else(name: str) -> None:
    add_entry(name, capture_folder(name, replace=False))
    assert load_entry(name).path == f"data/captures/{name}"


def test_a_catalogue_that_cannot_be_appended_to_stays_as_it_is() -> None:
    text = "{lego: {format: tiny_nerf, path: lego.npz}}\n"
    CATALOGUE_FILE.write_text(text)
    with pytest.raises(NerfpipeError, match="cannot be appended to; add `desk:` with `path: data/captures/desk` by"):
        add_entry("desk", DESK)
    assert CATALOGUE_FILE.read_text() == text
    assert list(CATALOGUE_FILE.parent.iterdir()) == [CATALOGUE_FILE]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", "a.b", "é!"])
def test_names_take_letters_digits_and_lines(name: str) -> None:
    with pytest.raises(NerfpipeError, match="--name: takes letters, digits, - and _ only"):
        capture_folder(name, replace=False)


def test_a_capture_is_replaced_only_when_asked() -> None:
    DESK.mkdir(parents=True)
    with pytest.raises(NerfpipeError, match=r"data/captures/desk: exists already; .*--replace"):
        capture_folder("desk", replace=False)
    assert capture_folder("desk", replace=True) == DESK


def test_another_scene_of_the_name_is_never_replaced() -> None:
    with pytest.raises(NerfpipeError, match=r"data/scenes\.yaml: lego is another scene already; choose another --name"):
        capture_folder("lego", replace=True)


def view(number: int, size: tuple[int, int] = (40, 30), masked: bool = False) -> View:
    stem = f"{number:04d}"
    mask = f"{MASKS}/{stem}.png" if masked else None
    return View(f"IMG_{number}.JPG", f"{stem}.jpg", f"{IMAGES}/{stem}.png", mask, (80, 60), size, None, False)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """The prepared pictures, and masks, of three views: squares of the view's number in grey."""
    folder = tmp_path / "scratch"
    for number in (1, 2, 3):
        for name in (IMAGES, MASKS):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.new("L", (40, 30), number).save(folder / name / f"{number:04d}.png")
    return folder


LENS = Camera(80, 60, 100.0, 102.0, 41.0, 29.0, "perspective", (-0.1, 0.02, 0.003, -0.001))


def a_model(*indices: int, lenses: tuple[Camera, ...] = (LENS,)) -> Reconstruction:
    """A reconstruction with these views, in coordinates far from those of a capture."""
    poses = orbit(torch.tensor([7.0, 8.0, 9.0]), 5.0, 20.0, len(indices)).double().numpy()
    names = [f"{number:04d}.jpg" for number in indices]
    random = np.random.default_rng(0)
    return Reconstruction(
        poses=dict(zip(names, poses, strict=True)),
        cameras={name: lenses[i % len(lenses)] for i, name in enumerate(names)},
        points=np.array([7.0, 8.0, 9.0]) + random.uniform(-1, 1, (40, 3)),
        colours=random.integers(0, 256, (40, 3), dtype=np.uint8),
        error=0.5,
    )


def seen(camera: Camera, pose: np.ndarray, points: np.ndarray) -> Tensor:
    """Pixels [P, 2] of world points."""
    return camera.project(to_camera(torch.from_numpy(pose[:3]), torch.from_numpy(points)))[0]


def lens_of(entry: dict) -> Camera:
    pinhole = (entry[key] for key in ("w", "h", "fl_x", "fl_y", "cx", "cy"))
    return Camera(*pinhole, "perspective", tuple(entry[key] for key in ("k1", "k2", "p1", "p2")))


@pytest.mark.parametrize("lenses", [(LENS,), (LENS, replace(LENS, fx=90.0))], ids=["one lens", "two lenses"])
def test_points_are_seen_in_a_capture_where_they_were_found(scratch: Path, lenses: tuple[Camera, ...]) -> None:
    trimesh = pytest.importorskip("trimesh", reason="points.ply needs trimesh (the photos extra)")
    model = a_model(1, 2, 3, lenses=lenses)
    write_capture(DESK, scratch, [view(1), view(2), view(3)], model)
    content = json.loads((DESK / TRANSFORMS).read_text())
    cloud = trimesh.load(DESK / content["ply_file_path"])
    np.testing.assert_array_equal(np.asarray(cloud.colors)[:, :3], model.colours)
    assert content["camera_model"] == "OPENCV"
    assert ("fl_x" in content) == (len(lenses) == 1)
    assert content["test_filenames"] == ["images/0002.png"]  # neither the first nor the last
    assert content["train_filenames"] == ["images/0001.png", "images/0003.png"]
    for frame, (name, pose) in zip(content["frames"], model.poses.items(), strict=True):
        found = seen(model.cameras[name], pose, model.points)
        placed = seen(lens_of(content | frame), np.array(frame["transform_matrix"]), np.asarray(cloud.vertices, float))
        torch.testing.assert_close(placed, found / 2, atol=1e-3, rtol=0)  # the capture is half as large


def test_the_recorded_transform_leads_from_what_was_found_to_the_capture(scratch: Path) -> None:
    pytest.importorskip("trimesh", reason="points.ply needs trimesh (the photos extra)")
    model = a_model(1, 2, 3)
    write_capture(DESK, scratch, [view(1), view(2), view(3)], model)
    content = json.loads((DESK / TRANSFORMS).read_text())
    position = np.array([*model.poses["0002.jpg"][:, 3], 1])
    new = content["applied_scale"] * np.array(content["applied_transform"]) @ position
    np.testing.assert_allclose(new, np.array(content["frames"][1]["transform_matrix"])[:3, 3])
    np.testing.assert_allclose(np.linalg.norm(new), 1)  # on a circle round the origin


def test_a_capture_holds_the_registered_views_alone(scratch: Path) -> None:
    pytest.importorskip("trimesh", reason="points.ply needs trimesh (the photos extra)")
    write_capture(DESK, scratch, [view(n, masked=True) for n in (1, 2, 3)], a_model(1, 3))
    frames = json.loads((DESK / TRANSFORMS).read_text())["frames"]
    assert [frame["original"] for frame in frames] == ["IMG_1.JPG", "IMG_3.JPG"]
    for number, frame in zip((1, 3), frames, strict=True):
        for key in ("file_path", "mask_path"):
            assert np.asarray(Image.open(DESK / frame[key])).flat[0] == number
    assert sorted(str(file.relative_to(DESK)) for file in DESK.rglob("*.*")) == [
        *(f"{folder}/{number:04d}.png" for folder in (IMAGES, MASKS) for number in (1, 3)),
        POINTS,
        TRANSFORMS,
    ]


def test_without_masks_there_is_no_folder_for_them(scratch: Path) -> None:
    pytest.importorskip("trimesh", reason="points.ply needs trimesh (the photos extra)")
    write_capture(DESK, scratch, [view(1), view(2), view(3)], a_model(1, 2, 3))
    assert sorted(file.name for file in DESK.iterdir()) == [IMAGES, POINTS, TRANSFORMS]


def test_all_pairs_once() -> None:
    assert exhaustive(4) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert sorted(pair for tile in tiles(exhaustive(20)) for pair in tile) == exhaustive(20)


def test_frames_of_a_video_meet_their_neighbours_and_some_far_ones() -> None:
    pairs = set(sequential(100))
    assert len(pairs) == len(sequential(100)) < len(exhaustive(100)) / 2
    assert all(first < second for first, second in pairs)
    assert {(40, other) for other in range(41, 51)} <= pairs
    assert {(0, 64), (0, 95), (5, 95), (37, 53)} <= pairs
    assert (0, 99) not in pairs
    assert set(sequential(3)) == {(0, 1), (0, 2), (1, 2)}


@pytest.fixture
def with_model(monkeypatch: pytest.MonkeyPatch) -> Callable[[Reconstruction | None], None]:
    """Makes structure from motion return a given reconstruction."""

    def use(model: Reconstruction | None) -> None:
        monkeypatch.setattr(command, "load_pycolmap", lambda: None)
        monkeypatch.setattr(command, "reconstruct", lambda *arguments: model)

    return use


def left_over() -> list[Path]:
    """Files in the project besides the catalogue and the pictures."""
    files = [file for file in Path().rglob("*") if file.is_file()]
    return [file for file in files if file != CATALOGUE_FILE and file.parts[0] != "pictures"]


def test_what_is_printed(pictures: Path, with_model: Callable) -> None:
    pytest.importorskip("trimesh", reason="points.ply needs trimesh (the photos extra)")
    with_model(a_model(1, 2, 3, 4))
    result = photos(str(pictures), "--name", "desk")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "registered  4 of 4 pictures, reprojection error 0.50 pixels at 80x60",
        "points      40",
        "lens        focal length 100 pixels at 80x60, the same as 43 mm on 35 mm film",
        "wrote       data/captures/desk: 4 pictures, transforms.json, points.ply",
        "catalogue   data/scenes.yaml has a new entry: desk",
        "next        dvc add data/captures/desk",
        "            set `scene: desk` and `method: ngp_photos` in params.yaml",
        "            dvc repro",
    ]
    assert load_entry("desk").path == "data/captures/desk"
    assert {file.parts[:3] for file in left_over()} == {DESK.parts}
    again = photos(str(pictures), "--name", "desk", "--replace").stdout.splitlines()
    assert again[-2:] == ["            dvc repro --force --single-item download", "            dvc repro"]


def test_pictures_that_were_not_registered_are_named(pictures: Path, with_model: Callable) -> None:
    pytest.importorskip("trimesh", reason="points.ply needs trimesh (the photos extra)")
    with_model(a_model(1, 2, 4))
    lines = photos(str(pictures), "--name", "desk").stdout.splitlines()
    assert lines[:2] == [
        "registered  3 of 4 pictures, reprojection error 0.50 pixels at 80x60",
        "notice      not registered: IMG_2.png",
    ]
    assert "overlap" not in "".join(lines)


def test_fewer_than_half_is_a_warning_with_advice(pictures: Path, with_model: Callable) -> None:
    pytest.importorskip("trimesh", reason="points.ply needs trimesh (the photos extra)")
    for i in range(4, 7):
        Image.new("RGB", (80, 60)).save(pictures / f"IMG_{i}.png")
    with_model(a_model(1, 2, 3))
    result = photos(str(pictures), "--name", "desk")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1] == "warning     not registered: IMG_3.png, IMG_4.png, IMG_5.png, IMG_6.png"
    assert "more overlap (neighbouring pictures share 60 to 80 %)" in result.stdout.splitlines()[2]


@pytest.mark.parametrize(("indices", "count"), [((), "none"), ((1, 4), "only 2")])
def test_fewer_than_three_is_an_error_and_nothing_is_written(
    pictures: Path, with_model: Callable, indices: tuple, count: str
) -> None:
    with_model(a_model(*indices) if indices else None)
    result = photos(str(pictures), "--name", "desk")
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    missing = ", ".join(f"IMG_{i}.png" for i in range(4) if i + 1 not in indices)
    assert line.startswith(f"error: {pictures}: {count} of 4 pictures could be registered; not {missing}; ")
    assert "walk around the object instead of turning on the spot" in line
    assert left_over() == []
    assert CATALOGUE_FILE.read_text() == CATALOGUE


def test_ctrl_c_leaves_nothing(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "load_pycolmap", lambda: None)
    monkeypatch.setattr(command, "reconstruct", interrupted)
    result = photos(str(pictures), "--name", "desk")
    assert result.exit_code == 1
    assert result.stderr == "error: interrupted; nothing was written, and the same command starts again\n"
    assert left_over() == []
    assert CATALOGUE_FILE.read_text() == CATALOGUE


def test_a_failed_replacement_leaves_the_old_capture(pictures: Path, with_model: Callable) -> None:
    DESK.mkdir(parents=True)
    (DESK / "old.txt").touch()
    with_model(None)
    assert photos(str(pictures), "--name", "desk", "--replace").exit_code == 1
    assert (DESK / "old.txt").exists()


def test_a_replacement_takes_the_place_of_the_old_capture(pictures: Path, with_model: Callable) -> None:
    pytest.importorskip("trimesh", reason="points.ply needs trimesh (the photos extra)")
    DESK.mkdir(parents=True)
    (DESK / "old.txt").touch()
    add_entry("desk", DESK)
    with_model(a_model(1, 2, 3, 4))
    result = photos(str(pictures), "--name", "desk", "--replace")
    assert result.exit_code == 0, result.output
    assert sorted(file.name for file in DESK.iterdir()) == [IMAGES, POINTS, TRANSFORMS]
    assert "catalogue" not in result.stdout  # the entry was there


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "--name", "desk"), "nowhere: not found; give a folder of pictures, or a video"),
        (("pictures/IMG_0.png", "--name", "desk"), "IMG_0.png: is one picture; give the folder that holds all"),
        (("pictures", "--name", "a/b"), "--name: takes letters, digits, - and _ only (got 'a/b')"),
        (("pictures", "--name", "lego"), "data/scenes.yaml: lego is another scene already"),
        (
            ("pictures", "--name", "desk", "--matching", "all"),
            "--matching: must be auto, exhaustive or sequential (got all)",
        ),
        (("pictures", "--name", "desk", "--frames", "2"), "--frames: must be at least 3 (got 2)"),
        (("pictures", "--name", "desk", "--frames", f"{10**12}"), f"--frames: must be at most 100,000 (got {10**12})"),
        (
            ("pictures", "--name", "desk", "--size", f"{10**9}"),
            f"--size: must be at most 16,384 pixels, or 0 to keep it (got {10**9})",
        ),
        (
            ("pictures", "--name", "desk", "--seed", f"{10**12}"),
            f"--seed: must be from 0 to 2,147,483,647 (got {10**12})",
        ),
        (("pictures", "--name", "desk", "--seed", "-1"), "--seed: must be from 0 to 2,147,483,647 (got -1)"),
        (
            ("pictures", "--name", "desk", "--size", "32"),
            "--size: must be at least 64 pixels, or 0 to keep it (got 32)",
        ),
        (("pictures", "--name", "desk", "--masks", "data"), "data: no mask for IMG_0.png, IMG_1.png"),
        (
            ("data/scenes.yaml", "--name", "desk", "--masks", "data"),
            "--masks: goes with a folder of pictures; run once",
        ),
    ],
)
def test_what_is_refused(pictures: Path, with_model: Callable, arguments: tuple[str, ...], message: str) -> None:
    with_model(None)
    result = photos(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert left_over() == []


def test_outside_of_a_project_one_is_told_so(pictures: Path) -> None:
    CATALOGUE_FILE.unlink()
    result = photos(str(pictures), "--name", "desk")
    assert result.exit_code == 1
    assert result.stderr == "error: data/scenes.yaml: not found; run from the project's folder\n"


def test_without_pycolmap_the_extra_is_named(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    result = photos(str(pictures), "--name", "desk")
    assert result.exit_code == 1
    assert result.stderr == "error: finding the cameras needs COLMAP: pip install 'nerfpipe[photos]'\n"
    assert left_over() == []
