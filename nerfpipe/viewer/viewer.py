"""Puts desk, painter, page and panel together: what happens when someone clicks."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import viser

from nerfpipe.config import RenderParams, RuntimeParams
from nerfpipe.errors import NerfpipeError, describe_os_error
from nerfpipe.keyframes import through
from nerfpipe.turn import sized
from nerfpipe.viewer.jobs import Film, Still, free_file
from nerfpipe.viewer.keyframe_list import KeyFrameList
from nerfpipe.viewer.page import Server, Stage, focus_of, send, view_of
from nerfpipe.viewer.painter import Painter, Shown
from nerfpipe.viewer.panel import Panel
from nerfpipe.viewer.photographs import Station, find_stations
from nerfpipe.viewer.settings import vertical_fov
from nerfpipe.viewer.sources import Loaded, Source

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
    ) -> None:
        self.render, self.rays, self.output = render, rays, output
        self.key_frames, self.film_job = KeyFrameList(), None
        self._lock = threading.RLock()
        self._told = 0.0
        self.painter = Painter(source, loaded, runtime, self._show, self._adopt, self._notify_all)
        self.server = Server(*address)
        self._set_stage(loaded)
        self.server.on_client_connect(self._connect)
        self.server.on_client_disconnect(lambda client: self.painter.desk.leave(client.client_id))
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
        self.painter.settings = replace(self.painter.settings, crop=None, photograph=0.0)
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
            self._notify_all("a newer model is shown", seconds=3)
            return
        with self._lock:
            self.server.gui.reset()
            self.server.scene.reset()
            self.key_frames.clear()
            self._set_stage(loaded)
        for client in self.server.get_clients().values():
            self.stage.go_home(client)

    def _connect(self, client: viser.ClientHandle) -> None:
        def ask(_: viser.CameraHandle) -> None:
            if client.client_id in self.server.get_clients():
                self.painter.desk.ask(client.client_id, view_of(client))
                self.stage.hide_around(client.camera.position)

        client.camera.on_update(ask)
        ask(client.camera)

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

    def _notify_all(self, text: str, seconds: float | None = None) -> None:
        for client in self.server.get_clients().values():
            notify(client, text, seconds)

    def change(self, **values: Any) -> None:
        with self._lock:
            settings = replace(self.painter.settings, **values)
            self.painter.settings = replace(settings, overlays=self.stage.cameras_shown or settings.crop is not None)
            if "crop" in values:
                self.stage.show_box(values["crop"])
        self.painter.desk.ask_again()

    def show_cameras(self, visible: bool) -> None:
        self.stage.show_cameras(visible)
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
            file = free_file(self.output, "still", ".png").with_suffix(".png")
            self._save(client, file, png)

        self.painter.jobs.append(Still(view.camera(settings.resolution), view.pose, settings, done))

    def _save(self, client: viser.ClientHandle, file: Path, content: bytes) -> None:
        """Write a file here, and have the browser save it too."""
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except OSError as error:
            notify(client, describe_os_error(error))
            return
        client.send_file_download(file.name, content, save_immediately=True)
        notify(client, f"saved {file}", seconds=5)

    def add_key_frame(self, client: viser.ClientHandle) -> None:
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
        self.panel.list_key_frames(self.key_frames.names(), self.key_frames.loop)

    def save_key_frames(self, client: viser.ClientHandle) -> None:
        try:
            file = self.write_key_frames()
        except (NerfpipeError, OSError) as error:
            notify(client, describe_os_error(error) if isinstance(error, OSError) else str(error))
            return
        client.send_file_download(file.name, file.read_bytes(), save_immediately=True)
        notify(client, f"saved {file}", seconds=5)

    def write_key_frames(self) -> Path:
        """Save the key frames here, in a file of their own."""
        file = free_file(self.output, "key_frames", ".json").with_suffix(".json")
        self.key_frames.save(file, self.about.similarity)
        return file

    def load_key_frames(self, client: viser.ClientHandle, name: str, content: bytes) -> None:
        try:
            self.key_frames.load(name, content, self.about.similarity, torch.tensor(self.about.centre))
        except NerfpipeError as error:
            notify(client, str(error))
            return
        self._list_key_frames()

    def film(self, client: viser.ClientHandle, frames: int, fps: float, size: int) -> None:
        if self.film_job is not None:
            notify(client, "a film is being made; wait for it, or cancel it")
            return
        try:
            poses = through(self.key_frames.frames(), frames)
        except (NerfpipeError, ValueError) as error:
            notify(client, str(error))
            return

        def end(text: str) -> None:
            self.film_job = None
            self.panel.show_progress(0, 0, 0)
            notify(client, text)

        file = free_file(self.output, "film", ".gif", ".mp4")
        self.film_job = Film(
            camera=sized(self.about.camera.pinhole(), size),
            poses=poses,
            settings=self.painter.settings,
            file=file,
            fps=fps,
            progress=self.panel.show_progress,
            done=lambda files: end("saved " + " and ".join(str(file) for file in files)),
            failed=lambda error: end(describe_os_error(error)),
        )
        self.panel.show_progress(0, frames, 0)
        self.painter.jobs.append(self.film_job)

    def cancel_film(self) -> None:
        if self.film_job is not None:
            self.film_job.cancelled = True
            self.film_job = None
            self.panel.show_progress(0, 0, 0)


def notify(client: viser.ClientHandle, text: str, seconds: float | None = None) -> None:
    """Show a text in the corner of a page, for good or for so long."""
    client.add_notification("nerfpipe", text, auto_close_seconds=seconds)
