"""A folder with a COLMAP model (in sparse/0, sparse or beside) and its pictures (in images)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerfpipe.errors import NerfpipeError
from nerfpipe.scenes.colmapfile import find_model, model_notes, read_model
from nerfpipe.scenes.frames import Frame, Reading, every_nth, present, scene_of
from nerfpipe.scenes.places import IMAGES, Places
from nerfpipe.scenes.scene import Scene


def is_here(folder: Path) -> bool:
    return find_model(folder) is not None


def load(folder: Path, reading: Reading) -> Scene:
    """Raises NerfpipeError naming the file at fault."""
    place = find_model(folder) or folder / "sparse" / "0"
    model = read_model(place)
    places = Places(folder, reading.images, reading.masks, within=IMAGES)
    frames = []
    for image in model.images:
        try:
            picture, mask = places.picture(image.name), places.mask(image.name)
        except NerfpipeError as error:
            raise NerfpipeError(f"{place}: {error}") from None
        frames.append(Frame(picture, model.cameras[image.camera], image.pose, mask))
    frames, _, notes = present(frames, reading, place)
    notes = [*model_notes(folder), *notes]
    splits = every_nth(len(frames), reading.test_every)
    points = model.points[np.isfinite(model.points).all(axis=1)]
    return scene_of(
        frames, splits, reading, place, default="unbounded", points=points if len(points) else None, notes=notes
    )
