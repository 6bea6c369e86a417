"""Finds the part of an archive or folder that is the scene, where it holds several or has a folder around it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set
from pathlib import PurePosixPath

from nerfpipe.archives.members import FOLDERS_DEEP, quoted

FOLDERS_SHOWN = 12  # in an error: all eight Blender scenes, yet still one line

Parts = tuple[str, ...]  # a path, folder by folder


class NoSuchFolderError(Exception):
    """The folder asked for is not there; the text says which are."""


def folders_of(files: Set[Parts]) -> set[Parts]:
    """Every folder that any of the files lies in, as far down as files may lie."""
    return {file[:depth] for file in files for depth in range(1, min(len(file), FOLDERS_DEEP))}


def locate(wanted: str, folders: Set[Parts]) -> Parts:
    """The wanted folder, at the top or below just one of the folders there: archives often add one around all.

    Raises NoSuchFolderError naming those that there are.
    """
    parts = PurePosixPath(wanted).parts
    tops = {folder[0] for folder in folders}
    below = [found for top in tops if (found := (top, *parts)) in folders]
    if not parts or parts in folders:
        return parts
    if len(below) == 1:
        return below[0]
    raise NoSuchFolderError(f"has no folder {wanted}; {_those_there(parts, folders)}")


def wrapper(files: Set[Parts]) -> Parts:
    """The one folder around all the files, or () where there is none."""
    tops = {file[:1] for file in files}
    return tops.pop() if len(tops) == 1 and all(len(file) > 1 for file in files) else ()


def _those_there(wanted: Parts, folders: Set[Parts]) -> str:
    """The folders beside the wanted one, as far down as its path leads."""
    within: defaultdict[Parts, list[Parts]] = defaultdict(list)
    for folder in sorted(folders):
        within[folder[:-1]].append(folder)
    bases = [(*top, *wanted[:depth]) for depth in range(len(wanted) - 1, -1, -1) for top in ((), *within[()])]
    there = next((within[base] for base in bases if base in within), [])
    while len(there) == 1 and there[0] in within:
        there = within[there[0]]
    if not there:
        return "it has no folders"
    names = ["/".join(folder) for folder in there[:FOLDERS_SHOWN]]
    more = f" and {len(there) - FOLDERS_SHOWN} more" if len(there) > FOLDERS_SHOWN else ""
    return f"it has {', '.join(name if name.isprintable() else quoted(name) for name in names)}{more}"
