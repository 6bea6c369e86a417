"""Binary files of COLMAP reconstructions: cameras.bin, images.bin, points3D.bin (colmap.github.io/format.html).

All readers raise struct.error or ValueError if a file is damaged.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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

LONGEST_NAME = 4096  # bytes of an image's name
SMALLEST_IMAGE = 74  # bytes of an image: number, pose, camera, a name of one letter, no features
FEATURE = 24  # bytes of a feature: x, y, number of its point
OBSERVATION = 8  # bytes of an observation of a point: numbers of image and feature


class _Reader:
    """Reads values from a binary file in order."""

    def __init__(self, file: Path) -> None:
        with open_regular(file) as stream:
            self.content, self.position = stream.read(), 0

    def take(self, form: str) -> tuple[Any, ...]:
        """The next values, by the format characters of `struct`, little-endian."""
        values = struct.unpack_from("<" + form, self.content, self.position)
        self.skip(struct.calcsize("<" + form))
        return values

    def skip(self, count: int) -> None:
        self.position += count
        if self.position > len(self.content):
            raise ValueError("ends too early")

    def observing(self, count: int) -> tuple[int, ...]:
        """The numbers of the images of the next `count` observations."""
        start = self.position
        self.skip(OBSERVATION * count)
        return tuple(np.frombuffer(self.content, "<i4", 2 * count, start)[::2].tolist())

    def name(self) -> str:
        """The next bytes up to a zero, as a file name."""
        end = self.content.index(b"\0", self.position, self.position + LONGEST_NAME)
        name = os.fsdecode(self.content[self.position : end])
        self.position = end + 1
        return name


def read_cameras(file: Path) -> Iterator[tuple[int, Camera]]:
    """Cameras with their numbers. Raises NerfpipeError if a camera model is not supported."""
    reader = _Reader(file)
    for _ in range(reader.take("Q")[0]):
        number, model, width, height = reader.take("iiQQ")
        if model < 0:
            raise ValueError(f"camera model {model}")
        if model >= len(CAMERA_MODELS):  # a newer model, whose count of parameters is unknown
            raise unsupported(model)
        name, count = CAMERA_MODELS[model]
        yield number, camera_of(name, width, height, list(reader.take(f"{count}d")))


def read_images(file: Path) -> Iterator[RegisteredImage]:
    """Images with their poses."""
    reader = _Reader(file)
    for _ in range(reader.take("Q")[0]):
        number, *pose, camera = reader.take("i7di")
        name = reader.name()
        reader.skip(FEATURE * reader.take("Q")[0])
        yield RegisteredImage(number, name, camera, pose_of(np.array(pose[:4]), np.array(pose[4:])))


def read_points(file: Path) -> Iterator[TrackedPoint]:
    """Points with their tracks."""
    reader = _Reader(file)
    for _ in range(reader.take("Q")[0]):
        _, x, y, z, _, _, _, _ = reader.take("Q3d3Bd")
        yield TrackedPoint((x, y, z), reader.observing(reader.take("Q")[0]))


def count_images(file: Path) -> int:
    """The count in the head of an images.bin, at most the count that its size allows."""
    with open_regular(file) as stream:
        (count,) = struct.unpack("<Q", stream.read(8))
        return min(count, file.stat().st_size // SMALLEST_IMAGE)
