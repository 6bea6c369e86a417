"""The viewer as a whole: connects render thread, pages and panel, and carries out the actions of the controls."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import viser

from nerfpipe.camera_paths.key_frames import MOST, interpolate
from nerfpipe.camera_paths.shapes import view_target
from nerfpipe.config.params import RenderParams, RuntimeParams
from nerfpipe.geometry.cameras import sized
from nerfpipe.runtime.errors import NerfpipeError, describe_os_error
from nerfpipe.runtime.files import atomic_file
from nerfpipe.viewer.cameras import SceneCamera, find_scene_cameras
from nerfpipe.viewer.film_jobs import FilmJobs
from nerfpipe.viewer.jobs import Still
from nerfpipe.viewer.key_frame_files import save_numbered, save_unsaved, update_copy
from nerfpipe.viewer.key_frame_list import KeyFrameList
from nerfpipe.viewer.new_file import new_file
from nerfpipe.viewer.page import SceneOverlay, Server, focus_of, send, view_of
from nerfpipe.viewer.panel import Panel
from nerfpipe.viewer.render_thread import PageFrame, RenderThread
from nerfpipe.viewer.request_queue import PageId
from nerfpipe.viewer.settings import vertical_fov
from nerfpipe.viewer.sources import Loaded, Source

MOST_JOBS = 100  # waiting stills and films
STATUS_SECONDS = 0.5  # between two changes of the status above the controls


class Viewer:
    """A server with one model. `output` is the folder for files, `rays` the folder of the ray bank, if there is one.

    Implements `panel.Actions`.
    """

    def __init__(
        self,
        source: Source,
        loaded: Loaded,
        render: RenderParams,
        runtime: RuntimeParams,
        address: tuple[str, int],
        rays: Path,
        output: Path,
        token: str | None = None,
    ) -> None:
        self.render, self.rays, self.output = render, rays, output
        self.key_frames = KeyFrameList()
        self._lock = threading.RLock()  # of overlay, panel and settings, which a model of another scene replaces
        self._last_status = 0.0
        self.server = Server(*address, token)
        self.render_thread = RenderThread(source, loaded, runtime, self._show, self._adopt, self.server.notify_all)
        self.film_jobs = FilmJobs(
            output,
            self.render_thread.jobs,
            self._lock,
            lambda *progress: self.panel.show_progress(*progress),  # looks up the panel of the current scene
            self.server.notify_all,
        )
        self._set_up_scene(loaded)
        self.server.on_client_connect(self._connect)
        self.server.on_client_disconnect(self._disconnect)
        self.render_thread.start()

    def stop(self) -> None:
        self.render_thread.stop()
        self.server.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.server.get_host(), self.server.get_port()

    def _set_up_scene(self, loaded: Loaded) -> None:
        """Build overlay and panel for a model."""
        self.header = loaded[1]
        self.render_thread.scene_cameras, self.reason = find_scene_cameras(self.header, self.rays)
        self.render_thread.settings = replace(self.render_thread.settings, crop=None, photograph=0.0, overlays=False)
        self.overlay = SceneOverlay(self.server, self.header)
        self.overlay.add_cameras(self.render_thread.scene_cameras, self.go_to_camera)
        self.server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="medium")
        self.server.gui.set_panel_label(f"{self.header.scene} - {self.header.method}")
        corners = (self.overlay.crop_range, self.overlay.crop_start)
        settings, cameras = self.render_thread.settings, self.render_thread.scene_cameras
        self.panel = Panel(self.server.gui, self, settings, self.render, cameras, *corners)
        self.panel.build()
        self.panel.tell(self.reason or "")

    def _adopt(self, loaded: Loaded) -> None:
        """Show a newer model. Pages keep their state if it is of the same scene, and start afresh otherwise."""
        before, header = self.header, loaded[1]
        if (before.scene, before.space, before.poses) == (header.scene, header.space, header.poses):
            self.header = self.overlay.header = header
            self.server.notify_all("a newer model is shown", seconds=3)
            return
        with self._lock:
            text = self._clear_scene()
            self._set_up_scene(loaded)
        for client in self.server.get_clients().values():
            self.overlay.go_home(client)
            self.overlay.frusta.move_page(client.client_id, client.camera.position)
        self.server.notify_all(text)

    def _clear_scene(self) -> str:
        """Remove the old scene and all work on it. Returns the message for the user."""
        lines = ["a model of another scene is shown"]
        if self.film_jobs.cancel() or self.render_thread.jobs:
            lines.append("the stills and films not drawn yet are given up")
        self.render_thread.jobs.clear()
        try:
            if (kept := self.keep_key_frames()) is not None:
                lines.append(f"the key frames are in {kept}")
        except OSError as error:
            lines.append(f"the key frames are lost: {describe_os_error(error)}")
        self.key_frames.clear()
        self.overlay.frusta.forget()
        self.server.gui.reset()
        self.server.scene.reset()
        return "; ".join(lines)

    async def _connect(self, client: viser.ClientHandle) -> None:
        """Serve a page that was opened.

        The callbacks are coroutines, so that they run in viser's event loop: in order, and never during an update.
        """

        async def submit(_: viser.CameraHandle) -> None:
            if client.client_id in self.server.get_clients():
                self.render_thread.requests.submit(client.client_id, view_of(client))
                self.overlay.frusta.move_page(client.client_id, client.camera.position)

        client.camera.on_update(submit)
        await submit(client.camera)

    async def _disconnect(self, client: viser.ClientHandle) -> None:
        self.render_thread.requests.remove(client.client_id)
        self.overlay.frusta.move_page(client.client_id, None)

    def _show(self, page: PageId, frame: PageFrame) -> None:
        client = self.server.get_clients().get(page)
        if client is None:
            return
        send(client, frame)
        now = time.monotonic()
        if now - self._last_status >= STATUS_SECONDS or not frame.moving:
            self._last_status = now
            height, width = frame.picture.shape[:2]
            rate = f", {frame.rate:.0f} frames/s" if frame.moving else ""
            self.panel.tell(f"{width}×{height}{rate}" + (f"  \n{self.reason}" if self.reason else ""))

    def change(self, **values: Any) -> None:
        """Change fields of the settings, and render all pages again."""
        with self._lock:
            settings = replace(self.render_thread.settings, **values)
            overlays = self.overlay.frusta.shown or settings.crop is not None
            self.render_thread.settings = replace(settings, overlays=overlays)
            if "crop" in values:
                self.overlay.show_box(values["crop"])
        self.render_thread.requests.resubmit_all()

    def show_cameras(self, visible: bool) -> None:
        with self._lock:
            self.overlay.frusta.show(visible)
            self.change()

    def go_to_camera(self, client: viser.ClientHandle, camera: SceneCamera) -> None:
        """Move a page's camera into a camera of the scene, with a view that shows all of its photograph."""
        pose = camera.pose.double().numpy()
        self.overlay.look_from(client, pose, None, vertical_fov(camera.camera, client.camera.aspect))
        self.panel.choose(camera)

    def go_home(self, client: viser.ClientHandle) -> None:
        self.overlay.go_home(client)

    def save_still(self, client: viser.ClientHandle) -> None:
        """Render the page's view without haste; it is written here and saved by the browser."""
        view, settings = view_of(client), self.render_thread.settings

        def done(png: bytes) -> None:
            try:
                with new_file(self.output, "still", ".png") as file, atomic_file(file.with_suffix(".png")) as temporary:
                    temporary.write_bytes(png)
                self.server.saved(client, file.with_suffix(".png"))
            except OSError as error:
                self.server.notify(client, error)

        if len(self.render_thread.jobs) >= MOST_JOBS:
            self.server.notify(client, f"{MOST_JOBS} stills and films are waiting; this one was left out", seconds=5)
            return
        self.render_thread.jobs.append(Still(view.camera(settings.resolution), view.pose, settings, done))

    def add_key_frame(self, client: viser.ClientHandle) -> None:
        if len(self.key_frames) >= MOST:
            self.server.notify(client, f"a path has {MOST:,} key frames at most")
            return
        self.key_frames.add(view_of(client).pose, focus_of(client))
        self._list_key_frames()

    def go_to_key_frame(self, client: viser.ClientHandle, index: int) -> None:
        pose, focus = self.key_frames[index]
        self.overlay.look_from(client, pose, focus, None)

    def delete_key_frame(self, index: int) -> None:
        self.key_frames.delete(index)
        self._list_key_frames()

    def clear_key_frames(self) -> None:
        self.key_frames.clear()
        self._list_key_frames()

    def loop_key_frames(self, loop: bool) -> None:
        self.key_frames.loop = loop

    def _list_key_frames(self) -> None:
        with contextlib.suppress(OSError):  # saving reports a folder that is not writable
            update_copy(self.key_frames, self.output, self.header.similarity)
        with self._lock:
            self.panel.list_key_frames(self.key_frames.names(), self.key_frames.loop)

    def save_key_frames(self, client: viser.ClientHandle) -> None:
        try:
            self.server.saved(client, save_numbered(self.key_frames, self.output, self.header.similarity))
        except (NerfpipeError, OSError) as error:
            self.server.notify(client, error)

    def keep_key_frames(self) -> Path | None:
        """Save unsaved key frames if they are enough for a path. Returns the file, or None. Raises OSError."""
        return save_unsaved(self.key_frames, self.output, self.header.similarity)

    def load_key_frames(self, client: viser.ClientHandle, name: str, content: bytes) -> None:
        try:
            centre = view_target(torch.tensor(self.header.centre), self.header.space.faces_forward)
            self.key_frames.load(name, content, self.header.similarity, centre)
        except NerfpipeError as error:
            self.server.notify(client, error)
            return
        self._list_key_frames()

    def film(self, client: viser.ClientHandle, frames: int, fps: float, size: int) -> None:
        """Film the path through the key frames; size: pixels of the longer side."""
        try:
            with self._lock:
                poses = interpolate(self.key_frames.frames(), frames)
                self.film_jobs.begin(sized(self.header.camera.pinhole(), size), poses, self.render_thread.settings, fps)
        except (NerfpipeError, OSError, ValueError) as error:
            self.server.notify(client, error)

    def cancel_film(self) -> None:
        self.film_jobs.cancel()
