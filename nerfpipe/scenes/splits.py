"""Which frames of a transforms.json train and which are held out, by its own lists of names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from nerfpipe.geometry.conventions import SPLITS
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.file_names import plain_name
from nerfpipe.scenes.file_finder import Places
from nerfpipe.scenes.folder_index import PICTURES
from nerfpipe.scenes.frames import Reading, Splits, every_nth


def splits_of(
    content: dict[str, Any], named: list[str], pictures: dict[int, Path], places: Places, reading: Reading, file: Path
) -> tuple[Splits, list[str]]:
    """Numbers of the frames that are there by split, and notes. Without lists, every n-th frame is held out.

    named: all frames' file_path; pictures: of those that are there, by their place in it. Raises NerfpipeError where a
    list names a frame that there is not.
    """
    lists = {name: _names(content, f"{name}_filenames", file) for name in SPLITS}
    if not any(lists.values()):
        return every_nth(len(pictures), reading.test_every), []
    frames = {_same(named[place]): number for number, place in enumerate(pictures)}
    frames = {**{_bare(name): number for name, number in frames.items()}, **frames}  # lists may leave suffixes out
    by_picture = {picture: number for number, picture in enumerate(pictures.values())}
    lost = {_bare(_same(name)) for place, name in enumerate(named) if place not in pictures}
    listed: Splits = {name: [] for name in SPLITS}
    unknown: list[str] = []
    for split, names in lists.items():
        for name in names:
            number = frames.get(_same(name), frames.get(_bare(_same(name))))
            if number is None and _bare(_same(name)) not in lost:
                number = by_picture.get(places.picture(name))  # spelled otherwise
                unknown += [name] * (number is None)
            listed[split] += [] if number is None else [number]
    if unknown and reading.missing == "error":
        raise NerfpipeError(f"{file}: {unknown[0]!r:.60} is in a split and no frame has that file_path")
    splits, notes = _completed(listed, len(pictures), reading)
    if unknown:
        notes.append(f"{len(unknown)} names in splits, as {unknown[0]:.60}, are of no frame: left out")
    return splits, notes


def _completed(listed: Splits, count: int, reading: Reading) -> tuple[Splits, list[str]]:
    """Splits of which the file has some. val and test stand in for one another."""
    train, held_out = listed["train"], listed["test"] or listed["val"]
    notes: list[str] = []
    if not held_out:
        held_out = train[:: reading.test_every]
        shown = set(held_out)
        train = [number for number in train if number not in shown]
        notes = [f"train_filenames without test_filenames: one in {reading.test_every} of them is held out"]
    elif not train:
        shown = {*listed["test"], *listed["val"]}
        train = [number for number in range(count) if number not in shown]
        notes = ["test_filenames without train_filenames: all other frames train"]
    return {"train": train, "val": listed["val"] or held_out, "test": listed["test"] or held_out}, notes


def _names(content: dict[str, Any], key: str, file: Path) -> list[str]:
    names = content.get(key) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise NerfpipeError(f"{file}: {key}: must be a list of file names")
    for name in names:
        try:
            _same(name)
        except NerfpipeError as error:
            raise NerfpipeError(f"{file}: {key}: {error}") from None
    return names


def _same(name: str) -> str:
    """One spelling of a path, whatever its dots and slashes."""
    return str(plain_name(name))


def _bare(name: str) -> str:
    """The path without the suffix of a picture."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in PICTURES else name
