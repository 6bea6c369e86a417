"""Points, arrays and depth as other programs write them, and what lies beside the data: the scene is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np

from robustness.scenes.changes import SPLIT_FILES, respell
from robustness.scenes.judge import SOUND, TOLD, Case, Rays
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


def cases() -> Iterator[Case]:
    yield from points()
    yield from arrays()
    yield from beside()


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
