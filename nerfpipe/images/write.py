"""PNG, GIF and MP4 out of arrays, whole files or none.

All are encoded in memory first: an encoder that finds the disk full raises errors of its own, or none.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import atomic_file


def write_png(path: Path, picture: np.ndarray) -> None:
    """A picture [H, W, 3] uint8."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(iio.imwrite("<bytes>", picture, extension=".png"))


def write_gif(path: Path, frames: list[np.ndarray], fps: float) -> None:
    """Frames [H, W, 3] uint8 as a GIF that loops for ever."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(iio.imwrite("<bytes>", frames, extension=".gif", duration=1000 / fps, loop=0))


def write_mp4(path: Path, frames: list[np.ndarray], fps: float) -> bool:
    """Frames [H, W, 3] uint8 as H.264; False, and no file, where imageio-ffmpeg is not installed."""
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        return False
    H, W = frames[0].shape[:2]
    even = ((0, H % 2), (0, W % 2), (0, 0))  # the codec halves colour in both directions
    from imageio_ffmpeg import count_frames_and_secs

    content = iio.imwrite(
        "<bytes>",
        np.stack([np.pad(frame, even, mode="edge") for frame in frames]),
        extension=".mp4",
        plugin="FFMPEG",
        fps=fps,
        macro_block_size=1,
        output_params=["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"],  # the same bytes each time
    )
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)
        try:  # ffmpeg says nothing when its own temporary file finds no room
            whole = count_frames_and_secs(str(temporary))[0] == len(frames)
        except RuntimeError:
            whole = False
        if not whole:
            raise NerfpipeError(
                f"{path}: ffmpeg did not write it whole; free some space in {tempfile.gettempdir()} and run this again"
            )
    return True
