"""Numbers, texts and poses out of a JSON file that someone else wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.file_names import plain_name
from nerfpipe.runtime.files import open_regular

HUGE = 1e30  # no number of a camera is as large


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
    """What the file holds, and its `frames`."""
    content = read_object(file)
    entries = content.get("frames")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise NerfpipeError(f"{file}: frames: must be a list with an object for each picture")
    return content, entries


def number(content: dict[str, Any], key: str, file: Path, default: float | None = None) -> float:
    """A finite number under `key`, or the default where there is none."""
    value = content.get(key, default)
    if value is None:
        raise NerfpipeError(f"{file}: {key}: missing")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -HUGE < value < HUGE:
        raise NerfpipeError(f"{file}: {key}: must be a finite number (got {value!r:.40})")
    return float(value)


def text(content: Any, key: str, file: Path, where: str) -> str:
    """The name of a file under `key` of the object at `where`; FileFinder finds what it names."""
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, str) or not value:
        raise NerfpipeError(f"{file}: {where}: {key}: must name a file (got {value!r:.40})")
    try:
        plain_name(value)
    except NerfpipeError as error:
        raise NerfpipeError(f"{file}: {where}: {key}: {error}") from None
    return value


def pose_of(entry: Any, file: Path, place: int) -> np.ndarray:
    """transform_matrix [3, 4] of frame number `place`."""
    matrix = entry.get("transform_matrix") if isinstance(entry, dict) else None
    try:
        pose = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        pose = np.empty(0)
    if pose.shape not in ((4, 4), (3, 4)):
        raise NerfpipeError(f"{file}: frames[{place}]: transform_matrix: must be 4 rows of 4 numbers")
    if not np.isfinite(pose[3:]).all():
        raise NerfpipeError(f"{file}: frames[{place}]: transform_matrix: its last row must be 0, 0, 0, 1")
    return pose[:3]
