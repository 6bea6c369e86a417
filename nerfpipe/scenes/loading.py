"""Loads the scene that the download stage stored, in any format."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nerfpipe.images.image_file import HEIC, HEIC_REMEDY
from nerfpipe.project.paths import ENTRY_FILE
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular
from nerfpipe.scenes.formats import blender, colmap, colmap_model, llff, procedural, tiny_nerf, transforms
from nerfpipe.scenes.frames import ReadOptions
from nerfpipe.scenes.image_files import SUFFIXES
from nerfpipe.scenes.scene import Scene

# Formats with images in files, in the order of search. A folder often holds several: those that tell more of the
# cameras come first.
FOLDER_FORMATS: dict[str, ModuleType] = {"blender": blender, "transforms": transforms, "colmap": colmap, "llff": llff}
OPTIONS = ("name", "background", "space", "images", "masks", "factor", "missing", "test_every", "order")
KEYS = {*OPTIONS, "format", "bounds", "train_views", "file"}
DEFAULTS = {"order": "name"}  # of keys that entries stored by older versions lack
TO_PHOTOS = "find them with `nerfpipe photos FOLDER --name NAME`"
SEARCH_DEPTH = 3  # levels of folders to search for a scene


def load_scene(folder: Path) -> Scene:
    """The scene that the download stage stored in a folder. Raises NerfpipeError that names the file at fault."""
    entry = read_entry(folder)
    bounds = None if entry["bounds"] is None else np.array(entry["bounds"], dtype=np.float32)  # [2, 3]
    name, background, form = entry["name"], entry["background"], entry["format"]
    if form == "procedural":
        return procedural.load(folder, name, background)
    if form == "tiny_nerf" or (form is None and entry["file"] is not None):
        return tiny_nerf.load(folder / entry["file"], name, background, bounds, entry["train_views"])
    options = ReadOptions(bounds=bounds, **{key: entry[key] for key in OPTIONS})
    form, path = find_scene(folder, form)
    return FOLDER_FORMATS[form].load(path, options)


def find_scene(folder: Path, form: str | None) -> tuple[str, Path]:
    """The format and the folder of the only scene in `folder` or the folders below; form: its format, if known.

    Raises NerfpipeError if there is none, or more than one.
    """
    if form is not None and form not in FOLDER_FORMATS:
        raise NerfpipeError(f"{folder / ENTRY_FILE}: unknown format {form!r}; run the download stage again")
    candidates = FOLDER_FORMATS if form is None else {form: FOLDER_FORMATS[form]}
    level = [folder]
    for _ in range(SEARCH_DEPTH):
        found = [(name, path) for path in level for name, module in candidates.items() if module.is_here(path)]
        paths = sorted({path for _, path in found})
        if len(paths) > 1:
            named = ", ".join(str(path.relative_to(folder)) for path in paths)
            raise NerfpipeError(f"{folder}: holds {len(paths)} scenes ({named}); name one with `folder:` in the entry")
        if found:
            return found[0]
        level = sorted(below for path in level for below in path.iterdir() if below.is_dir())
    if form is not None:  # the format's reader reports what is missing
        return form, folder
    raise NerfpipeError(f"{folder}: {_describe_unknown(folder)}")


def _describe_unknown(folder: Path) -> str:
    """Why no scene is found in a folder, with a remedy."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if parts := [file for file in files if file.stem in colmap_model.FILES and file.suffix in colmap_model.SUFFIXES]:
        path = parts[0].parent
        incomplete = colmap_model.describe_incomplete(path)
        return f"{incomplete}, at {path.relative_to(folder)}; and there are no other format's files"
    if any(file.suffix.lower() in SUFFIXES for file in files):
        return f"pictures without cameras; {TO_PHOTOS}"
    if any(file.suffix.lower() in HEIC for file in files):
        return f"HEIC pictures cannot be read; {HEIC_REMEDY}; they have no cameras either: then {TO_PHOTOS}"
    return (
        "no format was found: transforms_train.json (Blender), transforms.json, a COLMAP model (sparse/0), "
        "poses_bounds.npy (LLFF) or a single .npz; is the path right?"
    )


def read_entry(folder: Path) -> dict[str, Any]:
    """The entry that the download stage stored with the data. Raises NerfpipeError if it is missing or damaged."""
    file = folder / ENTRY_FILE
    try:
        with open_regular(file) as stream:
            entry = {**DEFAULTS, **json.loads(stream.read())}
        missing = KEYS - set(entry)
        if missing:
            raise ValueError(f"misses {missing}")
        return entry
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; run `dvc repro download` first") from None
    except (ValueError, TypeError):
        raise NerfpipeError(f"{file}: damaged; run `dvc repro --force download`") from None
