"""A folder with a COLMAP model (in sparse/0, sparse or beside) and its pictures (in images)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerfpipe.geometry.similarity import FARTHEST
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.file_finder import IMAGES, Places
from nerfpipe.scenes.formats.colmap_file import find_models, has_model, model_notes, read_model
from nerfpipe.scenes.frames import Frame, Reading, every_nth, present, scene_of
from nerfpipe.scenes.scene import Scene


def is_here(folder: Path) -> bool:
    return has_model(folder)


def load(folder: Path, reading: Reading) -> Scene:
    """Raises NerfpipeError naming the file at fault."""
    models = find_models(folder)
    place = models[0].place if models else folder / "sparse" / "0"
    model = read_model(place)
    places = Places(folder, reading.images, reading.masks, within=IMAGES, missing=reading.missing)
    try:
        pictures = places.pictures([image.name for image in model.images])
        masks = [places.mask(image.name) for image in model.images]
    except NerfpipeError as error:
        raise NerfpipeError(f"{place}: {error}") from None
    frames = [
        Frame(picture, model.cameras[image.camera], image.pose, mask)
        for image, picture, mask in zip(model.images, pictures, masks, strict=True)
    ]
    frames, _, notes = present(frames, reading, place)
    notes = [*model_notes(folder, models), *notes]
    splits = every_nth(len(frames), reading.test_every)
    points = model.points[(np.abs(model.points) <= FARTHEST).all(axis=1)]  # NaN is not either
    return scene_of(
        frames, splits, reading, place, default="unbounded", points=points if len(points) else None, notes=notes
    )
