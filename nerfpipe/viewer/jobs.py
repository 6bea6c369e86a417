"""What is drawn without haste: a still, and the pictures of a film along a path."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import imageio.v3 as iio
import numpy as np
from torch import Tensor

from nerfpipe.geometry.cameras import Camera, sized
from nerfpipe.geometry.rays import DepthRange
from nerfpipe.geometry.space import camera_rays
from nerfpipe.viewer.drawing import Artist, cropped
from nerfpipe.viewer.settings import Settings

MEASURED = 64  # pixels of the longer side by which a film's depths are measured: ends need no more


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
    """Pictures along a path; `drawn` gets it when it has them all. Any thread may set `cancelled`."""

    camera: Camera
    poses: Tensor  # [F, 3, 4]
    settings: Settings
    progress: Callable[[Film, float], None]  # after each picture, with the seconds left for the others
    drawn: Callable[[Film], None]
    frames: list[np.ndarray] = field(default_factory=list)  # [H, W, 3] uint8 each
    cancelled: bool = False
    _spent: float = 0.0
    _extent: DepthRange = field(
        default_factory=DepthRange
    )  # one for all frames: colours that change would look like motion
    _measured: int = 0  # poses in the extent

    def advance(self, artist: Artist, dropped: Callable[[], bool]) -> bool:
        """Draw one more picture. In mode depth all poses come by first, one at a time, to find the extent."""
        if self.cancelled:
            return True
        if self.settings.mode == "depth" and self._measured < len(self.poses):
            self._measure(artist)
            return False
        self._draw(artist, lambda: self.cancelled or dropped())
        return len(self.frames) == len(self.poses)

    def _measure(self, artist: Artist) -> None:
        camera = sized(self.camera, min(MEASURED, max(self.camera.width, self.camera.height)))
        rays = camera_rays(camera, self.poses[self._measured], artist.about.space)
        self._extent.include(cropped(rays, self.settings.crop))
        self._measured += 1

    def _draw(self, artist: Artist, dropped: Callable[[], bool]) -> None:
        settings, started = self.settings, time.monotonic()
        pose = self.poses[len(self.frames)]
        drawing = artist.draw(self.camera, pose, settings.mode, settings.crop, settings.samples, dropped)
        if drawing is None:
            return
        extent = self._extent if self._extent.hits else DepthRange(0.0, 1.0)
        self.frames.append(artist.coloured(drawing, settings.mode, extent))
        self._spent += time.monotonic() - started
        finished, total = len(self.frames), len(self.poses)
        self.progress(self, self._spent / finished * (total - finished))
        if finished == total:
            self.drawn(self)
