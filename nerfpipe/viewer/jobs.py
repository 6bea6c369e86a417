"""Jobs without haste: a still, and the frames of a film along a camera path."""

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
from nerfpipe.viewer.drawing import EMPTY_RANGE, ViewRenderer, cropped
from nerfpipe.viewer.settings import Settings

MEASURED_PIXELS = 64  # longer side of the pictures by which a film's range of depths is measured


@dataclass
class Still:
    """One picture, passed to `done` as a PNG."""

    camera: Camera
    pose: Tensor  # [3, 4]
    settings: Settings
    done: Callable[[bytes], None]

    def advance(self, renderer: ViewRenderer, dropped: Callable[[], bool]) -> bool:
        """Render the picture, or give it up as soon as `dropped` returns true. Returns whether it is complete."""
        settings = self.settings
        rendered = renderer.render(self.camera, self.pose, settings.mode, settings.crop, settings.samples, dropped)
        if rendered is None:
            return False
        self.done(iio.imwrite("<bytes>", renderer.image(rendered, settings.mode), extension=".png"))
        return True


@dataclass
class Film:
    """Frames along a camera path. `drawn` is called when all are complete. Any thread may set `cancelled`."""

    camera: Camera
    poses: Tensor  # [F, 3, 4]
    settings: Settings
    progress: Callable[[Film, float], None]  # called after each frame, with the seconds left for the others
    drawn: Callable[[Film], None]
    frames: list[np.ndarray] = field(default_factory=list)  # each [H, W, 3] uint8
    cancelled: bool = False
    _spent: float = 0.0  # seconds
    _extent: DepthRange = field(
        default_factory=DepthRange
    )  # one range for all frames: changing colours would look like motion
    _measured: int = 0  # poses in the extent

    def advance(self, renderer: ViewRenderer, dropped: Callable[[], bool]) -> bool:
        """Render one more frame; in the mode depth, first measure the range of depths, one pose per call.

        Gives a frame up as soon as `dropped` returns true. Returns whether the film is complete or cancelled.
        """
        if self.cancelled:
            return True
        if self.settings.mode == "depth" and self._measured < len(self.poses):
            self._measure(renderer)
            return False
        self._render(renderer, lambda: self.cancelled or dropped())
        return len(self.frames) == len(self.poses)

    def _measure(self, renderer: ViewRenderer) -> None:
        camera = sized(self.camera, min(MEASURED_PIXELS, max(self.camera.width, self.camera.height)))
        rays = camera_rays(camera, self.poses[self._measured], renderer.header.space)
        self._extent.include(cropped(rays, self.settings.crop))
        self._measured += 1

    def _render(self, renderer: ViewRenderer, dropped: Callable[[], bool]) -> None:
        settings, started = self.settings, time.monotonic()
        pose = self.poses[len(self.frames)]
        rendered = renderer.render(self.camera, pose, settings.mode, settings.crop, settings.samples, dropped)
        if rendered is None:
            return
        extent = self._extent if self._extent.hits else DepthRange(*EMPTY_RANGE)
        self.frames.append(renderer.image(rendered, settings.mode, extent))
        self._spent += time.monotonic() - started
        finished, total = len(self.frames), len(self.poses)
        self.progress(self, self._spent / finished * (total - finished))
        if finished == total:
            self.drawn(self)
