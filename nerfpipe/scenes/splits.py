"""Which frames of a transforms.json train and which are held out, by its own lists of names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from nerfpipe.errors import NerfpipeError
from nerfpipe.scenes.frames import Reading, Splits, every_nth
from nerfpipe.scenes.names import plain_name
from nerfpipe.scenes.places import PICTURES
from nerfpipe.scenes.scene import SPLITS


def splits_of(
    content: dict[str, Any], entries: list[dict[str, Any]], reading: Reading, file: Path
) -> tuple[Splits, list[str]]:
    """Numbers of `entries` by split, and notes. Where the file has no lists, every n-th frame is held out.

    Raises NerfpipeError where a list names a frame that there is not.
    """
    lists = {name: _names(content, f"{name}_filenames", file) for name in SPLITS}
    if not any(lists.values()):
        return every_nth(len(entries), reading.test_every), []
    place = {_same(entry["file_path"]): number for number, entry in enumerate(entries)}
    bare = {_bare(name): number for name, number in place.items()}  # lists may leave suffixes out, or frames
    lists = {name: [each if each in place else _bare(each) for each in names] for name, names in lists.items()}
    place = {**bare, **place}
    unknown = [each for names in lists.values() for each in names if each not in place]
    if unknown and reading.missing == "error":
        raise NerfpipeError(f"{file}: {unknown[0]!r:.60} is in a split and no frame has that file_path")
    return _completed(
        {name: [place[each] for each in names if each in place] for name, names in lists.items()}, entries, reading
    )


def _completed(listed: Splits, entries: list[dict[str, Any]], reading: Reading) -> tuple[Splits, list[str]]:
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
        train = [number for number in range(len(entries)) if number not in shown]
        notes = ["test_filenames without train_filenames: all other frames train"]
    return {"train": train, "val": listed["val"] or held_out, "test": listed["test"] or held_out}, notes


def _names(content: dict[str, Any], key: str, file: Path) -> list[str]:
    names = content.get(key) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise NerfpipeError(f"{file}: {key}: must be a list of file names")
    try:
        return [_same(name) for name in names]
    except NerfpipeError as error:
        raise NerfpipeError(f"{file}: {key}: {error}") from None


def _same(name: str) -> str:
    """One spelling of a path, whatever its dots and slashes."""
    return str(plain_name(name))


def _bare(name: str) -> str:
    """The path without the suffix of a picture."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in PICTURES else name
