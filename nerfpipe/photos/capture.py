"""A capture: upright pictures, points, a transforms.json for nerfstudio and instant-ngp, and a catalogue entry."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from nerfpipe.config.yaml_file import as_yaml, read_yaml, validate
from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.photos.preparing import IMAGES, MASKS, View
from nerfpipe.photos.reconstruct import Reconstruction
from nerfpipe.project.catalogue import PLAIN_NAME, Entry
from nerfpipe.project.paths import CAPTURES, CATALOGUE_FILE
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import atomic_file, atomic_folder, write_json
from nerfpipe.scenes.normalise import unbounded_similarity

HELD_OUT = 8  # every 8th picture is a test view, from the 5th on: the first may show what no other does
TRANSFORMS, POINTS = "transforms.json", "points.ply"


def capture_folder(name: str, replace: bool) -> Path:
    """The folder for a capture of this name. Raises NerfpipeError if the name is invalid or taken."""
    if not PLAIN_NAME.fullmatch(name):
        raise NerfpipeError(f"--name: takes letters, digits, - and _ only (got {name!r})")
    folder = CAPTURES / name
    entry = read_yaml(CATALOGUE_FILE).get(name)
    if entry is not None and not names_folder(entry, folder):
        raise NerfpipeError(f"{CATALOGUE_FILE}: {name} is another scene already; choose another --name")
    if folder.exists() and not replace:
        raise NerfpipeError(f"{folder}: exists already; choose another --name, or give --replace to make it anew")
    return folder


def names_folder(entry: Any, folder: Path) -> bool:
    """Whether a catalogue entry reads its data from this folder."""
    return isinstance(entry, dict) and isinstance(path := entry.get("path"), str) and Path(path) == folder


def write_capture(folder: Path, scratch: Path, views: list[View], model: Reconstruction) -> None:
    """Fill the folder, completely or not at all, with the registered views; their files are moved out of `scratch`."""
    registered = [view for view in views if view.searched in model.poses]
    poses = np.stack([model.poses[view.searched] for view in registered])  # [N, 3, 4]
    placement = unbounded_similarity(poses)
    with atomic_folder(folder) as temporary:
        for kind in (IMAGES, MASKS):
            (temporary / kind).mkdir()
        for view in registered:
            for file in filter(None, (view.image, view.mask)):
                shutil.move(scratch / file, temporary / file)
        if not any((temporary / MASKS).iterdir()):
            (temporary / MASKS).rmdir()
        write_points(temporary / POINTS, placement.points(model.points), model.colours)
        write_json(temporary / TRANSFORMS, transforms(registered, poses, model, placement))


def transforms(views: list[View], poses: np.ndarray, model: Reconstruction, placement: Similarity) -> dict[str, Any]:
    """The content of transforms.json: lens, frames and the transform applied to poses [N, 3, 4] and points."""
    lenses = [intrinsics(model.cameras[view.searched].resized(*view.size)) for view in views]
    shared = all(lens == lenses[0] for lens in lenses)
    frames = []
    for view, pose, lens in zip(views, homogeneous(placement.poses(poses)), lenses, strict=True):
        frame: dict[str, Any] = {"file_path": view.image}
        if view.mask is not None:
            frame["mask_path"] = view.mask
        frame |= {"transform_matrix": pose.tolist(), "original": view.name}
        frames.append(frame if shared else frame | lens)
    rotation, centre = np.array(placement.rotation), np.array(placement.centre)
    held_out = set(range(HELD_OUT // 2, len(frames), HELD_OUT)) or {len(frames) // 2}
    names = [frame["file_path"] for frame in frames]
    return {
        "camera_model": "OPENCV",
        **(lenses[0] if shared else {}),
        "ply_file_path": POINTS,
        "applied_transform": np.column_stack([rotation, -rotation @ centre]).tolist(),  # of COLMAP's, before the scale
        "applied_scale": placement.scale,
        "train_filenames": [name for index, name in enumerate(names) if index not in held_out],
        "test_filenames": [name for index, name in enumerate(names) if index in held_out],
        "frames": frames,
    }


def intrinsics(camera: Camera) -> dict[str, float]:
    """A camera under the keys of transforms.json."""
    k1, k2, p1, p2 = camera.distortion
    lens = {"w": camera.width, "h": camera.height, "fl_x": camera.fx, "fl_y": camera.fy}
    return {**lens, "cx": camera.cx, "cy": camera.cy, "k1": k1, "k2": k2, "p1": p1, "p2": p2}


def homogeneous(poses: np.ndarray) -> np.ndarray:
    """Poses [N, 3, 4] as homogeneous matrices [N, 4, 4]."""
    return np.concatenate([poses, np.tile([[[0.0, 0.0, 0.0, 1.0]]], (len(poses), 1, 1))], axis=1)


def write_points(file: Path, points: np.ndarray, colours: np.ndarray) -> None:
    """Write points [P, 3] and their colours [P, 3] uint8 as PLY."""
    import trimesh

    with atomic_file(file) as temporary:
        trimesh.PointCloud(points, colors=colours).export(temporary, file_type="ply")


def add_entry(name: str, folder: Path) -> bool:
    """Append the scene to the catalogue without changing its other text; returns False if it is there already.

    Raises NerfpipeError if the file would not be valid afterwards.
    """
    before = read_yaml(CATALOGUE_FILE)
    if name in before:
        return False
    addition = {name: {"path": folder.as_posix()}}
    text = CATALOGUE_FILE.read_bytes()
    with atomic_file(CATALOGUE_FILE) as temporary:
        temporary.write_bytes(text.rstrip() + f"\n\n{as_yaml(addition)}".encode())
        _, faults = validate(Entry, addition[name], prefix=name)
        if faults or read_or_none(temporary) != before | addition:
            raise NerfpipeError(f"{CATALOGUE_FILE}: cannot be appended to; add `{name}:` with `path: {folder}` by hand")
    return True


def read_or_none(file: Path) -> dict[str, Any] | None:
    """The content of a YAML file; None if it is not valid."""
    try:
        return read_yaml(file)
    except NerfpipeError:
        return None
