"""Files that are no pictures and no points, and no ordinary files, in the place of each that a scene names."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from robustness.scenes.changes import put, then
from robustness.scenes.images import stored
from robustness.scenes.judge import REFUSED, SOUND, Case
from robustness.scenes.pictures import STRANGE, bomb, save, strange
from robustness.scenes.reader import OUTSIDE
from robustness.scenes.truth import true_points, write_ply

PICTURE = "images/003.png"
NO_PICTURE = "readable picture|no picture|cannot be read|damaged or truncated"


def cases() -> Iterator[Case]:
    yield from no_pictures()
    yield from irregular()
    yield from points()


def no_pictures() -> Iterator[Case]:
    places = {"a picture": ("pinhole", PICTURE), "a mask": ("transforms", "masks/003.png")}
    places["a depth map"] = ("transforms", "depth/000.png")
    for what, (form, place) in places.items():
        for kind in STRANGE:
            yield Case(f"{kind} as {what}", form, put(place, strange(kind)), must=REFUSED, says=NO_PICTURE)
        for words, content in {
            "HTML": b"<!DOCTYPE html><html>404</html>",
            "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            "a pickle": b"\x80\x04\x95.",
            "SVG": b"<svg xmlns='http://www.w3.org/2000/svg' width='24' height='32'/>",
        }.items():
            yield Case(f"{words} as {what}", form, put(place, content), must=REFUSED, says=NO_PICTURE)
        huge = put(place, bomb(60_000, 80_000))
        yield Case(
            f"a bomb as {what}", form, huge, must=REFUSED, says="too large|pixels|size", keys={"space": "bounded"}
        )
        for share in (0.3, 0.6):
            cut = lambda folder, place=place, share=share: cut_to(folder / place, share)  # noqa: E731
            yield Case(f"{share:.0%} of {what}", form, cut, must=REFUSED, says=NO_PICTURE)
        yield Case(f"colours spoiled in {what}", form, lambda d, place=place: spoiled(d / place), REFUSED, NO_PICTURE)
    jpeg = stored(lambda f, p: save(f, p, "JPEG"), ".jpg")
    cut = then(jpeg, lambda folder: cut_to(folder / "images/003.jpg", 0.6))
    yield Case("a part of a JPEG", "pinhole", cut, must=REFUSED, says=NO_PICTURE)


def cut_to(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])


def spoiled(file: Path) -> None:
    """Bytes amid the packed pixels of a PNG, changed."""
    content = bytearray(file.read_bytes())
    at = content.index(b"IDAT") + 12
    content[at : at + 8] = bytes(each ^ 0xFF for each in content[at : at + 8])
    file.write_bytes(content)


def irregular() -> Iterator[Case]:
    """In the place of every file that a scene may name, or that is looked for by its name."""
    places = {
        "pinhole": (PICTURE, "transforms.json"),
        "transforms": ("masks/003.png", "depth/000.png", "points.ply"),
        "blender": ("transforms_train.json", "test/r_0.png"),
        "colmap_binary": ("sparse/0/cameras.bin", "sparse/0/images.bin", "images/003.png"),
        "colmap_text": ("sparse/0/cameras.txt", "sparse/0/images.txt"),
        "llff": ("poses_bounds.npy", "images/003.png"),
        "tiny_nerf": ("scene.npz",),
    }
    for form, names in places.items():
        fixed = {
            "format": {"pinhole": "transforms", "colmap_binary": "colmap", "colmap_text": "colmap"}.get(form, form)
        }
        for name in names:
            for words, make in IRREGULAR.items():
                change = in_place(name, make)
                for bring in (True, False):
                    case = f"{words} in place of {name}" + ("" if bring else ", where it lies")
                    yield Case(case, form, change, must=REFUSED, says=".", keys=fixed, bring=bring)
    for words, make in IRREGULAR.items():
        for bring in (True, False):
            change = in_place("sparse/0/points3D.bin", make)
            case = f"{words} in place of points3D.bin" + ("" if bring else ", where it lies")
            yield Case(case, "colmap_binary", change, must=SOUND, bring=bring)


def in_place(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return change


def _socket(place: Path) -> None:
    """Paths of sockets are short: it is made from within its folder."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(place.parent)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(place.name)
    finally:
        os.fchdir(here)
        os.close(here)


