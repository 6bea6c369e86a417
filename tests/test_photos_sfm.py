"""Structure from motion on rendered views with known cameras."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner, Result

from nerfpipe.cli.app import app
from nerfpipe.geometry.cameras import Camera, look_at
from nerfpipe.photos.images import DIAGONAL_35MM
from nerfpipe.photos.lens_fit import MAPPING_LENS, STRAIGHT_LENS, adjusted, as_camera, folding_lenses, with_best_lens
from nerfpipe.photos.pairs import exhaustive
from nerfpipe.photos.preparing import IMAGES, MASKS, SEARCHED, SEARCHED_MASKS, prepare_files
from nerfpipe.photos.reconstruct import by_lens, reconstruct
from nerfpipe.procedural import drawing, robot_arm
from nerfpipe.project.catalogue import load_entry
from nerfpipe.project.paths import CATALOGUE_FILE

pycolmap = pytest.importorskip("pycolmap", reason="structure from motion needs pycolmap (the photos extra)")
pytest.importorskip("trimesh", reason="points.ply needs trimesh (the photos extra)")

VIEWS, SIDE, FOCAL = 13, 300, 420.0  # pictures, pixels
DISTANCE, STEP = 2.6, 0.16  # scene units; radians from one view to the next
EQUIVALENT = 43  # mm on 35 mm film: 421.7 pixels, the nearest integer


@pytest.fixture(scope="module")
def poses() -> np.ndarray:
    """Poses [V, 3, 4] on an arc, at three heights."""
    centre, up = torch.tensor(robot_arm.CENTRE), torch.tensor([0.0, 0.0, 1.0])
    poses = []
    for i in range(VIEWS):
        turn, lift = STEP * i, 0.5 + 0.12 * (i % 3)
        outward = [math.cos(turn) * math.cos(lift), math.sin(turn) * math.cos(lift), math.sin(lift)]
        poses.append(look_at(centre + DISTANCE * torch.tensor(outward), centre, up).numpy())
    return np.stack(poses)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, poses: np.ndarray) -> Path:
    """The built-in scene over white, as JPEGs of a camera held upright, with the focal length in EXIF."""
    folder = tmp_path_factory.mktemp("pictures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "SAMPLES", 1)  # a ninth of the work; edges are jagged
        patch.setattr(drawing, "CENTRE_SAMPLE", 0)
        camera = Camera.centred(SIDE, SIDE, FOCAL)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the operations are too small for more
        drawn = drawing.draw(robot_arm.solids(), robot_arm.BOUNDS, camera, torch.from_numpy(poses))[0]
        torch.set_num_threads(threads)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = EQUIVALENT
    for i, picture in enumerate(drawn):
        picture[picture[..., 3] < 128] = 255
        laid_down = Image.fromarray(picture[..., :3]).transpose(Image.Transpose.ROTATE_90)
        laid_down.save(folder / f"IMG_{i}.JPG", quality=95, exif=exif)
    return folder


def photos(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["photos", *arguments])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> tuple[Path, Result]:
    """A project in which `nerfpipe photos` has run, and what it printed."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("DVC_ROOT", raising=False)
        CATALOGUE_FILE.parent.mkdir()
        CATALOGUE_FILE.write_text("# mine\narm:\n  format: procedural\n")
        result = photos(str(pictures), "--name", "desk", "--size", "150")
    return folder, result


