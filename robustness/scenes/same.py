"""Other ways to say the same: paths as others spell them, tables and points as others write them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np

from robustness.scenes.judge import EITHER, SAME, SOUND, TOLD, Case, Rays
from robustness.scenes.truth import (
    CENTRED,
    DISTORTED,
    FOCAL,
    NPZ,
    VIEWS,
    H,
    W,
    along_axis,
    arrays_of,
    edit,
    save_npz,
    true_mask,
    true_points,
    true_scene,
    write_ply,
)

Spelling = Callable[[str], str]
SPLIT_FILES = ("transforms_train.json", "transforms_val.json", "transforms_test.json")
# Of images/000.png, say: as other machines, other systems and other programs name it.
SPELLINGS: dict[str, Spelling] = {
    "./": lambda name: f"./{name}",
    "././": lambda name: f"././{name}",
    "two slashes": lambda name: name.replace("/", "//"),
    "a dot within": lambda name: name.replace("/", "/./"),
    "backslashes": lambda name: name.replace("/", "\\"),
    ".\\": lambda name: ".\\" + name.replace("/", "\\"),
    "absolute": lambda name: f"/home/somebody/scene/{name}",
    "absolute, of Windows": lambda name: "C:\\Users\\Some Body\\scene\\" + name.replace("/", "\\"),
    "absolute, of Windows, with slashes": lambda name: f"D:/scene/{name}",
    "absolute, of a server": lambda name: "\\\\server\\share\\scene\\" + name.replace("/", "\\"),
    "../scene/": lambda name: f"../scene/{name}",
    "../../": lambda name: f"../../{name}",
    "up and down": lambda name: f"images/../{name}",
    "without a suffix": lambda name: name.removesuffix(".png"),
    "./ without a suffix": lambda name: f"./{name.removesuffix('.png')}",
    "absolute without a suffix": lambda name: f"/home/somebody/scene/{name.removesuffix('.png')}",
    "../scene/ without a suffix": lambda name: f"../scene/{name.removesuffix('.png')}",
    "of Windows without a suffix": lambda name: "C:\\scene\\" + name.removesuffix(".png").replace("/", "\\"),
    "as .JPG, of which these are copies": lambda name: name.replace(".png", ".JPG"),
    "absolute as .jpeg, of which these are copies": lambda name: f"/scene/{name.replace('.png', '.jpeg')}",
}
# How pictures may be called. Each keeps the order of numbers.
NAMES: dict[str, str] = {
    "one space": "view {:03d}.png",
    "two spaces": "view  {:03d}.png",
    "three words": "my best view {:03d}.png",
    "five words": "a b c d e {:03d}.png",
    "accents": "vüe é {:03d}.png",
    "another script": "写真{:03d}.png",
    "a percent sign": "a%20{:03d}.png",
    "a hash": "#{:03d}.png",
    "a plus": "a+b&c={:03d}.png",
    "brackets": "[a](b) {:03d}.png",
    "quotes": "it's {:03d}.png",
    "a leading dash": "-{:03d}.png",
    "two suffixes": "{:03d}.jpg.png",
    "a dot within": "v1.5 {:03d}.png",
    "numbers alone": "1 2 3 {:03d}.png",
    "a suffix in capitals": "{:03d}.PNG",
    "a long name": "x" * 200 + "{:03d}.png",
}


def cases() -> Iterator[Case]:
    yield from spelled()
    yield from named()
    yield from elsewhere()
    yield from json_writers()
    yield from colmap_writers()
    yield from models()
    yield from points()
    yield from arrays()
    yield from beside()


# --- pictures, by other names and in other places ---


def respell(spell: Spelling, keys: tuple[str, ...] = ("file_path",)) -> Callable[[Path], None]:
    """A change of every path under these keys, at the top and in frames."""

    def change(content: dict[str, Any]) -> None:
        for place in (content, *content["frames"]):
            place |= {key: spell(place[key]) for key in keys if key in place}

    def of_folder(folder: Path) -> None:
        for name in ("transforms.json", *SPLIT_FILES):
            if (folder / name).exists():
                edit(folder, change, name)

    return of_folder


def spelled() -> Iterator[Case]:
    for words, spell in SPELLINGS.items():
        yield Case(f"file_path: {words}", "pinhole", respell(spell))
        yield Case(f"file_path: {words}", "blender", respell(lambda name, spell=spell: spell(f"{name[2:]}.png")))
        in_small = then(moved("images", "small"), respell(spell))
        yield Case(f"file_path: {words}, and images:", "pinhole", in_small, keys={"images": "small"})
        lost = then(lambda folder: (folder / "images/004.png").unlink(), respell(spell))
        left = tuple(view for view in range(VIEWS) if view != 4)
        yield Case(
            f"file_path: {words}, and missing: skip",
            "pinhole",
            lost,
            keys={"missing": "skip"},
            views=left,
            says=r"1 of 10 pictures are not there",
        )
        if "suffix" not in words and "copies" not in words:
            paths = ("mask_path", "depth_file_path", "ply_file_path")
            yield Case(f"paths of masks, depth and points: {words}", "transforms", respell(spell, paths))


def named() -> Iterator[Case]:
    for words, pattern in NAMES.items():
        yield Case(f"names: {words}", "pinhole", renamed(pattern))
        yield Case(f"names: {words}", "llff", renamed(pattern))
        yield Case(f"names: {words}", "colmap_text", renamed(pattern))
        yield Case(f"names: {words}", "colmap_binary", renamed(pattern))


def renamed(pattern: str, there: str | None = None) -> Callable[[Path], None]:
    """Pictures called otherwise, in the tables and, by `there` where that differs, on the disk."""

    def change(folder: Path) -> None:
        new = {f"{view:03d}.png": pattern.format(view) for view in range(VIEWS)}
        for view, old in enumerate(new):
            place = folder / "images" / (there or pattern).format(view)
            place.parent.mkdir(parents=True, exist_ok=True)
            (folder / "images" / old).rename(place)
        if (folder / "transforms.json").exists():
            respell(lambda name: f"images/{new[Path(name).name]}")(folder)
        for file in folder.glob("sparse/0/images.*"):
            content = file.read_bytes()
            for old, name in new.items():
                content = content.replace(old.encode(), name.encode())
            file.write_bytes(content)

    return change


def moved(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        (folder / old).rename(folder / new)

    return change


def then(*changes: Callable[[Path], object]) -> Callable[[Path], None]:
    """One change after the other."""

    def change(folder: Path) -> None:
        for each in changes:
            each(folder)

    return change


def elsewhere() -> Iterator[Case]:
    """COLMAP's names and what lies in images: whole, by their ends, flat, in another format."""
    for form in ("colmap_text", "colmap_binary"):
        for words, told, there in (
            ("begin with images/", "images/{:03d}.png", "{:03d}.png"),
            ("begin with images/, and lie there whole", "images/{:03d}.png", "images/{:03d}.png"),
            ("in folders", "cam/left/{:03d}.png", "cam/left/{:03d}.png"),
            ("in folders, in a copy without the first", "cam/left/{:03d}.png", "left/{:03d}.png"),
            ("in folders, in a flat copy", "cam/left/{:03d}.png", "{:03d}.png"),
            ("flat, in a copy in folders", "{:03d}.png", "cam/{:03d}.png"),
            ("absolute", "/home/somebody/scene/images/{:03d}.png", "{:03d}.png"),
            ("of Windows", "cam\\{:03d}.png", "cam/{:03d}.png"),
            ("begin with ../", "../images/{:03d}.png", "{:03d}.png"),
            ("begin with ./", "./{:03d}.png", "{:03d}.png"),
            ("JPG, in copies as PNG", "{:03d}.JPG", "{:03d}.png"),
            ("jpg in folders, in flat copies as PNG", "cam/{:03d}.jpg", "{:03d}.png"),
            ("without a suffix", "{:03d}", "{:03d}.png"),
        ):
            yield Case(f"names that are {words}", form, renamed(told, there))
        small = then(renamed("cam/{:03d}.JPG", "{:03d}.png"), moved("images", "small/images"))
        yield Case("images: names another folder, flat and as PNG", form, small, keys={"images": "small/images"})
    two = then(two_cameras, lambda folder: None)
    yield Case("two cameras with the same names", "pinhole", two)
    yield Case("two cameras with the same names, absolute", "pinhole", then(two, respell(SPELLINGS["absolute"])))
    yield Case(
        "two cameras, absolute and without suffixes, in images:",
        "pinhole",
        then(two, moved("images", "small"), respell(SPELLINGS["absolute without a suffix"])),
        keys={"images": "small"},
    )
    yield Case("pictures beside the table", "pinhole", beside_table)
    yield Case("in a folder of the folder", "pinhole", deeper)
    yield Case("in a folder of the folder", "colmap_text", deeper)


