"""COLMAP models, binary or text: cameras, images and points3D (colmap.github.io/format.html).

Poses are turned into camera-to-world with OpenGL's axes; the world's axes stay COLMAP's.
"""

from __future__ import annotations

import codecs
import os
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nerfpipe.geometry.cameras import TO_OPENCV, Camera
from nerfpipe.geometry.plausible import LONGEST_SIDE, finite, shown
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular

# Camera models by number: name, how many parameters.
MODELS = (
    ("SIMPLE_PINHOLE", 3), ("PINHOLE", 4), ("SIMPLE_RADIAL", 4), ("RADIAL", 5), ("OPENCV", 8), ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12), ("FOV", 5), ("SIMPLE_RADIAL_FISHEYE", 4), ("RADIAL_FISHEYE", 5), ("THIN_PRISM_FISHEYE", 12),
)  # fmt: skip
ONE_FOCAL = {"SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE"}
UNKNOWN = {"THIN_PRISM_FISHEYE"}
SHORTEST = 1e-6  # of a quaternion
FILES = ("cameras", "images", "points3D")
SUFFIXES = (".bin", ".txt")
SMALLEST_IMAGE = 74  # bytes of a picture in a binary file: number, pose, camera, a name of one letter, no features
WORDS = 9  # in a picture's line of text, before its name
LONGEST_NAME = 4096  # bytes of a picture's name
REMEDY = "export the model again (colmap model_converter), or leave the folder out"


@dataclass(frozen=True)
class Image:
    """A registered picture."""

    name: str
    camera: int
    pose: np.ndarray  # [3, 4], camera-to-world, OpenGL's axes


@dataclass(frozen=True)
class Model:
    """What a model's files hold."""

    cameras: dict[int, Camera]
    images: list[Image]  # by name
    points: np.ndarray  # [P, 3]


@dataclass(frozen=True)
class Found:
    """A complete model, and how many pictures it has where there are others."""

    place: Path
    pictures: int


def find_models(folder: Path) -> list[Found]:
    """The complete models (cameras and images, of one kind) in the usual places.

    The one with most pictures comes first; of equals the one that is found first.
    """
    complete = _complete_places(folder)
    if len(complete) == 1:  # the pictures of a large model take a while to count
        return [Found(complete[0], 0)]
    return sorted((Found(place, registered(place)) for place in complete), key=lambda found: -found.pictures)


def has_model(folder: Path) -> bool:
    return bool(_complete_places(folder))


def _complete_places(folder: Path) -> list[Path]:
    places = [folder, *(below for root in (folder, folder / "colmap") for below in _below(root / "sparse"))]
    return [place for place in places if kind_of(place)]


def _below(sparse: Path) -> list[Path]:
    return [sparse, *sorted(sparse.glob("*/"), key=lambda place: (len(place.name), place.name))]  # 9 before 10


def model_notes(folder: Path, models: list[Found]) -> list[str]:
    """Which model is read, and why, where there are several."""
    notes = []
    if len(models) > 1:
        first, *others = models
        rest = ", ".join(f"{_shown(folder, other.place)} ({other.pictures})" for other in others)
        chosen = f"{_shown(folder, first.place)} is read, with {first.pictures} pictures the largest"
        notes.append(f"{len(models)} COLMAP models: {chosen}; not {rest}")
    if models and all(_complete(models[0].place, suffix) for suffix in SUFFIXES):
        notes.append(f"{_shown(folder, models[0].place)} holds a model as .bin and as .txt: .bin is read")
    return notes


def _shown(folder: Path, place: Path) -> str:
    return place.relative_to(folder).as_posix()


