"""Frames out of a video: evenly spread, and of each stretch the sharpest."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from nerfpipe.errors import NerfpipeError
from nerfpipe.photos.pictures import FEWEST, Picture
from nerfpipe.progress import Progress

SHARPNESS_SIDE = 640  # pixels: at this size a frame's sharpness shows, and a sensor's noise is averaged away


def sharp_frames(video: Path, count: int) -> Iterator[Picture]:
    """Up to `count` frames, upright, one from each of as many equal stretches of the video.

    Raises NerfpipeError where the file is no video or has too few frames.
    """
    total = count_frames(video)
    if total < FEWEST:
        raise NerfpipeError(f"{video}: has {total} frame{'s' * (total != 1)}; at least {FEWEST} are needed")
    count = min(count, total)
    best: tuple[float, int, Image.Image] | None = None  # sharpness, number and picture of the stretch's sharpest
    with Progress("looking for sharp frames", total, "frames") as progress:
        for number, frame in enumerate(frames(video)):
            progress.advance()
            stretch = min(number, total - 1) * count // total  # what is counted and what is decoded may differ by a few
            if best is not None and stretch != best[1] * count // total:
                yield named(best)
                best = None
            score = sharpness(frame)
            if best is None or score > best[0]:
                best = (score, min(number, total - 1), frame)
    if best is not None:
        yield named(best)


def named(best: tuple[float, int, Image.Image]) -> Picture:
    return Picture(best[2], f"frame {best[1]}", focal=None, lossless=False)


def sharpness(frame: Image.Image) -> float:
    """The variance of the Laplacian of a frame's brightness: large where edges are sharp."""
    grey = frame.reduce(max(1, max(frame.size) // SHARPNESS_SIDE)).convert("L")
    return float(ndimage.laplace(np.asarray(grey, dtype=np.float32)).var())


def count_frames(video: Path) -> int:
    """How many frames a video has. Raises NerfpipeError where it cannot be read as one."""
    ffmpeg = load_ffmpeg()
    try:
        return int(ffmpeg.count_frames_and_secs(str(video))[0])
    except (OSError, RuntimeError, ValueError):  # its text is ffmpeg's whole output
        raise not_a_video(video) from None


def frames(video: Path) -> Iterator[Image.Image]:
    """All frames as RGB, turned as the video says."""
    reader = load_ffmpeg().read_frames(str(video))
    try:
        size = next(reader)["size"]
        for frame in reader:
            yield Image.frombuffer("RGB", size, frame, "raw", "RGB", 0, 1)
    except (OSError, RuntimeError):
        raise not_a_video(video) from None
    finally:
        reader.close()


def not_a_video(video: Path) -> NerfpipeError:
    return NerfpipeError(
        f"{video}: cannot be read as a video; give a folder of pictures, or a video such as .mp4 or .mov"
    )


def load_ffmpeg() -> Any:
    """imageio_ffmpeg, or NerfpipeError that says how to install it."""
    try:
        import imageio_ffmpeg
    except ImportError:
        raise NerfpipeError("reading a video needs imageio-ffmpeg: pip install 'nerfpipe[photos]'") from None
    logging.getLogger("imageio_ffmpeg").setLevel(logging.ERROR)  # it warns of every video that was held upright
    return imageio_ffmpeg
