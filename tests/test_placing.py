"""Scenes of any size and position are moved into their space; exports are in the data's units."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import scene_files
import torch
from analytic_fields import Balls, lines, loaded_field, read_mesh
from conftest import BALL_RADIUS
from scipy.spatial.transform import Rotation

from nerfpipe.config.params import Params
from nerfpipe.download.acquire import make_raw
from nerfpipe.export.mesh import export_mesh
from nerfpipe.export.options import MeshOptions
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.geometry.space import camera_rays
from nerfpipe.project.catalogue import Entry
from nerfpipe.raybank.writer import build
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.formats import tiny_nerf
from nerfpipe.scenes.loading import load_scene
from nerfpipe.scenes.placement import OUTWARDS
from nerfpipe.scenes.scene import Scene
from nerfpipe.training.header import describe_model

MakeScene = Callable[..., Scene]
MOVES = [(1000.0, (0.0, 0.0, 0.0)), (1000.0, (4e5, -2e5, 700.0)), (0.01, (0.0, 0.0, 0.0)), (1.0, (300.0, 0.0, 0.0))]
moves = pytest.mark.parametrize(("size", "offset"), MOVES)


def moved(scene: Scene, size: float, offset: tuple[float, float, float]) -> Scene:
    """The same data in other units and with another origin."""
    poses = scene.poses.astype(np.float64)
    poses[:, :, 3] = poses[:, :, 3] * size + offset
    return replace(scene, poses=poses)


def read(folder: Path, **keys: object) -> Scene:
    """The scene in folder/data, brought here as an entry with these keys would."""
    raw = folder / f"raw-{len(list(folder.iterdir()))}"
    raw.mkdir()
    make_raw("stranger", Entry.model_validate({"path": str(folder / "data"), **keys}), raw)
    return load_scene(raw)


def assert_like_the_unmoved(found: Scene, usual: Scene) -> None:
    """The rays are those of the unmoved scene, but for its own centre and half its side."""
    assert usual.similarity.is_identity
    middle, half = usual.bounds.mean(axis=0), float(np.ptp(usual.bounds, axis=0).max()) / 2
    np.testing.assert_allclose(found.bounds, (usual.bounds - middle) / half, atol=1e-3)
    for view in range(usual.views):
        mine, theirs = (
            camera_rays(variant.camera(view), torch.from_numpy(variant.poses[view]), variant.space(0.0, 0.0))
            for variant in (found, usual)
        )
        np.testing.assert_allclose(mine.origins, (theirs.origins.numpy() - middle) / half, atol=1e-3)
        np.testing.assert_allclose(mine.directions, theirs.directions, atol=1e-4)
        hit = (theirs.far - theirs.near > 0.01 * half) & mine.hits
        assert hit.float().mean() > 0.5
        np.testing.assert_allclose(mine.near[hit], theirs.near[hit] / half, atol=5e-3)
        np.testing.assert_allclose(mine.far[hit], theirs.far[hit] / half, atol=5e-3)


@moves
def test_a_bounded_scene_has_the_same_rays_whatever_its_units_and_origin(
    size: float, offset: tuple[float, float, float], make_scene: MakeScene, tmp_path: Path
) -> None:
    scene = make_scene(train=8)
    for name, variant in (("usual", scene), ("moved", moved(scene, size, offset))):
        scene_files.write_blender(variant, tmp_path / name / "data")
    usual, found = read(tmp_path / "usual"), read(tmp_path / "moved")
    assert_like_the_unmoved(found, usual)
    expected = usual.similarity.original_poses(usual.poses.astype(np.float64))
    expected[:, :, 3] = expected[:, :, 3] * size + offset
    original = found.similarity.original_poses(found.poses.astype(np.float64))
    np.testing.assert_allclose(original, expected, atol=1e-5 * max(size, *np.abs(offset)) + 1e-6)


def test_bounds_of_the_entry_are_in_the_datas_coordinates(make_scene: MakeScene, tmp_path: Path) -> None:
    scene_files.write_blender(moved(make_scene(), 1000, (0, 0, 0)), tmp_path / "data")
    found = read(tmp_path, bounds=[[-800, -800, -800], [800, 800, 400]])
    np.testing.assert_allclose(found.bounds, [[-1, -1, -0.75], [1, 1, 0.75]], atol=1e-6)
    np.testing.assert_allclose(found.similarity.original(found.bounds)[1], [800, 800, 400], atol=1e-3)


def test_depth_maps_of_a_bounded_scene_are_in_scene_units(make_scene: MakeScene, tmp_path: Path) -> None:
    """A wall 2,000 units ahead, in a scene 1,600 across."""
    scene = make_scene(alpha=False)
    scene_files.write_transforms(moved(scene, 1000, (0, 0, 0)), tmp_path / "data", [scene.cameras[0]] * scene.views)
    file = tmp_path / "data" / "transforms.json"
    content = json.loads(file.read_text())
    iio.imwrite(tmp_path / "data" / "depth.png", np.full((12, 16), 2000, np.uint16))
    for frame in content["frames"]:
        frame |= {"depth_file_path": "depth.png", "depth_unit_scale_factor": 1.0}
    file.write_text(json.dumps(content))
    found = read(tmp_path, bounds=[[-800, -800, -800], [800, 800, 800]])
    assert found.read_depth(0)[5:7, 7:9].mean() == pytest.approx(2000 / 800, rel=0.01)


@moves
def test_an_npz_has_the_same_rays_whatever_its_units_and_origin(
    size: float, offset: tuple[float, float, float], make_scene: MakeScene, tmp_path: Path
) -> None:
    scene = make_scene(alpha=False)
    images = np.stack([scene.read_image(view)[..., :3] for view in range(scene.views)])
    found = []
    for variant in (scene, moved(scene, size, offset)):
        np.savez(tmp_path / "a.npz", images=images, poses=variant.poses, focal=scene.cameras[0].fx)
        found.append(tiny_nerf.load(tmp_path / "a.npz", "a", "black", None, 6))
    assert_like_the_unmoved(found[1], found[0])


def test_a_mesh_of_a_moved_scene_is_in_the_datas_units(make_scene: MakeScene, tmp_path: Path) -> None:
    size, offset = 1000.0, (5000.0, 0.0, -300.0)
    scene_files.write_blender(moved(make_scene(), size, offset), tmp_path / "data")
    found = read(tmp_path)
    ball = Balls(((0.0, 0.0, 0.0), BALL_RADIUS * size * found.similarity.scale))
    of = loaded_field(ball, found, found.space(0.0, 0.05), found.similarity)
    lines(export_mesh(of, MeshOptions(density=200.0, resolution=40), tmp_path / "mesh.ply"))
    distances = np.linalg.norm(read_mesh(tmp_path / "mesh.ply").vertices - offset, axis=1)
    np.testing.assert_allclose(distances, BALL_RADIUS * size, atol=0.1 * size)


def in_a_row(scene: Scene, look: float) -> Scene:
    """Cameras in a row that look along -z (look 1) or, as OpenCV's poses would, along +z (-1)."""
    poses = np.tile(np.eye(3, 4), (scene.views, 1, 1))
    poses[:, 0, 3] = np.linspace(-0.5, 0.5, scene.views)
    poses[:, 1:, 1:3] *= look
    return replace(scene, poses=poses)


