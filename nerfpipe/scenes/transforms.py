"""transforms.json, as instant-ngp and nerfstudio write it: one list of frames, lenses with distortion.

Poses are camera-to-world with OpenGL's axes. A lens may be given once for all frames or in each; distortion is
OpenCV's, k1 to k6, p1, p2, or with `camera_model: OPENCV_FISHEYE` k1 to k4. Splits: `train_filenames`,
`val_filenames`, `test_filenames` where given, else every n-th view is held out.
"""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath
from typing import Any

from nerfpipe.cameras import Camera
from nerfpipe.errors import NerfpipeError
from nerfpipe.scenes.frames import Frame, Reading, Splits, every_nth, present, scene_of
from nerfpipe.scenes.jsonfile import number, pose_of, read_frame_list, text
from nerfpipe.scenes.pictures import SUFFIXES, look_at_header
from nerfpipe.scenes.plyfile import read_points
from nerfpipe.scenes.scene import SPLITS, Scene

FILE = "transforms.json"
PERSPECTIVE = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
FISHEYE = ("k1", "k2", "k3", "k4")
FISHEYE_MODEL = "OPENCV_FISHEYE"
MODELS = (None, "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV", FISHEYE_MODEL)
MILLIMETRE = 1e-3  # nerfstudio's default unit of depth maps


def is_here(folder: Path) -> bool:
    return (folder / FILE).is_file()


def load(folder: Path, reading: Reading) -> Scene:
    """Raises NerfpipeError naming the file and key at fault."""
    file = folder / FILE
    content, entries = read_frame_list(file)
    frames = [frame_of(content, entry, file, place, reading) for place, entry in enumerate(entries)]
    frames, numbers, notes = present(frames, reading, file)
    splits = splits_of(content, [entries[i] for i in numbers], reading, file)
    points = content.get("ply_file_path")
    points = read_points(folder / text(content, "ply_file_path", file, "(top)")) if points else None
    return scene_of(frames, splits, reading, file, default="unbounded", points=points, notes=notes)


def frame_of(content: dict[str, Any], entry: dict[str, Any], file: Path, place: int, reading: Reading) -> Frame:
    """Frame number `place`; what it does not say itself holds for all."""
    merged = {**content, **entry}
    picture = picture_of(file, entry, place, reading.images)
    mask = mask_of(merged, file, place, picture, reading)
    named = merged.get("depth_file_path")
    depth = file.parent / text(merged, "depth_file_path", file, f"frames[{place}]") if named else None
    unit = number(merged, "depth_unit_scale_factor", file, MILLIMETRE)
    return Frame(picture, camera_of(merged, file, picture), pose_of(entry, file, place), mask, depth, unit)


def picture_of(file: Path, entry: dict[str, Any], place: int, images: str | None) -> Path:
    """The picture of frame number `place`; its name may leave out the suffix, .png most often."""
    picture = file.parent / text(entry, "file_path", file, f"frames[{place}]")
    if images is not None:
        picture = file.parent / images / picture.name
    if picture.is_file() or picture.suffix.lower() in SUFFIXES:
        return picture
    named = [picture.with_name(picture.name + suffix) for suffix in SUFFIXES]
    return next((each for each in named if each.is_file()), named[0])


def mask_of(content: dict[str, Any], file: Path, place: int, picture: Path, reading: Reading) -> Path | None:
    """The mask of a picture: by its name in the entry's folder of masks, else as the frame says."""
    if reading.masks is not None:
        folder = file.parent / reading.masks
        added = folder / f"{picture.name}.png"  # as COLMAP wants it
        return added if added.is_file() else folder / f"{picture.stem}.png"
    named = content.get("mask_path")
    return file.parent / text(content, "mask_path", file, f"frames[{place}]") if named else None


def camera_of(content: dict[str, Any], file: Path, picture: Path) -> Camera:
    """The lens that keys of the file and of a frame together tell of."""
    model = content.get("camera_model")
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


def size_of(content: dict[str, Any], file: Path, picture: Path) -> tuple[int, int]:
    """Width and height in pixels, from the picture where the file does not say."""
    if "w" not in content and "h" not in content:
        return look_at_header(picture)[:2] if picture.is_file() else (2, 2)  # (2, 2): `present` will name it
    width, height = round(number(content, "w", file)), round(number(content, "h", file))
    if min(width, height) < 1:
        raise NerfpipeError(f"{file}: w and h must be at least 1 pixel (got {width}, {height})")
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


def splits_of(content: dict[str, Any], entries: list[dict[str, Any]], reading: Reading, file: Path) -> Splits:
    """Which frames train and which are held out, by the file's own lists where it has them."""
    lists = {name: _names(content, f"{name}_filenames", file) for name in SPLITS}
    if not lists["train"] or not (lists["test"] or lists["val"]):
        return every_nth(len(entries), reading.test_every)
    place = {_same(entry["file_path"]): number for number, entry in enumerate(entries)}
    listed = {name: lists[name] or lists["test" if name == "val" else "val"] for name in SPLITS}
    unknown = [each for names in listed.values() for each in names if each not in place]
    if unknown and reading.missing == "error":
        raise NerfpipeError(f"{file}: {unknown[0]!r:.60} is in a split and no frame has that file_path")
    return {name: [place[each] for each in names if each in place] for name, names in listed.items()}


def _names(content: dict[str, Any], key: str, file: Path) -> list[str]:
    names = content.get(key) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise NerfpipeError(f"{file}: {key}: must be a list of file names")
    return [_same(name) for name in names]


def _same(name: str) -> str:
    """One spelling of a path, whatever its dots and slashes."""
    return str(PurePosixPath(name.replace("\\", "/")))
