"""Checked numbers, texts and poses from a foreign JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.file_names import plain_name
from nerfpipe.runtime.files import open_regular

MAX_CAMERA_NUMBER = 1e30  # beyond any number of a camera


def read_object(file: Path) -> dict[str, Any]:
    """The object that a JSON file holds. Raises NerfpipeError when it is missing, damaged or something else."""
    try:
        with open_regular(file) as stream:
            content = json.loads(stream.read())
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; is the scene's folder complete?") from None
    except (ValueError, RecursionError) as error:
        raise NerfpipeError(f"{file}: not valid JSON ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise NerfpipeError(f"{file}: must hold an object with `frames` (got {type(content).__name__})")
    return content


def read_frame_list(file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The object in the file, and its `frames`. Raises NerfpipeError where they are missing or faulty."""
    content = read_object(file)
    entries = content.get("frames")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise NerfpipeError(f"{file}: frames: must be a list with an object for each picture")
    return content, entries


def number(content: dict[str, Any], key: str, file: Path, default: float | None = None) -> float:
    """A finite number under `key`, or the default where there is none. Raises NerfpipeError naming the key."""
    value = content.get(key, default)
    if value is None:
        raise NerfpipeError(f"{file}: {key}: missing")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < MAX_CAMERA_NUMBER:
        raise NerfpipeError(f"{file}: {key}: must be a finite number (got {value!r:.40})")
    return float(value)


def text(content: Any, key: str, file: Path, where: str) -> str:
    """The file name under `key` of the object at `where` in the file. Raises NerfpipeError naming the key."""
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, str) or not value:
        raise NerfpipeError(f"{file}: {where}: {key}: must name a file (got {value!r:.40})")
    try:
        plain_name(value)
    except NerfpipeError as error:
        raise NerfpipeError(f"{file}: {where}: {key}: {error}") from None
    return value


def pose_of(entry: Any, file: Path, index: int) -> np.ndarray:
    """transform_matrix [3, 4] of the frame with this index. Raises NerfpipeError naming it."""
    matrix = entry.get("transform_matrix") if isinstance(entry, dict) else None
    try:
        pose = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        pose = np.empty(0)
    if pose.shape not in ((4, 4), (3, 4)):
        raise NerfpipeError(f"{file}: frames[{index}]: transform_matrix: must be 4 rows of 4 numbers")
    if not np.isfinite(pose[3:]).all():
        raise NerfpipeError(f"{file}: frames[{index}]: transform_matrix: its last row must be 0, 0, 0, 1")
    return pose[:3]
