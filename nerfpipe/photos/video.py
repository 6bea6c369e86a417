"""Frames of a video: the sharpest of each of many stretches of equal time.

Phones film at a variable frame rate. Both passes therefore decode every frame of the file exactly once
(`-fps_mode passthrough`). By default ffmpeg would repeat and drop frames to make the rate constant.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from nerfpipe.photos.images import FEWEST, Picture
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.progress import Progress

SHARPNESS_SIDE = 640  # pixels: at this size blur is visible and the sensor's noise is averaged away

# A file that claims to be a video may be a playlist, which must not lead to the network.
READ_LOCALLY = ("-protocol_whitelist", "file")
# Both passes decode the first video stream that is no cover picture, so that they number the same frames.
EACH_FRAME_ONCE = ("-map", "0:V:0", "-fps_mode", "passthrough")
STEADY = 0.5  # of a frame's mean duration, by which frames may deviate from a constant rate


def sharp_frames(video: Path, count: int) -> Iterator[Picture]:
    """Up to `count` upright frames, the sharpest of as many stretches of the video, of equal time if possible.

    Raises NerfpipeError if the file is no video or has fewer than FEWEST frames.
    """
    times = frame_times(video)
    total = len(times)
    if total < FEWEST:
        raise NerfpipeError(f"{video}: has {total} frame{'s' * (total != 1)}; at least {FEWEST} are needed")
    ends = [*stretches(times, min(count, total))[1:], total]
    best: tuple[float, int, Image.Image] | None = None  # sharpness, index and image of the stretch's sharpest frame
    with Progress("looking for sharp frames", total, "frames") as progress:
        for number, frame in zip(range(total), frames(video), strict=False):
            progress.advance()
            score = sharpness(frame)
            if best is None or score > best[0]:
                best = (score, number, frame)
            if number + 1 == ends[0]:
                yield named(best)
                best = None
                ends.pop(0)
    if best is not None:  # the file ends within a stretch
        yield named(best)


def stretches(times: np.ndarray, count: int) -> list[int]:
    """The index of the first frame of each of `count` stretches; times: [N], N >= count, in any unit.

    The stretches have equal duration, but none is empty: a frame that is shown for long belongs to one stretch only.
    """
    total = len(times)
    by_index = [-(-stretch * total // count) for stretch in range(count)]
    mean = (times[-1] - times[0]) / (total - 1)
    drift = np.abs(times - np.linspace(times[0], times[-1], total)).max()
    if mean <= 0 or np.any(np.diff(times) < 0) or drift <= STEADY * mean:
        return by_index
    edges = times[0] + np.arange(count) * (times[-1] - times[0] + mean) / count
    starts = [0]
    for stretch, wanted in enumerate(np.searchsorted(times, edges)[1:].tolist(), start=1):
        starts.append(min(max(wanted, starts[-1] + 1), total - (count - stretch)))
    return starts


def named(best: tuple[float, int, Image.Image]) -> Picture:
    """The sharpest frame of a stretch as a picture, named by its index."""
    return Picture(best[2], f"frame {best[1]}", focal=None, lossless=False)


def sharpness(frame: Image.Image) -> float:
    """The variance of the Laplacian of a frame's brightness, which is large if edges are sharp."""
    grey = frame.reduce(max(1, max(frame.size) // SHARPNESS_SIDE)).convert("L")
    return float(ndimage.laplace(np.asarray(grey, dtype=np.float32)).var())


def frame_times(video: Path) -> np.ndarray:
    """The time [N] of each frame, in the video's own unit. Raises NerfpipeError if the file is no video."""
    # Write one line per frame, without pixels.
    output = ("-enc_time_base", "demux", "-c:v", "wrapped_avframe", "-f", "framecrc", "-")
    command = [load_ffmpeg().get_ffmpeg_exe(), "-v", "error", *READ_LOCALLY, "-i", f"file:{video}"]
    ran = subprocess.run([*command, *EACH_FRAME_ONCE, *output], stdin=subprocess.DEVNULL, capture_output=True)
    lines = [line for line in ran.stdout.splitlines() if line and not line.startswith(b"#")]
    if ran.returncode and not lines:
        raise not_a_video(video)
    return np.array([int(line.split(b",")[2]) for line in lines], dtype=np.float64)


def frames(video: Path) -> Iterator[Image.Image]:
    """All frames as RGB, turned upright. Raises NerfpipeError if the file is no video."""
    reader = load_ffmpeg().read_frames(
        f"file:{video}", input_params=list(READ_LOCALLY), output_params=list(EACH_FRAME_ONCE)
    )
    try:
        size = next(reader)["size"]
        for frame in reader:
            yield Image.frombuffer("RGB", size, frame, "raw", "RGB", 0, 1)
    except (OSError, RuntimeError):
        raise not_a_video(video) from None
    finally:
        reader.close()


def not_a_video(video: Path) -> NerfpipeError:
    """The error for a file that ffmpeg cannot decode."""
    return NerfpipeError(
        f"{video}: cannot be read as a video; give a folder of pictures, or a video such as .mp4 or .mov"
    )


def load_ffmpeg() -> Any:
    """imageio_ffmpeg. Raises NerfpipeError if it is not installed."""
    try:
        import imageio_ffmpeg
    except ImportError:
        raise NerfpipeError("reading a video needs imageio-ffmpeg: pip install 'nerfpipe[photos]'") from None
    logging.getLogger("imageio_ffmpeg").setLevel(logging.ERROR)  # it warns about every video that was filmed upright
    return imageio_ffmpeg
