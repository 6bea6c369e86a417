"""Meshes of analytic balls against the truth, in the data's own coordinates, and their errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from analytic_fields import FRUSTUM, HALF, MOVED, Balls, lines, loaded_field, read_mesh
from conftest import BALL_RADIUS
from torch import Tensor

from nerfpipe.export import components, visibility
from nerfpipe.export.components import component_labels, faces_to_keep, submesh
from nerfpipe.export.marching import Grid, extract_surface
from nerfpipe.export.mesh import export_mesh
from nerfpipe.export.mesh_file import linear, vertex_normals
from nerfpipe.export.options import MeshOptions
from nerfpipe.fields.base import Field
from nerfpipe.geometry.ndc import from_ndc
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.geometry.spaces import Forward, Unbounded
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.progress import Progress
from nerfpipe.types import FieldOutput


class Void(Field):
    """Dense everywhere but in a ball."""

    def forward(self, positions: Tensor, directions: Tensor) -> FieldOutput:
        output = Balls(((0.0, 0.0, 0.0), 0.5))(positions, directions)
        return FieldOutput(2 * HALF - output.density, output.channels)


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
@pytest.mark.parametrize("similarity", [Similarity(), MOVED])
def test_the_mesh_of_a_ball_is_within_a_voxel_of_it(tmp_path: Path, scene, suffix: str, similarity: Similarity) -> None:
    centre, radius, resolution = (0.2, -0.1, 0.15), 0.6, 40
    file = tmp_path / f"mesh{suffix}"
    options = MeshOptions(density=HALF, resolution=resolution)
    lines(export_mesh(loaded_field(Balls((centre, radius)), scene, similarity=similarity), options, file))
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
        return Balls(((0.1, 0.0, 0.0), 0.6), ((-0.5, 0.5, 0.4), 0.2)).density(points)

    grid = Grid.over(torch.tensor([[-1.0, -0.8, -1.0], [1.0, 0.9, 1.0]]), 24, closed=True)
    whole, slabs = extract_surface(density, grid, HALF), extract_surface(density, grid, HALF, slab=1)
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
    lines(
        export_mesh(loaded_field(Balls(((0.0, 0.0, -1.0), 0.6)), scene), MeshOptions(density=HALF, resolution=32), file)
    )
    mesh = read_mesh(file)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(2 / 3 * np.pi * 0.6**3, rel=0.1)  # half a ball


def test_of_an_unbounded_scene_the_middle_is_meshed(tmp_path: Path, scene) -> None:
    from nerfpipe.geometry.contraction import CUBE, uncontract

    space = Unbounded(CUBE, near=0.1)
    field = Balls(((0.0, 0.0, 0.0), 0.6), ((4.0, 0.0, 0.0), 2.0), back=uncontract)
    file = tmp_path / "mesh.ply"
    told = lines(export_mesh(loaded_field(field, scene, space, MOVED), MeshOptions(density=HALF, resolution=40), file))
    distance = np.linalg.norm(read_mesh(file).vertices - np.array(MOVED.centre), axis=1)
    assert np.abs(distance - 0.6 / 2.5).max() < 2 / 40 / 2.5
    assert "the middle of this unbounded scene" in told


def test_a_forward_facing_scene_is_meshed_in_its_frustum(tmp_path: Path, scene) -> None:
    space = Forward(((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)), near=1.0, frustum=FRUSTUM)
    centre, radius = (0.2, -0.3, -3.0), 0.8
    field = Balls((centre, radius), back=lambda x: from_ndc(x, FRUSTUM))
    file = tmp_path / "mesh.ply"
    lines(export_mesh(loaded_field(field, scene, space), MeshOptions(density=HALF, resolution=80), file))
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
    assert (faces_to_keep(both.vertices, both.faces, 0.1, outside) == expected).all()
    assert (faces_to_keep(both.vertices, both.faces, 0.1, within) == np.repeat([True, False, True], sizes)).all()
    assert (faces_to_keep(both.vertices, both.faces, 0.0, outside) == np.repeat([True, True, False], sizes)).all()


def test_components_are_the_same_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    balls = [trimesh.creation.icosphere(1, radius=0.2).apply_translation(centre) for centre in rng.random((9, 3)) * 9]
    for ball in balls[::3]:
        ball.invert()
    all_ = trimesh.util.concatenate(balls)
    order = rng.permutation(len(all_.faces))  # the faces of a component are far apart
    faces = np.asarray(all_.faces)[order].astype(np.int32)
    vertices, inside = np.asarray(all_.vertices), balls[3].centroid[None]
    expected = np.repeat(np.arange(9), len(vertices) // 9)[faces[:, 0]]
    for block in (7, 100, 10**6):
        monkeypatch.setattr(components, "BLOCK", block)
        with Progress("components", len(faces), "faces") as progress:
            found = component_labels(faces, len(vertices), progress)[faces[:, 0]]
        assert len({*zip(found, expected, strict=True)}) == len(set(found)) == 9
        kept = faces_to_keep(vertices, faces, 0.5, inside)
        assert set(expected[kept]) == {1, 2, 3, 4, 5, 7, 8}  # 0 and 6 are hollow, and 3 has a camera in it
        left, new_faces = submesh(vertices, faces, kept)
        assert len(left) == len(vertices) * 7 // 9
        assert (left[new_faces] == vertices[faces[kept]]).all()
        normals = vertex_normals(vertices, faces)
        cosine = (normals * np.asarray(all_.vertex_normals)).sum(axis=1)
        assert cosine.min() > 0.99


def test_small_balls_beside_a_large_one_are_kept_only_when_asked(tmp_path: Path, scene) -> None:
    of = loaded_field(Balls(((0.0, 0.0, 0.0), 0.6), ((0.85, 0.85, 0.85), 0.08)), scene)
    file = tmp_path / "mesh.ply"
    lines(export_mesh(of, MeshOptions(density=HALF, resolution=48, pieces=0.1), file))
    assert read_mesh(file).body_count == 1
    lines(export_mesh(of, MeshOptions(density=HALF, resolution=48, pieces=0.0), file))
    assert read_mesh(file).body_count == 2


def test_what_no_camera_sees_can_be_left_out(tmp_path: Path, scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visibility, "SIZE", 60)
    of = loaded_field(Balls(((0.0, 0.0, 0.0), BALL_RADIUS)), scene, samples=128)
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
def test_a_field_without_a_surface_is_told(tmp_path: Path, scene, field: Field, told: str) -> None:
    with pytest.raises(NerfpipeError, match=told):
        lines(export_mesh(loaded_field(field, scene), MeshOptions(density=10, resolution=16), tmp_path / "mesh.ply"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_a_mesh_of_hollows_alone_is_told_and_not_written(tmp_path: Path, scene, suffix: str) -> None:
    space = Unbounded(((-2.0, -2.0, -2.0), (2.0, 2.0, 2.0)), near=0.1)
    of = loaded_field(Void(), scene, space)
    with pytest.raises(NerfpipeError, match=r"no face is left: all [\d,]+ are of hollows; give another --density"):
        lines(export_mesh(of, MeshOptions(density=HALF, resolution=24), tmp_path / f"mesh{suffix}"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_a_mesh_that_no_camera_sees_is_told_and_not_written(tmp_path: Path, scene, suffix: str) -> None:
    of = loaded_field(Balls(((0.0, 0.0, 0.0), 0.5)), scene, samples=64)
    away = np.array(of.header.poses) * (-1, 1, -1, 1)  # right and back axes negated: all look outwards
    of = replace(of, header=replace(of.header, poses=away.tolist()))
    with pytest.raises(NerfpipeError, match=r"of [\d,]+ no train camera sees one; leave out --seen, or give another"):
        lines(export_mesh(of, MeshOptions(density=HALF, resolution=24, seen=True), tmp_path / f"mesh{suffix}"))
    assert not list(tmp_path.iterdir())
