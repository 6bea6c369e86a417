"""Tables that others write by hand or by script: COLMAP's text, its several models, LLFF's rows, points in PLY."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scene_files
import trimesh
from test_scene_places import Read, data, read

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.formats.colmap_model import choice_notes, find_reconstructions
from nerfpipe.scenes.formats.ply_file import read_points
from nerfpipe.scenes.scene import Scene

__all__ = ["data", "read"]  # fixtures


def colmap(scene: Scene, folder: Path, binary: bool = False) -> None:
    camera = scene.cameras[0]
    scene_files.write_colmap(scene, folder, "PINHOLE", [camera.fx, camera.fx, 8, 6], np.zeros((0, 3)), binary=binary)


def renamed(scene: Scene, data: Path, name: Callable[[int], str]) -> None:
    names = data / "sparse/0/images.txt"
    for view in range(scene.views):
        names.write_text(names.read_text().replace(f"{view:03d}.png", name(view)))
        (data / f"images/{view:03d}.png").rename(data / "images" / name(view))


def same(found: Scene, scene: Scene) -> None:
    assert found.views == scene.views
    for view in range(scene.views):
        np.testing.assert_array_equal(found.read_image(view)[..., :3], scene.read_image(view)[..., :3])
    np.testing.assert_allclose(found.poses, scene.poses, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["my {}.png", "my  two spaces {}.png", "a picture {}.png", "1 2 {}.png", "{}  .png", "7 7 7 {}.png"]
)
@pytest.mark.parametrize("features", [True, False])
def test_names_of_several_words(name: str, features: bool, scene: Scene, data: Path, read: Read) -> None:
    colmap(scene, data)
    renamed(scene, data, lambda view: name.format(f"{view:03d}"))
    if not features:
        file = data / "sparse/0/images.txt"
        file.write_text("".join(line for line in file.read_text().splitlines(True) if line not in ("\n", "1 2 -1\n")))
    same(read(space="bounded"), scene)


def bom(text: bytes) -> bytes:
    return b"\xef\xbb\xbf" + text


@pytest.mark.parametrize(
    "change",
    [
        bom,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b"\n", b"  \n"),
        lambda text: b"\n\n" + text,
        lambda text: text.replace(b"\n", b"\r"),
        lambda text: text.decode().encode("utf-16"),
    ],
    ids=["byte order mark", "CRLF", "trailing blanks", "empty lines first", "CR", "UTF-16"],
)
def test_text_as_editors_leave_it(change: Callable[[bytes], bytes], scene: Scene, data: Path, read: Read) -> None:
    colmap(scene, data)
    for file in (data / "sparse/0").iterdir():
        file.write_bytes(change(file.read_bytes()))
    same(read(space="bounded"), scene)


def test_a_line_that_is_of_no_picture_is_told(scene: Scene, data: Path, read: Read) -> None:
    colmap(scene, data)
    file = data / "sparse/0/images.txt"
    file.write_text(file.read_text() + "garbage here\n")
    with pytest.raises(NerfpipeError, match=r"images.txt: damaged or cut short \(a line"):
        read()


# --- several models ---


def few(folder: Path, count: int) -> None:
    """A reconstruction in text files with `count` pictures."""
    folder.mkdir(parents=True)
    (folder / "cameras.txt").write_text("1 PINHOLE 16 12 20 20 8 6\n")
    lines = [f"{n + 1} 1 0 0 0 0 0 0 1 {n:03d}.png\n{'1 2 -1 ' * 200}\n" for n in range(count)]
    (folder / "images.txt").write_text("".join(lines))


def test_the_model_with_most_pictures_is_read_and_it_is_said(scene: Scene, data: Path, read: Read) -> None:
    """The smaller one has the larger file."""
    colmap(scene, data, binary=True)
    few(data / "sparse/1", 3)
    few(data / "colmap/sparse/0", 2)
    assert (data / "sparse/1/images.txt").stat().st_size > (data / "sparse/0/images.bin").stat().st_size
    found = read(space="bounded")
    same(found, scene)
    assert found.notes[0] == (
        "3 COLMAP models: sparse/0 is read, with 10 pictures the largest; not sparse/1 (3), colmap/sparse/0 (2)"
    )


def test_of_two_equal_models_the_first_is_read_and_9_comes_before_10(tmp_path: Path) -> None:
    for name in ("10", "9"):
        few(tmp_path / "sparse" / name, 4)
    assert find_reconstructions(tmp_path)[0].path == tmp_path / "sparse/9"


def test_one_model_is_not_spoken_of_and_two_kinds_in_a_folder_are(scene: Scene, data: Path) -> None:
    colmap(scene, data, binary=True)
    assert choice_notes(data, find_reconstructions(data)) == []
    few(data / "text", 3)
    for file in (data / "text").iterdir():
        file.rename(data / "sparse/0" / file.name)
    assert choice_notes(data, find_reconstructions(data)) == [
        "sparse/0 holds a model as .bin and as .txt: .bin is read"
    ]


# --- rows without names ---


def numbered(scene: Scene, data: Path) -> None:
    """As scripts write them: 0.png, 1.png, ... 10.png, with rows in the order of the numbers."""
    scene_files.write_llff(scene, data, 1.0, 5.0)
    for view in range(scene.views):
        (data / f"images/{view:03d}.png").rename(data / f"images/{view + 5}.png")


def test_rows_in_another_order_than_names_are_told_of(scene: Scene, data: Path, read: Read) -> None:
    numbered(scene, data)
    [note] = [note for note in read(space="bounded").notes if "order" in note]
    assert note.startswith("row 0 is taken to be of 10.png, in the order of names")
    assert "`order: number`" in note


def test_rows_in_the_order_of_numbers(scene: Scene, data: Path, read: Read) -> None:
    numbered(scene, data)
    found = read(space="bounded", order="number")
    same(found, scene)
    assert not [note for note in found.notes if "order" in note]


def test_where_both_orders_are_one_nothing_is_said(scene: Scene, data: Path, read: Read) -> None:
    scene_files.write_llff(scene, data, 1.0, 5.0)
    assert not [note for note in read(space="bounded").notes if "order" in note]


# --- points ---

POINTS = np.array([[0.5, 1.5, -2.0], [1.0, 2.0, 3.0]])


def ply(kind: str, elements: str, body: bytes) -> bytes:
    return f"ply\nformat {kind} 1.0\n{elements}end_header\n".encode() + body


XYZ = "property float x\nproperty float y\nproperty float z\n"


@pytest.mark.parametrize("order", ["<", ">"])
def test_vertices_in_both_byte_orders_with_other_properties_between(tmp_path: Path, order: str) -> None:
    kind = "binary_little_endian" if order == "<" else "binary_big_endian"
    elements = "element vertex 2\nproperty double x\nproperty uchar red\nproperty double y\nproperty double z\n"
    body = b"".join(struct.pack(f"{order}dBdd", x, 7, y, z) for x, y, z in POINTS)
    (tmp_path / "p.ply").write_bytes(ply(kind, elements, body))
    np.testing.assert_allclose(read_points(tmp_path / "p.ply"), POINTS)


def test_a_mesh_and_a_texture_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = trimesh.creation.box()
    content = mesh.export(file_type="ply").replace(
        b"element vertex", b"comment TextureFile ../secret.png\nelement vertex"
    )
    (tmp_path / "m.ply").write_bytes(content)
    opened: list[object] = []
    real = open
    monkeypatch.setattr("builtins.open", lambda *a, **k: (opened.append(a[0]), real(*a, **k))[1])
    np.testing.assert_allclose(read_points(tmp_path / "m.ply"), mesh.vertices, atol=1e-6)
    assert not [path for path in opened if "secret" in str(path)]


LISTS = "element face 2\nproperty list uchar int vertex_indices\nproperty uchar flag\n"


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_faces_before_the_vertices_are_read_over(tmp_path: Path, kind: str) -> None:
    order = "<" if "little" in kind else ">"
    faces = struct.pack(f"{order}B3iB", 3, 0, 1, 0, 7) + struct.pack(f"{order}B4iB", 4, 0, 1, 0, 1, 7)
    body = faces + POINTS.astype(f"{order}f4").tobytes()
    text = b"3 0 1 0 7\n4 0 1 0 1 7\n0.5 1.5 -2\n1 2 3\n"
    (tmp_path / "p.ply").write_bytes(ply(kind, f"{LISTS}element vertex 2\n{XYZ}", text if kind == "ascii" else body))
    np.testing.assert_allclose(read_points(tmp_path / "p.ply"), POINTS)


def test_text_and_points_that_are_not_finite(tmp_path: Path) -> None:
    (tmp_path / "p.ply").write_bytes(
        ply("ascii", f"comment x\nelement vertex 3\n{XYZ}", b"0.5 1.5 -2\nnan 0 0\n1 2 3\n")
    )
    np.testing.assert_allclose(read_points(tmp_path / "p.ply"), POINTS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ply("ascii", f"element vertex 0\n{XYZ}", b""), "holds no points"),
        (ply("ascii", f"element vertex 1\n{XYZ}", b"nan nan nan\n"), "holds no points"),
        (ply("binary_little_endian", f"element vertex 1000000000000\n{XYZ}", b""), "in a file of"),
        (ply("ascii", f"element vertex 1000000000000\n{XYZ}", b""), "in a file of"),
        (ply("ascii", f"element vertex {'9' * 400}\n{XYZ}", b""), "with a count of"),
        (ply("ascii", f"element vertex -1\n{XYZ}", b""), "with a count of"),
        (ply("ascii", "element face 1\nproperty list uchar int vertex_indices\n", b""), "no vertices"),
        (ply("ascii", f"element vertex 2\n{XYZ}", b"1 2 3\n"), "not a readable"),
        (ply("binary_little_endian", f"element vertex 2\n{XYZ}", b"123"), "not a readable"),
        (ply("binary_big_endian", f"{LISTS}element vertex 1\n{XYZ}", b"\xff"), "not a readable"),
        (ply("binary_big_endian", f"element face {10**12}\nelement vertex 1\n{XYZ}", b""), "in a file of"),
        (ply("ascii", f"element vertex 1\n{XYZ}property list uchar int a\n", b"1 2 3 0\n"), "lists in the element"),
        (ply("morse", f"element vertex 2\n{XYZ}", b""), "not a readable"),
        (b"", "not a readable"),
        (b"ply\n" + b"comment x\n" * 20_000, "header does not end"),
        (b"ply\nformat ascii 1.0\nproperty float x\nend_header\n", "not a readable"),
        (b"\x89PNG", "not a readable"),
    ],
)
def test_files_that_hold_no_points_are_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "p.ply").write_bytes(content)
    with pytest.raises(NerfpipeError, match=rf"p.ply: .*{message}") as error:
        read_points(tmp_path / "p.ply")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("binary", [True, False])
def test_tracks_say_which_picture_shows_which_point(scene: Scene, data: Path, read: Read, binary: bool) -> None:
    """Also where pictures are left out, and where a point is so far away that it is none."""
    camera, points = scene.cameras[0], np.random.default_rng(0).uniform(-0.5, 0.5, (5, 3))
    points[1] = 1e30
    tracks = [[1, 2], [1, 2, 3], [3], [2, 2, 99], []]
    lens = [camera.fx, camera.fx, 8, 6]
    scene_files.write_colmap(scene, data, "PINHOLE", lens, points, binary=binary, tracks=tracks)
    found = read(space="bounded")
    assert len(found.points) == 4
    assert {tuple(pair) for pair in found.sightings.tolist()} == {(0, 0), (1, 0), (2, 1), (1, 2)}
    (data / "images/001.png").unlink()
    fewer = read(space="bounded", missing="skip")
    assert {tuple(pair) for pair in fewer.sightings.tolist()} == {(0, 0), (1, 1)}


def test_a_model_without_tracks_has_no_sightings(scene: Scene, data: Path, read: Read) -> None:
    camera, points = scene.cameras[0], np.random.default_rng(0).uniform(-0.5, 0.5, (5, 3))
    lens = [camera.fx, camera.fx, 8, 6]
    scene_files.write_colmap(scene, data, "PINHOLE", lens, points, tracks=[[]] * 5)
    assert read(space="bounded").sightings is None
