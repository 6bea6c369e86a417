"""How time and memory grow with what is read; and a video whose frames come at no even pace."""

from __future__ import annotations

import json
import math
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robustness.counts import Counts
from robustness.scenes.judge import TOLD, Case
from robustness.scenes.pictures import png, save
from robustness.scenes.reader import Job, Reader
from robustness.scenes.repeats import TWICE
from robustness.scenes.truth import edit

SIDES = (1600, 2000)  # of a picture, in pixels: large beside those of the other scenes, and quickly written
LENSES = (1500, 9000)  # views, each with a lens of its own: six times as many
STEEPEST = 10.0  # times as long for six times as many: what is quadratic in part takes fifteen, and at last 36
FRAMES, CHOSEN, SIDE = 40, 10, 64  # of a video
BRIGHTER = 6  # of 255, each frame than the one before


def cases() -> Iterator[Case]:
    """Large pictures in memory that is bounded, whatever the lens."""
    for words, k1, most in (("", 0.0, 250), (" with distortion", 0.01, 500)):
        change = lambda folder, k1=k1: one_large(folder, k1)  # noqa: E731
        yield Case(
            f"four frames of one large picture{words}", "pinhole", change, must=TOLD, says=TWICE, light=True,
            most_megabytes=most,
        )  # fmt: skip


def one_large(folder: Path, k1: float) -> None:
    for file in (folder / "images").iterdir():
        file.unlink()
    width, height = SIDES
    rows, columns = np.mgrid[:height, :width]
    save(folder / "images/large.png", np.dstack([rows % 251, columns % 241, (rows + columns) % 239]).astype(np.uint8))

    def change(content: dict[str, Any]) -> None:
        content.update(w=width, h=height, fl_x=width, fl_y=width, cx=width / 2, cy=height / 2, k1=k1)
        content["frames"] = [{**frame, "file_path": "images/large.png"} for frame in content["frames"][:4]]

    edit(folder, change)


def grows_evenly(counts: Counts, reader: Reader, work: Path) -> None:
    """Six times the views, each with its own lens, must not take much more than six times as long."""
    seconds = []
    for views in LENSES:
        folder = work / f"many-{views}"
        many(folder, views)
        outcome = reader.read(Job(folder, {"bounds": [[-1.0] * 3, [1.0] * 3]}, bring=False, light=True))
        if outcome.rays is None:
            counts.quiet(f"{views} views of as many lenses", outcome.raised or f"refused: {outcome.refused}")
            return
        seconds.append(outcome.seconds)
    steep = seconds[1] > STEEPEST * seconds[0]
    fault = f"{LENSES[0]} took {seconds[0]:.1f} s, {LENSES[1]} {seconds[1]:.1f} s" if steep else ""
    counts.quiet("time by the number of views and lenses", fault, taken=True)


def many(folder: Path, views: int) -> None:
    """So many pictures of 2x2 pixels on a circle, no two alike, as of lenses no two of which are alike."""
    (folder / "images").mkdir(parents=True)
    frames = []
    for view in range(views):
        pixels = view.to_bytes(3, "big")
        (folder / f"images/{view:05d}.png").write_bytes(png(2, 2, 8, 2, zlib.compress((b"\0" + pixels * 2) * 2)))
        c, s = math.cos(2 * math.pi * view / views), math.sin(2 * math.pi * view / views)
        pose = [[-s, 0, c, 3 * c], [c, 0, s, 3 * s], [0, 1, 0, 0], [0, 0, 0, 1]]
        frames.append({"file_path": f"images/{view:05d}.png", "transform_matrix": pose, "fl_x": 3 + view / views})
    (folder / "transforms.json").write_text(json.dumps({"w": 2, "h": 2, "frames": frames}))


def uneven_video(counts: Counts, reader: Reader, work: Path) -> None:
    """Of a clip whose first half is slow, frames must be chosen from all of it, and none twice."""
    try:
        import imageio_ffmpeg
    except ImportError:
        return
    video = work / "uneven.mp4"
    times = [n / 2 if n < FRAMES // 2 else FRAMES / 4 + (n - FRAMES // 2) / 30 for n in range(FRAMES)]
    shades = np.arange(FRAMES, dtype=np.uint8) * BRIGHTER
    raw = shades.repeat(SIDE * SIDE).tobytes()
    paced = f"setpts='if(lt(N,{FRAMES // 2}),N/2,{FRAMES // 4}+(N-{FRAMES // 2})/30)/TB'"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray"]
    command += ["-s", f"{SIDE}x{SIDE}", "-r", "30", "-i", "-", "-vf", paced, "-fps_mode", "vfr", "-qp", "0", str(video)]
    subprocess.run(command, input=raw, check=True, capture_output=True)
    outcome = reader.call(chosen_frames, video, CHOSEN)
    if outcome.rays is None:
        counts.quiet("a video of uneven pace", outcome.raised or f"refused: {outcome.refused}")
        return
    even = list(range(CHOSEN))
    by_number = [number * CHOSEN // FRAMES for number in outcome.rays] == even
    by_time = [int(times[number] * CHOSEN / (times[-1] + 1 / 30)) for number in outcome.rays] == even
    fault = "" if by_number or by_time else f"of {FRAMES} frames these were chosen: {outcome.rays}"
    counts.quiet("a video of uneven pace", fault, taken=True)


def chosen_frames(video: Path, count: int) -> list[int]:
    """The numbers of the frames that are taken, by how bright they are."""
    from nerfpipe.photos.video import sharp_frames

    return [round(float(np.asarray(picture.image).mean()) / BRIGHTER) for picture in sharp_frames(video, count)]
