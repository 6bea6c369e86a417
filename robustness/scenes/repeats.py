"""Rows in another order than their pictures, and pictures that are there twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robustness.scenes.changes import splits_by
from robustness.scenes.judge import REFUSED, TOLD, Case
from robustness.scenes.names import SPELLINGS
from robustness.scenes.truth import CENTRED, VIEWS, arrays_of, edit, save_npz, true_scene

TWICE = r"twice|both|same picture|repeat|also held out|several poses|named for|held.out"
NO_FRAME = "in a split and no frame has"
ORDER = r"order|sorted|row \d+"


def cases() -> Iterator[Case]:
    yield from orders()
    yield from repeats()


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
