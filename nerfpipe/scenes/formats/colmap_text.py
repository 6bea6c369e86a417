"""Text files of COLMAP reconstructions: cameras.txt, images.txt, points3D.txt (colmap.github.io/format.html).

All readers raise ValueError or IndexError if a file is damaged.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nerfpipe.geometry.cameras import Camera
from nerfpipe.runtime.files import open_regular
from nerfpipe.scenes.formats.colmap_camera import (
    CAMERA_MODELS,
    RegisteredImage,
    TrackedPoint,
    camera_of,
    pose_of,
    unsupported,
)

TRACK = 8  # words in a point's line before its track: number, position, colour, error
WORDS = 9  # in an image's line before its name: number, quaternion, translation, camera


def read_cameras(file: Path) -> Iterator[tuple[int, Camera]]:
    """Cameras with their numbers. Raises NerfpipeError if a camera model is not supported."""
    counts = dict(CAMERA_MODELS)
    for words in map(str.split, filter(None, _lines(file))):
        model = words[1]
        if model not in counts:
            raise unsupported(model)
        parameters = [float(word) for word in words[4:]]
        if len(parameters) != counts[model]:
            raise ValueError(f"camera model {model} with {len(parameters)} parameters")
        yield int(words[0]), camera_of(model, int(words[2]), int(words[3]), parameters)


def read_images(file: Path) -> Iterator[RegisteredImage]:
    """Images with their poses."""
    for line in _image_lines(file):
        *words, name = line.split(maxsplit=WORDS)
        pose = np.array([float(word) for word in words[1:8]])
        yield RegisteredImage(int(words[0]), name, int(words[8]), pose_of(pose[:4], pose[4:]))


def read_points(file: Path) -> Iterator[TrackedPoint]:
    """Points with their tracks."""
    for words in map(str.split, filter(None, _lines(file))):
        x, y, z = (float(word) for word in words[1:4])
        yield TrackedPoint((x, y, z), tuple(int(word) for word in words[TRACK::2]))


def count_images(file: Path) -> int:
    """The number of images in an images.txt."""
    return sum(1 for _ in _image_lines(file))


def _lines(file: Path) -> list[str]:
    """The lines without comments. Empty lines stay, since an image may have no features."""
    with open_regular(file) as stream:
        content = stream.read()
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell writes
    # A file name may be of any bytes.
    text = content.decode("utf-16") if is_utf16 else content.decode("utf-8-sig", "surrogateescape")
    lines = re.split(r"\r\n|\r|\n", text)
    return [line.strip() for line in lines if not line.lstrip().startswith("#")]


def _image_lines(file: Path) -> Iterator[str]:
    """The lines of images. A line of features follows each, but some tools leave it out if it is empty."""
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


def _is_image(line: str) -> bool:
    """Whether a line has an image's number, pose, camera number and name."""
    words = line.split(maxsplit=WORDS)
    return len(words) > WORDS and _are_floats(words[:WORDS]) and all(_is_integer(words[n]) for n in (0, WORDS - 1))


def _are_features(line: str) -> bool:
    """Whether a line consists of features: x, y and a point's number. Checks the ends alone: there are thousands."""
    words = line.split()
    if len(words) % 3:
        return False
    return not words or (_are_floats(words[:3]) and _is_integer(words[2]) and _is_integer(words[-1]))


def _are_floats(words: list[str]) -> bool:
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return False


def _is_integer(word: str) -> bool:
    return word.lstrip("+-").isdecimal()
