"""Frames out of a video: evenly spread, and of each stretch the sharpest.

A phone films at a variable frame rate. Both passes therefore decode the frames that are in the file, each once
(`-fps_mode passthrough`); left alone, ffmpeg repeats and drops frames to make the rate constant.
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

SHARPNESS_SIDE = 640  # pixels: at this size a frame's sharpness shows, and a sensor's noise is averaged away


# One decoding for both passes, so that they number the same frames: of the first stream that is no cover picture. What
# claims to be a video may be a playlist; it must not lead to the network.
READ_LOCALLY = ("-protocol_whitelist", "file")
EACH_FRAME_ONCE = ("-map", "0:V:0", "-fps_mode", "passthrough")
STEADY = 0.5  # of a frame's mean duration: within it no frame is out of its turn, and time and number agree


def sharp_frames(video: Path, count: int) -> Iterator[Picture]:
    """Up to `count` frames, upright, one from each of as many stretches of the video, of equal time where that can be.

    Raises NerfpipeError where the file is no video or has too few frames.
    """
    times = frame_times(video)
    total = len(times)
    if total < FEWEST:
        raise NerfpipeError(f"{video}: has {total} frame{'s' * (total != 1)}; at least {FEWEST} are needed")
    ends = [*stretches(times, min(count, total))[1:], total]
    best: tuple[float, int, Image.Image] | None = None  # sharpness, number and picture of the stretch's sharpest
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
    """The number of the first frame of each of `count` stretches; times: [N], N >= count, in any unit.

    The stretches take equal times, but none is empty: a long still gives its frames to one stretch, not to several.
    """
    total = len(times)
    by_number = [-(-stretch * total // count) for stretch in range(count)]
    mean = (times[-1] - times[0]) / (total - 1)
    drift = np.abs(times - np.linspace(times[0], times[-1], total)).max()
    if mean <= 0 or np.any(np.diff(times) < 0) or drift <= STEADY * mean:
        return by_number
    edges = times[0] + np.arange(count) * (times[-1] - times[0] + mean) / count
    starts = [0]
    for stretch, wanted in enumerate(np.searchsorted(times, edges)[1:].tolist(), start=1):
        starts.append(min(max(wanted, starts[-1] + 1), total - (count - stretch)))
    return starts


def named(best: tuple[float, int, Image.Image]) -> Picture:
    return Picture(best[2], f"frame {best[1]}", focal=None, lossless=False)


def sharpness(frame: Image.Image) -> float:
    """The variance of the Laplacian of a frame's brightness: large where edges are sharp."""
    grey = frame.reduce(max(1, max(frame.size) // SHARPNESS_SIDE)).convert("L")
    return float(ndimage.laplace(np.asarray(grey, dtype=np.float32)).var())


def frame_times(video: Path) -> np.ndarray:
    """[N] when each frame is shown, in the video's own unit of time. Raises NerfpipeError where it is no video."""
    output = ("-enc_time_base", "demux", "-c:v", "wrapped_avframe", "-f", "framecrc", "-")  # a line a frame, no pixels
    command = [load_ffmpeg().get_ffmpeg_exe(), "-v", "error", *READ_LOCALLY, "-i", f"file:{video}"]
    ran = subprocess.run([*command, *EACH_FRAME_ONCE, *output], stdin=subprocess.DEVNULL, capture_output=True)
    lines = [line for line in ran.stdout.splitlines() if line and not line.startswith(b"#")]
    if ran.returncode and not lines:
        raise not_a_video(video)
    return np.array([int(line.split(b",")[2]) for line in lines], dtype=np.float64)


def frames(video: Path) -> Iterator[Image.Image]:
    """All frames as RGB, turned as the video says."""
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