def registered(place: Path) -> int:
    """How many pictures a complete model has, by the head of its file; 0 where that cannot be told."""
    file = place / f"images{kind_of(place)}"
    try:
        if file.suffix == ".bin":
            with open_regular(file) as stream:
                return min(struct.unpack("<Q", stream.read(8))[0], file.stat().st_size // SMALLEST_IMAGE)
        return sum(1 for _ in _image_lines(file))
    except (struct.error, ValueError, OSError, NerfpipeError):
        return 0


def kind_of(folder: Path) -> str | None:
    """ ".bin" or ".txt" where cameras and images are both there; else None."""
    for suffix in SUFFIXES:
        if _complete(folder, suffix):
            return suffix
    return None


def _complete(folder: Path, suffix: str) -> bool:
    return all((folder / f"{name}{suffix}").is_file() for name in FILES[:2])


def read_model(folder: Path) -> Model:
    """The model in a folder. Raises NerfpipeError naming the file at fault."""
    suffix = kind_of(folder)
    if suffix is None:
        raise NerfpipeError(f"{folder}: {incomplete(folder)}; {REMEDY}")
    readers = BINARY if suffix == ".bin" else TEXT
    cameras = dict(_guarded(folder / f"cameras{suffix}", readers["cameras"]))
    images = sorted(_guarded(folder / f"images{suffix}", readers["images"]), key=lambda image: image.name)
    points_file = folder / f"points3D{suffix}"
    points = _guarded(points_file, readers["points3D"]) if points_file.is_file() else []
    if not images:
        raise NerfpipeError(f"{folder / f'images{suffix}'}: no picture is registered; {REMEDY}")
    for image in images:
        if image.camera not in cameras:
            raise NerfpipeError(
                f"{folder / f'images{suffix}'}: {image.name} has camera {image.camera}, which is not there"
            )
    return Model(cameras, images, np.array(points, dtype=np.float64).reshape(-1, 3))


def incomplete(folder: Path) -> str:
    """What the model in a folder has and what it misses, in the suffix that most of it has."""
    names = [f"{name}{suffix}" for name in FILES for suffix in SUFFIXES]
    there = [name for name in names if (folder / name).is_file()]
    suffix, other = SUFFIXES if sum(name.endswith(SUFFIXES[1]) for name in there) * 2 <= len(there) else SUFFIXES[::-1]
    wanted = " and ".join(name for name in (f"cameras{suffix}", f"images{suffix}") if name not in there)
    return f"an incomplete COLMAP model: it has {', '.join(there) or 'nothing'}, and no {wanted} (or {other})"


def _guarded(file: Path, read: Callable[[Path], Iterator]) -> list:
    try:
        return list(read(file))
    except NerfpipeError as error:
        raise NerfpipeError(f"{file}: {error}") from None
    except (struct.error, ValueError, IndexError, UnicodeDecodeError, OverflowError) as error:
        raise NerfpipeError(f"{file}: damaged or cut short ({error}); {REMEDY}") from None


def _unknown(model: str | int) -> NerfpipeError:
    return NerfpipeError(f"camera model {model} is not known here; undistort the pictures (colmap image_undistorter)")


def camera_of(model: str, width: int, height: int, numbers: list[float]) -> Camera:
    """A lens by the name of its model and its parameters in COLMAP's order."""
    if model in UNKNOWN:
        raise _unknown(model)
    one = model in ONE_FOCAL
    sides = min(width, height) >= 1 and max(width, height) <= LONGEST_SIDE
    if not sides or not finite(numbers) or min(numbers[: 1 if one else 2]) <= 0:
        raise ValueError(f"a camera of {shown(width)}x{shown(height)} with {', '.join(map(shown, numbers))}")
    (fx, fy), (cx, cy, *k) = (numbers[:1] * 2, numbers[1:]) if one else (numbers[:2], numbers[2:])
    lens = "fisheye" if model.endswith("FISHEYE") else "fov" if model == "FOV" and any(k) else "perspective"
    return Camera(width, height, fx, fy, cx, cy, lens, tuple(k) if any(k) else ())


def pose_of(quaternion: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """[3, 4] from the world-to-camera rotation (w, x, y, z) and translation of OpenCV's axes."""
    if not finite(quaternion) or not finite(translation) or np.linalg.norm(quaternion) < SHORTEST:
        raise ValueError("a pose that is no rotation and position")
    length = np.linalg.norm(quaternion)
    w, x, y, z = quaternion / length
    to_camera = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    position = -to_camera.T @ translation
    return np.concatenate([to_camera.T * np.array(TO_OPENCV), position[:, None]], axis=1)


class _Bytes:
    """A binary file, read number by number."""

    def __init__(self, file: Path) -> None:
        with open_regular(file) as stream:
            self.content, self.at = stream.read(), 0

    def take(self, form: str) -> tuple:
        values = struct.unpack_from("<" + form, self.content, self.at)
        self.skip(struct.calcsize("<" + form))
        return values

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self.content):
            raise ValueError("ends too early")

    def name(self) -> str:
        end = self.content.index(b"\0", self.at, self.at + LONGEST_NAME)
        name = os.fsdecode(self.content[self.at : end])
        self.at = end + 1
        return name


def _binary_cameras(file: Path) -> Iterator[tuple[int, Camera]]:
    data = _Bytes(file)
    for _ in range(data.take("Q")[0]):
        number, model, width, height = data.take("iiQQ")
        if model < 0:
            raise ValueError(f"camera model {model}")
        if model >= len(MODELS):  # newer than those listed here, and how many numbers it has is not known
            raise _unknown(model)
        name, count = MODELS[model]
        yield number, camera_of(name, width, height, list(data.take(f"{count}d")))


def _binary_images(file: Path) -> Iterator[Image]:
    data = _Bytes(file)
    for _ in range(data.take("Q")[0]):
        _, *pose, camera = data.take("i7di")
        name = data.name()
        data.skip(24 * data.take("Q")[0])  # x, y and the point's number of every feature
        yield Image(name, camera, pose_of(np.array(pose[:4]), np.array(pose[4:])))


def _binary_points(file: Path) -> Iterator[tuple[float, float, float]]:
    data = _Bytes(file)
    for _ in range(data.take("Q")[0]):
        _, x, y, z, _, _, _, _ = data.take("Q3d3Bd")
        data.skip(8 * data.take("Q")[0])  # picture and feature of every sighting
        yield x, y, z


def _lines(file: Path) -> list[str]:
    """The lines without remarks; empty ones count, since a picture may have no features."""
    with open_regular(file) as stream:
        content = stream.read()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell writes
    # A name may be of any bytes, as on the disk.
    text = content.decode("utf-16") if wide else content.decode("utf-8-sig", "surrogateescape")
    lines = re.split(r"\r\n|\r|\n", text)
    return [line.strip() for line in lines if not line.lstrip().startswith("#")]


def _numbers(words: list[str]) -> bool:
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return False


def _is_image(line: str) -> bool:
    """Whether a line is of a picture: its number, its pose, its camera's number, its name."""
    words = line.split(maxsplit=WORDS)
    return len(words) > WORDS and _numbers(words[:WORDS]) and all(_whole(words[n]) for n in (0, WORDS - 1))


def _are_features(line: str) -> bool:
    """Whether a line is of features: x, y and a point's number, over and over. There may be thousands."""
    words = line.split()
    return len(words) % 3 == 0 and (not words or (_numbers(words[:3]) and _whole(words[2]) and _whole(words[-1])))


def _whole(word: str) -> bool:
    return word.lstrip("+-").isdecimal()


def _image_lines(file: Path) -> Iterator[str]:
    """The lines of pictures. Each is followed by one of features, which some tools leave out where it is empty."""
    lines = _lines(file)
    at = 0
    while at < len(lines):
        line, following = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
        if not line:
            at += 1
            continue
        if not _is_image(line):
            raise ValueError(f"a line that is of no picture: {line[:30]!r}")
        if not _are_features(following) and not _is_image(following):
            raise ValueError("a line of features that is none")
        yield line
        at += 2 if _are_features(following) else 1


def _text_cameras(file: Path) -> Iterator[tuple[int, Camera]]:
    counts = dict(MODELS)
    for words in map(str.split, filter(None, _lines(file))):
        if words[1] not in counts:
            raise _unknown(words[1])
        numbers = [float(word) for word in words[4:]]
        if len(numbers) != counts[words[1]]:
            raise ValueError(f"camera model {words[1]} with {len(numbers)} parameters")
        yield int(words[0]), camera_of(words[1], int(words[2]), int(words[3]), numbers)


def _text_images(file: Path) -> Iterator[Image]:
    for line in _image_lines(file):
        *words, name = line.split(maxsplit=WORDS)
        numbers = np.array([float(word) for word in words[1:8]])
        yield Image(name, int(words[8]), pose_of(numbers[:4], numbers[4:]))


def _text_points(file: Path) -> Iterator[tuple[float, float, float]]:
    for words in map(str.split, filter(None, _lines(file))):
        yield float(words[1]), float(words[2]), float(words[3])


BINARY: dict[str, Callable] = {"cameras": _binary_cameras, "images": _binary_images, "points3D": _binary_points}
TEXT: dict[str, Callable] = {"cameras": _text_cameras, "images": _text_images, "points3D": _text_points}
