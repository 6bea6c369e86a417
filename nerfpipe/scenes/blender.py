"""The Blender format: transforms_train.json, transforms_val.json, transforms_test.json, and pictures with alpha.

One field of view for all pictures; poses as Blender writes them, camera-to-world, which is how they are used here.
Where val is missing, test serves as both; where test is missing too, every n-th train view is held out.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nerfpipe.cameras import Camera
from nerfpipe.errors import NerfpipeError
from nerfpipe.scenes.frames import Frame, Reading, every_nth, present, scene_of
from nerfpipe.scenes.jsonfile import number, pose_of, read_object, text
from nerfpipe.scenes.pictures import SUFFIXES, look_at_header
from nerfpipe.scenes.scene import SPLITS, Scene


def is_here(folder: Path) -> bool:
    return (folder / "transforms_train.json").is_file()


def load(folder: Path, reading: Reading) -> Scene:
    """Raises NerfpipeError naming the file and key at fault."""
    frames: list[Frame] = []
    splits: dict[str, list[int]] = {}
    notes: list[str] = []
    for name in SPLITS:
        file = folder / f"transforms_{name}.json"
        if name != "train" and not file.is_file():
            splits[name] = []
            continue
        found, _, remarks = present(read_frames(file), reading, file)
        splits[name] = list(range(len(frames), len(frames) + len(found)))
        frames += found
        notes += remarks
    if not splits["test"]:
        splits |= {"test": splits["val"]} if splits["val"] else every_nth(len(frames), reading.test_every)
    splits["val"] = splits["val"] or splits["test"]
    return scene_of(frames, splits, reading, folder, default="bounded", notes=notes)


def read_frames(file: Path) -> list[Frame]:
    """The frames of one split."""
    content = read_object(file)
    entries = content.get("frames")
    if not isinstance(entries, list) or not entries:
        raise NerfpipeError(f"{file}: frames: must be a list with an entry for each picture")
    angle = number(content, "camera_angle_x", file)
    if not 0 < angle < math.pi:
        raise NerfpipeError(f"{file}: camera_angle_x: must be an angle in radians, between 0 and pi (got {angle:g})")
    pictures = [picture_of(file, entry, place) for place, entry in enumerate(entries)]
    there = next((picture for picture in pictures if picture.is_file()), None)
    width, height, _ = look_at_header(there) if there else (2, 2, False)  # none: `present` will say so
    camera = Camera.centred(width, height, 0.5 * width / math.tan(0.5 * angle))
    return [
        Frame(picture, camera, pose_of(entry, file, place))
        for place, (picture, entry) in enumerate(zip(pictures, entries, strict=True))
    ]


def picture_of(file: Path, entry: Any, place: int) -> Path:
    """The picture of frame number `place`; its name may leave out the suffix, .png most often."""
    picture = file.parent / text(entry, "file_path", file, f"frames[{place}]")
    if picture.is_file() or picture.suffix.lower() in SUFFIXES:
        return picture
    named = [picture.with_name(picture.name + suffix) for suffix in SUFFIXES]
    return next((each for each in named if each.is_file()), named[0])
