"""The Blender format: transforms_train.json, transforms_val.json, transforms_test.json, and images with alpha.

All images have one angle of view, unless other camera keys are given (see transforms). Poses are camera-to-world with
Blender's axes, which are those used here. Without val or test, the other serves as both; without either, every n-th
train view is held out.
"""

from __future__ import annotations

from pathlib import Path

from nerfpipe.geometry.conventions import SPLITS
from nerfpipe.images.image_file import read_header
from nerfpipe.runtime.json_file import read_frame_list, text
from nerfpipe.scenes.file_finder import FileFinder
from nerfpipe.scenes.formats.transforms import UNKNOWN_SIZE, depth_notes, frame_of
from nerfpipe.scenes.frames import Frame, ReadOptions, build_scene, every_nth, existing_frames
from nerfpipe.scenes.scene import Scene


def is_here(folder: Path) -> bool:
    """Whether the folder holds a scene of this format."""
    return (folder / "transforms_train.json").is_file()


def load(folder: Path, options: ReadOptions) -> Scene:
    """The scene in a folder. Raises NerfpipeError that names the file and key at fault."""
    frames: list[Frame] = []
    splits: dict[str, list[int]] = {}
    notes: list[str] = []
    finder = FileFinder(folder, options.images, options.masks, missing=options.missing)
    for name in SPLITS:
        file = folder / f"transforms_{name}.json"
        if name != "train" and not file.is_file():
            splits[name] = []
            continue
        named, depth_notes_of_split = read_frames(file, finder)
        existing, _, missing_notes = existing_frames(named, options, file, may_be_empty=name != "train")
        splits[name] = list(range(len(frames), len(frames) + len(existing)))
        frames += existing
        notes += [*missing_notes, *(note for note in depth_notes_of_split if note not in notes)]
    if not splits["test"]:
        splits |= {"test": splits["val"]} if splits["val"] else every_nth(len(frames), options.test_every)
    splits["val"] = splits["val"] or splits["test"]
    return build_scene(frames, splits, options, folder, default="bounded", notes=notes)


def read_frames(file: Path, finder: FileFinder) -> tuple[list[Frame], list[str]]:
    """The frames of one split, and notes. The size of the first image that exists stands for keys that are missing."""
    content, entries = read_frame_list(file)
    named = [text(entry, "file_path", file, f"frames[{index}]") for index, entry in enumerate(entries)]
    pictures = finder.pictures(named)
    existing = next((picture for picture in pictures if picture.is_file()), None)
    width, height = read_header(existing)[:2] if existing is not None else UNKNOWN_SIZE
    keys_of_all = {"w": width, "h": height, **content}
    frames = [
        frame_of(keys_of_all, entry, file, index, picture, finder)
        for index, (picture, entry) in enumerate(zip(pictures, entries, strict=True))
    ]
    return frames, depth_notes(content, entries)
