"""Puts desk, painter, page and panel together: what happens when someone clicks."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import viser

from nerfpipe.camera_paths.key_frames import FEWEST, MOST, through
from nerfpipe.camera_paths.shapes import looked_at
from nerfpipe.config.params import RenderParams, RuntimeParams
from nerfpipe.geometry.cameras import sized
from nerfpipe.runtime.errors import NerfpipeError, describe_os_error
from nerfpipe.runtime.files import atomic_file
from nerfpipe.viewer.cameras import Station, find_stations
from nerfpipe.viewer.film_jobs import Films
from nerfpipe.viewer.jobs import Still
from nerfpipe.viewer.key_frame_list import KeyFrameList
from nerfpipe.viewer.new_file import new_file
from nerfpipe.viewer.page import Server, Stage, focus_of, send, view_of
from nerfpipe.viewer.panel import Panel
from nerfpipe.viewer.render_thread import Painter, Shown
from nerfpipe.viewer.settings import vertical_fov
from nerfpipe.viewer.sources import Loaded, Source

UNSAVED = "key_frames-unsaved.json"  # what a viewer that is killed leaves
MOST_JOBS = 100  # stills and films that wait
STATUS_SECONDS = 0.5  # between two changes of the text above the controls


class Viewer:
    """A server with one model. Files go into the folder `output`; the ray bank is looked for in `rays`."""

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
        self._lock = threading.RLock()  # of what a model of another scene replaces: stage, panel, settings
        self._told = 0.0
        self.server = Server(*address, token)
        self.painter = Painter(source, loaded, runtime, self._show, self._adopt, self.server.notify_all)
        self.films = Films(
            output,
            self.painter.jobs,
            self._lock,
            lambda *progress: self.panel.show_progress(*progress),  # of the panel that is there then
            self.server.notify_all,
        )
        self._set_stage(loaded)
        self.server.on_client_connect(self._connect)
        self.server.on_client_disconnect(self._disconnect)
        self.painter.start()

    def stop(self) -> None:
        self.painter.stop()
        self.server.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Host, and the port that was free."""
        return self.server.get_host(), self.server.get_port()

    def _set_stage(self, loaded: Loaded) -> None:
        """Scene and controls for a model."""
        self.about = loaded[1]
        self.painter.stations, self.reason = find_stations(self.about, self.rays)
        self.painter.settings = replace(self.painter.settings, crop=None, photograph=0.0, overlays=False)
        self.stage = Stage(self.server, self.about)
        self.stage.place(self.painter.stations, self.stand)
        self.server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="medium")
        self.server.gui.set_panel_label(f"{self.about.scene} - {self.about.method}")
        ranges = (self.stage.crop_range, self.stage.crop_start)
        settings, stations = self.painter.settings, self.painter.stations
        self.panel = Panel(self.server.gui, self, settings, self.render, stations, *ranges)
        self.panel.build()
        self.panel.tell(self.reason or "")

    def _adopt(self, loaded: Loaded) -> None:
        """A newer model: of the same scene, pages go on as they were; of another, they begin afresh."""
        before, about = self.about, loaded[1]
        if (before.scene, before.space, before.poses) == (about.scene, about.space, about.poses):
            self.about = self.stage.about = about
            self.server.notify_all("a newer model is shown", seconds=3)
            return
        with self._lock:
            text = self._clear_stage()
            self._set_stage(loaded)
        for client in self.server.get_clients().values():
            self.stage.go_home(client)
            self.stage.frusta.page_at(client.client_id, client.camera.position)
        self.server.notify_all(text)

    def _clear_stage(self) -> str:
        """Leave the scene shown so far, and all work on it. Returns what to say of that."""
        said = ["a model of another scene is shown"]
        if self.films.cancel() or self.painter.jobs:
            said.append("the stills and films not drawn yet are given up")
        self.painter.jobs.clear()
        try:
            if (kept := self.keep_key_frames()) is not None:
                said.append(f"the key frames are in {kept}")
        except OSError as error:
            said.append(f"the key frames are lost: {describe_os_error(error)}")
        self.key_frames.clear()
        self.stage.frusta.forget()
        self.server.gui.reset()
        self.server.scene.reset()
        return "; ".join(said)

    async def _connect(self, client: viser.ClientHandle) -> None:
        """A page is opened. As coroutines these run where viser takes in cameras: they see none torn, and in order."""

        async def ask(_: viser.CameraHandle) -> None:
            if client.client_id in self.server.get_clients():
                self.painter.desk.ask(client.client_id, view_of(client))
                self.stage.frusta.page_at(client.client_id, client.camera.position)

        client.camera.on_update(ask)
        await ask(client.camera)

    async def _disconnect(self, client: viser.ClientHandle) -> None:
        self.painter.desk.leave(client.client_id)
        self.stage.frusta.page_at(client.client_id, None)

    def _show(self, page: Hashable, shown: Shown) -> None:
        client = self.server.get_clients().get(page)
        if client is None:
            return
        send(client, shown)
        now = time.monotonic()
        if now - self._told >= STATUS_SECONDS or not shown.moving:
            self._told = now
            height, width = shown.picture.shape[:2]
            rate = f", {shown.rate:.0f} frames/s" if shown.moving else ""
            self.panel.tell(f"{width}×{height}{rate}" + (f"  \n{self.reason}" if self.reason else ""))

    def change(self, **values: Any) -> None:
        with self._lock:
            settings = replace(self.painter.settings, **values)
            self.painter.settings = replace(settings, overlays=self.stage.frusta.shown or settings.crop is not None)
            if "crop" in values:
                self.stage.show_box(values["crop"])
        self.painter.desk.ask_again()

    def show_cameras(self, visible: bool) -> None:
        with self._lock:
            self.stage.frusta.show(visible)
            self.change()

    def stand(self, client: viser.ClientHandle, station: Station) -> None:
        pose = station.pose.double().numpy()
        self.stage.look_from(client, pose, None, vertical_fov(station.camera, client.camera.aspect))
        self.panel.choose(station)

    def go_home(self, client: viser.ClientHandle) -> None:
        self.stage.go_home(client)

    def save_still(self, client: viser.ClientHandle) -> None:
        view, settings = view_of(client), self.painter.settings

        def done(png: bytes) -> None:
            try:
                with new_file(self.output, "still", ".png") as file, atomic_file(file.with_suffix(".png")) as temporary:
                    temporary.write_bytes(png)
                self.server.saved(client, file.with_suffix(".png"))
            except OSError as error:
                self.server.notify(client, error)

        if len(self.painter.jobs) >= MOST_JOBS:
            self.server.notify(client, f"{MOST_JOBS} stills and films are waiting; this one was left out", seconds=5)
            return
        self.painter.jobs.append(Still(view.camera(settings.resolution), view.pose, settings, done))

    def add_key_frame(self, client: viser.ClientHandle) -> None:
        if len(self.key_frames) >= MOST:
            self.server.notify(client, f"a path has {MOST:,} key frames at most")
            return
        self.key_frames.add(view_of(client).pose, focus_of(client))
        self._list_key_frames()

    def go_to_key_frame(self, client: viser.ClientHandle, place: int) -> None:
        pose, focus = self.key_frames[place]
        self.stage.look_from(client, pose, focus, None)

    def delete_key_frame(self, place: int) -> None:
        self.key_frames.delete(place)
        self._list_key_frames()

    def clear_key_frames(self) -> None:
        self.key_frames.clear()
        self._list_key_frames()

    def loop_key_frames(self, loop: bool) -> None:
        self.key_frames.loop = loop

    def _list_key_frames(self) -> None:
        with contextlib.suppress(OSError):  # where nothing can be written, saving will say so
            self._keep_unsaved()
        with self._lock:
            self.panel.list_key_frames(self.key_frames.names(), self.key_frames.loop)

    def save_key_frames(self, client: viser.ClientHandle) -> None:
        try:
            self.server.saved(client, self._write_key_frames())
        except (NerfpipeError, OSError) as error:
            self.server.notify(client, error)

    def _keep_unsaved(self) -> None:
        """Have the key frames in a file while nobody has saved them: a kill would take an hour's work."""
        if self.key_frames.unsaved and len(self.key_frames) >= FEWEST:
            self.output.mkdir(parents=True, exist_ok=True)
            self.key_frames.copy(self.output / UNSAVED, self.about.similarity)
        else:
            (self.output / UNSAVED).unlink(missing_ok=True)

    def keep_key_frames(self) -> Path | None:
        """Save key frames that nobody saved, if they make a path. Returns the file. Raises OSError."""
        return self._write_key_frames() if self.key_frames.unsaved and len(self.key_frames) >= FEWEST else None

    def _write_key_frames(self) -> Path:
        with new_file(self.output, "key_frames", ".json") as file:
            self.key_frames.save(file.with_suffix(".json"), self.about.similarity)
        (self.output / UNSAVED).unlink(missing_ok=True)
        return file.with_suffix(".json")

    def load_key_frames(self, client: viser.ClientHandle, name: str, content: bytes) -> None:
        try:
            centre = looked_at(torch.tensor(self.about.centre), self.about.space.kind == "forward")
            self.key_frames.load(name, content, self.about.similarity, centre)
        except NerfpipeError as error:
            self.server.notify(client, error)
            return
        self._list_key_frames()

    def film(self, client: viser.ClientHandle, frames: int, fps: float, size: int) -> None:
        try:
            with self._lock:
                poses = through(self.key_frames.frames(), frames)
                self.films.begin(sized(self.about.camera.pinhole(), size), poses, self.painter.settings, fps)
        except (NerfpipeError, OSError, ValueError) as error:
            self.server.notify(client, error)

    def cancel_film(self) -> None:
        self.films.cancel()