def two_cameras(folder: Path) -> None:
    """Views by turns in cam0 and cam1, under the same names."""
    for view in range(VIEWS):
        place = folder / f"images/cam{view % 2}/{view // 2:04d}.png"
        place.parent.mkdir(exist_ok=True)
        (folder / f"images/{view:03d}.png").rename(place)
    respell(lambda name: f"images/cam{int(name[-7:-4]) % 2}/{int(name[-7:-4]) // 2:04d}.png")(folder)


def beside_table(folder: Path) -> None:
    for file in sorted((folder / "images").iterdir()):
        file.rename(folder / file.name)
    (folder / "images").rmdir()
    respell(lambda name: Path(name).name)(folder)


def deeper(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        place = folder / "my scene" / file.name
        place.parent.mkdir(exist_ok=True)
        file.rename(place)


# --- tables ---


def json_writers() -> Iterator[Case]:
    rewritten: dict[str, Callable[[str], bytes]] = {
        "a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
        "CRLF": lambda text: json.dumps(json.loads(text), indent=2).replace("\n", "\r\n").encode(),
        "a byte order mark and CRLF": lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
        "tabs": lambda text: json.dumps(json.loads(text), indent="\t").encode(),
        "blank lines about it": lambda text: b"\n\n" + text.encode() + b"\n\n \n",
        "all in one line": lambda text: json.dumps(json.loads(text), separators=(",", ":")).encode(),
        "keys in another order": lambda text: json.dumps(json.loads(text), sort_keys=True).encode(),
        "escaped letters": lambda text: text.replace("images", "im\\u0061ges").encode(),
    }
    for words, write in rewritten.items():
        for form in ("pinhole", "fisheye"):
            yield Case(f"JSON with {words}", form, rewrite("transforms.json", write))
        yield Case(f"JSON with {words}", "blender", then(*(rewrite(name, write) for name in SPLIT_FILES)))
    utf16 = rewrite("transforms.json", lambda text: text.encode("utf-16"))
    yield Case("JSON in UTF-16", "pinhole", utf16, must=EITHER)
    for words, change in {
        "w and h absent": lambda c: (c.pop("w"), c.pop("h")),
        "w and h as floats": lambda c: c.update(w=float(W), h=float(H)),
        "fl_y absent": lambda c: (c.pop("fl_y"), c.update(fl_x=FOCAL)),
        "camera_model absent": lambda c: c.pop("camera_model"),
        "k1 to p2 of zero": lambda c: c.update(k1=0, k2=0, p1=0, p2=0),
        "the lens in each frame": lens_in_frames,
        "poses of 3 rows": lambda c: [
            frame.update(transform_matrix=frame["transform_matrix"][:3]) for frame in c["frames"]
        ],
        "keys of other programs": lambda c: c.update(aabb_scale=16, scale=1, offset=[0, 0, 0], n_frames=10, x=None),
    }.items():
        keep = {"pixels": lambda picture: picture}
        case = Case(words, "pinhole", lambda folder, change=change: edit(folder, change), **keep)
        if words != "fl_y absent":
            yield case
    big = lambda c: c.update({key: 2 * c[key] for key in ("w", "h", "fl_x", "fl_y", "cx", "cy")})  # noqa: E731
    yield Case("a lens for twice the size, with w and h", "pinhole", lambda folder: edit(folder, big), says="scaled")
    yield Case("angles of view in place of focal lengths", "pinhole", lambda folder: edit(folder, angles))
    yield Case("is_fisheye in place of camera_model", "fisheye", lambda folder: edit(folder, is_fisheye))
    for key in ("mask_path", "depth_file_path"):
        backslashed = respell(lambda name: name.replace("/", "\\"), (key,))
        yield Case(f"{key} with backslashes", "transforms", backslashed)
    for words, lists in {
        "splits by the frames' names": lambda name: name,
        "splits by absolute names": lambda name: f"/home/somebody/scene/{name}",
        "splits by names with ./": lambda name: f"./{name}",
        "splits by names with backslashes": lambda name: name.replace("/", "\\"),
        "splits by names without suffixes": lambda name: name.removesuffix(".png"),
    }.items():
        must = EITHER if "absolute" in words else SAME
        yield Case(words, "pinhole", lambda folder, lists=lists: edit(folder, lambda c: splits_by(c, lists)), must=must)


def splits_by(content: dict[str, Any], spell: Spelling) -> None:
    """The lists of names that say what the custom would."""
    names = [spell(frame["file_path"]) for frame in content["frames"]]
    held_out = names[::8]
    train = [name for name in names if name not in held_out]
    content |= {"train_filenames": train, "val_filenames": held_out, "test_filenames": held_out}


def lens_in_frames(content: dict[str, Any]) -> None:
    keys = [key for key in content if key != "frames"]
    lens = {key: content.pop(key) for key in keys}
    for frame in content["frames"]:
        frame.update(lens)


def angles(content: dict[str, Any]) -> None:
    for axis, side in (("x", W), ("y", H)):
        content[f"camera_angle_{axis}"] = 2 * float(np.arctan(side / 2 / content.pop(f"fl_{axis}")))


def is_fisheye(content: dict[str, Any]) -> None:
    content["is_fisheye"] = True
    content.pop("camera_model")


def rewrite(name: str, write: Callable[[str], bytes]) -> Callable[[Path], None]:
    """A text file, written as another program would."""

    def change(folder: Path) -> None:
        (folder / name).write_bytes(write((folder / name).read_text(encoding="utf-8")))

    return change


def colmap_writers() -> Iterator[Case]:
    rewritten: dict[str, Callable[[str], bytes]] = {
        "a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
        "a byte order mark and no remarks": lambda text: b"\xef\xbb\xbf" + without_remarks(text).encode(),
        "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
        "a byte order mark and CRLF": lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
        "tabs": lambda text: re.sub(r"(?<=\d) (?=[-\d])", "\t", text).encode(),
        "spaces at the ends of lines": lambda text: text.replace("\n", "  \n").encode(),
        "no newline at the end": lambda text: text.rstrip("\n").encode(),
        "blank lines at its end": lambda text: text.encode() + b"\n\n",
        "remarks of several lines": lambda text: b"# one\n# two, three\n#\n" + text.encode(),
        "no remarks": lambda text: without_remarks(text).encode(),
    }
    for words, write in rewritten.items():
        for name in ("cameras", "images", "points3D"):
            yield Case(f"{name}.txt with {words}", "colmap_text", rewrite(f"sparse/0/{name}.txt", write))
    double = rewrite("sparse/0/images.txt", lambda text: re.sub(r"(?<=\d) (?=[-\d])", "  ", text).encode())
    yield Case("two spaces between numbers", "colmap_text", double)
    blank = rewrite("sparse/0/images.txt", lambda text: text.replace("1 2 -1\n", "\n").encode())
    yield Case("no picture with features", "colmap_text", blank)
    without = rewrite("sparse/0/images.txt", lambda text: re.sub(r"(\.png\n)(1 2 -1)?\n", r"\1", text).encode())
    for words, pattern in (("", "{:03d}.png"), (", names of three words", "my view {:03d}.png")):
        bare = then(without, renamed(pattern))
        yield Case(f"without the lines of features{words}", "colmap_text", bare, must=EITHER)
    turned = rewrite("sparse/0/images.txt", lambda text: reversed_pairs(text).encode())
    yield Case("pictures in another order", "colmap_text", turned)
    yield Case("no points", "colmap_text", lambda folder: (folder / "sparse/0/points3D.txt").unlink(), must=SOUND)


def without_remarks(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def reversed_pairs(text: str) -> str:
    lines = without_remarks(text).split("\n")[: 2 * VIEWS]
    pairs = [lines[start : start + 2] for start in range(0, len(lines), 2)]
    return "\n".join(line for pair in reversed(pairs) for line in pair) + "\n"


def models() -> Iterator[Case]:
    """Which of several models is taken: the one with most pictures."""
    for form, suffix in (("colmap_text", "txt"), ("colmap_binary", "bin")):
        yield Case(
            "a small model with many features before the whole one",
            form,
            small_model(suffix, "1", "0"),
            says=r"sparse/1",
        )
        yield Case(
            "a small model with many features behind the whole one",
            form,
            small_model(suffix, "0", "1"),
            says=r"sparse/0",
        )
        half = lambda folder, suffix=suffix: (folder / f"sparse/1/cameras.{suffix}").write_bytes(b"") or None  # noqa: E731
        yield Case("half a model beside it", form, then(lambda folder: (folder / "sparse/1").mkdir(), half))
        yield Case("the model in sparse itself", form, flat_model)
        yield Case("the model in colmap/sparse/0", form, moved("sparse", "colmap/sparse"))
        yield Case("the model beside the pictures' folder", form, beside_model)
        yield Case("an empty folder of another model", form, lambda folder: (folder / "sparse/1").mkdir())


def small_model(suffix: str, whole: str, small: str) -> Callable[[Path], None]:
    """The model `small` has three pictures, and so many features that its file is the larger one."""

    def change(folder: Path) -> None:
        import struct

        sound = folder / "sparse/0"
        shutil.copytree(sound, folder / "sparse/9")
        file = folder / f"sparse/9/images.{suffix}"
        content = file.read_bytes()
        if suffix == "txt":
            lines = without_remarks(content.decode()).split("\n")[:6]
            file.write_text("\n".join([*lines[:1], " ".join(["1 2 -1"] * 2000), *lines[2:]]) + "\n")
        else:
            size = (len(content) - 8) // VIEWS
            features = struct.pack("<Q", 2000) + struct.pack("<ddq", 1.0, 2.0, -1) * 2000
            first = content[8 : 8 + size]
            name_end = first.index(b".png\0") + 5
            file.write_bytes(struct.pack("<Q", 3) + first[:name_end] + features + content[8 + size : 8 + 3 * size])
        sound.rename(folder / "sparse/8")
        (folder / "sparse/8").rename(folder / "sparse" / whole)
        (folder / "sparse/9").rename(folder / "sparse" / small)

    return change


def flat_model(folder: Path) -> None:
    for file in (folder / "sparse/0").iterdir():
        file.rename(folder / "sparse" / file.name)
    (folder / "sparse/0").rmdir()


def beside_model(folder: Path) -> None:
    for file in (folder / "sparse/0").iterdir():
        file.rename(folder / file.name)
    shutil.rmtree(folder / "sparse")


# --- points, arrays, what lies beside ---


def points() -> Iterator[Case]:
    for kind in ("ascii", "binary_little_endian", "binary_big_endian"):
        for words, comment, properties in (
            ("", "", ""),
            (", with colours", "", "property uchar red\nproperty uchar green\nproperty uchar blue"),
            (", with a texture that is not there", "comment TextureFile gone.png", ""),
        ):
            write = lambda folder, kind=kind, comment=comment, properties=properties: write_ply(  # noqa: E731
                folder / "points.ply", true_points(), kind, comment, properties
            )
            yield Case(f"points as {kind}{words}", "transforms", write)
    yield Case("points with CRLF", "transforms", crlf_points)
    yield Case("points with faces behind them", "transforms", faces)


def crlf_points(folder: Path) -> None:
    file = folder / "points.ply"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))


