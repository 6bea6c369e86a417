"""Splits of a transforms.json, from its own lists of names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from nerfpipe.geometry.conventions import SPLITS
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.file_names import plain_name
from nerfpipe.scenes.file_finder import FileFinder
from nerfpipe.scenes.folder_index import PICTURES
from nerfpipe.scenes.frames import ReadOptions, Splits, every_nth


def read_splits(
    content: dict[str, Any],
    named: list[str],
    pictures: dict[int, Path],
    finder: FileFinder,
    options: ReadOptions,
    file: Path,
) -> tuple[Splits, list[str]]:
    """Splits of the frames that exist, and notes. Without lists in the file, every n-th frame is held out.

    named: file_path of all frames; pictures: of the frames that exist, by their index in `named`. Raises NerfpipeError
    if a list names no frame.
    """
    lists = {name: _names(content, f"{name}_filenames", file) for name in SPLITS}
    if not any(lists.values()):
        return every_nth(len(pictures), options.test_every), []
    frames = {_normalised(named[index]): frame for frame, index in enumerate(pictures)}
    frames = {**{_without_suffix(name): frame for name, frame in frames.items()}, **frames}  # lists may lack suffixes
    by_picture = {picture: frame for frame, picture in enumerate(pictures.values())}
    missing = {_without_suffix(_normalised(name)) for index, name in enumerate(named) if index not in pictures}
    listed: Splits = {name: [] for name in SPLITS}
    unknown: list[str] = []
    for split, names in lists.items():
        for name in names:
            bare = _without_suffix(_normalised(name))
            frame = frames.get(_normalised(name), frames.get(bare))
            if frame is None and bare not in missing:
                picture = finder.picture(name)  # in another spelling
                frame = by_picture.get(picture) if picture is not None else None
                unknown += [name] * (frame is None)
            listed[split] += [] if frame is None else [frame]
    if unknown and options.missing == "error":
        raise NerfpipeError(f"{file}: {unknown[0]!r:.60} is in a split and no frame has that file_path")
    splits, notes = _completed(listed, len(pictures), options)
    if unknown:
        notes.append(f"{len(unknown)} names in splits, as {unknown[0]:.60}, are of no frame: left out")
    return splits, notes


def _completed(listed: Splits, count: int, options: ReadOptions) -> tuple[Splits, list[str]]:
    """All splits of `count` frames, from those that the file has, and notes. val and test stand in for each other."""
    train, held_out = listed["train"], listed["test"] or listed["val"]
    notes: list[str] = []
    if not held_out:
        held_out = train[:: options.test_every]
        excluded = set(held_out)
        train = [frame for frame in train if frame not in excluded]
        notes = [f"train_filenames without test_filenames: one in {options.test_every} of them is held out"]
    elif not train:
        listed_frames = {*listed["test"], *listed["val"]}
        train = [frame for frame in range(count) if frame not in listed_frames]
        notes = ["test_filenames without train_filenames: all other frames train"]
    return {"train": train, "val": listed["val"] or held_out, "test": listed["test"] or held_out}, notes


def _names(content: dict[str, Any], key: str, file: Path) -> list[str]:
    """The list of file names under a key, which may be missing."""
    names = content.get(key) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise NerfpipeError(f"{file}: {key}: must be a list of file names")
    for name in names:
        try:
            _normalised(name)
        except NerfpipeError as error:
            raise NerfpipeError(f"{file}: {key}: {error}") from None
    return names


def _normalised(name: str) -> str:
    """The path in one spelling of dots and slashes."""
    return str(plain_name(name))


def _without_suffix(name: str) -> str:
    """The path without the suffix of an image."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in PICTURES else name
