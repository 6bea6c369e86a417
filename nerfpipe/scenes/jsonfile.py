"""Numbers, texts and poses out of a JSON file that someone else wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from nerfpipe.errors import NerfpipeError

HUGE = 1e30  # no number of a camera is as large


def read_object(file: Path) -> dict[str, Any]:
    """The object that a JSON file holds. Raises NerfpipeError when it is missing, damaged or something else."""
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
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
    """A relative path within the scene's folder under `key` of the object at `where`."""
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, str) or not value:
        raise NerfpipeError(f"{file}: {where}: {key}: must name a file (got {value!r:.40})")
    value = value.replace("\\", "/")
    if Path(value).is_absolute() or ".." in Path(value).parts or re.match("[A-Za-z]:", value):
        value = _within(value, file)
    return value


def _within(value: str, file: Path) -> str:
    """Paths that lead out of the folder: `../scene/images/x.png`, as some scripts write, is found from its end."""
    parts = [part for part in Path(value).parts if part not in ("..", "/", Path(value).anchor)]
    for start in range(len(parts)):
        inside = Path(*parts[start:])
        if (file.parent / inside).is_file():
            return str(inside)
    raise NerfpipeError(f"{file}: {value} leads out of the scene's folder, and it is not in there either")


def pose_of(entry: Any, file: Path, place: int) -> np.ndarray:
    """transform_matrix [3, 4] of frame number `place`."""
    matrix = entry.get("transform_matrix") if isinstance(entry, dict) else None
    try:
        pose = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        pose = np.empty(0)
    if pose.shape not in ((4, 4), (3, 4)):
        raise NerfpipeError(f"{file}: frames[{place}]: transform_matrix: must be 4 rows of 4 numbers")
    return pose[:3]