IRREGULAR: dict[str, Callable[[Path], object]] = {
    "an empty file": lambda place: place.write_bytes(b""),
    "a folder": lambda place: place.mkdir(),
    **({"a pipe": os.mkfifo} if hasattr(os, "mkfifo") else {}),
    "a socket": _socket,
    "a link to /dev/zero": lambda place: place.symlink_to("/dev/zero"),
    "a link to nothing": lambda place: place.symlink_to("nowhere"),
    "a link to itself": lambda place: place.symlink_to(place.name),
}


def points() -> Iterator[Case]:
    def ply(content: bytes) -> Callable[[Path], None]:
        return put("points.ply", content)

    head = "ply\nformat {} 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    for words, content in {
        "no vertices": head.format("ascii", 0),
        "no vertices, binary": head.format("binary_little_endian", 0),
        "10^12 vertices": head.format("ascii", 10**12) + "0 0 0\n" * 9,
        "10^12 vertices, binary": head.format("binary_little_endian", 10**12) + "abcd" * 30,
        "10^400 vertices": head.format("ascii", 10**400) + "0 0 0\n",
        "-1 vertices": head.format("ascii", -1) + "0 0 0\n",
        "fewer vertices than it says": head.format("ascii", 9) + "0 0 0\n" * 4,
        "half a vertex": head.format("binary_little_endian", 1) + "abcdef",
        "words for numbers": head.format("ascii", 1) + "a b c\n",
        "NaN alone": head.format("ascii", 3) + "nan nan nan\n" * 3,
        "no coordinates": "ply\nformat ascii 1.0\nelement vertex 1\nproperty float u\nend_header\n1\n",
        "a header without an end": "ply\nformat ascii 1.0\n" + "comment\n" * 100_000,
        "a header of one long line": "ply\nformat ascii 1.0\ncomment " + "x" * 2_000_000,
        "faces alone": "ply\nformat ascii 1.0\nelement face 1\nproperty list uchar int v\nend_header\n3 0 1 2\n",
        "no header": "0 0 0\n" * 60,
        "another file": "<html>",
    }.items():
        yield Case(f"points: {words}", "transforms", ply(content.encode()), must=REFUSED, says="points.ply")
    yield Case("points: none named so", "transforms", lambda d: (d / "points.ply").unlink(), REFUSED, "points.ply")
    for words, make in {"EPS": lambda file: file.write_bytes(strange("EPS")), "a pipe": os.mkfifo}.items():
        for form in ("binary_little_endian", "ascii"):
            change = then(textured(form, "texture.png"), lambda folder, make=make: make(folder / "texture.png"))
            yield Case(f"points of a texture that is {words}, {form}", "transforms", change, bring=False)
    for form in ("binary_little_endian", "ascii"):
        yield Case(f"points of a texture that lies outside, {form}", "transforms", outside_texture(form))


def textured(form: str, texture: str) -> Callable[[Path], None]:
    """Points, and one face of them with coordinates in a texture."""

    def change(folder: Path) -> None:
        file = folder / "points.ply"
        write_ply(file, true_points(), form, f"comment TextureFile {texture}")
        content = file.read_bytes()
        more = (
            b"element face 1\nproperty list uchar int vertex_indices\nproperty list uchar float texcoord\nend_header\n"
        )
        face = b"3 0 1 2 6 0 0 0 1 1 1\n"
        if form != "ascii":
            face = b"\x03" + np.arange(3, dtype="<i4").tobytes() + b"\x06" + np.zeros(6, dtype="<f4").tobytes()
        file.write_bytes(content.replace(b"end_header\n", more, 1) + face)

    return change


def outside_texture(form: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        place = folder.parent / OUTSIDE
        place.mkdir(exist_ok=True)
        save(place / "texture.png", np.zeros((8, 8, 3), np.uint8))
        textured(form, str(place / "texture.png"))(folder)

    return change
