"""The LLFF format: poses_bounds.npy and the pictures in images, or smaller in images_4, images_8, … .

A row for each picture, in the order of their names: a 3 x 5 matrix - rotation with axes down, right and back, position,
(height, width, focal length) - and the nearest and farthest depth. The first picture and every 8th after it are held
out, as is the custom.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.similarity import FARTHEST
from nerfpipe.images.image_file import read_header
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular
from nerfpipe.scenes import normalise
from nerfpipe.scenes.file_finder import Places
from nerfpipe.scenes.frames import ASPECT, Frame, Reading, every_nth, scene_of
from nerfpipe.scenes.image_files import by_number, picture_files
from nerfpipe.scenes.scene import Scene

FILE = "poses_bounds.npy"
NUMBERS = 17  # in a row


def is_here(folder: Path) -> bool:
    return (folder / FILE).is_file()


def load(folder: Path, reading: Reading) -> Scene:
    """Raises NerfpipeError naming the file at fault."""
    rows = read_rows(folder / FILE)
    if reading.images is None:
        reading = with_images(reading, folder)
    pictures = picture_files(folder / str(reading.images), reading.order)
    if len(pictures) != len(rows):
        raise NerfpipeError(
            f"{folder / FILE}: has {len(rows)} rows and {pictures[0].parent} {len(pictures)} pictures; "
            "there must be a row for each picture, in the order of their names"
        )
    places = Places(folder, None, reading.masks)
    width, height = read_header(pictures[0])[:2]
    frames = [
        Frame(
            picture,
            made_smaller(camera_of(row), width, height),
            pose_of(row),
            places.mask(picture.name),
            near=float(row[15]),
        )
        for picture, row in zip(pictures, rows, strict=True)
    ]
    poses = np.stack([frame.pose for frame in frames])
    default = "forward" if normalise.faces_forward(poses) else "unbounded"
    splits = every_nth(len(frames), reading.test_every)
    return scene_of(frames, splits, reading, folder / FILE, default=default, notes=order_notes(pictures, reading.order))


def order_notes(pictures: list[Path], order: str) -> list[str]:
    """Rows have no names: which picture is whose, where order by name and by number differ."""
    if order != "name":
        return []
    numbered = sorted(pictures, key=by_number)
    differ = next((n for n, (a, b) in enumerate(zip(pictures, numbered, strict=True)) if a != b), None)
    if differ is None:
        return []
    return [
        f"row {differ} is taken to be of {pictures[differ].name}, in the order of names, as is the custom; if it is of "
        f"{numbered[differ].name}, in the order of numbers, give `order: number` in the scene's entry"
    ]


def read_rows(file: Path) -> np.ndarray:
    """[N, 17] float64."""
    try:
        with open_regular(file) as stream:
            rows = np.load(stream, allow_pickle=False)
    except NerfpipeError:
        raise
    except Exception as error:  # a damaged header raises almost anything
        reason = " ".join(str(error).split())[:80]
        raise NerfpipeError(f"{file}: not a whole .npy array of numbers ({reason}); get the file again") from None
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != NUMBERS or rows.dtype.kind not in "fiu":
        shape = list(rows.shape) if isinstance(rows, np.ndarray) else "an archive"
        raise NerfpipeError(f"{file}: must be [N, {NUMBERS}] numbers, a row for each picture (got {shape})")
    rows = rows.astype(np.float64)
    for number, row in enumerate(rows):
        if not np.isfinite(row).all():
            raise NerfpipeError(f"{file}: row {number} holds NaN or infinity")
        if np.abs(row).max() > FARTHEST:
            raise NerfpipeError(f"{file}: row {number} holds {np.abs(row).max():g}, more than {FARTHEST:g}")
        if min(row[4], row[9]) < 1 or row[14] <= 0 or not 0 < row[15] < row[16]:
            raise NerfpipeError(
                f"{file}: row {number}: height and width must be pixels, focal length above 0, 0 < near < far depth "
                f"(got {row[4]:g}, {row[9]:g}, {row[14]:g}, {row[15]:g}, {row[16]:g})"
            )
    return rows


def camera_of(row: np.ndarray) -> Camera:
    height, width, focal = row[4], row[9], row[14]
    return Camera.centred(round(width), round(height), float(focal))


def pose_of(row: np.ndarray) -> np.ndarray:
    """[3, 4] with OpenGL's axes: right, up, back."""
    matrix = row[:15].reshape(3, 5)
    down, right, back, position = matrix[:, 0], matrix[:, 1], matrix[:, 2], matrix[:, 3]
    return np.stack([right, -down, back, position], axis=1)


def made_smaller(camera: Camera, width: int, height: int) -> Camera:
    """Rows tell of the largest pictures; where proportions differ, whoever compares sizes will say so."""
    alike = abs(width / camera.width * camera.height / height - 1) < ASPECT
    return camera.resized(width, height) if alike else camera


def with_images(reading: Reading, folder: Path) -> Reading:
    """Which folder of pictures to read, and how much smaller its pictures are still to be made.

    images_4, say, for `factor: 4`; else `images`; else the largest of images_2, images_4, ….
    """
    names = [each.name for each in folder.glob("images_*") if re.fullmatch(r"images_[1-9]\d*", each.name)]
    smaller = sorted(int(name.removeprefix("images_")) for name in names)
    largest = smaller[0] if smaller and not (folder / "images").is_dir() else 1
    made = reading.factor if reading.factor in smaller else largest
    if reading.factor > 1 and reading.factor % made:
        raise NerfpipeError(
            f"{folder}: pictures made {made} times smaller are the largest here; `factor: {reading.factor}` does not "
            f"follow from them; give a multiple of {made}, or leave it out"
        )
    rest = max(1, reading.factor // made)
    return replace(reading, images="images" if made == 1 else f"images_{made}", factor=rest)
