"""Finds COLMAP reconstructions in a folder, chooses one, and reads its files."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from nerfpipe.geometry.cameras import Camera
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.formats import colmap_binary, colmap_text
from nerfpipe.scenes.formats.colmap_camera import RegisteredImage, TrackedPoint

FILES = ("cameras", "images", "points3D")
REMEDY = "export the model again (colmap model_converter), or leave the folder out"
T = TypeVar("T")


class Reader(Protocol):
    """The functions of the modules that read binary and text files."""

    def read_cameras(self, file: Path) -> Iterator[tuple[int, Camera]]: ...
    def read_images(self, file: Path) -> Iterator[RegisteredImage]: ...
    def read_points(self, file: Path) -> Iterator[TrackedPoint]: ...
    def count_images(self, file: Path) -> int: ...


READERS: dict[str, Reader] = {".bin": colmap_binary, ".txt": colmap_text}
SUFFIXES = tuple(READERS)


@dataclass(frozen=True)
class Reconstruction:
    """The content of a reconstruction's files."""

    cameras: dict[int, Camera]  # by number
    images: list[RegisteredImage]  # in the order of their names
    points: np.ndarray  # [P, 3]
    sightings: np.ndarray  # [K, 2] int64: an image and a point that it shows, by their indices


@dataclass(frozen=True)
class ReconstructionFolder:
    """The folder of a complete reconstruction."""

    path: Path
    image_count: int  # 0 if there is no other folder to compare with


def find_reconstructions(folder: Path) -> list[ReconstructionFolder]:
    """The folders with complete reconstructions (cameras and images of one suffix), in COLMAP's usual layouts.

    The folder with most images comes first; of equal ones the one that is found first.
    """
    complete = _complete_folders(folder)
    if len(complete) == 1:  # counting the images of a large reconstruction is slow
        return [ReconstructionFolder(complete[0], 0)]
    counted = (ReconstructionFolder(path, _count_images(path)) for path in complete)
    return sorted(counted, key=lambda found: -found.image_count)


def has_reconstruction(folder: Path) -> bool:
    """Whether `find_reconstructions` finds any."""
    return bool(_complete_folders(folder))


def choice_notes(folder: Path, found: list[ReconstructionFolder]) -> list[str]:
    """Notes on the choice among several reconstructions, or between binary and text."""
    notes = []
    if len(found) > 1:
        first, *others = found
        rest = ", ".join(f"{_relative(folder, other.path)} ({other.image_count})" for other in others)
        chosen = f"{_relative(folder, first.path)} is read, with {first.image_count} pictures the largest"
        notes.append(f"{len(found)} COLMAP models: {chosen}; not {rest}")
    if found and all(_is_complete(found[0].path, suffix) for suffix in SUFFIXES):
        notes.append(f"{_relative(folder, found[0].path)} holds a model as .bin and as .txt: .bin is read")
    return notes


def read_reconstruction(folder: Path) -> Reconstruction:
    """The reconstruction in a folder. Raises NerfpipeError that names the file at fault."""
    suffix = _suffix_in(folder)
    if suffix is None:
        raise NerfpipeError(f"{folder}: {describe_incomplete(folder)}; {REMEDY}")
    reader = READERS[suffix]
    cameras_file, images_file, points_file = (folder / f"{name}{suffix}" for name in FILES)
    cameras = dict(_read(cameras_file, reader.read_cameras))
    images = sorted(_read(images_file, reader.read_images), key=lambda image: image.name)
    tracked = _read(points_file, reader.read_points) if points_file.is_file() else []
    if not images:
        raise NerfpipeError(f"{images_file}: no picture is registered; {REMEDY}")
    for image in images:
        if image.camera not in cameras:
            raise NerfpipeError(f"{images_file}: {image.name} has camera {image.camera}, which is not there")
    points = np.array([point.position for point in tracked], dtype=np.float64).reshape(-1, 3)
    return Reconstruction(cameras, images, points, _sightings(images, tracked))


def _sightings(images: list[RegisteredImage], points: list[TrackedPoint]) -> np.ndarray:
    """[K, 2]: the index of an image and that of a point it shows. Images that are not registered are left out."""
    index = {image.number: i for i, image in enumerate(images)}
    found = [(index[n], p) for p, point in enumerate(points) for n in dict.fromkeys(point.images) if n in index]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def describe_incomplete(folder: Path) -> str:
    """The files that an incomplete reconstruction has and those it lacks, of the suffix that most files have."""
    names = [f"{name}{suffix}" for name in FILES for suffix in SUFFIXES]
    present = [name for name in names if (folder / name).is_file()]
    text_files = sum(name.endswith(".txt") for name in present)
    suffix, other = SUFFIXES if text_files * 2 <= len(present) else SUFFIXES[::-1]
    missing = " and ".join(name for name in (f"cameras{suffix}", f"images{suffix}") if name not in present)
    return f"an incomplete COLMAP model: it has {', '.join(present) or 'nothing'}, and no {missing} (or {other})"


def _complete_folders(folder: Path) -> list[Path]:
    paths = [folder, *(path for root in (folder, folder / "colmap") for path in _sparse_folders(root / "sparse"))]
    return [path for path in paths if _suffix_in(path)]


def _sparse_folders(sparse: Path) -> list[Path]:
    return [sparse, *sorted(sparse.glob("*/"), key=lambda path: (len(path.name), path.name))]  # 9 before 10


def _relative(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _count_images(folder: Path) -> int:
    """The number of images of a complete reconstruction; 0 if its file is damaged."""
    file = folder / f"images{_suffix_in(folder)}"
    try:
        return READERS[file.suffix].count_images(file)
    except (struct.error, ValueError, OSError, NerfpipeError):
        return 0


def _suffix_in(folder: Path) -> str | None:
    """The suffix, .bin or .txt, of both cameras and images; None if there is none."""
    return next((suffix for suffix in SUFFIXES if _is_complete(folder, suffix)), None)


def _is_complete(folder: Path, suffix: str) -> bool:
    return all((folder / f"{name}{suffix}").is_file() for name in FILES[:2])


def _read(file: Path, read: Callable[[Path], Iterator[T]]) -> list[T]:
    """All that `read` yields. Raises NerfpipeError that names the file instead of the errors of a damaged one."""
    try:
        return list(read(file))
    except NerfpipeError as error:
        raise NerfpipeError(f"{file}: {error}") from None
    except (struct.error, ValueError, IndexError, UnicodeDecodeError, OverflowError) as error:
        raise NerfpipeError(f"{file}: damaged or cut short ({error}); {REMEDY}") from None
