"""Reads what the download stage left, whatever its format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nerfpipe.errors import NerfpipeError
from nerfpipe.scenes import procedural, tiny_nerf
from nerfpipe.scenes.scene import ENTRY_FILE, Scene


def load_scene(folder: Path) -> Scene:
    """The scene that the download stage left in `folder`, whatever its format.

    Raises NerfpipeError naming the file at fault.
    """
    entry = read_entry(folder)
    name, background = entry["name"], entry["background"]
    match entry["format"]:
        case "procedural":
            return procedural.load(folder, name, background)
        case "tiny_nerf":
            bounds = None if entry["bounds"] is None else np.array(entry["bounds"], dtype=np.float32)  # [2, 3]
            return tiny_nerf.load(folder / entry["file"], name, background, bounds, entry["train_views"])
    raise NerfpipeError(f"{folder / ENTRY_FILE}: unknown format {entry['format']!r}; run the download stage again")


def read_entry(folder: Path) -> dict:
    """What the download stage wrote about the data in `folder`."""
    file = folder / ENTRY_FILE
    try:
        entry = json.loads(file.read_text(encoding="utf-8"))
        missing = {"name", "format", "background", "bounds", "train_views", "file"} - set(entry)
        if missing:
            raise ValueError(f"misses {missing}")
        return entry
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; run `dvc repro download` first") from None
    except (ValueError, TypeError):
        raise NerfpipeError(f"{file}: damaged; run `dvc repro --force download`") from None