def faces(folder: Path) -> None:
    file = folder / "points.ply"
    head = b"element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    file.write_bytes(file.read_bytes().replace(b"end_header\n", head) + b"3 0 1 2\n")


def arrays() -> Iterator[Case]:
    scene = true_scene(CENTRED)
    sound = arrays_of(scene)
    bytes_ = np.round(sound["images"] * 255).astype(np.uint8)
    for words, change in {
        "bytes": {"images": bytes_},
        "doubles": {name: array.astype(np.float64) for name, array in sound.items()},
        "big-endian": {name: array.astype(">f4") for name, array in sound.items()},
        "in Fortran's order": {name: np.asfortranarray(array) for name, array in sound.items()},
        "poses of 3 rows": {"poses": sound["poses"][:, :3]},
        "focal as a list of one": {"focal": np.array([FOCAL])},
        "focal as a whole number": {"focal": np.array(int(FOCAL))},
        "with others beside them": {"bds": np.zeros((VIEWS, 2))},
    }.items():
        yield Case(
            f"arrays: {words}", "tiny_nerf", lambda folder, change=change: save_npz(folder, **{**sound, **change})
        )
    packed = lambda folder: np.savez(folder / NPZ, **sound)  # noqa: E731
    yield Case("arrays: not packed", "tiny_nerf", packed)
    for words, write in {
        "big-endian": lambda rows: rows.astype(">f8"),
        "in Fortran's order": np.asfortranarray,
        "of single precision": lambda rows: rows.astype(np.float32),
    }.items():
        yield Case(f"rows {words}", "llff", rows_as(write))
    metres = true_scene(DISTORTED)
    for words, factor, unit in (("metres, and their unit", 1.0, 1.0), ("centimetres, and their unit", 100.0, 0.01)):
        yield Case(
            f"depth as .npy in {words}",
            "transforms",
            lambda folder, factor=factor, unit=unit: npy_depth(folder, metres, factor, unit),
        )
    yield Case(
        "depth as .npy in metres without a unit",
        "transforms",
        lambda folder: npy_depth(folder, metres, 1.0, None),
        must=TOLD,
        says="unit|metre|depth",
    )
    yield Case("depth in millimetres without a unit", "transforms", lambda folder: None)
    yield Case("depth that Blender's frames name", "blender", blender_depth, must=SOUND, also=depth_or_word)


