"""Ways to change a written scene that several rooms use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from robustness.scenes.truth import VIEWS, edit

Spelling = Callable[[str], str]
SPLIT_FILES = ("transforms_train.json", "transforms_val.json", "transforms_test.json")


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


def splits_by(content: dict[str, Any], spell: Spelling) -> None:
    """The lists of names that say what the custom would."""
    names = [spell(frame["file_path"]) for frame in content["frames"]]
    held_out = names[::8]
    train = [name for name in names if name not in held_out]
    content |= {"train_filenames": train, "val_filenames": held_out, "test_filenames": held_out}


def rewrite(name: str, write: Callable[[str], bytes]) -> Callable[[Path], None]:
    """A text file, written as another program would."""

    def change(folder: Path) -> None:
        (folder / name).write_bytes(write((folder / name).read_text(encoding="utf-8")))

    return change


def without_remarks(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def resuffix(folder: Path, suffix: str) -> None:
    """Tables that name pictures with another suffix."""
    if (folder / "transforms.json").exists():
        respell(lambda name: name.replace(".png", suffix))(folder)
    for file in folder.glob("sparse/0/images.*"):
        file.write_bytes(file.read_bytes().replace(b".png", suffix.encode()))


def put(place: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / place).write_bytes(content) and None
