"""transforms.json, as instant-ngp and nerfstudio write it: one list of frames, lenses with distortion.

Poses are camera-to-world with OpenGL's axes. A lens may be given once for all frames or in each; distortion is
OpenCV's, k1 to k6, p1, p2, or with `camera_model: OPENCV_FISHEYE` k1 to k4. Splits: `train_filenames`,
`val_filenames`, `test_filenames` where given, else every n-th view is held out.
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
from nerfpipe.scenes.file_finder import Places, dynamic_mask
from nerfpipe.scenes.frames import Frame, Reading, present, scene_of
from nerfpipe.scenes.ply_file import read_points
from nerfpipe.scenes.scene import Scene
from nerfpipe.scenes.splits import splits_of

FILE = "transforms.json"
PERSPECTIVE = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
FISHEYE = ("k1", "k2", "k3", "k4")
FISHEYE_MODEL = "OPENCV_FISHEYE"
MODELS = (None, "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV", FISHEYE_MODEL)
ALL_ROUND = ("is_equirectangular", "equirectangular", "latlong")  # instant-ngp's keys of other lenses ...
FTHETA = "ftheta_"  # ... and how those of another begin
UNLIKE = 0.1  # by which a focal length may differ from the one that the angle of view means
MILLIMETRE = 1e-3  # nerfstudio's default unit of depth maps


def is_here(folder: Path) -> bool:
    return (folder / FILE).is_file()


def load(folder: Path, reading: Reading) -> Scene:
    """Raises NerfpipeError naming the file and key at fault."""
    file = folder / FILE
    content, entries = read_frame_list(file)
    places = Places(folder, reading.images, reading.masks, missing=reading.missing)
    named = [text(entry, "file_path", file, f"frames[{place}]") for place, entry in enumerate(entries)]
    pictures = zip(places.pictures(named), entries, strict=True)
    frames = [frame_of(content, entry, file, place, picture, places) for place, (picture, entry) in enumerate(pictures)]
    frames, numbers, notes = present(frames, reading, file)
    there = {number: frame.picture for number, frame in zip(numbers, frames, strict=True)}
    splits, split_notes = splits_of(content, named, there, places, reading, file)
    notes = [*notes, *split_notes, *depth_notes(content, entries)]
    notes += angle_notes(content, [entries[number] for number in numbers], frames)
    points = content.get("ply_file_path")
    points = read_points(places.file(text(content, "ply_file_path", file, "(top)"))) if points else None
    return scene_of(frames, splits, reading, file, default="unbounded", points=points, notes=notes)


def frame_of(
    content: dict[str, Any], entry: dict[str, Any], file: Path, place: int, picture: Path, places: Places
) -> Frame:
    """Frame number `place`; what it does not say itself holds for all."""
    merged = {**content, **entry}
    mask, leaves_out = mask_of(merged, file, place, picture, places)
    depth, unit = depth_of(merged, file, place, places)
    camera, pose = camera_of(merged, file, picture), pose_of(entry, file, place)
    return Frame(picture, camera, pose, mask, depth, unit, mask_leaves_out=leaves_out)


def mask_of(content: dict[str, Any], file: Path, place: int, picture: Path, places: Places) -> tuple[Path | None, bool]:
    """The mask of a picture, and whether white is left out in it.

    By its name in the entry's folder of masks, else as the frame says, else the one that lies beside the picture.
    """
    if places.masks is not None:
        return places.mask(places.relative(picture)), False
    if content.get("mask_path"):
        return places.file(text(content, "mask_path", file, f"frames[{place}]"), copies=True), False
    mask = dynamic_mask(picture)
    return mask, mask is not None


def depth_of(content: dict[str, Any], file: Path, place: int, places: Places) -> tuple[Path | None, float]:
    """The depth map of a frame and the unit of its numbers: by nerfstudio's keys, else by instant-ngp's."""
    where = f"frames[{place}]"
    if content.get("depth_file_path"):
        unit = number(content, "depth_unit_scale_factor", file, MILLIMETRE)
        if unit <= 0:
            raise NerfpipeError(f"{file}: {where}: depth_unit_scale_factor: must be above 0 (got {unit:g})")
        return places.file(text(content, "depth_file_path", file, where)), unit
    unit = number(content, "integer_depth_scale", file, -1.0)
    if not content.get("depth_path") or unit <= 0 or not content.get("enable_depth_loading", True):
        return None, 1.0
    return places.file(text(content, "depth_path", file, where)), unit


def depth_notes(content: dict[str, Any], entries: list[dict[str, Any]]) -> list[str]:
    """What to tell the user of depth maps that are named and not read, or whose unit is only supposed."""
    merged = [{**content, **entry} for entry in entries]
    notes = []
    if any("integer_depth_scale" not in each for each in merged if each.get("depth_path") and not _has_depth(each)):
        notes.append("depth_path without integer_depth_scale: those depth maps are not read")
    arrays = [each for each in merged if _has_depth(each) and str(each["depth_file_path"]).lower().endswith(".npy")]
    if any("depth_unit_scale_factor" not in each for each in arrays):
        notes.append(
            f"depth maps as .npy without depth_unit_scale_factor: taken to be in millimetres ({MILLIMETRE:g} of the "
            "poses' unit); where they are in the poses' unit, set it to 1"
        )
    return notes


def _has_depth(content: dict[str, Any]) -> bool:
    return bool(content.get("depth_file_path"))


def camera_of(content: dict[str, Any], file: Path, picture: Path) -> Camera:
    """The lens that keys of the file and of a frame together tell of."""
    model = content.get("camera_model")
    if foreign := [key for key in content if (key in ALL_ROUND and content[key]) or key.startswith(FTHETA)]:
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
    """What to tell the user where focal length and angle of view contradict each other."""
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
    """Width and height in pixels, from the picture where the file does not say."""
    if "w" not in content and "h" not in content:
        return read_header(picture)[:2] if picture.is_file() else (2, 2)  # (2, 2): `present` will name it
    width, height = round(number(content, "w", file)), round(number(content, "h", file))
    if not 1 <= min(width, height) <= max(width, height) <= LONGEST_SIDE:
        raise NerfpipeError(f"{file}: w and h must be from 1 to {LONGEST_SIDE:,} pixels (got {width:g}, {height:g})")
    return width, height


def focal_lengths(content: dict[str, Any], file: Path, width: int, height: int) -> tuple[float, float]:
    """fx and fy in pixels: from fl_x and fl_y, or from the angles of view."""
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
