"""Exports of an analytic ball against the truth: its surface, depth and normals, in the data's own coordinates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from conftest import BALL_RADIUS, ball_image
from PIL import Image
from torch import Tensor, nn

from nerfpipe.defaults import RUNTIME
from nerfpipe.errors import NerfpipeError
from nerfpipe.export import pieces, sight
from nerfpipe.export.marching import Grid, march
from nerfpipe.export.mesh import export_mesh
from nerfpipe.export.meshfile import linear, vertex_normals
from nerfpipe.export.options import CloudOptions, DepthOptions, MeshOptions, ViewOptions
from nerfpipe.export.pieces import pieces_of, without, worth_keeping
from nerfpipe.export.pointcloud import export_pointcloud, lonely, thinned
from nerfpipe.export.stills import export_depth, export_normals, png_step
from nerfpipe.export.views import Subject, choose_view
from nerfpipe.methods import Model, Pass
from nerfpipe.modelfile import ModelAbout
from nerfpipe.ndc import from_ndc
from nerfpipe.paths import orbit
from nerfpipe.probe import Probe
from nerfpipe.progress import Progress
from nerfpipe.renderer import Renderer
from nerfpipe.sampling.stratified import Stratified
from nerfpipe.similarity import Similarity
from nerfpipe.space import Space

CPU = torch.device("cpu")
FEW_BLOCKS = RUNTIME.model_copy(update={"cpu_block": 2**19})
EDGE = 0.004  # how soft a ball's surface is
HALF = 200.0  # density of a ball's field at its radius
TURN = np.array([[0.0, -1.0, 0.0], [0.6, 0.0, -0.8], [0.8, 0.0, 0.6]])  # a rotation
MOVED = Similarity.of(np.array([3.0, -1.0, 7.0]), TURN, 2.5)
FRUSTUM = (1.2, 1.5)


class Balls(nn.Module):
    """Soft-edged balls (centre, radius) in the coordinates that `back` leads to. Their colour is their place."""

    def __init__(self, *balls: tuple[tuple[float, float, float], float], back=lambda x: x) -> None:
        super().__init__()
        self.balls, self.back = balls, back

    def forward(self, positions: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        x = self.back(positions)
        distance = torch.stack([(x - torch.tensor(c)).norm(dim=1) - r for c, r in self.balls]).amin(dim=0)
        depth = -distance / EDGE
        return torch.where(depth < -20, 0, 2 * HALF * torch.sigmoid(depth)), (x / 2 + 0.5).clamp(0, 1)


class Void(nn.Module):
    """Dense everywhere but in a ball."""

    def forward(self, positions: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        density, colours = Balls(((0.0, 0.0, 0.0), 0.5))(positions, directions)
        return 2 * HALF - density, colours


def subject(
    field: nn.Module, make_camera, space: Space | None = None, similarity: Similarity | None = None, samples: int = 512
) -> Subject:
    """A model of the field, seen from all round."""
    space = space or Space.boxed(torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]))
    model = Model([Pass(Stratified(samples, space.unbounded), field)])
    camera = make_camera.cameras[0]
    poses = torch.from_numpy(np.array(make_camera.poses)) if space.kind != "forward" else torch.eye(3, 4)[None]
    about = ModelAbout(
        "0", "balls", "tiny", {"train": {"bf16": False}}, 0, space, similarity or Similarity(), "white", camera,
        (0.0, 0.0, 0.0), poses.tolist(),
    )  # fmt: skip
    return Subject(about, Renderer(model, CPU, FEW_BLOCKS, False), Probe(model, space, CPU))


def lines(export) -> str:
    return "\n".join(export)


def read_mesh(file: Path) -> trimesh.Trimesh:
    loaded = trimesh.load_scene(file, process=False)
    (mesh,) = loaded.geometry.values()
    return mesh


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
@pytest.mark.parametrize("similarity", [Similarity(), MOVED])
def test_the_mesh_of_a_ball_is_within_a_voxel_of_it(tmp_path: Path, scene, suffix: str, similarity: Similarity) -> None:
    centre, radius, resolution = (0.2, -0.1, 0.15), 0.6, 40
    file = tmp_path / f"mesh{suffix}"
    options = MeshOptions(density=HALF, resolution=resolution)
    lines(export_mesh(subject(Balls((centre, radius)), scene, similarity=similarity), options, file))
    mesh = read_mesh(file)
    middle, size = similarity.original(np.array([centre]))[0], radius / similarity.scale
    voxel = 2 / resolution / similarity.scale
    assert np.abs(np.linalg.norm(mesh.vertices - middle, axis=1) - size).max() < voxel
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * size**3, rel=0.05)  # positive: faces look outwards
    in_scene = similarity.points(np.asarray(mesh.vertices))
    colours = in_scene / 2 + 0.5
    shown = linear(colours) if suffix == ".glb" else colours
    found = mesh.visual.vertex_colors if suffix == ".ply" else mesh.visual.vertex_attributes["color"]
    assert np.abs(found[:, :3] / 255 - shown).max() < 0.01


def test_a_mesh_marched_in_slabs_is_the_same_as_in_one() -> None:
    def density(points: Tensor) -> Tensor:
        return Balls(((0.1, 0.0, 0.0), 0.6), ((-0.5, 0.5, 0.4), 0.2))(points, points)[0]

    grid = Grid.over(torch.tensor([[-1.0, -0.8, -1.0], [1.0, 0.9, 1.0]]), 24, closed=True)
    whole, slabs = march(density, grid, HALF), march(density, grid, HALF, slab=1)
    assert (len(whole.vertices), len(whole.faces)) == (len(slabs.vertices), len(slabs.faces))

    def triangles(surface) -> np.ndarray:
        corners = np.round(surface.vertices[surface.faces], 5)  # [F, 3, 3]
        first = np.lexsort(corners.transpose(2, 0, 1)[::-1], axis=1)[:, :1]
        turned = np.take_along_axis(corners, ((first + np.arange(3)) % 3)[..., None], axis=1)
        return np.unique(turned.reshape(-1, 9), axis=0)

    np.testing.assert_allclose(triangles(slabs), triangles(whole), atol=1e-4)
    assert trimesh.Trimesh(slabs.vertices, slabs.faces, process=False).is_watertight
    assert (slabs.lowest, slabs.highest) == (whole.lowest, whole.highest)


def test_what_reaches_the_box_is_closed_there(tmp_path: Path, scene) -> None:
    file = tmp_path / "mesh.ply"
    lines(export_mesh(subject(Balls(((0.0, 0.0, -1.0), 0.6)), scene), MeshOptions(density=HALF, resolution=32), file))
    mesh = read_mesh(file)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(2 / 3 * np.pi * 0.6**3, rel=0.1)  # half a ball


def test_of_an_unbounded_scene_the_middle_is_meshed(tmp_path: Path, scene) -> None:
    from nerfpipe.contraction import CUBE, uncontract

    space = Space("unbounded", CUBE, near=0.1)
    field = Balls(((0.0, 0.0, 0.0), 0.6), ((4.0, 0.0, 0.0), 2.0), back=uncontract)
    file = tmp_path / "mesh.ply"
    told = lines(export_mesh(subject(field, scene, space, MOVED), MeshOptions(density=HALF, resolution=40), file))
    distance = np.linalg.norm(read_mesh(file).vertices - np.array(MOVED.centre), axis=1)
    assert np.abs(distance - 0.6 / 2.5).max() < 2 / 40 / 2.5
    assert "the middle of this unbounded scene" in told


def test_a_forward_facing_scene_is_meshed_in_its_frustum(tmp_path: Path, scene) -> None:
    space = Space("forward", ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)), near=1.0, frustum=FRUSTUM)
    centre, radius = (0.2, -0.3, -3.0), 0.8
    field = Balls((centre, radius), back=lambda x: from_ndc(x, FRUSTUM))
    file = tmp_path / "mesh.ply"
    lines(export_mesh(subject(field, scene, space), MeshOptions(density=HALF, resolution=80), file))
    mesh = read_mesh(file)
    away = 3.8**2 / 2 * (2 / 80)  # a voxel in depth, where the ball is farthest
    assert np.abs(np.linalg.norm(mesh.vertices - np.array(centre), axis=1) - radius).max() < away
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.05)


def test_floaters_and_hollows_are_dropped_but_not_the_room_a_camera_stands_in() -> None:
    large, small = trimesh.creation.icosphere(4, radius=1.0), trimesh.creation.icosphere(1, radius=0.1)
    hollow = trimesh.creation.icosphere(4, radius=0.5)
    hollow.invert()
    small.apply_translation([2, 0, 0])
    both = trimesh.util.concatenate([large, small, hollow])
    sizes = [len(large.faces), len(small.faces), len(hollow.faces)]
    expected = np.repeat([True, False, False], sizes)
    outside, within = np.array([[3.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 0.1]])
    assert (worth_keeping(both.vertices, both.faces, 0.1, outside) == expected).all()
    assert (worth_keeping(both.vertices, both.faces, 0.1, within) == np.repeat([True, False, True], sizes)).all()
    assert (worth_keeping(both.vertices, both.faces, 0.0, outside) == np.repeat([True, True, False], sizes)).all()


def test_pieces_are_the_same_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    balls = [trimesh.creation.icosphere(1, radius=0.2).apply_translation(place) for place in rng.random((9, 3)) * 9]
    for ball in balls[::3]:
        ball.invert()
    all_ = trimesh.util.concatenate(balls)
    faces = np.asarray(all_.faces)[rng.permutation(len(all_.faces))].astype(np.int32)  # those of a piece lie far apart
    vertices, inside = np.asarray(all_.vertices), balls[3].centroid[None]
    expected = np.repeat(np.arange(9), len(vertices) // 9)[faces[:, 0]]
    for block in (7, 100, 10**6):
        monkeypatch.setattr(pieces, "BLOCK", block)
        with Progress("pieces", len(faces), "faces") as progress:
            found = pieces_of(faces, len(vertices), progress)[faces[:, 0]]
        assert len({*zip(found, expected, strict=True)}) == len(set(found)) == 9
        kept = worth_keeping(vertices, faces, 0.5, inside)
        assert set(expected[kept]) == {1, 2, 3, 4, 5, 7, 8}  # 0 and 6 are hollow, and 3 has a camera in it
        left, numbers = without(vertices, faces, kept)
        assert len(left) == len(vertices) * 7 // 9
        assert (left[numbers] == vertices[faces[kept]]).all()
        normals = vertex_normals(vertices, faces)
        cosine = (normals * np.asarray(all_.vertex_normals)).sum(axis=1)
        assert cosine.min() > 0.99


def test_small_balls_beside_a_large_one_are_kept_only_when_asked(tmp_path: Path, scene) -> None:
    of = subject(Balls(((0.0, 0.0, 0.0), 0.6), ((0.85, 0.85, 0.85), 0.08)), scene)
    file = tmp_path / "mesh.ply"
    lines(export_mesh(of, MeshOptions(density=HALF, resolution=48, pieces=0.1), file))
    assert read_mesh(file).body_count == 1
    lines(export_mesh(of, MeshOptions(density=HALF, resolution=48, pieces=0.0), file))
    assert read_mesh(file).body_count == 2


def test_what_no_camera_sees_can_be_left_out(tmp_path: Path, scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight, "SIZE", 60)
    of = subject(Balls(((0.0, 0.0, 0.0), BALL_RADIUS)), scene, samples=128)
    file = tmp_path / "mesh.ply"
    lines(export_mesh(of, MeshOptions(density=HALF, resolution=32), file))
    lowest = read_mesh(file).vertices[:, 2].min()
    lines(export_mesh(of, MeshOptions(density=HALF, resolution=32, seen=True), file))
    seen = read_mesh(file).vertices[:, 2]
    assert lowest < -0.68
    assert -0.65 < seen.min() < -0.2  # all cameras stand 20 degrees above the horizon
    assert seen.max() > 0.68


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (Balls(((9.0, 9.0, 9.0), 0.1)), "no surface at density 10; densities run from 0 to 0"),
        (Balls(((0.0, 0.0, 0.0), 9.0)), "no surface at density 10; densities run from 400 to 400"),
    ],
)
def test_a_field_without_a_surface_is_told(tmp_path: Path, scene, field: nn.Module, told: str) -> None:
    with pytest.raises(NerfpipeError, match=told):
        lines(export_mesh(subject(field, scene), MeshOptions(density=10, resolution=16), tmp_path / "mesh.ply"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_a_mesh_of_hollows_alone_is_told_and_not_written(tmp_path: Path, scene, suffix: str) -> None:
    space = Space("unbounded", ((-2.0, -2.0, -2.0), (2.0, 2.0, 2.0)), near=0.1)
    of = subject(Void(), scene, space)
    with pytest.raises(NerfpipeError, match=r"no face is left: all [\d,]+ are of hollows; give another --density"):
        lines(export_mesh(of, MeshOptions(density=HALF, resolution=24), tmp_path / f"mesh{suffix}"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_a_mesh_that_no_camera_sees_is_told_and_not_written(tmp_path: Path, scene, suffix: str) -> None:
    of = subject(Balls(((0.0, 0.0, 0.0), 0.5)), scene, samples=64)
    away = np.array(of.about.poses) * (-1, 1, -1, 1)  # right and back turned round: all look outwards
    of = replace(of, about=replace(of.about, poses=away.tolist()))
    with pytest.raises(NerfpipeError, match=r"of [\d,]+ no train camera sees one; leave out --seen, or give another"):
        lines(export_mesh(of, MeshOptions(density=HALF, resolution=24, seen=True), tmp_path / f"mesh{suffix}"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["z", "ray"])
@pytest.mark.parametrize("similarity", [Similarity(), MOVED])
def test_depth_is_true_in_the_datas_own_unit(tmp_path: Path, scene, kind: str, similarity: Similarity) -> None:
    of, view = subject(Balls(((0.0, 0.0, 0.0), BALL_RADIUS)), scene, similarity=similarity), ViewOptions(view=2)
    file = tmp_path / "depth.png"
    told = lines(export_depth(of, view, DepthOptions(kind=kind), file))
    camera, pose, _ = choose_view(of.about, view)
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
        numbers, said = np.asarray(png), json.loads(png.text["nerfpipe"])
    assert numbers.dtype == np.uint16
    assert numbers[0, 0] == 0
    assert np.abs(numbers * said["scale"] - depth)[np.isfinite(depth)].max() <= 0.51 * said["scale"]
    assert said == json.loads((tmp_path / "depth.json").read_text())
    assert said["kind"] == kind
    assert ("z-depth" in told) == (kind == "z")


def test_pose_and_depth_of_the_json_lead_back_to_the_surface(tmp_path: Path, scene) -> None:
    of = subject(Balls(((0.0, 0.0, 0.0), BALL_RADIUS)), scene, similarity=MOVED)
    lines(export_depth(of, ViewOptions(view=1), DepthOptions(kind="z"), tmp_path / "depth.png"))
    said, depth = json.loads((tmp_path / "depth.json").read_text()), np.load(tmp_path / "depth.npy")
    lens, pose = said["camera"], np.array(said["pose"])
    row, column = np.nonzero(np.isfinite(depth))
    z = depth[row, column]
    x, y = (column + 0.5 - lens["cx"]) / lens["fx"] * z, -(row + 0.5 - lens["cy"]) / lens["fy"] * z
    points = np.stack([x, y, -z], axis=1) @ pose[:, :3].T + pose[:, 3]
    distance = np.linalg.norm(points - np.array(MOVED.centre), axis=1)
    assert np.median(np.abs(distance - BALL_RADIUS / 2.5)) < 0.02 / 2.5


def test_steps_of_a_depth_png_are_round_and_fine_enough() -> None:
    for largest in (1e-3, 0.7, 6.5535, 6.5536, 4000.0):
        step = png_step(np.array([0.1 * largest, largest, np.nan]))
        assert largest / 65535 <= step * (1 + 1e-6)
        assert step <= 2.5 * largest / 65535
        assert f"{step:.0e}"[0] in "125"
    assert png_step(np.array([np.nan])) == 1


@pytest.mark.parametrize("similarity", [Similarity(), MOVED])
def test_normals_are_true_along_the_datas_own_axes(tmp_path: Path, scene, similarity: Similarity) -> None:
    of = subject(Balls(((0.0, 0.0, 0.0), BALL_RADIUS)), scene, similarity=similarity)
    lines(export_normals(of, ViewOptions(view=0, size=32), tmp_path / "normals.png"))
    normals = np.load(tmp_path / "normals.npy")
    camera, pose, _ = choose_view(of.about, ViewOptions(view=0, size=32))
    t = torch.from_numpy(ball_image(camera, pose.numpy(), True)[1]).flatten()
    points = camera.unproject(camera.pixel_centres(), t) @ pose[:, :3].T + pose[:, 3]
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
    of = subject(Balls(((0.1, 0.0, 0.0), 0.6)), scene, similarity=MOVED, samples=256)
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


def test_lonely_points_are_told_from_the_others() -> None:
    points = np.random.default_rng(0).random((2000, 3)) * (1, 1, 0)
    alone = np.array([[0.5, 0.5, 0.8], [3.0, 3.0, 3.0]])
    found = lonely(np.concatenate([points, alone])).numpy()
    assert found[-2:].all()
    assert found[:-2].mean() < 0.05


def test_a_view_can_be_chosen_around_the_scene(scene) -> None:
    about = subject(Balls(((0.0, 0.0, 0.0), 0.5)), scene).about
    camera, pose, told = choose_view(about, ViewOptions(azimuth=90, elevation=30, radius=2, size=40))
    assert (camera.width, camera.height) == (40, 30)
    distance = 2 * 3.0
    expected = torch.tensor([0.0, distance * np.cos(np.pi / 6), distance * np.sin(np.pi / 6)])
    torch.testing.assert_close(pose[:, 3], expected.float(), atol=1e-4, rtol=0)
    torch.testing.assert_close(-pose[:, 2], -pose[:, 3] / distance, atol=1e-5, rtol=0)  # looks at the centre
    assert "azimuth 90°, elevation 30°" in told
    begin = choose_view(about, ViewOptions())[1]
    assert torch.equal(begin, orbit(torch.zeros(3), 3.0, 20.0, 1)[0]) or (begin[:, 3].norm() - 3).abs() < 1e-4