def rows_as(write: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "poses_bounds.npy"
        np.save(file, write(np.load(file)))

    return change


def npy_depth(folder: Path, scene: Any, factor: float, unit: float | None) -> None:
    for view in range(VIEWS):
        np.save(folder / f"depth/{view:03d}.npy", along_axis(scene, view) * np.float32(factor))
    respell(lambda name: name.replace(".png", ".npy"), ("depth_file_path",))(folder)
    if unit is not None:
        edit(folder, lambda content: content.update(depth_unit_scale_factor=unit))


def blender_depth(folder: Path) -> None:
    """Named by every frame, and there."""
    (folder / "depth").mkdir()
    np.save(folder / "depth/0.npy", np.full((H, W), 3.0, dtype=np.float32))
    for name in SPLIT_FILES:
        edit(folder, lambda c: [frame.update(depth_file_path="depth/0.npy") for frame in c["frames"]], name)


def depth_or_word(rays: Rays) -> str:
    said = any("depth" in note for note in rays.notes)
    return "" if rays.depths or said else "its depth was not read, and not a word said of it"


def beside() -> Iterator[Case]:
    """What other systems leave in folders."""
    for form in ("pinhole", "llff", "colmap_text", "blender"):
        yield Case("with what macOS and Windows leave in folders", form, litter)
    yield Case(
        "masks in a folder of the entry, as NAME.png.png",
        "pinhole",
        mask_folder("masks/{:03d}.png.png"),
        must=SOUND,
        keys={"masks": "masks"},
        also=has_masks,
    )


def litter(folder: Path) -> None:
    for place in (folder, *(each for each in sorted(folder.rglob("*")) if each.is_dir())):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._000.png"):
            (place / name).write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")


def mask_folder(pattern: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for view in range(VIEWS):
            file = folder / pattern.format(view)
            file.parent.mkdir(parents=True, exist_ok=True)
            iio.imwrite(file, true_mask(view))

    return change


def has_masks(rays: Rays) -> str:
    if rays.masks is None:
        return "masks were not read"
    return "" if all((rays.masks[view] == (true_mask(view) > 0)).all() for view in range(VIEWS)) else "other masks"
