"""One view as files: colour, depth in the data's own units, normals along the data's own axes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from nerfpipe.export.options import DepthOptions, ViewOptions
from nerfpipe.export.views import LoadedField, choose_view, render_with_progress
from nerfpipe.geometry.cameras import Camera
from nerfpipe.images.convert import normal_image, to_8bit
from nerfpipe.images.write import write_png
from nerfpipe.rendering.normals import SEEN, normal_map
from nerfpipe.rendering.renderer import Picture
from nerfpipe.runtime.files import atomic_file, save_array, write_json

LARGEST_VALUE = 2**16 - 1  # of a 16-bit PNG; 0 means that nothing is seen
TEXT_KEY = "nerfpipe"  # of the text chunk that explains a PNG's values
KINDS = {"z": "z-depth, along the camera's axis", "ray": "distance along each pixel's ray"}


def export_image(field: LoadedField, options: ViewOptions, output: Path) -> Iterator[str]:
    """Write the view as PNG, over the scene's background; yields the lines to print."""
    camera, pose, words = choose_view(field.header, options)
    write_png(output, to_8bit(render_with_progress(field, camera, pose).colour))
    yield f"{output}: {words}, over {field.header.background}"


def export_depth(field: LoadedField, options: ViewOptions, depth: DepthOptions, output: Path) -> Iterator[str]:
    """Write depth as 16-bit PNG and .npy, and a .json that explains both; yields the lines to print."""
    camera, pose, words = choose_view(field.header, options)
    picture = render_with_progress(field, camera, pose)
    values = original_depth(field, camera, pose, picture, depth.kind)
    step = png_step(values)
    meaning = {
        "kind": depth.kind,
        "meaning": KINDS[depth.kind],
        "unit": "the scene's original unit",
        "scale": step,
        "png": "depth = scale * number; 0: nothing is seen",
        "npy": "depth as float32; NaN: nothing is seen",
        **camera_entry(field, camera, pose),
    }
    write_depth_png(output, values, step, meaning)
    write_npy(output.with_suffix(".npy"), values)
    write_json(output.with_suffix(".json"), meaning)
    seen = values[np.isfinite(values)]
    ends = f"from {seen.min():.4g} to {seen.max():.4g} " if len(seen) else "nothing is seen, no depth "
    yield f"{output}: {words}; {KINDS[depth.kind]}, {ends}in the scene's original unit"
    yield f"  16 bits: depth = {step:g} * number, 0 where nothing is seen (the file and the .json say so)"
    yield f"  {output.with_suffix('.npy')}: float32, NaN where nothing is seen"


def original_depth(field: LoadedField, camera: Camera, pose: Tensor, picture: Picture, kind: str) -> np.ndarray:
    """Depth [H, W] float32 in the data's own units, of `kind` z or ray; NaN where opacity is below SEEN."""
    _, _, distance = field.distances(camera, pose, picture)
    if kind == "z":
        distance = distance * -camera.directions(camera.pixel_centres())[:, 2]  # cameras look along -z
    seen = (picture.opacity.flatten() >= SEEN) & (distance > 0)
    depth = torch.where(seen, distance / field.header.similarity.scale, torch.nan)
    return depth.reshape(camera.height, camera.width).numpy().astype(np.float32)


def png_step(depth: np.ndarray) -> float:
    """The depth of one step of a 16-bit PNG: the smallest 1, 2 or 5 times a power of ten that covers all depths."""
    seen = depth[np.isfinite(depth)]
    if not len(seen):
        return 1.0
    exact = float(seen.max()) / LARGEST_VALUE
    power = 10.0 ** math.floor(math.log10(exact))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= exact)
    return float(f"{step:.1g}")  # 5e-05 and not 4.9999999999999996e-05


def write_depth_png(path: Path, depth: np.ndarray, step: float, meaning: dict[str, Any]) -> None:
    """Write depth [H, W] as a 16-bit PNG in units of `step`; a text chunk holds the meaning."""
    values = np.clip(np.round(np.nan_to_num(depth) / step), np.isfinite(depth), LARGEST_VALUE).astype(np.uint16)
    text = PngInfo()
    text.add_text(TEXT_KEY, json.dumps(meaning))
    with atomic_file(path) as temporary:
        Image.fromarray(values).save(temporary, format="PNG", pnginfo=text)


def camera_entry(field: LoadedField, camera: Camera, pose: Tensor) -> dict[str, Any]:
    """The lens, and the camera-to-world pose in the data's own coordinates, as entries of a .json."""
    [original] = field.header.similarity.original_poses(pose[None].double().numpy())
    lens = {name: getattr(camera, name) for name in ("width", "height", "fx", "fy", "cx", "cy")}
    axes = "x right, y up, looking along -z"
    return {"camera": lens, "pose": original.tolist(), "camera_axes": axes}


def export_normals(field: LoadedField, options: ViewOptions, output: Path) -> Iterator[str]:
    """Write normals as PNG and .npy; yields the lines to print."""
    camera, pose, words = choose_view(field.header, options)
    picture = render_with_progress(field, camera, pose)
    normals = original_normals(field, camera, pose, picture)
    write_png(output, normal_image(normals, picture.opacity, field.header.background_colour))
    write_npy(output.with_suffix(".npy"), normals.numpy())
    yield f"{output}: {words}; normals along the data's own axes, red x, green y, blue z, each from -1 to 1"
    yield f"  {output.with_suffix('.npy')}: float32, unit vectors, 0 where nothing is seen"


def original_normals(field: LoadedField, camera: Camera, pose: Tensor, picture: Picture) -> Tensor:
    """Unit normals [H, W, 3] along the data's own axes; zero where nothing is seen."""
    in_scene = normal_map(field.query, picture, camera, pose)
    return in_scene @ torch.tensor(field.header.similarity.rotation)


def write_npy(path: Path, array: np.ndarray) -> None:
    """Write an array as .npy, completely or not at all."""
    with atomic_file(path) as temporary:
        save_array(temporary, array)
