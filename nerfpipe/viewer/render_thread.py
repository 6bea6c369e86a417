"""The one thread that draws: what the pages wish to see first, and work without haste (stills, films) between."""

from __future__ import annotations

import threading
import time
import traceback
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from nerfpipe.config.params import RuntimeParams
from nerfpipe.geometry.cameras import Camera
from nerfpipe.images.convert import to_8bit
from nerfpipe.models.set_up import set_up
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.viewer.adaptive_resolution import Pace
from nerfpipe.viewer.cameras import Station, seen_from, standing_in
from nerfpipe.viewer.drawing import Artist, Drawing, z_depth
from nerfpipe.viewer.request_queue import Desk, Wish
from nerfpipe.viewer.settings import Settings, View
from nerfpipe.viewer.sources import Loaded, Source

LOOK_SECONDS = 1.0  # between two looks at whether there is a newer model
IDLE_SECONDS = 0.25  # that the thread sleeps at most
NOTHING = 160.0  # scene units: how far away is what nothing is seen of; viser's depths end at 167
DEPTH_PIXELS = 320  # of its longer side
FASTEST = 60.0  # frames per second that a page shows at most
WARM_UP = Camera.centred(64, 64, 64.0)  # what is drawn to learn how fast this machine is


@dataclass(frozen=True)
class Shown:
    """A picture for a page."""

    picture: np.ndarray  # [H, W, 3] uint8
    depth: np.ndarray | None  # [H, W] along the camera's axis, where something else is drawn into the scene
    moving: bool
    rate: float  # frames per second while moving, as of late


class Job(Protocol):
    """Work that is done in pieces when no page waits."""

    def advance(self, artist: Artist, dropped: Callable[[], bool]) -> bool:
        """Do the next piece, or leave it when `dropped` says so; True when all is done."""


class Painter:
    """Owns the renderer. `show` is called in its thread with each picture, `adopt` with each newer model."""

    def __init__(
        self,
        source: Source,
        loaded: Loaded,
        runtime: RuntimeParams,
        show: Callable[[Hashable, Shown], None],
        adopt: Callable[[Loaded], None],
        tell: Callable[[str], None],
    ) -> None:
        self.source, self.loaded, self.runtime = source, loaded, runtime
        self.show, self.adopt, self.tell = show, adopt, tell
        self.desk = Desk()
        self.paces = defaultdict(lambda: Pace(self._cost))  # by mode: normals cost several times what colour does
        self.settings, self.stations = Settings(), list[Station]()
        self.jobs: deque[Job] = deque()
        self.failure: BaseException | None = None  # a bug, which is the main thread's to show
        self._sizes: dict[Hashable, list[int]] = {}  # of a page's pictures, from moving to the finest
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="painter", daemon=True)
        self._looked = time.monotonic()
        self._rate, self._cost = 0.0, 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the piece of work in hand."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            device = set_up(self.runtime)  # in this thread: the number of threads is each thread's own
            self.artist = Artist(*self.loaded, device, self.runtime)
            self._warm_up()
            while not self._stopped.is_set():
                self._look_for_newer(device)
                if (wish := self.desk.take()) is not None:
                    with self._one_drawing(lambda wish=wish: self.desk.finish(wish, last=True)):
                        self._serve(wish)
                elif self.jobs:
                    with self._one_drawing(self._give_up_job):
                        self._work(self.jobs[0])
                else:
                    self.desk.wait(IDLE_SECONDS)
        except BaseException as failure:
            self.failure = failure

    @contextmanager
    def _one_drawing(self, give_up: Callable[[], object]) -> Iterator[None]:
        """A drawing that fails is told, and is the only one that does."""
        try:
            yield
        except Exception as fault:  # whatever its settings or its place made of it
            traceback.print_exc()
            self.tell(f"a picture could not be drawn ({type(fault).__name__}: {fault})")
            give_up()

    def _give_up_job(self) -> None:
        if self.jobs:
            self.jobs.popleft()

    def _warm_up(self) -> None:
        """Load or compile the kernels before anyone waits for a picture, and learn what a pixel costs here."""
        pose = torch.tensor(self.artist.about.poses[0])
        self.artist.draw(WARM_UP, pose, "normals")
        started = time.perf_counter()
        self.artist.draw(WARM_UP, pose, samples=Settings().moving_samples)
        self._cost = (time.perf_counter() - started) / (WARM_UP.width * WARM_UP.height)

    def _serve(self, wish: Wish) -> None:
        view, settings, started = wish.subject, self.settings, time.perf_counter()
        pace = self.paces[settings.mode]
        if wish.level == 0:
            largest = min(settings.resolution, max(view.width, view.height))
            first = pace.moving(view.aspect, largest)
            self._sizes[wish.page] = [first, *pace.ladder(first, largest)]
        sizes, samples = self._sizes[wish.page], settings.samples
        if wish.level == 0:
            samples *= settings.moving_samples
        # Where the moving picture was the finest already, it is drawn once more with all its samples.
        camera = view.camera(sizes[min(wish.level, len(sizes) - 1)])
        dropped = None if wish.level == 0 else lambda: self._stopped.is_set() or self.desk.stale(wish)
        drawing = self.artist.draw(camera, view.pose, settings.mode, settings.crop, samples, dropped)
        if drawing is None or self.desk.stale(wish):
            return
        picture = self._with_photograph(self.artist.coloured(drawing, settings.mode), camera, view, settings)
        depth = self._depth(drawing, camera, view.pose, settings)
        self.show(wish.page, Shown(picture, depth, wish.level == 0, self._rate))
        spent = time.perf_counter() - started
        if wish.level == 0:
            pace.note(camera.width * camera.height, spent)
            self._rate = min(FASTEST, 1 / spent)
        self.desk.finish(wish, last=wish.level >= max(1, len(sizes) - 1))

    def _with_photograph(self, picture: np.ndarray, camera: Camera, view: View, settings: Settings) -> np.ndarray:
        """The picture with the photograph over it, where the page stands in a camera and wants to compare."""
        station = standing_in(self.stations, view.pose[:, 3]) if settings.photograph else None
        if station is None:
            return picture
        shown, within = seen_from(station, camera, view.pose)
        share = settings.photograph * within[..., None]  # [H, W, 1]
        return to_8bit(torch.from_numpy(picture) / 255 * (1 - share) + shown * share)

    def _depth(self, drawing: Drawing, camera: Camera, pose: Tensor, settings: Settings) -> np.ndarray | None:
        """What hides the overlays, not finer than they need: as a picture it takes longer to send than the colours."""
        if not settings.overlays:
            return None
        every = -(-max(camera.width, camera.height) // DEPTH_PIXELS)
        return z_depth(drawing.picture, camera, pose, self.artist.about.space, NOTHING, every)

    def _work(self, job: Job) -> None:
        if job.advance(self.artist, lambda: self._stopped.is_set() or self.desk.someone_moves()):
            self.jobs.popleft()

    def _look_for_newer(self, device: torch.device) -> None:
        """Take up a newer model, if there is one. A file that is gone is waited for, a bad one told and left."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if not self.source.newer():
            return
        try:
            self.loaded = self.source.load()
        except NerfpipeError as error:
            self.tell(f"kept the model from before: {error}")
            return
        self.artist = Artist(*self.loaded, device, self.runtime)
        self.adopt(self.loaded)
        self.desk.ask_again()
