"""JSON and COLMAP models as other programs write them: the scene is the same."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robustness.scenes.changes import SPLIT_FILES, moved, renamed, respell, rewrite, splits_by, then, without_remarks
from robustness.scenes.judge import EITHER, SAME, SOUND, Case
from robustness.scenes.truth import FOCAL, VIEWS, H, W, edit


def cases() -> Iterator[Case]:
    yield from json_writers()
    yield from colmap_writers()
    yield from models()


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
    for name in ("cameras", "images", "points3D"):
        for words, write in rewritten.items():
            yield Case(f"{name}.txt with {words}", "colmap_text", rewrite(f"sparse/0/{name}.txt", write))
        utf16 = rewrite(f"sparse/0/{name}.txt", lambda text: text.encode("utf-16"))
        yield Case(f"{name}.txt in UTF-16", "colmap_text", utf16, must=EITHER)
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