def test_points_tell_the_middle_of_a_capture_in_a_row(make_scene: MakeScene, tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform([-1, -1, -5.2], [1, 1, -4.8], (3000, 3))
    camera = make_scene().cameras[0]
    lens = [camera.fx, camera.cx, camera.cy]
    scene_files.write_colmap(in_a_row(make_scene(), 1.0), tmp_path / "data", "SIMPLE_PINHOLE", lens, points)
    found = read(tmp_path)
    np.testing.assert_allclose(found.similarity.centre, [0, 0, -5], atol=0.1)
    assert np.linalg.norm(found.points, axis=1).max() < 1  # not in the shell of what is contracted
    assert found.notes == ("the cameras look at no common point: the points tell the scene's centre and scale",)


def test_a_turn_around_a_capture_in_a_row_goes_round_its_points(
    make_scene: MakeScene, tmp_path: Path, with_params: Callable[..., Params]
) -> None:
    """Not round where axes that shake by 5 degrees happen to come nearest to each other."""
    points = np.random.default_rng(0).uniform([-1, -1, -5.2], [1, 1, -4.8], (3000, 3))
    scene = in_a_row(make_scene(), 1.0)
    shake = Rotation.from_euler("xyz", np.random.default_rng(0).normal(0, 5, (scene.views, 3)), degrees=True)
    scene.poses[:, :, :3] = shake.as_matrix()
    lens = [scene.cameras[0].fx, scene.cameras[0].cx, scene.cameras[0].cy]
    scene_files.write_colmap(scene, tmp_path / "data", "SIMPLE_PINHOLE", lens, points)
    found = read(tmp_path)
    np.testing.assert_allclose(found.similarity.centre, [0, 0, -5], atol=0.1)
    (tmp_path / "bank").mkdir()
    bank = build(found, tmp_path / "bank", 0.0, 0.05)
    assert describe_model(with_params(method="tiny"), bank).centre == (0, 0, 0)


def test_bounds_that_nobody_sees_are_told_as_the_entry_has_them(make_scene: MakeScene, tmp_path: Path) -> None:
    scene_files.write_blender(make_scene(), tmp_path / "data")
    found = read(tmp_path, bounds=[[700, 700, 700], [800, 800, 900]])
    elsewhere = np.tile(np.eye(3, 4, dtype=np.float32), (found.views, 1, 1)) + np.float32([0, 0, 0, 1e3])
    (tmp_path / "bank").mkdir()
    with pytest.raises(NerfpipeError, match=r"bounds \[\[700\.0, 700\.0, 700\.0\], \[800\.0, 800\.0, 900\.0\]\]"):
        build(replace(found, poses=elsewhere), tmp_path / "bank", 0.0, 0.05)


def test_a_capture_in_a_row_without_points_says_that_it_is_a_guess(make_scene: MakeScene, tmp_path: Path) -> None:
    scene = make_scene()
    scene_files.write_transforms(in_a_row(scene, 1.0), tmp_path / "data", [scene.cameras[0]] * scene.views)
    [note] = read(tmp_path).notes
    assert "there are no points: the scene's centre and scale are guesses" in note


@pytest.mark.parametrize("turned", [True, False])
def test_cameras_that_look_outwards_are_told(turned: bool, make_scene: MakeScene, tmp_path: Path) -> None:
    """The commonest mistake in a transforms.json: poses with OpenCV's axes."""
    scene = make_scene()
    poses = scene.poses * np.array([1, -1, -1, 1], dtype=np.float32) if turned else scene.poses
    scene_files.write_transforms(replace(scene, poses=poses), tmp_path / "data", [scene.cameras[0]] * scene.views)
    assert read(tmp_path).notes == ((OUTWARDS,) if turned else ())


def test_a_forward_scene_whose_points_nobody_sees_says_so(make_scene: MakeScene, tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform([-1, -1, -5.2], [1, 1, -4.8], (300, 3))
    camera = make_scene().cameras[0]
    lens = [camera.fx, camera.cx, camera.cy]
    scene_files.write_colmap(in_a_row(make_scene(), -1.0), tmp_path / "data", "SIMPLE_PINHOLE", lens, points)
    with pytest.raises(
        NerfpipeError, match="there are none of the 300 that cameras see enough of: are the poses right"
    ):
        read(tmp_path, space="forward")


def test_the_usual_scene_keeps_its_coordinates_to_the_bit(make_scene: MakeScene, tmp_path: Path) -> None:
    scene = make_scene()
    scene_files.write_blender(scene, tmp_path / "data")
    found = read(tmp_path)
    order = np.concatenate([scene.splits[name] for name in ("train", "val", "test")])
    assert found.similarity == Similarity()
    assert found.poses.tobytes() == scene.poses[order].tobytes()
