"""Arrays as PNG, GIF and MP4. A file is written completely or not at all.

All are encoded in memory first: encoders report a full disk with errors of their own, or not at all.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import atomic_file


def write_png(path: Path, image: np.ndarray) -> None:
    """Write an image [H, W, 3] uint8."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(iio.imwrite("<bytes>", image, extension=".png"))


def write_gif(path: Path, frames: list[np.ndarray], fps: float) -> None:
    """Write frames [H, W, 3] uint8 as a GIF that loops for ever."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(iio.imwrite("<bytes>", frames, extension=".gif", duration=1000 / fps, loop=0))


def write_mp4(path: Path, frames: list[np.ndarray], fps: float) -> bool:
    """Write frames [H, W, 3] uint8 as H.264. Returns False, and writes nothing, if imageio-ffmpeg is not installed.

    Raises NerfpipeError if ffmpeg could not write all frames.
    """
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        return False
    H, W = frames[0].shape[:2]
    even = ((0, H % 2), (0, W % 2), (0, 0))  # H.264 stores colour at half the resolution
    from imageio_ffmpeg import count_frames_and_secs

    content = iio.imwrite(
        "<bytes>",
        np.stack([np.pad(frame, even, mode="edge") for frame in frames]),
        extension=".mp4",
        plugin="FFMPEG",
        fps=fps,
        macro_block_size=1,
        output_params=["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"],  # reproducible bytes
    )
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)
        try:  # ffmpeg reports no error if its temporary folder is full
            complete = count_frames_and_secs(str(temporary))[0] == len(frames)
        except RuntimeError:
            complete = False
        if not complete:
            raise NerfpipeError(
                f"{path}: ffmpeg did not write it whole; free some space in {tempfile.gettempdir()} and run this again"
            )
    return True
