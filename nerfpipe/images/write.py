"""PNG, GIF and MP4 out of arrays, whole files or none.

All are encoded in memory first: an encoder that finds the disk full raises errors of its own, or none.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
from torch import Tensor

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import atomic_file

DEPTH_MAP = "turbo"  # near is red, far is blue
ERROR_MAP = "inferno"


def to_8bit(colour: Tensor) -> np.ndarray:
    """[...] in [0, 1], clipped -> uint8."""
    return (colour.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


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


def depth_picture(depth: Tensor, near: float, far: float, opacity: Tensor, background: Tensor) -> np.ndarray:
    """Depth [H, W] between near and far through a colour map, over background [3] in [0, 1]: [H, W, 3] uint8."""
    closeness = 1 - ((depth - near) / max(far - near, 1e-9)).clamp(0, 1)
    coloured = torch.from_numpy(through_map(DEPTH_MAP, closeness.numpy()))  # [H, W, 3]
    return to_8bit(coloured * opacity[..., None] + background * (1 - opacity[..., None]))


def error_picture(picture: np.ndarray, truth: np.ndarray, scale: float) -> np.ndarray:
    """Mean absolute colour error of 8-bit pictures [H, W, 3], `scale` in [0, 1] shown brightest: [H, W, 3] uint8."""
    error = np.abs(picture.astype(np.float64) - truth).mean(axis=-1) / 255
    return np.round(through_map(ERROR_MAP, np.clip(error / scale, 0, 1)) * 255).astype(np.uint8)


def through_map(name: str, values: np.ndarray) -> np.ndarray:
    """Values [H, W] in [0, 1] as colours [H, W, 3] in [0, 1] of one of matplotlib's maps."""
    from matplotlib import colormaps  # not before a picture is made: a stage starts sooner

    return colormaps[name](values)[..., :3]
