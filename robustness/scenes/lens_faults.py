"""Lenses that their pictures cannot have: numbers of another resolution, normalised ones, none at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robustness.scenes.judge import REFUSED, SOUND, TOLD, Case
from robustness.scenes.truth import CENTRED, DISTORTED, H, W, arrays_of, edit, save_npz, true_scene

TRUE_LENS = {"fl_x": DISTORTED.fx, "fl_y": DISTORTED.fy, "cx": DISTORTED.cx, "cy": DISTORTED.cy}
LENS = r"principal point|focal length|fl_x|degrees of view|angle|proportions|resolution|c[xy]\b"
Change = dict[str, Any]


def cases() -> Iterator[Case]:
    """Numbers that belong to another resolution, or to none."""
    for times in (0.1, 0.25, 0.5, 1.5, 2.0, 4.0, 10.0, 27.0):
        change = {key: times * value for key, value in TRUE_LENS.items()}
        must = SOUND if times == 1.5 else TOLD  # a principal point a quarter off may be meant
        yield Case(f"a lens for {times:g} times the size", "pinhole", lens(change), must=must, says=LENS)
        folds = f"{LENS}|cannot be inverted"
        yield Case(f"a lens for {times:g} times the size", "fisheye", lens(change), must=must, says=folds)
        inside = lens_of_colmap(list(change.values()))
        yield Case(f"a lens for {times:g} times the size", "colmap_text", inside, must=must, says=LENS)
    for words, change in {
        "cx = cy = 0": {"cx": 0, "cy": 0},
        "cx = 0": {"cx": 0},
        "cy = 0": {"cy": 0},
        "cy = -50": {"cy": -50},
        "cx = -0.01": {"cx": -0.01},
        "cx = 24.01": {"cx": 24.01},
        "cx = 1e7": {"cx": 1e7},
        "normalised": {"fl_x": 1.4, "fl_y": 1.4, "cx": 0.5, "cy": 0.5},
        "a normalised principal point": {"cx": 0.47, "cy": 0.53},
        "normalised to the width": {"fl_x": 1.2, "fl_y": 1.2, "cx": 0.5, "cy": 0.66},
        "a focal length of 1.4": {"fl_x": 1.4, "fl_y": 1.4},
        "a focal length of 0.01": {"fl_x": 0.01, "fl_y": 0.01},
        "a focal length of 35 metres": {"fl_x": 1e6, "fl_y": 1e6},
        "one focal length of a million": {"fl_y": 1e6},
        "one focal length of 0.01": {"fl_y": 0.01},
    }.items():
        for form in ("pinhole", "transforms"):
            yield Case(f"{words}, with w and h", form, lens(change, sized=True), must=REFUSED, says=LENS)
        yield Case(f"{words}, without w and h", "pinhole", lens(change), must=REFUSED, says=LENS)
        numbers = list({**TRUE_LENS, **change}.values())
        yield Case(f"a camera of {words}", "colmap_text", lens_of_colmap(numbers), must=REFUSED, says=LENS)
    for words, change in {
        "w and h swapped": {"w": H, "h": W},
        "w alone": {"h": 1},
        "w and h of a square": {"w": 32},
    }.items():
        yield Case(words, "pinhole", lens(change, sized=True), must=REFUSED, says="proportions|pixel")
    for angle in (50.0, 3.14159, 3.1415926535, 3.13, 1e-5, 1e-12, 0.0, -0.7):
        yield Case(f"an angle of view of {angle:g}", "pinhole", of_angle(angle), must=REFUSED, says=LENS)
        change = lambda c, angle=angle: c.update(camera_angle_x=angle)  # noqa: E731
        names = [f"transforms_{name}.json" for name in ("train", "val", "test")]
        all_ = lambda folder, change=change, names=names: [edit(folder, change, name) for name in names]  # noqa: E731
        yield Case(f"an angle of view of {angle:g}", "blender", all_, must=REFUSED, says=LENS)
    for focal in (0.01, 1e6, 1.4):
        yield Case(f"rows with a focal length of {focal:g}", "llff", focal_in_rows(focal), must=REFUSED, says=LENS)
        yield Case(f"a focal length of {focal:g}", "tiny_nerf", focal_in_npz(focal), must=REFUSED, says="focal|" + LENS)
    bent = lens({"k1": -5.0}, sized=True)
    yield Case("a distortion that folds", "transforms", bent, must=REFUSED, says="cannot be inverted")


def lens(change: Change, sized: bool = False) -> Callable[[Path], None]:
    def of_content(content: dict[str, Any]) -> None:
        if not sized:
            content.pop("w")
            content.pop("h")
        content.update(change)

    return lambda folder: edit(folder, of_content)


def lens_of_colmap(numbers: list[float]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "sparse/0/cameras.txt").write_text(f"7 PINHOLE {W} {H} {' '.join(map(repr, numbers))}\n")

    return change


def of_angle(angle: float) -> Callable[[Path], None]:
    def change(content: dict[str, Any]) -> None:
        for key in ("fl_x", "fl_y", "cx", "cy"):
            content.pop(key)
        content["camera_angle_x"] = angle

    return lambda folder: edit(folder, change)


def focal_in_rows(focal: float) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        rows = np.load(folder / "poses_bounds.npy")
        rows[:, 14] = focal
        np.save(folder / "poses_bounds.npy", rows)

    return change


def focal_in_npz(focal: float) -> Callable[[Path], None]:
    return lambda folder: save_npz(folder, **{**arrays_of(true_scene(CENTRED)), "focal": np.array(focal)})
