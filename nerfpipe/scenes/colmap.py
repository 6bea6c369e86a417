"""A folder with a COLMAP model (in sparse/0, sparse or beside) and its pictures (in images)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from nerfpipe.errors import NerfpipeError
from nerfpipe.scenes.colmapfile import find_model, read_model
from nerfpipe.scenes.frames import Frame, Reading, every_nth, present, scene_of
from nerfpipe.scenes.places import Places
from nerfpipe.scenes.scene import Scene

IMAGES = "images"
DRIVE = re.compile("[A-Za-z]:")


def is_here(folder: Path) -> bool:
    return find_model(folder) is not None


def load(folder: Path, reading: Reading) -> Scene:
    """Raises NerfpipeError naming the file at fault."""
    place = find_model(folder) or folder / "sparse" / "0"
    model = read_model(place)
    pictures, places = folder / (reading.images or IMAGES), Places(folder, None, reading.masks)
    frames = []
    for image in model.images:
        name = within(image.name, place)
        frames.append(Frame(pictures / name, model.cameras[image.camera], image.pose, places.mask(name)))
    frames, _, notes = present(frames, reading, place)
    splits = every_nth(len(frames), reading.test_every)
    points = model.points[np.isfinite(model.points).all(axis=1)]
    return scene_of(
        frames, splits, reading, place, default="unbounded", points=points if len(points) else None, notes=notes
    )


def within(name: str, place: Path) -> str:
    """The picture's name, if it leads nowhere but into the folder of pictures."""
    name = name.replace("\\", "/")
    if Path(name).is_absolute() or ".." in Path(name).parts or DRIVE.match(name):
        raise NerfpipeError(f"{place}: the picture {name!r:.60} leads out of the scene's folder; rename it there")
    return name
