"""Files of recorded key frames: numbered ones that a user saves, and a copy of unsaved ones."""

from __future__ import annotations

from pathlib import Path

from nerfpipe.camera_paths.key_frames import FEWEST
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.viewer.key_frame_list import KeyFrameList
from nerfpipe.viewer.new_file import new_file

UNSAVED = "key_frames-unsaved.json"  # left behind by a viewer that is killed


def update_copy(key_frames: KeyFrameList, folder: Path, similarity: Similarity) -> None:
    """Copy unsaved key frames, which may be an hour's work, in case the viewer is killed; else delete the copy.

    Raises OSError.
    """
    if _worth_saving(key_frames):
        folder.mkdir(parents=True, exist_ok=True)
        key_frames.copy(folder / UNSAVED, similarity)
    else:
        (folder / UNSAVED).unlink(missing_ok=True)


def save_numbered(key_frames: KeyFrameList, folder: Path, similarity: Similarity) -> Path:
    """Save key frames in a new file, and delete the copy of unsaved ones. Returns the file.

    Raises NerfpipeError if they are too few for a path, OSError if the folder is not writable.
    """
    with new_file(folder, "key_frames", ".json") as file:
        key_frames.save(file.with_suffix(".json"), similarity)
    (folder / UNSAVED).unlink(missing_ok=True)
    return file.with_suffix(".json")


def save_unsaved(key_frames: KeyFrameList, folder: Path, similarity: Similarity) -> Path | None:
    """Save key frames that are unsaved and enough for a path. Returns the file, or None. Raises OSError."""
    return save_numbered(key_frames, folder, similarity) if _worth_saving(key_frames) else None


def _worth_saving(key_frames: KeyFrameList) -> bool:
    return key_frames.unsaved and len(key_frames) >= FEWEST
