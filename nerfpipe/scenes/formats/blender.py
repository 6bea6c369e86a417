"""The Blender format: transforms_train.json, transforms_val.json, transforms_test.json, and pictures with alpha.

One field of view for all pictures, unless more is told of lenses (see transforms); poses as Blender writes them,
camera-to-world, which is how they are used here. Where val is missing, test serves as both; where test is missing
too, every n-th train view is held out.
"""

from __future__ import annotations

from pathlib import Path

from nerfpipe.geometry.conventions import SPLITS
from nerfpipe.images.image_file import read_header
from nerfpipe.runtime.json_file import pose_of, read_frame_list, text
from nerfpipe.scenes.file_finder import Places
from nerfpipe.scenes.formats.transforms import camera_of, depth_notes, depth_of, mask_of
from nerfpipe.scenes.frames import Frame, Reading, every_nth, present, scene_of
from nerfpipe.scenes.scene import Scene


def is_here(folder: Path) -> bool:
    return (folder / "transforms_train.json").is_file()


def load(folder: Path, reading: Reading) -> Scene:
    """Raises NerfpipeError naming the file and key at fault."""
    frames: list[Frame] = []
    splits: dict[str, list[int]] = {}
    notes: list[str] = []
    places = Places(folder, reading.images, reading.masks, missing=reading.missing)
    for name in SPLITS:
        file = folder / f"transforms_{name}.json"
        if name != "train" and not file.is_file():
            splits[name] = []
            continue
        read, depth_remarks = read_frames(file, places)
        found, _, remarks = present(read, reading, file, may_be_empty=name != "train")
        splits[name] = list(range(len(frames), len(frames) + len(found)))
        frames += found
        notes += [*remarks, *(each for each in depth_remarks if each not in notes)]
    if not splits["test"]:
        splits |= {"test": splits["val"]} if splits["val"] else every_nth(len(frames), reading.test_every)
    splits["val"] = splits["val"] or splits["test"]
    return scene_of(frames, splits, reading, folder, default="bounded", notes=notes)


def read_frames(file: Path, places: Places) -> tuple[list[Frame], list[str]]:
    """The frames of one split, and notes."""
    content, entries = read_frame_list(file)
    names = [text(entry, "file_path", file, f"frames[{place}]") for place, entry in enumerate(entries)]
    pictures = places.pictures(names)
    there = next((picture for picture in pictures if picture.is_file()), pictures[0])  # none: `present` will say so
    size = dict(zip(("w", "h"), read_header(there)[:2], strict=True)) if there.is_file() else {"w": 2, "h": 2}
    frames = []
    for place, (picture, entry) in enumerate(zip(pictures, entries, strict=True)):
        camera = camera_of({**size, **content, **entry}, file, picture)
        mask, leaves_out = mask_of({**content, **entry}, file, place, picture, places)
        depth, unit = depth_of({**content, **entry}, file, place, places)
        pose = pose_of(entry, file, place)
        frames.append(Frame(picture, camera, pose, mask, depth, unit, mask_leaves_out=leaves_out))
    return frames, depth_notes(content, entries)
