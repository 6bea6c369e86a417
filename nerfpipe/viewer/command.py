"""`nerfpipe view`."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nerfpipe.config.defaults import render_params
from nerfpipe.runtime import terminal
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.interrupt import StopRequest
from nerfpipe.viewer.ports import free_port, is_loopback
from nerfpipe.viewer.sources import FileSource, Loaded, NotYetError, Source, TrainingSource

if TYPE_CHECKING:
    from nerfpipe.viewer.viewer import Viewer

CHECK_SECONDS = 0.2  # between two checks whether to stop


@dataclass(frozen=True)
class Options:
    """Options of the command line."""

    model: Path
    host: str
    port: int
    data: Path | None
    output: Path
    follow: bool
    open: bool
    token: bool = False


def view(options: Options) -> None:
    """Serve the page until Ctrl-C. Raises NerfpipeError without a model, viser or a free port."""
    if importlib.util.find_spec("viser") is None:
        raise NerfpipeError("the viewer needs viser: pip install 'nerfpipe[viewer]'")
    render, runtime = render_params()
    rays = (options.data or options.model.parent.parent) / "rays"
    source = TrainingSource(options.model, rays) if options.follow else FileSource(options.model)
    with StopRequest() as stop:
        loaded = first_model(source, stop)
        if loaded is None:
            return
        port = free_port(options.host, options.port)
        from nerfpipe.viewer.admission import new_token  # needs viser, which is optional
        from nerfpipe.viewer.key_frame_files import UNSAVED
        from nerfpipe.viewer.viewer import Viewer  # viser takes a second to import

        token = new_token() if options.token or not is_loopback(options.host) else None
        if not is_loopback(options.host):
            say(f"warning: {options.host} lets other machines in that know the address below; it is not encrypted")
        if port != options.port:
            say(f"port {options.port} is in use, so it is {port}")

        left = options.output / UNSAVED
        if left.exists():
            left = left.replace(left.with_name(f"{left.stem}-{int(time.time())}.json"))
            say(f"notice: key frames that nobody saved are in {left}")
        viewer = Viewer(source, loaded, render, runtime, (options.host, port), rays, options.output, token)
        try:
            serve(viewer, options, stop, token)
        finally:  # also after a fault of the render thread: the key frames may be an hour's work
            viewer.stop()
            kept = viewer.keep_key_frames()
            terminal.say("stopped" if kept is None else f"stopped; the key frames are in {kept}")


def first_model(source: Source, stop: StopRequest) -> Loaded | None:
    """Load the model; of a training, wait for its first checkpoint. Returns None if asked to stop before.

    Checkpoints of other trainings and incomplete ones are reported and skipped. Raises NerfpipeError for other faults.
    """
    if not isinstance(source, TrainingSource):
        return source.load()
    if source.version() is None:
        terminal.say(f"waiting for the first checkpoint in {source.checkpoints}; Ctrl-C ends")
    while not stop.requested:
        if source.has_newer():
            try:
                return source.load()
            except NotYetError as error:
                say(f"{error} - waiting for a newer checkpoint; Ctrl-C ends")
        time.sleep(CHECK_SECONDS)
    return None


def serve(viewer: Viewer, options: Options, stop: StopRequest, token: str | None = None) -> None:
    """Print the page's address, and wait until asked to stop. Raises the exception that ended the render thread."""
    host, port = viewer.address
    name = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    url = f"http://{name}:{port}" + (f"/?token={token}" if token else "")
    header, model = viewer.header, viewer.render_thread.source.describe()
    terminal.say(f"{header.scene}, {header.method}, from {model}: look at {url} - Ctrl-C ends")
    if viewer.reason:
        say(viewer.reason)
    if options.open:
        threading.Thread(target=open_page, args=(url, port), name="browser", daemon=True).start()
    while not stop.requested:
        time.sleep(CHECK_SECONDS)
        if viewer.render_thread.failure is not None:
            raise viewer.render_thread.failure


def open_page(url: str, port: int) -> None:
    """Open the page in a browser, or print how to see it. Some browsers block until they are closed."""
    try:
        opened = has_display() and webbrowser.open(url)
    except webbrowser.Error:
        opened = False
    if not opened:
        say(
            f"no browser could be opened here; open {url}, "
            f"or on another machine run ssh -L {port}:localhost:{port} to this one and open http://localhost:{port}"
        )


def has_display() -> bool:
    """Whether a browser can open a window. Without a display, a text browser might take over this terminal.

    A user who sets BROWSER wants that one, with or without a display.
    """
    return not sys.platform.startswith("linux") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )


def say(text: str) -> None:
    """Print a line to the standard error."""
    terminal.say(text, aside=True)
