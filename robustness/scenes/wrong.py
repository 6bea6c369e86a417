"""What is wrong and does not look it: lenses of another resolution, rows in another order, pictures there twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from robustness.scenes.judge import EITHER, REFUSED, SOUND, TOLD, Case
from robustness.scenes.pictures import save
from robustness.scenes.reader import OUTSIDE
from robustness.scenes.same import SPELLINGS, respell, splits_by, then
from robustness.scenes.truth import CENTRED, DISTORTED, VIEWS, H, W, arrays_of, edit, save_npz, true_scene

TRUE_LENS = {"fl_x": DISTORTED.fx, "fl_y": DISTORTED.fy, "cx": DISTORTED.cx, "cy": DISTORTED.cy}
LENS = r"principal point|focal length|fl_x|degrees of view|angle|proportions|resolution|c[xy]\b"
TWICE = r"twice|both|same picture|repeat|also held out|several poses|named for|held.out"
NO_FRAME = "in a split and no frame has"
ORDER = r"order|sorted|row \d+"
Change = dict[str, Any]


def cases() -> Iterator[Case]:
    yield from lenses()
    yield from orders()
    yield from repeats()
    yield from paths()
    yield from pickles()


# --- lenses ---


def lenses() -> Iterator[Case]:
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


# --- rows without names ---


def orders() -> Iterator[Case]:
    """Pictures whose order by name is not that by number: rows may be meant either way."""
    for pattern in ("{}.png", "IMG_{}.png", "frame{}.png", "{}_rgb.png"):
        numbered = lambda folder, pattern=pattern: number_pictures(folder, pattern)  # noqa: E731
        yield Case(f"rows of pictures named {pattern.format(7)} … {pattern.format(16)}", "llff", numbered, TOLD, ORDER)
    told = lambda folder: number_pictures(folder, "{}.png")  # noqa: E731
    yield Case("rows in the order of numbers, as the entry says", "llff", told, keys={"order": "number"})
    yield Case("rows of pictures named 07 … 16", "llff", lambda folder: number_pictures(folder, "{:02d}.png"))
    fewer = lambda folder: (folder / "images/009.png").unlink()  # noqa: E731
    yield Case("a row more than pictures", "llff", fewer, must=REFUSED, says="rows")


def number_pictures(folder: Path, pattern: str) -> None:
    for view in range(VIEWS):
        (folder / f"images/{view:03d}.png").rename(folder / "images" / pattern.format(view + 7))


# --- pictures that are there twice ---


def repeats() -> Iterator[Case]:
    """What is tested must not be learned from, nor anything count twice, however the data names it."""
    spellings = {"the same name": lambda name: name, **SPELLINGS}
    for words, spell in spellings.items():
        if "copies" in words:
            continue
        yield Case(f"a frame twice, by {words}", "pinhole", twice(spell), must=TOLD, says=TWICE)
        both = lambda folder, spell=spell: edit(folder, lambda c: in_both(c, spell))  # noqa: E731
        yield Case(f"a picture in train and test, by {words}", "pinhole", both, must=TOLD, says=f"{TWICE}|{NO_FRAME}")
        listed = lambda folder, spell=spell: edit(folder, lambda c: listed_twice(c, spell))  # noqa: E731
        yield Case(f"a picture in train twice, by {words}", "pinhole", listed, must=TOLD, says=f"{TWICE}|{NO_FRAME}")
    for words, copy in {
        "a copy": shutil.copyfile,
        "a hard link": lambda old, new: new.hardlink_to(old),
        "a link": lambda old, new: new.symlink_to(old.name),
    }.items():
        change = lambda folder, copy=copy: again(folder, copy)  # noqa: E731
        for bring in (True, False):
            name = f"a frame twice, by {words}" + ("" if bring else ", where it lies")
            yield Case(name, "pinhole", change, must=TOLD, says=TWICE, bring=bring)
    yield Case("a picture of COLMAP twice", "colmap_text", twice_in_colmap, must=TOLD, says=TWICE)
    yield Case("a row and its picture twice", "llff", twice_in_rows, must=TOLD, says=TWICE)
    yield Case("test frames are train frames", "blender", test_is_train, must=TOLD, says=f"{TWICE}|split is empty")
    yield Case("a test frame that is a train frame", "blender", one_is_train, must=TOLD, says=TWICE)
    yield Case("a view of arrays twice, in train and test", "tiny_nerf", twice_in_npz, must=TOLD, says=TWICE)
    yield Case("one picture under all names", "pinhole", one_picture, must=TOLD, says=TWICE)
    yield Case("one picture for two frames", "pinhole", swapped_name, must=TOLD, says=TWICE)


def twice(spell: Callable[[str], str]) -> Callable[[Path], None]:
    """View 0, held out by the custom, once more at the end: learned from by the custom."""

    def change(content: dict[str, Any]) -> None:
        first = content["frames"][0]
        content["frames"].append({**first, "file_path": spell(first["file_path"])})

    return lambda folder: edit(folder, change)


def in_both(content: dict[str, Any], spell: Callable[[str], str]) -> None:
    splits_by(content, lambda name: name)
    content["train_filenames"].append(spell(content["test_filenames"][0]))


def listed_twice(content: dict[str, Any], spell: Callable[[str], str]) -> None:
    splits_by(content, lambda name: name)
    content["train_filenames"].append(spell(content["train_filenames"][0]))


def again(folder: Path, copy: Callable[[Path, Path], object]) -> None:
    copy(folder / "images/000.png", folder / "images/copy.png")
    twice(lambda name: "images/copy.png")(folder)


def twice_in_colmap(folder: Path) -> None:
    file = folder / "sparse/0/images.txt"
    lines = file.read_text().split("\n")
    again_ = [lines[1].replace("1 ", f"{VIEWS + 1} ", 1), lines[2]]
    file.write_text("\n".join(lines[: 1 + 2 * VIEWS] + again_) + "\n")


def twice_in_rows(folder: Path) -> None:
    rows = np.load(folder / "poses_bounds.npy")
    np.save(folder / "poses_bounds.npy", np.concatenate([rows, rows[:1]]))
    shutil.copyfile(folder / "images/000.png", folder / "images/999.png")


def test_is_train(folder: Path) -> None:
    for name in ("val", "test"):
        shutil.copyfile(folder / "transforms_train.json", folder / f"transforms_{name}.json")


def one_is_train(folder: Path) -> None:
    frames: list[Any] = []
    edit(folder, lambda content: frames.append(content["frames"][0]), "transforms_train.json")
    edit(folder, lambda content: content["frames"].extend(frames), "transforms_test.json")


def twice_in_npz(folder: Path) -> None:
    arrays = arrays_of(true_scene(CENTRED))
    for name in ("images", "poses"):
        arrays[name][VIEWS - 1] = arrays[name][0]
    save_npz(folder, **arrays)


def one_picture(folder: Path) -> None:
    for view in range(1, VIEWS):
        shutil.copyfile(folder / "images/000.png", folder / f"images/{view:03d}.png")


def swapped_name(folder: Path) -> None:
    edit(folder, lambda content: content["frames"][3].update(file_path="images/004.png"))


# --- paths that lead nowhere, or elsewhere ---


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


# --- arrays that are programs ---


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
