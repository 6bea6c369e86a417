"""Every number of every table of a scene, made one that it should not be."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robustness.scenes.judge import REFUSED, SOUND, Case
from robustness.scenes.truth import CENTRED, KEYS, arrays_of, edit, save_npz, true_scene

LEAST, MOST = -(10**7), 10**7
NUMBERS: dict[str, Any] = {"0": 0, "-1": -1, "10^7": MOST, "-10^7": LEAST, "10^-30": 1e-30}
NEVER: dict[str, Any] = {  # what no number may be
    "NaN": math.nan, "infinity": math.inf, "-infinity": -math.inf, "10^400": 10**400, "a text": "12", "true": True,
    "a list": [1], "an object": {},
}  # fmt: skip
LENS = ("w", "h", "fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2")
WORDS = ("nan", "inf", "-inf", "0", "-1", "1e7", "1e400", "9" * 400, "x", "")
WORDS_NEVER = ("nan", "inf", "-inf", "1e400", "x")
NAMED = r"transforms(_\w+)?\.json|\d{3}\.png|r_\d\.png"


def cases() -> Iterator[Case]:
    yield from of_json()
    yield from of_colmap_text()
    yield from of_colmap_binary()
    yield from of_arrays()


def of_json() -> Iterator[Case]:
    for words, value in {**NUMBERS, **NEVER}.items():
        must = REFUSED if words in NEVER else SOUND
        for form in ("pinhole", "fisheye"):
            keys = LENS if form == "pinhole" else ("k1", "k2", "k3", "k4")
            for key in keys:
                change = lambda c, key=key, value=value: c.update({key: value})  # noqa: E731
                yield of_lens(f"{key} = {words}", form, change, must)
                if key not in ("w", "fl_x", "cx", "k1"):
                    continue
                each = lambda c, key=key, value=value: c["frames"][3].update({key: value})  # noqa: E731
                yield of_lens(f"{key} = {words} in a frame", form, each, must)
        for key in ("depth_unit_scale_factor", "camera_angle_x", "camera_angle_y"):
            change = lambda c, key=key, value=value: with_key(c, key, value)  # noqa: E731
            yield of_lens(f"{key} = {words}", "transforms", change, must)
        angle = lambda c, value=value: c.update(camera_angle_x=value)  # noqa: E731
        change = lambda folder, angle=angle: edit(folder, angle, "transforms_train.json")  # noqa: E731
        yield Case(f"camera_angle_x = {words}", "blender", change, must=must, says=NAMED)
        scale = lambda c, value=value: instant_depth(c, value)  # noqa: E731
        yield of_lens(f"integer_depth_scale = {words}", "transforms", scale, must)
        for row, column in ((0, 0), (1, 2), (2, 3), (3, 3), (3, 0)):
            change = lambda c, at=(row, column), value=value: in_pose(c, at, value)  # noqa: E731
            must_here = SOUND if row == 3 and words not in ("NaN", "infinity") else must
            must_here = SOUND if words in ("a text", "true") else must_here  # numpy makes numbers of them
            yield of_lens(f"transform_matrix[{row}][{column}] = {words}", "pinhole", change, must_here)


def of_lens(name: str, form: str, change: Callable[[dict[str, Any]], object], must: str) -> Case:
    return Case(name, form, lambda folder: edit(folder, change), must=must, says=NAMED)


def with_key(content: dict[str, Any], key: str, value: Any) -> None:
    """An angle of view counts only where there is no focal length."""
    if key.startswith("camera_angle"):
        content.pop("fl_x")
        content.pop("fl_y")
    content[key] = value


def instant_depth(content: dict[str, Any], value: Any) -> None:
    content["integer_depth_scale"] = value
    for frame in content["frames"]:
        frame["depth_path"] = frame.pop("depth_file_path")


def in_pose(content: dict[str, Any], at: tuple[int, int], value: Any) -> None:
    content["frames"][3]["transform_matrix"][at[0]][at[1]] = value


def of_colmap_text() -> Iterator[Case]:
    """Every word of a camera, of a picture and of a point."""
    for name, line, words in (("cameras", 1, 12), ("images", 3, 9), ("points3D", 0, 8)):
        for at in range(words):
            for word in WORDS:
                change = lambda folder, where=(name, line, at), word=word: a_word(folder, *where, word)  # noqa: E731
                counted = {"cameras": range(4, words), "images": range(1, 8), "points3D": ()}[name]
                must = REFUSED if word in WORDS_NEVER and at in counted else SOUND
                case = f"{name}.txt, word {at} {word[:9]!r}"
                yield Case(case, "colmap_text", change, must=must, says=rf"{name}\.txt|\.png")


def a_word(folder: Path, name: str, line: int, at: int, word: str) -> None:
    file = folder / f"sparse/0/{name}.txt"
    lines = file.read_text().split("\n")
    words = lines[line].split(" ")
    words[at] = word
    lines[line] = " ".join(words)
    file.write_text("\n".join(lines))


def of_colmap_binary() -> Iterator[Case]:
    numbers = (math.nan, math.inf, -math.inf, 0.0, -1.0, 1e7, 1e300)
    counts = (0, 1, 2**32, 2**63, 2**64 - 1)
    for what, file, start, count in (
        ("camera", "cameras", 8 + 24, 8),
        ("pose", "images", 8 + 4, 7),
        ("point", "points3D", 16, 3),
    ):
        for at in range(count):
            for number in numbers:
                packed = struct.pack("<d", number)
                must = REFUSED if not math.isfinite(number) and what != "point" else SOUND
                yield in_bytes(f"number {at} of a {what} = {number:g}", file, start + 8 * at, packed, must)
    for file in ("cameras", "images", "points3D"):
        for count in counts:
            must = SOUND if count < 2 or file == "points3D" else REFUSED
            yield in_bytes(f"{count} entries in {file}.bin", file, 0, struct.pack("<Q", count), must)
    for what, at in (("width", 16), ("height", 24)):
        for count in (0, 1, *counts[2:], 10**7):
            yield in_bytes(f"a {what} of {count}", "cameras", at, struct.pack("<Q", count), REFUSED)
    for number in (-1, 11, 12, 2**31 - 1):
        yield in_bytes(f"camera model {number}", "cameras", 12, struct.pack("<i", number), REFUSED)


def in_bytes(name: str, file: str, at: int, packed: bytes, must: str) -> Case:
    def change(folder: Path) -> None:
        place = folder / f"sparse/0/{file}.bin"
        content = bytearray(place.read_bytes())
        content[at : at + len(packed)] = packed
        place.write_bytes(content)

    return Case(name, "colmap_binary", change, must=must, says=rf"{file}\.bin|\.png|scene|sparse")


def of_arrays() -> Iterator[Case]:
    numbers = (math.nan, math.inf, -math.inf, 0.0, -1.0, 1e7, 1e300)
    for number in numbers:
        must = SOUND if math.isfinite(number) else REFUSED
        for column in range(17):
            change = lambda folder, at=column, number=number: in_row(folder, at, number)  # noqa: E731
            yield Case(f"column {column} of a row = {number:g}", "llff", change, must=must, says=r"poses_bounds|\.png")
        for name in ("images", "poses", "focal"):
            change = lambda folder, name=name, number=number: in_array(folder, name, number)  # noqa: E731
            yield Case(
                f"{name} with {number:g}", "tiny_nerf", change, must=must, says="scene.npz", keys=KEYS["tiny_nerf"]
            )


def in_row(folder: Path, column: int, number: float) -> None:
    rows = np.load(folder / "poses_bounds.npy")
    rows[3, column] = number
    np.save(folder / "poses_bounds.npy", rows)


def in_array(folder: Path, name: str, number: float) -> None:
    arrays = {key: array.astype(np.float64) for key, array in arrays_of(true_scene(CENTRED)).items()}
    arrays[name].reshape(-1)[min(3, arrays[name].size - 1)] = number
    save_npz(folder, **arrays)
