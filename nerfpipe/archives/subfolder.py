"""Finds the scene in an archive or folder that holds several, or has a folder around all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set
from pathlib import PurePosixPath

from nerfpipe.archives.members import MAX_FOLDER_DEPTH, quoted

FOLDERS_SHOWN = 12  # in an error: all eight Blender scenes, yet still one line

Parts = tuple[str, ...]  # a path, folder by folder


class NoSuchFolderError(Exception):
    """The wanted folder does not exist; the text names those that do."""


def folders_of(files: Set[Parts]) -> set[Parts]:
    """Every folder that holds files, directly or not, down to the depth allowed."""
    return {file[:depth] for file in files for depth in range(1, min(len(file), MAX_FOLDER_DEPTH))}


def locate(wanted: str, folders: Set[Parts]) -> Parts:
    """The wanted folder, at the top or below exactly one top folder: archives often have one around all.

    Raises NoSuchFolderError naming the folders that exist.
    """
    parts = PurePosixPath(wanted).parts
    tops = {folder[0] for folder in folders}
    below = [found for top in tops if (found := (top, *parts)) in folders]
    if not parts or parts in folders:
        return parts
    if len(below) == 1:
        return below[0]
    raise NoSuchFolderError(f"has no folder {wanted}; {_folders_beside(parts, folders)}")


def wrapper(files: Set[Parts]) -> Parts:
    """The one folder around all files, or () without one."""
    tops = {file[:1] for file in files}
    return tops.pop() if len(tops) == 1 and all(len(file) > 1 for file in files) else ()


def _folders_beside(wanted: Parts, folders: Set[Parts]) -> str:
    """The folders beside the wanted one, as deep as its path exists."""
    within: defaultdict[Parts, list[Parts]] = defaultdict(list)
    for folder in sorted(folders):
        within[folder[:-1]].append(folder)
    bases = [(*top, *wanted[:depth]) for depth in range(len(wanted) - 1, -1, -1) for top in ((), *within[()])]
    found = next((within[base] for base in bases if base in within), [])
    while len(found) == 1 and found[0] in within:
        found = within[found[0]]
    if not found:
        return "it has no folders"
    names = ["/".join(folder) for folder in found[:FOLDERS_SHOWN]]
    more = f" and {len(found) - FOLDERS_SHOWN} more" if len(found) > FOLDERS_SHOWN else ""
    return f"it has {', '.join(name if name.isprintable() else quoted(name) for name in names)}{more}"
