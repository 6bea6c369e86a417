"""The thread that renders: requests of pages first, jobs without haste (stills, films) in between."""

from __future__ import annotations

import threading
import time
import traceback
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from nerfpipe.config.params import RuntimeParams
from nerfpipe.geometry.cameras import Camera
from nerfpipe.images.convert import to_8bit
from nerfpipe.models.set_up import set_up
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.viewer.adaptive_resolution import AdaptiveResolution
from nerfpipe.viewer.cameras import SceneCamera, camera_at, reproject_photograph
from nerfpipe.viewer.drawing import RenderedView, ViewRenderer, z_depth
from nerfpipe.viewer.request_queue import PageId, Request, RequestQueue
from nerfpipe.viewer.settings import Mode, Settings, View
from nerfpipe.viewer.sources import Loaded, Source

CHECK_SECONDS = 1.0  # between two checks for a newer model
IDLE_SECONDS = 0.25  # longest sleep of the thread
EMPTY_DEPTH = 160.0  # scene units, for empty pixels; viser's depths end at 167
DEPTH_PIXELS = 320  # longer side of the depth sent to a page, at most
HIGHEST_RATE = 60.0  # frames per second, the most that a page reports
WARM_UP = Camera.centred(64, 64, 64.0)  # rendered once to measure the speed of this machine


@dataclass(frozen=True)
class PageFrame:
    """A picture for a page."""

    picture: np.ndarray  # [H, W, 3] uint8
    depth: np.ndarray | None  # [h, w] along the camera's axis, scene units; None without overlays to hide
    moving: bool
    rate: float  # frames per second of the last moving picture


class Job(Protocol):
    """Work in pieces, done when no page waits."""

    def advance(self, renderer: ViewRenderer, dropped: Callable[[], bool]) -> bool:
        """Do the next piece, or give it up as soon as `dropped` returns true. Returns whether the job is complete."""
        ...


