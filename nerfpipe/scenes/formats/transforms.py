"""The transforms.json format of instant-ngp and nerfstudio: one list of frames, cameras with distortion.

Poses are camera-to-world with OpenGL's axes. Camera keys stand in the frames, or once for all frames. Distortion is
OpenCV's: k1 to k6, p1, p2, or k1 to k4 with `camera_model: OPENCV_FISHEYE`. Splits are `train_filenames`,
`val_filenames` and `test_filenames`; without them every n-th view is held out.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.plausible import LONGEST_SIDE
from nerfpipe.images.image_file import read_header
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.json_file import number, pose_of, read_frame_list, text
from nerfpipe.scenes.file_finder import FileFinder, dynamic_mask
from nerfpipe.scenes.formats.ply_file import read_points
from nerfpipe.scenes.formats.transforms_splits import read_splits
from nerfpipe.scenes.frames import Frame, ReadOptions, build_scene, existing_frames
from nerfpipe.scenes.scene import Scene

FILE = "transforms.json"
PERSPECTIVE = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
FISHEYE = ("k1", "k2", "k3", "k4")
FISHEYE_MODEL = "OPENCV_FISHEYE"
MODELS = (None, "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV", FISHEYE_MODEL)
PANORAMAS = ("is_equirectangular", "equirectangular", "latlong")  # instant-ngp's keys of panoramas ...
FTHETA = "ftheta_"  # ... and the beginning of its keys of f-theta lenses
UNLIKE = 0.1  # largest relative difference between the focal length and that of the angle of view
UNKNOWN_SIZE = (2, 2)  # of a missing image, which `existing_frames` reports
MILLIMETRE = 1e-3  # nerfstudio's default unit of depth maps


def is_here(folder: Path) -> bool:
    """Whether the folder holds a scene of this format."""
    return (folder / FILE).is_file()


def load(folder: Path, options: ReadOptions) -> Scene:
    """The scene in a folder. Raises NerfpipeError that names the file and key at fault."""
    file = folder / FILE
    content, entries = read_frame_list(file)
    finder = FileFinder(folder, options.images, options.masks, missing=options.missing)
    named = [text(entry, "file_path", file, f"frames[{index}]") for index, entry in enumerate(entries)]
    pictures = finder.pictures(named)
    frames = [
        frame_of(content, entry, file, index, picture, finder)
        for index, (picture, entry) in enumerate(zip(pictures, entries, strict=True))
    ]
    frames, kept, notes = existing_frames(frames, options, file)
    existing = {index: frame.picture for index, frame in zip(kept, frames, strict=True)}
    splits, split_notes = read_splits(content, named, existing, finder, options, file)
    notes = [*notes, *split_notes, *depth_notes(content, entries)]
    notes += angle_notes(content, [entries[index] for index in kept], frames)
    points = None
    if content.get("ply_file_path"):
        points = read_points(finder.file(text(content, "ply_file_path", file, "(top)")))
    return build_scene(frames, splits, options, file, default="unbounded", points=points, notes=notes)


def frame_of(
    content: dict[str, Any], entry: dict[str, Any], file: Path, index: int, picture: Path, finder: FileFinder
) -> Frame:
    """The frame of an entry, which has this index; `content` has the keys of all frames."""
    merged = {**content, **entry}
    mask, leaves_out = mask_of(merged, file, index, picture, finder)
    depth, unit = depth_of(merged, file, index, finder)
    camera, pose = camera_of(merged, file, picture), pose_of(entry, file, index)
    return Frame(picture, camera, pose, mask, depth, unit, mask_leaves_out=leaves_out)


def mask_of(
    content: dict[str, Any], file: Path, index: int, picture: Path, finder: FileFinder
) -> tuple[Path | None, bool]:
    """The mask of an image, and whether its white pixels are left out.

    The one in the entry's folder of masks if it has any; else the frame's mask_path; else instant-ngp's, if it exists.
    """
    if finder.masks is not None:
        return finder.mask(finder.relative(picture)), False
    if content.get("mask_path"):
        return finder.file(text(content, "mask_path", file, f"frames[{index}]"), copies=True), False
    mask = dynamic_mask(picture)
    return mask, mask is not None


def depth_of(content: dict[str, Any], file: Path, index: int, finder: FileFinder) -> tuple[Path | None, float]:
    """The depth map of a frame and the unit of its values, by nerfstudio's keys or else instant-ngp's."""
    frame = f"frames[{index}]"
    if content.get("depth_file_path"):
        unit = number(content, "depth_unit_scale_factor", file, MILLIMETRE)
        if unit <= 0:
            raise NerfpipeError(f"{file}: {frame}: depth_unit_scale_factor: must be above 0 (got {unit:g})")
        return finder.file(text(content, "depth_file_path", file, frame)), unit
    unit = number(content, "integer_depth_scale", file, -1.0)
    if not content.get("depth_path") or unit <= 0 or not content.get("enable_depth_loading", True):
        return None, 1.0
    return finder.file(text(content, "depth_path", file, frame)), unit


def depth_notes(content: dict[str, Any], entries: list[dict[str, Any]]) -> list[str]:
    """Notes on depth maps that are named but not read, or whose unit is assumed."""
    frames = [{**content, **entry} for entry in entries]
    notes = []
    instant_ngp = [keys for keys in frames if keys.get("depth_path") and not _has_depth(keys)]
    if any("integer_depth_scale" not in keys for keys in instant_ngp):
        notes.append("depth_path without integer_depth_scale: those depth maps are not read")
    arrays = [keys for keys in frames if _has_depth(keys) and str(keys["depth_file_path"]).lower().endswith(".npy")]
    if any("depth_unit_scale_factor" not in keys for keys in arrays):
        notes.append(
            f"depth maps as .npy without depth_unit_scale_factor: taken to be in millimetres ({MILLIMETRE:g} of the "
            "poses' unit); if they are in the poses' unit, set it to 1"
        )
    return notes


def _has_depth(content: dict[str, Any]) -> bool:
    return bool(content.get("depth_file_path"))


def camera_of(content: dict[str, Any], file: Path, picture: Path) -> Camera:
    """The camera from the keys of the file and a frame together.

    Raises NerfpipeError if its model is not supported or a value is impossible.
    """
    model = content.get("camera_model")
    if foreign := [key for key in content if (key in PANORAMAS and content[key]) or key.startswith(FTHETA)]:
        raise NerfpipeError(
            f"{file}: {foreign[0]}: lenses of that kind are not known here; make pinholes of the pictures"
        )
    if model not in MODELS:
        known = ", ".join(str(name) for name in MODELS if name)
        raise NerfpipeError(f"{file}: camera_model: {model!r} is not known here; known are {known}")
    width, height = size_of(content, file, picture)
    fx, fy = focal_lengths(content, file, width, height)
    cx, cy = number(content, "cx", file, width / 2), number(content, "cy", file, height / 2)
    fisheye = model == FISHEYE_MODEL or bool(content.get("is_fisheye"))
    values = tuple(number(content, key, file, 0.0) for key in (FISHEYE if fisheye else PERSPECTIVE))
    distortion = values if any(values) else ()
    return Camera(width, height, fx, fy, cx, cy, "fisheye" if fisheye else "perspective", distortion)


def angle_notes(content: dict[str, Any], entries: list[dict[str, Any]], frames: list[Frame]) -> list[str]:
    """A note on the first frame whose focal length and angle of view contradict each other."""
    for entry, frame in zip(entries, frames, strict=True):
        merged, camera = {**content, **entry}, frame.camera
        angle = merged.get("camera_angle_x")
        if camera.lens != "perspective" or "fl_x" not in merged or not isinstance(angle, (int, float)):
            continue
        if 0 < angle < math.pi and abs(camera.fx / (0.5 * camera.width / math.tan(0.5 * angle)) - 1) > UNLIKE:
            means = 2 * math.atan(0.5 * camera.width / camera.fx)
            return [
                f"fl_x = {camera.fx:g} pixels means an angle of {means:.3g} in a width of {camera.width}, and "
                f"camera_angle_x is {angle:.3g}: fl_x is taken; if it is for another resolution, give w and h"
            ]
    return []


def size_of(content: dict[str, Any], file: Path, picture: Path) -> tuple[int, int]:
    """Width and height in pixels, from the image's header if the file does not give them."""
    if "w" not in content and "h" not in content:
        return read_header(picture)[:2] if picture.is_file() else UNKNOWN_SIZE
    width, height = round(number(content, "w", file)), round(number(content, "h", file))
    if not 1 <= min(width, height) <= max(width, height) <= LONGEST_SIDE:
        raise NerfpipeError(f"{file}: w and h must be from 1 to {LONGEST_SIDE:,} pixels (got {width:g}, {height:g})")
    return width, height


def focal_lengths(content: dict[str, Any], file: Path, width: int, height: int) -> tuple[float, float]:
    """fx and fy in pixels, from fl_x and fl_y or from the angles of view in radians."""
    found: dict[str, float] = {}
    for axis, side in (("x", width), ("y", height)):
        if f"fl_{axis}" in content:
            found[axis] = number(content, f"fl_{axis}", file)
        elif f"camera_angle_{axis}" in content:
            angle = number(content, f"camera_angle_{axis}", file)
            found[axis] = 0.5 * side / math.tan(0.5 * angle) if 0 < angle < math.pi else -1.0
    if not found:
        raise NerfpipeError(f"{file}: fl_x: missing, and camera_angle_x too; one of them must give the focal length")
    if min(found.values()) <= 0:
        raise NerfpipeError(f"{file}: the focal length must be above 0 pixels, an angle of view between 0 and pi")
    return found.get("x", found.get("y", 0.0)), found.get("y", found.get("x", 0.0))
