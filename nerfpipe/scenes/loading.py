"""Reads what the download stage left, whatever its format."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nerfpipe.project.paths import ENTRY_FILE
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular
from nerfpipe.scenes.formats import blender, colmap, colmap_file, llff, procedural, tiny_nerf, transforms
from nerfpipe.scenes.frames import Reading
from nerfpipe.scenes.image_files import HEIC, HEIC_REMEDY, SUFFIXES
from nerfpipe.scenes.scene import Scene

# Formats with pictures in files, in the order in which they are looked for. A folder often holds several: what tells
# more of the lenses comes first.
FOLDER_FORMATS: dict[str, ModuleType] = {"blender": blender, "transforms": transforms, "colmap": colmap, "llff": llff}
READING = ("name", "background", "space", "images", "masks", "factor", "missing", "test_every", "order")
KEYS = {*READING, "format", "bounds", "train_views", "file"}
NEWER = {"order": "name"}  # keys that entries stored by older versions do not have
TO_PHOTOS = "find them with `nerfpipe photos FOLDER --name NAME`"
DEPTH = 3  # folders down, in which a scene is looked for


def load_scene(folder: Path) -> Scene:
    """The scene that the download stage left in `folder`, whatever its format.

    Raises NerfpipeError naming the file at fault.
    """
    entry = read_entry(folder)
    bounds = None if entry["bounds"] is None else np.array(entry["bounds"], dtype=np.float32)  # [2, 3]
    name, background, form = entry["name"], entry["background"], entry["format"]
    if form == "procedural":
        return procedural.load(folder, name, background)
    if form == "tiny_nerf" or (form is None and entry["file"] is not None):
        return tiny_nerf.load(folder / entry["file"], name, background, bounds, entry["train_views"])
    reading = Reading(bounds=bounds, **{key: entry[key] for key in READING})
    form, place = find_scene(folder, form)
    return FOLDER_FORMATS[form].load(place, reading)


def find_scene(folder: Path, form: str | None) -> tuple[str, Path]:
    """The format and the folder of the scene that lies in `folder`, or in the one folder below that holds any.

    Raises NerfpipeError where there is none, or more than one.
    """
    if form is not None and form not in FOLDER_FORMATS:
        raise NerfpipeError(f"{folder / ENTRY_FILE}: unknown format {form!r}; run the download stage again")
    candidates = FOLDER_FORMATS if form is None else {form: FOLDER_FORMATS[form]}
    level = [folder]
    for _ in range(DEPTH):
        found = [(name, place) for place in level for name, module in candidates.items() if module.is_here(place)]
        places = sorted({place for _, place in found})
        if len(places) > 1:
            named = ", ".join(str(place.relative_to(folder)) for place in places)
            raise NerfpipeError(f"{folder}: holds {len(places)} scenes ({named}); name one with `folder:` in the entry")
        if found:
            return found[0]
        level = sorted(below for place in level for below in place.iterdir() if below.is_dir())
    if form is not None:  # read it all the same: its loader says best what is missing
        return form, folder
    raise NerfpipeError(f"{folder}: {_nothing_known(folder)}")


def _nothing_known(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if parts := [file for file in files if file.stem in colmap_file.FILES and file.suffix in colmap_file.SUFFIXES]:
        place = parts[0].parent
        return f"{colmap_file.incomplete(place)}, at {place.relative_to(folder)}; and there are no other format's files"
    if any(file.suffix.lower() in SUFFIXES for file in files):
        return f"pictures without cameras; {TO_PHOTOS}"
    if any(file.suffix.lower() in HEIC for file in files):
        return f"HEIC pictures cannot be read; {HEIC_REMEDY}; they have no cameras either: then {TO_PHOTOS}"
    return (
        "no format was found: transforms_train.json (Blender), transforms.json, a COLMAP model (sparse/0), "
        "poses_bounds.npy (LLFF) or a single .npz; is the path right?"
    )


def read_entry(folder: Path) -> dict[str, Any]:
    """What the download stage wrote about the data in `folder`."""
    file = folder / ENTRY_FILE
    try:
        with open_regular(file) as stream:
            entry = {**NEWER, **json.loads(stream.read())}
        missing = KEYS - set(entry)
        if missing:
            raise ValueError(f"misses {missing}")
        return entry
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; run `dvc repro download` first") from None
    except (ValueError, TypeError):
        raise NerfpipeError(f"{file}: damaged; run `dvc repro --force download`") from None
