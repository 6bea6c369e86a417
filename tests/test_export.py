"""Images and points of an analytic ball against the truth: depth, normals, positions, in the data's coordinates."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import trimesh
from analytic_fields import MOVED, TURN, Balls, lines, loaded_field
from built_in import BuiltIn
from camera_points import to_world, unproject
from conftest import BALL_RADIUS, ball_image
from PIL import Image

from nerfpipe.camera_paths.shapes import orbit
from nerfpipe.export.images import export_depth, export_normals, png_step
from nerfpipe.export.options import CloudOptions, DepthOptions, ViewOptions
from nerfpipe.export.point_cloud import export_pointcloud, floaters, thinned
from nerfpipe.export.views import choose_view
from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.rays import rays_to_world
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.geometry.spaces import Bounded
from nerfpipe.procedural import robot_arm
from nerfpipe.procedural.generate import camera_poses
from nerfpipe.procedural.solids import trace


@pytest.mark.parametrize("kind", ["z", "ray"])
@pytest.mark.parametrize("similarity", [Similarity(), MOVED])
def test_depth_is_true_in_the_datas_own_unit(tmp_path: Path, scene, kind: str, similarity: Similarity) -> None:
    of, view = loaded_field(Balls(((0.0, 0.0, 0.0), BALL_RADIUS)), scene, similarity=similarity), ViewOptions(view=2)
    file = tmp_path / "depth.png"
    told = lines(export_depth(of, view, DepthOptions(kind=kind), file))
    camera, pose, _ = choose_view(of.header, view)
    truth = ball_image(camera, pose.numpy(), True)[1] / similarity.scale
    if kind == "z":
        truth = truth * -camera.directions(camera.pixel_centres())[:, 2].numpy().reshape(truth.shape)
    depth = np.load(tmp_path / "depth.npy")
    hit = np.isfinite(truth) & np.isfinite(depth)
    assert depth.dtype == np.float32
    assert hit.sum() > 30
    assert np.abs(depth - truth)[hit].max() < 0.06 / similarity.scale  # silhouettes are soft
    assert np.median(np.abs(depth - truth)[hit]) < 0.015 / similarity.scale
    assert np.isnan(depth[0, 0])
    with Image.open(file) as png:
        values, meaning = np.asarray(png), json.loads(png.text["nerfpipe"])
    assert values.dtype == np.uint16
    assert values[0, 0] == 0
    assert np.abs(values * meaning["scale"] - depth)[np.isfinite(depth)].max() <= 0.51 * meaning["scale"]
    assert meaning == json.loads((tmp_path / "depth.json").read_text())
    assert meaning["kind"] == kind
    assert ("z-depth" in told) == (kind == "z")


def test_pose_and_depth_of_the_json_lead_back_to_the_surface(tmp_path: Path, scene) -> None:
    of = loaded_field(Balls(((0.0, 0.0, 0.0), BALL_RADIUS)), scene, similarity=MOVED)
    lines(export_depth(of, ViewOptions(view=1), DepthOptions(kind="z"), tmp_path / "depth.png"))
    meaning, depth = json.loads((tmp_path / "depth.json").read_text()), np.load(tmp_path / "depth.npy")
    lens, pose = meaning["camera"], np.array(meaning["pose"])
    row, column = np.nonzero(np.isfinite(depth))
    z = depth[row, column]
    x, y = (column + 0.5 - lens["cx"]) / lens["fx"] * z, -(row + 0.5 - lens["cy"]) / lens["fy"] * z
    points = np.stack([x, y, -z], axis=1) @ pose[:, :3].T + pose[:, 3]
    distance = np.linalg.norm(points - np.array(MOVED.centre), axis=1)
    assert np.median(np.abs(distance - BALL_RADIUS / 2.5)) < 0.02 / 2.5


@pytest.mark.parametrize("kind", ["z", "ray"])
def test_depth_of_the_built_in_scene_is_its_true_one_in_the_datas_own_unit(tmp_path: Path, kind: str) -> None:
    camera, poses = Camera.centred(32, 32, 45.0), camera_poses(12)
    space = Bounded.over(torch.tensor(robot_arm.BOUNDS))
    of = loaded_field(BuiltIn(), SimpleNamespace(cameras=[camera], poses=poses.numpy()), space, MOVED, samples=1024)
    lines(export_depth(of, ViewOptions(view=5), DepthOptions(kind=kind), tmp_path / "depth.png"))
    depth = np.load(tmp_path / "depth.npy").ravel()
    origins, directions = rays_to_world(poses[5].expand(32 * 32, 3, 4), camera.directions(camera.pixel_centres()))
    t = trace(robot_arm.solids(), origins, directions).t
    ahead = -poses[5][:, 2]  # the way the camera looks
    truth = (t if kind == "ray" else (t[:, None] * directions) @ ahead).numpy() / MOVED.scale
    met = np.isfinite(truth) & np.isfinite(depth)
    assert met.mean() > 0.3
    error = (truth - depth)[met] * MOVED.scale  # the field is soft: it is seen a little before its surface
    assert 0 < np.median(error) < 0.012
    assert np.quantile(np.abs(error), 0.9) < 0.04  # the rest lies on silhouettes
    with Image.open(tmp_path / "depth.png") as png:
        values, meaning = np.asarray(png).ravel(), json.loads(png.text["nerfpipe"])
    assert np.abs(values * meaning["scale"] - depth)[met].max() <= 0.51 * meaning["scale"]


def test_steps_of_a_depth_png_are_round_and_fine_enough() -> None:
    for largest in (1e-3, 0.7, 6.5535, 6.5536, 4000.0):
        step = png_step(np.array([0.1 * largest, largest, np.nan]))
        assert largest / 65535 <= step * (1 + 1e-6)
        assert step <= 2.5 * largest / 65535
        assert f"{step:.0e}"[0] in "125"
    assert png_step(np.array([np.nan])) == 1


@pytest.mark.parametrize("similarity", [Similarity(), MOVED])
def test_normals_are_true_along_the_datas_own_axes(tmp_path: Path, scene, similarity: Similarity) -> None:
    of = loaded_field(Balls(((0.0, 0.0, 0.0), BALL_RADIUS)), scene, similarity=similarity)
    lines(export_normals(of, ViewOptions(view=0, size=32), tmp_path / "normals.png"))
    normals = np.load(tmp_path / "normals.npy")
    camera, pose, _ = choose_view(of.header, ViewOptions(view=0, size=32))
    t = torch.from_numpy(ball_image(camera, pose.numpy(), True)[1]).flatten()
    points = to_world(pose, unproject(camera, camera.pixel_centres(), t))
    truth = (points / BALL_RADIUS).numpy() @ np.array(similarity.rotation)
    cosine = (normals.reshape(-1, 3) * truth).sum(axis=1)[np.isfinite(t.numpy()) & normals.any(axis=2).ravel()]
    assert len(cosine) > 100
    assert np.median(cosine) > 0.99
    assert np.quantile(cosine, 0.1) > 0.9
    assert not normals[0, 0].any()
    with Image.open(tmp_path / "normals.png") as png:
        middle = np.asarray(png)[12, 16] / 255 * 2 - 1
    assert np.abs(middle - normals[12, 16]).max() < 0.02


def test_the_point_cloud_lies_on_the_surface_and_is_even(tmp_path: Path, scene) -> None:
    of = loaded_field(Balls(((0.1, 0.0, 0.0), 0.6)), scene, similarity=MOVED, samples=256)
    told = lines(export_pointcloud(of, CloudOptions(points=1500), tmp_path / "points.ply"))
    cloud = trimesh.load(tmp_path / "points.ply", process=False)
    points = MOVED.points(np.asarray(cloud.vertices)) - (0.1, 0, 0)
    assert 1200 < len(points) <= 1500
    assert f"{len(points):,} points" in told
    radius = np.linalg.norm(points, axis=1)
    assert np.median(np.abs(radius - 0.6)) < 0.02
    assert np.abs(radius - 0.6).max() < 0.1
    colours = np.asarray(cloud.colors)[:, :3] / 255
    assert np.median(np.abs(colours - (points + np.array([0.1, 0, 0])) / 2 - 0.5)) < 0.02
    raw = cloud.metadata["_ply_raw"]["vertex"]["data"]
    normals = np.stack([raw[f"n{axis}"] for axis in "xyz"], axis=-1).reshape(-1, 3) @ TURN.T
    assert np.median((normals * points / radius[:, None]).sum(axis=1)) > 0.98


def test_thinning_leaves_dense_places_no_denser() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.random((9000, 3)) * (0.5, 1, 0), rng.random((1000, 3)) * (0.5, 1, 0) + (0.5, 0, 0)])
    kept = points[thinned(points, 500).numpy()]
    assert len(kept) == 500
    assert 200 < (kept[:, 0] > 0.5).sum() < 300


def test_floaters_are_told_from_the_other_points() -> None:
    points = np.random.default_rng(0).random((2000, 3)) * (1, 1, 0)
    alone = np.array([[0.5, 0.5, 0.8], [3.0, 3.0, 3.0]])
    found = floaters(np.concatenate([points, alone])).numpy()
    assert found[-2:].all()
    assert found[:-2].mean() < 0.05


def test_a_view_can_be_chosen_around_the_scene(scene) -> None:
    header = loaded_field(Balls(((0.0, 0.0, 0.0), 0.5)), scene).header
    camera, pose, told = choose_view(header, ViewOptions(azimuth=90, elevation=30, radius=2, size=40))
    assert (camera.width, camera.height) == (40, 30)
    distance = 2 * 3.0
    expected = torch.tensor([0.0, distance * np.cos(np.pi / 6), distance * np.sin(np.pi / 6)])
    torch.testing.assert_close(pose[:, 3], expected.float(), atol=1e-4, rtol=0)
    torch.testing.assert_close(-pose[:, 2], -pose[:, 3] / distance, atol=1e-5, rtol=0)  # looks at the centre
    assert "azimuth 90°, elevation 30°" in told
    begin = choose_view(header, ViewOptions())[1]
    assert torch.equal(begin, orbit(torch.zeros(3), 3.0, 20.0, 1)[0]) or (begin[:, 3].norm() - 3).abs() < 1e-4
