"""The LLFF format: poses_bounds.npy and the images in images, or reduced in images_4, images_8, …

The array has one row per image, in the order of their names: a 3 x 5 matrix with the columns down, right, back (the
camera's axes), position and (height, width, focal length), then the nearest and farthest depth. The first image and
every 8th after it are held out, as is the custom.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.similarity import FARTHEST
from nerfpipe.geometry.space import Kind
from nerfpipe.images.image_file import read_header
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular
from nerfpipe.scenes import normalise
from nerfpipe.scenes.file_finder import FileFinder
from nerfpipe.scenes.frames import ASPECT, Frame, ReadOptions, build_scene, every_nth
from nerfpipe.scenes.image_files import by_number, picture_files
from nerfpipe.scenes.scene import Scene

FILE = "poses_bounds.npy"
COLUMNS = 17
HEIGHT, WIDTH, FOCAL, NEAR, FAR = 4, 9, 14, 15, 16  # columns of a row


def is_here(folder: Path) -> bool:
    """Whether the folder holds a scene of this format."""
    return (folder / FILE).is_file()


def load(folder: Path, options: ReadOptions) -> Scene:
    """The scene in a folder. Raises NerfpipeError that names the file at fault."""
    rows = read_rows(folder / FILE)
    if options.images is None:
        options = with_images(options, folder)
    pictures = picture_files(folder / str(options.images), options.order)
    if len(pictures) != len(rows):
        raise NerfpipeError(
            f"{folder / FILE}: has {len(rows)} rows and {pictures[0].parent} {len(pictures)} pictures; "
            "there must be a row for each picture, in the order of their names"
        )
    finder = FileFinder(folder, None, options.masks)
    width, height = read_header(pictures[0])[:2]
    frames = [
        Frame(
            picture,
            fitted(camera_of(row), width, height),
            pose_of(row),
            finder.mask(picture.name),
            near=float(row[NEAR]),
        )
        for picture, row in zip(pictures, rows, strict=True)
    ]
    poses = np.stack([frame.pose for frame in frames])
    default: Kind = "forward" if normalise.faces_forward(poses) else "unbounded"
    splits = every_nth(len(frames), options.test_every)
    notes = order_notes(pictures, options.order)
    return build_scene(frames, splits, options, folder / FILE, default=default, notes=notes)


def order_notes(pictures: list[Path], order: str) -> list[str]:
    """A note if the order by names differs from that by numbers: rows have no names, so either may be meant."""
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
    """The rows [N, 17], float64. Raises NerfpipeError if the file is damaged or a value is impossible."""
    try:
        with open_regular(file) as stream:
            rows = np.load(stream, allow_pickle=False)
    except NerfpipeError:
        raise
    except Exception as error:  # a damaged header raises almost anything
        reason = " ".join(str(error).split())[:80]
        raise NerfpipeError(f"{file}: not a whole .npy array of numbers ({reason}); get the file again") from None
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != COLUMNS or rows.dtype.kind not in "fiu":
        shape = list(rows.shape) if isinstance(rows, np.ndarray) else "an archive"
        raise NerfpipeError(f"{file}: must be [N, {COLUMNS}] numbers, a row for each picture (got {shape})")
    rows = rows.astype(np.float64)
    for index, row in enumerate(rows):
        if not np.isfinite(row).all():
            raise NerfpipeError(f"{file}: row {index} holds NaN or infinity")
        if np.abs(row).max() > FARTHEST:
            raise NerfpipeError(f"{file}: row {index} holds {np.abs(row).max():g}, more than {FARTHEST:g}")
        height, width, focal, near, far = row[[HEIGHT, WIDTH, FOCAL, NEAR, FAR]]
        if min(height, width) < 1 or focal <= 0 or not 0 < near < far:
            raise NerfpipeError(
                f"{file}: row {index}: height and width must be pixels, focal length above 0, 0 < near < far depth "
                f"(got {height:g}, {width:g}, {focal:g}, {near:g}, {far:g})"
            )
    return rows


def camera_of(row: np.ndarray) -> Camera:
    """The camera of a row [17]."""
    return Camera.centred(round(row[WIDTH]), round(row[HEIGHT]), float(row[FOCAL]))


def pose_of(row: np.ndarray) -> np.ndarray:
    """The pose [3, 4] of a row [17], with OpenGL's axes: right, up, back."""
    matrix = row[:15].reshape(3, 5)
    down, right, back, position = matrix[:, 0], matrix[:, 1], matrix[:, 2], matrix[:, 3]
    return np.stack([right, -down, back, position], axis=1)


def fitted(camera: Camera, width: int, height: int) -> Camera:
    """The camera in the size of the images, since rows give that of the unreduced ones.

    Unchanged if the proportions differ, which `build_scene` reports.
    """
    alike = abs(width / camera.width * camera.height / height - 1) < ASPECT
    return camera.resized(width, height) if alike else camera


def with_images(options: ReadOptions, folder: Path) -> ReadOptions:
    """The options with the folder of images to read, and the factor by which its images are still to be reduced.

    The folder is images_4, say, for `factor: 4`; else `images`; else that of the least reduction. Raises NerfpipeError
    if the factor is no multiple of that reduction.
    """
    names = [path.name for path in folder.glob("images_*") if re.fullmatch(r"images_[1-9]\d*", path.name)]
    reductions = sorted(int(name.removeprefix("images_")) for name in names)
    least = reductions[0] if reductions and not (folder / "images").is_dir() else 1
    reduction = options.factor if options.factor in reductions else least
    if options.factor > 1 and options.factor % reduction:
        raise NerfpipeError(
            f"{folder}: pictures made {reduction} times smaller are the largest here; `factor: {options.factor}` does "
            f"not follow from them; give a multiple of {reduction}, or leave it out"
        )
    rest = max(1, options.factor // reduction)
    return replace(options, images="images" if reduction == 1 else f"images_{reduction}", factor=rest)
