"""Pictures, masks and depth maps stored in other ways, and files that are none of these."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from robustness.scenes.judge import EITHER, REFUSED, SOUND, TOLD, Case
from robustness.scenes.pictures import (
    SIDEWAYS,
    STORED,
    STRANGE,
    bomb,
    deep_png,
    each_picture,
    save,
    strange,
)
from robustness.scenes.reader import OUTSIDE
from robustness.scenes.same import respell, then
from robustness.scenes.truth import VIEWS, H, W, edit, true_mask, true_points, write_ply

JPEG = 6.0  # of 255, by which pixels may differ after it
SOFT = 60  # of 255: a mask's edge that is rather black than white
PICTURE = "images/003.png"
ORIENTED = "orientation|turned|on (its|their) side|EXIF"
NO_PICTURE = "readable picture|no picture|cannot be read|damaged or truncated"


def cases() -> Iterator[Case]:
    yield from turned()
    yield from of_other_kinds()
    yield from masks()
    yield from no_pictures()
    yield from irregular()
    yield from points()


# --- orientation ---


def turned() -> Iterator[Case]:
    for orientation, store in STORED.items():
        for form, suffix in (("JPEG", ".jpg"), ("PNG", ".png"), ("TIFF", ".tif"), ("WEBP", ".webp")):
            name = f"orientation {orientation} in {form}"
            off = JPEG if form in ("JPEG", "WEBP") else 0.5
            kept = oriented(form, suffix, orientation, lambda pixels: pixels)
            said = "" if orientation == 1 else ORIENTED
            yield Case(f"{name}, stored as its camera is", "pinhole", kept, says=said, off=off)
            if orientation in SIDEWAYS:
                aside = oriented(form, suffix, orientation, store)
                yield Case(f"{name}, upright as its camera is", "pinhole", aside, says=ORIENTED, off=off)
                sizes = lambda folder: edit(folder, lambda c: (c.pop("w"), c.pop("h")))  # noqa: E731
                free = then(aside, sizes)
                yield Case(f"{name}, of a camera without w and h", "pinhole", free, must=TOLD, says=ORIENTED, off=off)
    for orientation in SIDEWAYS:
        aside = oriented("JPEG", ".jpg", orientation, STORED[orientation])
        yield Case(
            f"orientation {orientation} with masks, depth and distortion", "transforms", aside, says=ORIENTED, off=JPEG
        )
        for form in ("colmap_text", "colmap_binary", "llff"):
            yield Case(f"orientation {orientation}, upright as its camera is", form, aside, says=ORIENTED, off=JPEG)
        one = oriented("PNG", ".png", orientation, STORED[orientation], only=(0, 3))
        yield Case(f"orientation {orientation} of two pictures", "pinhole", one, says=f"2 of 10.*({ORIENTED})")
    yield Case("an orientation of 9", "pinhole", oriented("JPEG", ".jpg", 9, lambda pixels: pixels), off=JPEG)


def oriented(
    form: str,
    suffix: str,
    orientation: int,
    store: Callable[[np.ndarray], np.ndarray],
    only: tuple[int, ...] = tuple(range(VIEWS)),
) -> Callable[[Path], None]:
    """Pictures stored by `store`, with this orientation in their EXIF, under the suffix of their format."""

    def change(folder: Path) -> None:
        each_picture(folder, lambda file, pixels: rewrite(folder, file, pixels))
        if suffix != ".png":
            resuffix(folder, suffix)

    def rewrite(folder: Path, file: Path, pixels: np.ndarray) -> None:
        if int(file.stem) in only:
            file.unlink()
            quality = {"quality": 98} if form == "WEBP" else {}
            save(file.with_suffix(suffix), store(pixels), form, orientation, **quality)

    return change


def resuffix(folder: Path, suffix: str) -> None:
    """Tables that name pictures with another suffix."""
    if (folder / "transforms.json").exists():
        respell(lambda name: name.replace(".png", suffix))(folder)
    for file in folder.glob("sparse/0/images.*"):
        file.write_bytes(file.read_bytes().replace(b".png", suffix.encode()))


# --- other kinds ---


def of_other_kinds() -> Iterator[Case]:
    def grey(picture: np.ndarray) -> np.ndarray:
        light = np.array(Image.fromarray(picture[..., :3]).convert("L"))
        return np.dstack([light, light, light, picture[..., 3]])

    def few(picture: np.ndarray) -> np.ndarray:
        return np.array(Image.fromarray(picture[..., :3]).quantize(64).convert("RGBA"))

    def clear(picture: np.ndarray) -> np.ndarray:
        return np.dstack([picture[..., :3], np.arange(H * W, dtype=np.uint8).reshape(H, W)])

    def two(picture: np.ndarray) -> np.ndarray:
        return np.array(Image.fromarray(picture[..., :3]).convert("1", dither=0).convert("RGBA"))

    def whole(picture: np.ndarray) -> np.ndarray:
        return picture

    light = lambda pixels: np.array(Image.fromarray(pixels).convert("L"))  # noqa: E731
    kinds: list[tuple[str, str, Callable[[Path, np.ndarray], object], Callable, float]] = [
        ("RGBA, opaque", ".png", lambda f, p: save(f, np.dstack([p, np.full((H, W), 255, np.uint8)])), whole, 0.5),
        ("RGBA, with alpha", ".png", lambda f, p: save(f, clear(np.dstack([p, p[..., 0]]))), clear, 0.5),
        ("grey", ".png", lambda f, p: save(f, light(p)), grey, 0.5),
        ("grey with alpha", ".png", lambda f, p: save(f, Image.fromarray(p).convert("LA")), grey, 0.5),
        ("a palette", ".png", lambda f, p: save(f, Image.fromarray(p).quantize(64)), few, 0.5),
        ("black and white", ".png", lambda f, p: save(f, Image.fromarray(p).convert("1", dither=0)), two, 0.5),
        ("16 bits", ".png", lambda f, p: f.write_bytes(deep_png(p.astype(np.uint16) * 257)), whole, 1.0),
        ("16 bits, grey", ".png", lambda f, p: save(f, light(p).astype(np.uint16) * 257), grey, 1.0),
        ("16 bits, grey TIFF", ".tif", lambda f, p: save(f, light(p).astype(np.uint16) * 257, "TIFF"), grey, 1.0),
        ("TIFF", ".tif", lambda f, p: save(f, p, "TIFF"), whole, 0.5),
        ("TIFF, packed", ".tiff", lambda f, p: save(f, p, "TIFF", compression="tiff_lzw"), whole, 0.5),
        ("TIFF, deflated", ".tiff", lambda f, p: save(f, p, "TIFF", compression="tiff_deflate"), whole, 0.5),
        ("TIFF of floats 0-1", ".tif", lambda f, p: save(f, light(p).astype(np.float32) / 255, "TIFF"), grey, 1.0),
        ("JPEG", ".jpg", lambda f, p: save(f, p, "JPEG"), whole, JPEG),
        ("JPEG, progressive", ".JPG", lambda f, p: save(f, p, "JPEG", progressive=True), whole, JPEG),
        ("JPEG, grey", ".jpeg", lambda f, p: Image.fromarray(light(p)).save(f, "JPEG", quality=98), grey, JPEG),
        ("MPO", ".jpg", lambda f, p: Image.fromarray(p).save(f, "MPO", quality=98, subsampling=0), whole, JPEG),
        ("BMP", ".bmp", lambda f, p: save(f, p, "BMP"), whole, 0.5),
        ("WebP, lossless", ".webp", lambda f, p: save(f, p, "WEBP", lossless=True), whole, 0.5),
    ]
    for words, suffix, write, pixels, off in kinds:
        yield Case(f"pictures: {words}", "pinhole", stored(write, suffix), pixels=pixels, off=off)
        yield Case(f"pictures: {words}, called .png", "pinhole", stored(write, ".png"), pixels=pixels, off=off)
    colours = {"form": "pinhole", "pixels": grey, "off": 1.5}
    for words, scale in (("0-255", 1.0), ("0-65535", 257.0), ("0-100", 100 / 255)):
        floats = stored(lambda f, p, scale=scale: save(f, light(p).astype(np.float32) * scale, "TIFF"), ".tif")
        yield Case(f"pictures: TIFF of floats {words}", change=floats, must=EITHER, **colours)
        whole_numbers = stored(lambda f, p, scale=scale: save(f, (light(p) * scale).astype(np.int32), "TIFF"), ".tif")
        yield Case(f"pictures: TIFF of 32-bit integers {words}", change=whole_numbers, must=EITHER, **colours)
    empty = stored(lambda f, p: save(f, np.full((H, W), np.nan, np.float32), "TIFF"), ".tif")
    yield Case("pictures: TIFF of NaN", "pinhole", empty, must=REFUSED, says="floating|NaN|number")


def stored(write: Callable[[Path, np.ndarray], object], suffix: str) -> Callable[[Path], None]:
    """Every picture as `write` stores it, under this suffix."""

    def change(folder: Path) -> None:
        def one(file: Path, pixels: np.ndarray) -> None:
            file.unlink()
            write(file.with_suffix(suffix), pixels)

        each_picture(folder, one)
        resuffix(folder, suffix)

    return change


def masks() -> Iterator[Case]:
    def of(write: Callable[[Path, np.ndarray], object]) -> Callable[[Path], None]:
        return lambda folder: [write(folder / f"masks/{view:03d}.png", true_mask(view)) for view in range(VIEWS)]

    flat = lambda mask: np.dstack([mask * 0 + 200, mask * 0 + 200, mask * 0 + 200, mask])  # noqa: E731
    for words, write in {
        "of one bit": lambda f, m: save(f, Image.fromarray(m).convert("1")),
        "with a palette": lambda f, m: save(f, Image.fromarray(m).convert("P")),
        "in colours": lambda f, m: save(f, np.dstack([m] * 3)),
        "in alpha": lambda f, m: save(f, flat(m)),
        "of 16 bits": lambda f, m: save(f, m.astype(np.uint16) * 257),
        "with soft edges": lambda f, m: save(f, np.where(m, 200, SOFT).astype(np.uint8)),
        "as JPEG": lambda f, m: save(f, np.where(m, 250, 5).astype(np.uint8), "JPEG"),
    }.items():
        yield Case(f"masks {words}", "transforms", of(write))
    ones = of(lambda f, m: save(f, (m > 0).astype(np.uint8)))
    yield Case("masks of 0 and 1", "transforms", ones, must=EITHER)
    yield Case("a mask that is not there", "transforms", lambda d: (d / "masks/003.png").unlink(), REFUSED, "003.png")
    yield Case("a depth map that is not there", "transforms", lambda d: (d / "depth/000.png").unlink(), REFUSED, "000")
    small = of(lambda f, m: save(f, m[:8]))
    yield Case("masks of another size", "transforms", small, must=REFUSED, says="size")


# --- files that are no pictures ---


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


def put(place: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / place).write_bytes(content) and None


def cut_to(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])


def spoiled(file: Path) -> None:
    """Bytes amid the packed pixels of a PNG, changed."""
    content = bytearray(file.read_bytes())
    at = content.index(b"IDAT") + 12
    content[at : at + 8] = bytes(each ^ 0xFF for each in content[at : at + 8])
    file.write_bytes(content)


# --- what is no ordinary file ---


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
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a link to /dev/zero": lambda place: place.symlink_to("/dev/zero"),
    "a link to nothing": lambda place: place.symlink_to("nowhere"),
    "a link to itself": lambda place: place.symlink_to(place.name),
}


# --- points ---


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
