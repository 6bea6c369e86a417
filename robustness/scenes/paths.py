"""Paths that lead nowhere, or elsewhere, and arrays that are programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from robustness.scenes.changes import respell, then
from robustness.scenes.judge import EITHER, REFUSED, SOUND, Case
from robustness.scenes.pictures import save
from robustness.scenes.reader import OUTSIDE
from robustness.scenes.truth import CENTRED, arrays_of, edit, save_npz, true_scene


def cases() -> Iterator[Case]:
    yield from paths()
    yield from pickles()


def paths() -> Iterator[Case]:
    for words, path in {
        "100,000 times ../": "../" * 100_000 + "images/000.png",
        "100,000 times ./": "./" * 100_000 + "images/000.png",
        "100,000 times a/": "a/" * 100_000 + "000.png",
        "100,000 letters": "x" * 100_000,
        "300 letters": "x" * 300 + ".png",
        "a zero byte": "images/\0.png",
        "a lone surrogate": "images/\ud800.png",
        "nothing": "",
        "a dot": ".",
        "two dots": "..",
        "a slash": "/",
        "a backslash": "\\",
        "a space": " ",
        "a drive": "C:",
        "its own folder": "images",
        "its own table": "transforms.json",
        "a device": "/dev/zero",
        "a password file": "/etc/passwd",
        "a folder and no more": "images/",
        "an address": "https://example.invalid/000.png",
    }.items():
        for key in ("file_path", "mask_path", "depth_file_path", "ply_file_path"):
            one = lambda folder, key=key, path=path: edit(folder, lambda c: in_place(c, key, path))  # noqa: E731
            for bring in (True, False):
                name = f"{key} of {words}" + ("" if bring else ", where it lies")
                empty = key != "file_path" and not path  # no mask, no depth, no points
                must = SOUND if empty or "./" in words else REFUSED
                yield Case(name, "transforms", one, must=must, says=".", bring=bring)
        lists = lambda folder, path=path: edit(folder, lambda c: c.update(train_filenames=[path]))  # noqa: E731
        yield Case(f"train_filenames of {words}", "pinhole", lists, must=SOUND if "./" in words else REFUSED, says=".")
    for words, name in {
        "5,000 letters": "x" * 5000 + ".png",
        "300 letters": "x" * 300,
        "1,000 times ../": "../" * 1000,
    }.items():
        for form in ("colmap_text", "colmap_binary"):
            change = lambda folder, name=name: renamed_only(folder, name)  # noqa: E731
            yield Case(f"a picture named by {words}", form, change, must=REFUSED, says=".")
    for spelled in ("../" + OUTSIDE + "/{}", "../../data/../" + OUTSIDE + "/{}"):
        change = then(put_outside, respell(lambda name, spelled=spelled: spelled.format(name[-7:])))
        yield Case(f"pictures that lie at {spelled}", "pinhole", change, must=EITHER, bring=False)
    absolute = lambda folder: absolute_outside(folder)  # noqa: E731
    yield Case("pictures that lie outside, by absolute names", "pinhole", absolute, must=EITHER, bring=False)


def in_place(content: dict[str, Any], key: str, path: str) -> None:
    if key == "ply_file_path":
        content[key] = path
    else:
        content["frames"][0][key] = path


def renamed_only(folder: Path, name: str) -> None:
    for file in folder.glob("sparse/0/images.*"):
        file.write_bytes(file.read_bytes().replace(b"003.png", name.encode()))


def put_outside(folder: Path) -> None:
    """The same pictures, upside down, beside the scene's folder: those must not be read."""
    place = folder.parent / OUTSIDE
    place.mkdir(exist_ok=True)
    for file in (folder / "images").iterdir():
        with Image.open(file) as image:
            save(place / file.name, np.flipud(np.array(image)))


def absolute_outside(folder: Path) -> None:
    put_outside(folder)
    respell(lambda name: str((folder.parent / OUTSIDE / name[-7:]).resolve()))(folder)


class Danger:
    """Unpickled, it would do something."""

    def __reduce__(self) -> tuple:
        return (print, ("unpickled",))


def pickles() -> Iterator[Case]:
    objects = np.array([Danger()], dtype=object)
    rows = lambda folder: np.save(folder / "poses_bounds.npy", objects, allow_pickle=True)  # noqa: E731
    yield Case("rows that are a pickle", "llff", rows, must=REFUSED, says="poses_bounds.npy")
    for name in ("images", "poses", "focal"):
        arrays = {**arrays_of(true_scene(CENTRED)), name: objects}
        change = lambda folder, arrays=arrays: save_npz(folder, **arrays)  # noqa: E731
        yield Case(f"{name} that are a pickle", "tiny_nerf", change, must=REFUSED, says="scene.npz")
    depth = then(respell(lambda name: "depth/a.npy", ("depth_file_path",)), save_objects(objects))
    yield Case("depth that is a pickle", "transforms", depth, must=REFUSED, says="a.npy")


def save_objects(objects: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / "depth/a.npy", objects, allow_pickle=True)
