"""The `procedural` format: the built-in scene, which nerfpipe.procedural renders into .npy arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.conventions import SPLITS, Background
from nerfpipe.procedural.layout import DEPTH, DESCRIPTION, IMAGES, LABELS
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular, refuse_irregular
from nerfpipe.scenes.scene import Scene

REMEDY = "delete the folder and make the scene again (dvc repro)"


def load(folder: Path, name: str, background: Background) -> Scene:
    """The scene that `generate` rendered into a folder. Raises NerfpipeError that names the file at fault."""
    path = folder / DESCRIPTION
    content = _read_description(path)
    camera = _entry(content, "camera", path, _camera)
    poses = _entry(content, "poses", path, lambda entry: _array(entry, (-1, 3, 4)))
    bounds = _entry(content, "bounds", path, lambda entry: _array(entry, (2, 3)))
    splits = _entry(content, "splits", path, lambda entry: _splits(entry, len(poses)))
    _entry(content, "labels", path, lambda entry: tuple(str(label) for label in entry))  # checked, not used
    shape = (len(poses), camera.height, camera.width)
    pictures = _open(folder / IMAGES, np.uint8, (*shape, 4))
    depth = _open(folder / DEPTH, np.float32, shape)
    _open(folder / LABELS, np.uint8, shape)  # checked, not used
    return Scene(
        name=name,
        cameras=(camera,),
        camera_index=np.zeros(len(poses), dtype=np.int64),
        poses=poses,
        splits=splits,
        bounds=bounds,
        background=background,
        has_alpha=True,
        read_image=lambda view: np.array(pictures[view]),
        read_depth=lambda view: np.array(depth[view]),
    ).validate(str(folder))


def _read_description(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path) as file:
            content = json.load(file)
    except FileNotFoundError:
        raise NerfpipeError(f"{path}: missing; {REMEDY}") from None
    except (ValueError, RecursionError) as error:
        raise NerfpipeError(f"{path}: not valid JSON ({_one_line(error)}); {REMEDY}") from None
    if not isinstance(content, dict):
        raise NerfpipeError(f"{path}: holds a {type(content).__name__}, not a table of keys; {REMEDY}")
    return content


def _entry(content: dict[str, Any], key: str, path: Path, read: Callable[[Any], Any]) -> Any:
    """The value of a key, converted by `read`. Raises NerfpipeError if it is missing or `read` fails."""
    if key not in content:
        raise NerfpipeError(f"{path}: has no {key}; {REMEDY}")
    try:
        return read(content[key])
    except (TypeError, ValueError, OverflowError) as error:
        raise NerfpipeError(f"{path}: {key}: {_one_line(error)}; {REMEDY}") from None


def _camera(entry: Any) -> Camera:
    camera = Camera.from_dict(entry)
    if not all(isinstance(side, int) and side > 0 for side in (camera.width, camera.height)):
        raise ValueError("width and height must be whole numbers above 0")
    lens = (camera.fx, camera.fy, camera.cx, camera.cy)
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in lens) or min(lens[:2]) <= 0:
        raise ValueError("fx, fy, cx and cy must be finite numbers, fx and fy above 0")
    return camera


def _array(entry: Any, shape: tuple[int, ...]) -> np.ndarray:
    """float32 array of this shape, in which -1 stands for any length. Raises ValueError if the shape differs."""
    array = np.array(entry, dtype=np.float32)
    if array.ndim != len(shape) or any(
        expected not in (-1, length) for length, expected in zip(array.shape, shape, strict=True)
    ):
        raise ValueError(f"must have the shape {_shape(shape)}, not {_shape(array.shape)}")
    return array


def _splits(entry: Any, views: int) -> dict[str, np.ndarray]:
    if not isinstance(entry, dict) or any(name not in entry for name in SPLITS):
        raise ValueError(f"must list the views of {', '.join(SPLITS)}")
    splits = {}
    for name in SPLITS:
        if not all(type(view) is int and 0 <= view < views for view in entry[name]):
            raise ValueError(f"{name} must hold view numbers from 0 to {views - 1}")
        splits[name] = np.array(entry[name], dtype=np.int64)
    return splits


def _open(path: Path, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """The array of a .npy file, memory-mapped. Raises NerfpipeError if it is damaged or has another type or shape."""
    try:
        refuse_irregular(path)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise NerfpipeError(f"{path}: missing; {REMEDY}") from None
    except (ValueError, EOFError, OverflowError) as error:
        raise NerfpipeError(f"{path}: not a whole .npy array ({_one_line(error)}); {REMEDY}") from None
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
        found = f"{array.dtype} {_shape(array.shape)}" if isinstance(array, np.ndarray) else "an archive"
        expected = f"{np.dtype(dtype)} {_shape(shape)}"
        raise NerfpipeError(f"{path}: is {found}, but {DESCRIPTION} speaks of {expected}; {REMEDY}")
    return array


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join("N" if length == -1 else str(length) for length in shape)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