def test_the_command_registers_all_pictures(project: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, result = project
    assert result.exit_code == 0, result.output
    assert f"registered  {VIEWS} of {VIEWS} pictures" in result.stdout
    monkeypatch.chdir(folder)
    assert load_entry("desk").path == "data/captures/desk"
    assert CATALOGUE_FILE.read_text().startswith("# mine\narm:\n  format: procedural\n")
    assert not any((folder / ".nerfpipe" / "photos").iterdir())


def test_cameras_are_found_where_they_stood(project: tuple[Path, Result], poses: np.ndarray) -> None:
    content = json.loads((project[0] / "data/captures/desk/transforms.json").read_text())
    found = np.array([frame["transform_matrix"] for frame in content["frames"]])[:, :3]
    assert [frame["original"] for frame in content["frames"]] == [f"IMG_{i}.JPG" for i in range(VIEWS)]
    turn = Rotation.from_matrix(poses[:, :, :3] @ found[:, :, :3].transpose(0, 2, 1)).mean()
    left = turn.inv() * Rotation.from_matrix(poses[:, :, :3] @ found[:, :, :3].transpose(0, 2, 1))
    assert np.degrees(left.magnitude()).max() < 1.5

    truth = poses[:, :, 3] - poses[:, :, 3].mean(axis=0)
    ours = turn.apply(found[:, :, 3] - found[:, :, 3].mean(axis=0))
    scale = (truth * ours).sum() / (ours * ours).sum()
    assert np.linalg.norm(scale * ours - truth, axis=1).max() < 0.03 * DISTANCE
    assert scale == pytest.approx(DISTANCE, rel=0.05)  # the farthest camera is 1 away

    assert math.degrees(math.acos(turn.as_matrix()[2, 2])) < 3  # z is up
    middle = scale * turn.apply(found[:, :, 3].mean(axis=0))  # from the capture's origin
    np.testing.assert_allclose(poses[:, :, 3].mean(axis=0) - middle, robot_arm.CENTRE, atol=0.05 * DISTANCE)


def test_the_lens_is_found(project: tuple[Path, Result]) -> None:
    content = json.loads((project[0] / "data/captures/desk/transforms.json").read_text())
    assert (content["w"], content["h"], content["cx"], content["cy"]) == (150, 150, 75.0, 75.0)
    assert content["fl_x"] == pytest.approx(FOCAL / 2, rel=0.03)
    assert content["fl_y"] == pytest.approx(FOCAL / 2, rel=0.03)


def test_points_lie_on_what_was_photographed(project: tuple[Path, Result]) -> None:
    import trimesh

    cloud = trimesh.load(project[0] / "data/captures/desk/points.ply")
    points = np.asarray(cloud.vertices)
    assert len(points) > 100
    lower, upper = ((np.array(corner) - robot_arm.CENTRE) / DISTANCE for corner in robot_arm.BOUNDS)
    reach = np.hypot(*np.abs(np.stack([lower, upper])[:, :2]).max(axis=0))
    margin = 0.1
    inside = (points[:, 2] > lower[2] - margin) & (points[:, 2] < upper[2] + margin)
    inside &= np.hypot(points[:, 0], points[:, 1]) < reach + margin
    assert inside.mean() > 0.95


def make_workshop(folder: Path) -> Path:
    for name in (IMAGES, MASKS, SEARCHED, SEARCHED_MASKS):
        (folder / name).mkdir(parents=True)
    return folder


def test_no_features_are_found_under_masks(pictures: Path, tmp_path: Path) -> None:
    files = sorted(pictures.iterdir())[:3]
    mask = tmp_path / "mask.png"
    kept = Image.new("L", (SIDE, SIDE), 0)
    kept.paste(255, (0, 0, SIDE, SIDE // 2))
    kept.save(mask)
    scratch = make_workshop(tmp_path / "scratch")
    views = prepare_files(files, {file.name: mask for file in files}, scratch, 0)
    reconstruct(scratch, views, exhaustive(3), seed=0)
    for view in views:
        with pycolmap.Database.open(scratch / "database.db") as database:
            number = database.read_image_with_name(view.searched).image_id
            rows = database.read_keypoints(number)[:, 1]
        assert len(rows) > 20
        assert rows.max() < SIDE // 2


def test_the_focal_length_of_the_pictures_is_where_mapping_starts(pictures: Path, tmp_path: Path) -> None:
    scratch = make_workshop(tmp_path / "scratch")
    views = prepare_files(sorted(pictures.iterdir())[:3], {}, scratch, 0)
    assert len(by_lens(views)) == 1
    reconstruct(scratch, views, exhaustive(3), seed=0)
    with sqlite3.connect(scratch / "database.db") as database:
        ((params, prior),) = database.execute("select params, prior_focal_length from cameras").fetchall()
    assert prior == 1
    expected = EQUIVALENT / DIAGONAL_35MM * math.hypot(SIDE, SIDE)
    np.testing.assert_allclose(np.frombuffer(params), [expected, SIDE / 2, SIDE / 2, 0])


def test_pictures_of_two_sizes_are_of_two_lenses(pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(pictures, folder)
    for i in range(0, VIEWS, 2):
        with Image.open(folder / f"IMG_{i}.JPG") as image:
            exif = image.getexif()
            image.crop((0, 20, SIDE, SIDE - 20)).save(folder / f"IMG_{i}.JPG", quality=95, exif=exif)
    scratch = make_workshop(tmp_path / "scratch")
    views = prepare_files(sorted(folder.iterdir()), {}, scratch, 0)
    model = reconstruct(scratch, views, exhaustive(VIEWS), seed=0)
    assert model is not None
    assert len(model.poses) == VIEWS
    lenses = {(camera.width, camera.height): camera.fx for camera in model.cameras.values()}
    assert set(lenses) == {(SIDE, SIDE), (SIDE - 40, SIDE)}
    for focal in lenses.values():
        assert focal == pytest.approx(FOCAL, rel=0.06)


def test_pictures_of_nothing_in_common_cannot_be_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    CATALOGUE_FILE.parent.mkdir()
    CATALOGUE_FILE.write_text("arm:\n  format: procedural\n")
    (tmp_path / "noise").mkdir()
    for i in range(3):
        noise = np.random.default_rng(i).integers(0, 256, (90, 120, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "noise" / f"{i}.png")
    result = photos("noise", "--name", "desk")
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert line.startswith("error: noise: none of 3 pictures could be registered; not 0.png, 1.png, 2.png; photograph ")
    assert not (tmp_path / "data" / "captures").exists()


OPENCV = (1000.0, 1004.0, 270.0, 246.0, -0.25, 0.12, 0.002, -0.001)  # fx fy cx cy k1 k2 p1 p2


def through(kind: str, params: tuple[float, ...], views: int = 10) -> Any:
    """A synthetic model of views through a lens of this kind, 512x512, with 0.2 pixels of noise."""
    pycolmap.set_random_seed(0)
    options = pycolmap.SyntheticDatasetOptions(
        num_rigs=1,
        num_frames_per_rig=views,
        num_points3D=300,
        camera_width=512,
        camera_height=512,
        camera_model_id=getattr(pycolmap.CameraModelId, kind),
        camera_params=list(params),
        sensor_from_rig_rotation_stddev=0.0,
        sensor_from_rig_translation_stddev=0.0,
    )
    model = pycolmap.synthesize_dataset(options)
    pycolmap.synthesize_noise(pycolmap.SyntheticNoiseOptions(point2D_stddev=0.2), model)
    return model


def as_mapped(model: Any) -> Any:
    """The model after mapping: adjusted, with one focal length and one distortion."""
    (number,) = model.cameras
    camera = model.cameras[number]
    camera.model = pycolmap.CameraModelId.SIMPLE_RADIAL
    camera.params = [camera.params[0], 256.0, 256.0, 0.0]
    return adjusted(pycolmap, model, [number], MAPPING_LENS)


def test_a_finer_lens_is_found_where_pictures_show_it() -> None:
    model = with_best_lens(pycolmap, as_mapped(through("OPENCV", OPENCV)))
    lens = as_camera(next(iter(model.cameras.values())))
    np.testing.assert_allclose([lens.fx, lens.fy, lens.cx, lens.cy], OPENCV[:4], atol=2)
    np.testing.assert_allclose(lens.distortion[0], OPENCV[4], atol=0.05)
    assert not folding_lenses(model)


@pytest.mark.parametrize(
    ("kind", "params", "views"),
    [("SIMPLE_RADIAL", (1000.0, 256.0, 256.0, -0.1), 10), ("OPENCV", OPENCV, 7)],
    ids=["nothing more to find", "too few pictures"],
)
def test_the_simple_lens_stays_where_pictures_show_no_more(kind: str, params: tuple, views: int) -> None:
    model = with_best_lens(pycolmap, as_mapped(through(kind, params, views)))
    assert [camera.model_name for camera in model.cameras.values()] == ["SIMPLE_RADIAL"]


def test_a_distortion_that_folds_back_is_taken_away() -> None:
    model = through("SIMPLE_PINHOLE", (1000.0, 256.0, 256.0))
    (number,) = model.cameras
    model.cameras[number].model = pycolmap.CameraModelId.SIMPLE_RADIAL
    model.cameras[number].params = [1000.0, 256.0, 256.0, -1.5]
    assert folding_lenses(model) == [number]
    straight = adjusted(pycolmap, model, folding_lenses(model), STRAIGHT_LENS)
    assert folding_lenses(straight) == []
    assert as_camera(straight.cameras[number]).is_pinhole
    assert straight.cameras[number].focal_length == pytest.approx(1000, rel=0.01)
    assert straight.compute_mean_reprojection_error() < 1
