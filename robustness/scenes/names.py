"""Pictures under other names and in other places, as other machines and programs name them: the scene is the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from robustness.scenes.changes import Spelling, moved, renamed, respell, then
from robustness.scenes.judge import REFUSED, Case
from robustness.scenes.truth import VIEWS

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
    "down another folder and up": lambda name: f"masks/../{name}",
    "an address of a file": lambda name: f"file:///home/somebody/scene/{name}",
    "an escaped letter": lambda name: name.replace("images", "%69mages"),
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
    two = two_cameras
    yield Case("two cameras with the same names", "pinhole", two)
    yield Case("two cameras with the same names, absolute", "pinhole", then(two, respell(SPELLINGS["absolute"])))
    yield Case(
        "two cameras, absolute and without suffixes, in images:",
        "pinhole",
        then(two, moved("images", "small"), respell(SPELLINGS["absolute without a suffix"])),
        keys={"images": "small"},
    )
    lost = then(two, lambda folder: (folder / "images/cam0/0001.png").unlink())
    yield Case("two cameras with the same names, one lost", "pinhole", lost, must=REFUSED, says="0001")
    yield Case(
        "two cameras with the same names, one lost, and missing: skip",
        "pinhole",
        lost,
        keys={"missing": "skip"},
        views=tuple(view for view in range(VIEWS) if view != 2),
        says=r"1 of 10 pictures are not there",
    )
    yield Case("pictures beside the table", "pinhole", beside_table)
    yield Case("images/../NAME, and in images lie others of those names", "pinhole", beside_others)
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


def beside_others(folder: Path) -> None:
    beside_table(folder)
    (folder / "images").mkdir()
    for view in range(VIEWS):
        shutil.copyfile(folder / f"{(view + 1) % VIEWS:03d}.png", folder / f"images/{view:03d}.png")
    respell(lambda name: f"images/../{name}")(folder)


def deeper(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        place = folder / "my scene" / file.name
        place.parent.mkdir(exist_ok=True)
        file.rename(place)
