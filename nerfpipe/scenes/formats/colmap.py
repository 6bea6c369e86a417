"""The COLMAP format: a reconstruction (in sparse/0, sparse or the folder itself) and its images (in images)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerfpipe.geometry.similarity import FARTHEST
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.file_finder import FileFinder
from nerfpipe.scenes.formats.colmap_model import (
    choice_notes,
    find_reconstructions,
    has_reconstruction,
    read_reconstruction,
)
from nerfpipe.scenes.frames import Frame, ReadOptions, build_scene, every_nth, existing_frames
from nerfpipe.scenes.scene import Scene
from nerfpipe.scenes.sightings import kept_sightings

IMAGES = "images"  # the usual folder of the images
USUAL = Path("sparse/0")  # the usual folder of the reconstruction


def is_here(folder: Path) -> bool:
    """Whether the folder holds a scene of this format."""
    return has_reconstruction(folder)


def load(folder: Path, options: ReadOptions) -> Scene:
    """The scene in a folder. Raises NerfpipeError that names the file at fault."""
    found = find_reconstructions(folder)
    source = found[0].path if found else folder / USUAL
    reconstruction = read_reconstruction(source)
    finder = FileFinder(folder, options.images, options.masks, within=IMAGES, missing=options.missing)
    try:
        pictures = finder.pictures([image.name for image in reconstruction.images])
        masks = [finder.mask(image.name) for image in reconstruction.images]
    except NerfpipeError as error:
        raise NerfpipeError(f"{source}: {error}") from None
    frames = [
        Frame(picture, reconstruction.cameras[image.camera], image.pose, mask)
        for image, picture, mask in zip(reconstruction.images, pictures, masks, strict=True)
    ]
    frames, kept, missing_notes = existing_frames(frames, options, source)
    points = reconstruction.points
    near = (np.abs(points) <= FARTHEST).all(axis=1)  # False for NaN
    sightings = kept_sightings(reconstruction.sightings, kept, np.flatnonzero(near))
    points = points[near]
    return build_scene(
        frames,
        every_nth(len(frames), options.test_every),
        options,
        source,
        default="unbounded",
        points=points if len(points) else None,
        sightings=sightings if len(sightings) else None,
        notes=[*choice_notes(folder, found), *missing_notes],
    )