class RenderThread:
    """Owns the renderer. Calls `show` with each picture, `adopt` with each newer model, `tell` with each fault.

    All three are called in its own thread.
    """

    def __init__(
        self,
        source: Source,
        loaded: Loaded,
        runtime: RuntimeParams,
        show: Callable[[PageId, PageFrame], None],
        adopt: Callable[[Loaded], None],
        tell: Callable[[str], None],
    ) -> None:
        self.source, self.loaded, self.runtime = source, loaded, runtime
        self.show, self.adopt, self.tell = show, adopt, tell
        self.requests = RequestQueue()
        self.settings, self.scene_cameras = Settings(), list[SceneCamera]()
        self.jobs: deque[Job] = deque()
        self.failure: BaseException | None = None  # a bug, which the main thread raises
        self._first_cost = 0.0  # seconds per pixel, measured at the start
        self._resolutions: defaultdict[Mode, AdaptiveResolution] = defaultdict(
            lambda: AdaptiveResolution(self._first_cost)  # one per mode: normals cost several times what colour does
        )
        self._rate = 0.0  # frames per second of the last moving picture
        self._sizes: dict[PageId, list[int]] = {}  # of a page's pictures, from moving to the finest
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="render", daemon=True)
        self._last_check = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current piece of work."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            device = set_up(self.runtime)  # in this thread: torch's number of threads is set per thread
            self.renderer = ViewRenderer(*self.loaded, device, self.runtime)
            self._warm_up()
            while not self._stopped.is_set():
                self._check_for_newer(device)
                if (request := self.requests.take()) is not None:
                    with self._report_faults(partial(self.requests.finish, request, last=True)):
                        self._serve(request)
                elif self.jobs:
                    with self._report_faults(self._give_up_job):
                        self._work(self.jobs[0])
                else:
                    self.requests.wait(IDLE_SECONDS)
        except BaseException as failure:
            self.failure = failure

    @contextmanager
    def _report_faults(self, give_up: Callable[[], object]) -> Iterator[None]:
        """Report a picture that fails, and give it up; the next picture is rendered."""
        try:
            yield
        except Exception as fault:  # any: settings and cameras come from pages
            traceback.print_exc()
            self.tell(f"a picture could not be drawn ({type(fault).__name__}: {fault})")
            give_up()

    def _give_up_job(self) -> None:
        if self.jobs:
            self.jobs.popleft()

    def _warm_up(self) -> None:
        """Load or compile the kernels before a page waits for a picture, and measure the cost of a pixel."""
        pose = torch.tensor(self.renderer.header.poses[0])
        self.renderer.render(WARM_UP, pose, "normals")
        started = time.perf_counter()
        self.renderer.render(WARM_UP, pose, samples=Settings().moving_samples)
        self._first_cost = (time.perf_counter() - started) / (WARM_UP.width * WARM_UP.height)

    def _serve(self, request: Request) -> None:
        """Render a request, and show it unless it is stale by then."""
        view, settings, started = request.view, self.settings, time.perf_counter()
        moving = request.level == 0
        resolution = self._resolutions[settings.mode]
        if moving:
            self._sizes[request.page] = _sizes(resolution, view, settings)
        sizes = self._sizes[request.page]
        samples = settings.samples * settings.moving_samples if moving else settings.samples
        # A moving picture of full size has no finer one: level 1 renders it once more, with all samples.
        camera = view.camera(sizes[min(request.level, len(sizes) - 1)])
        dropped = None if moving else lambda: self._stopped.is_set() or self.requests.is_stale(request)
        rendered = self.renderer.render(camera, view.pose, settings.mode, settings.crop, samples, dropped)
        if rendered is None or self.requests.is_stale(request):
            return
        picture = self._with_photograph(self.renderer.image(rendered, settings.mode), camera, view, settings)
        depth = self._depth(rendered, camera, view.pose, settings)
        self.show(request.page, PageFrame(picture, depth, moving, self._rate))
        seconds = time.perf_counter() - started
        if moving:
            resolution.observe(camera.width * camera.height, seconds)
            self._rate = min(HIGHEST_RATE, 1 / seconds)
        self.requests.finish(request, last=request.level >= max(1, len(sizes) - 1))

    def _with_photograph(self, picture: np.ndarray, camera: Camera, view: View, settings: Settings) -> np.ndarray:
        """The picture [H, W, 3] under the photograph, if the settings ask for it and the page stands in a camera."""
        taken = camera_at(self.scene_cameras, view.pose[:, 3]) if settings.photograph else None
        if taken is None:
            return picture
        photograph, inside = reproject_photograph(taken, camera, view.pose)
        weight = settings.photograph * inside[..., None]  # [H, W, 1]
        return to_8bit(torch.from_numpy(picture) / 255 * (1 - weight) + photograph * weight)

    def _depth(self, rendered: RenderedView, camera: Camera, pose: Tensor, settings: Settings) -> np.ndarray | None:
        """Depth that hides overlays. It is coarse, since sending it takes longer than sending the colours."""
        if not settings.overlays:
            return None
        every = -(-max(camera.width, camera.height) // DEPTH_PIXELS)
        return z_depth(rendered.picture, camera, pose, self.renderer.header.space, EMPTY_DEPTH, every)

    def _work(self, job: Job) -> None:
        if job.advance(self.renderer, lambda: self._stopped.is_set() or self.requests.any_moving()):
            self.jobs.popleft()

    def _check_for_newer(self, device: torch.device) -> None:
        """Load a newer model, if there is one. A missing file is waited for; a faulty one is reported and skipped."""
        if time.monotonic() - self._last_check < CHECK_SECONDS:
            return
        self._last_check = time.monotonic()
        if not self.source.has_newer():
            return
        try:
            self.loaded = self.source.load()
        except NerfpipeError as error:
            self.tell(f"kept the model from before: {error}")
            return
        self.renderer = ViewRenderer(*self.loaded, device, self.runtime)
        self.adopt(self.loaded)
        self.requests.resubmit_all()


def _sizes(resolution: AdaptiveResolution, view: View, settings: Settings) -> list[int]:
    """Sizes of a page's pictures, from moving to the finest, in pixels of the longer side."""
    largest = min(settings.resolution, max(view.width, view.height))
    first = resolution.moving_size(view.aspect, largest)
    return [first, *resolution.refinements(first, largest)]
