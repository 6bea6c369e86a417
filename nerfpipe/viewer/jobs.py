"""What is drawn without haste: a still, and a film along a path."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from torch import Tensor

from nerfpipe.cameras import Camera
from nerfpipe.media import write_gif, write_mp4
from nerfpipe.rays import Extent
from nerfpipe.space import camera_rays
from nerfpipe.viewer.drawing import Artist, cropped
from nerfpipe.viewer.settings import Settings

NUMBERED = 10_000  # files of one name in a folder


@dataclass
class Still:
    """One picture, handed to `done` as a PNG."""

    camera: Camera
    pose: Tensor  # [3, 4]
    settings: Settings
    done: Callable[[bytes], None]

    def advance(self, artist: Artist, dropped: Callable[[], bool]) -> bool:
        settings = self.settings
        drawing = artist.draw(self.camera, self.pose, settings.mode, settings.crop, settings.samples, dropped)
        if drawing is None:
            return False
        self.done(iio.imwrite("<bytes>", artist.coloured(drawing, settings.mode), extension=".png"))
        return True


@dataclass
class Film:
    """Pictures along a path, written as GIF and MP4 in a thread of its own when all are drawn."""

    camera: Camera
    poses: Tensor  # [F, 3, 4]
    settings: Settings
    file: Path  # without its suffix
    fps: float
    progress: Callable[[int, int, float], None]  # frames done, of all, seconds left
    done: Callable[[list[Path]], None]
    failed: Callable[[OSError], None]
    frames: list[np.ndarray] = field(default_factory=list)
    cancelled: bool = False
    spent: float = 0.0
    extent: Extent | None = None

    def advance(self, artist: Artist, dropped: Callable[[], bool]) -> bool:
        if self.cancelled:
            return True
        settings, started = self.settings, time.monotonic()
        if settings.mode == "depth" and self.extent is None:
            self.extent = self._extent(artist)  # one for all frames: colours that change would look like motion
        pose = self.poses[len(self.frames)]
        drawing = artist.draw(self.camera, pose, settings.mode, settings.crop, settings.samples, dropped)
        if drawing is None:
            return False
        self.frames.append(artist.coloured(drawing, settings.mode, self.extent))
        self.spent += time.monotonic() - started
        finished, total = len(self.frames), len(self.poses)
        self.progress(finished, total, self.spent / finished * (total - finished))
        if finished == total:
            threading.Thread(target=self._write, name="film", daemon=False).start()
        return finished == total

    def _extent(self, artist: Artist) -> Extent:
        extent = Extent()
        for pose in self.poses:
            extent.include(cropped(camera_rays(self.camera, pose, artist.about.space), self.settings.crop))
        return extent if extent.hits else Extent(0.0, 1.0)

    def _write(self) -> None:
        gif, mp4 = self.file.with_suffix(".gif"), self.file.with_suffix(".mp4")
        try:
            write_gif(gif, self.frames, self.fps)
            filmed = write_mp4(mp4, self.frames, self.fps)
        except OSError as error:
            self.failed(error)
            return
        self.done([gif, mp4] if filmed else [gif])


def free_file(folder: Path, name: str, *suffixes: str) -> Path:
    """The first of name_001, name_002, ... in a folder that no file has yet with any of the suffixes; without one."""
    for number in range(1, NUMBERED):
        file = folder / f"{name}_{number:03d}"
        if not any(file.with_suffix(suffix).exists() for suffix in suffixes):
            return file
    raise FileExistsError(17, "holds too many files of this name", str(folder / name))
