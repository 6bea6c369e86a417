"""`nerfpipe view`."""

from __future__ import annotations

import importlib.util
import sys
import time
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nerfpipe.defaults import render_params
from nerfpipe.errors import NerfpipeError
from nerfpipe.interrupt import StopRequest
from nerfpipe.keyframes import FEWEST
from nerfpipe.viewer.ports import free_port, is_loopback
from nerfpipe.viewer.sources import FileSource, Loaded, Source, TrainingSource

if TYPE_CHECKING:
    from nerfpipe.viewer.viewer import Viewer

LOOK_SECONDS = 0.2  # between two looks at whether to stop


@dataclass(frozen=True)
class Options:
    """What was given on the command line."""

    model: Path
    host: str
    port: int
    data: Path | None
    output: Path
    follow: bool
    open: bool


def view(options: Options) -> None:
    """Serve the page until Ctrl-C. Raises NerfpipeError where there is no model, no viser or no port."""
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
        if not is_loopback(options.host):
            say(f"warning: whoever can reach {options.host} can see this scene and use the page's controls")
        if port != options.port:
            say(f"port {options.port} is in use, so it is {port}")
        from nerfpipe.viewer.viewer import Viewer  # viser takes a second to import, and may not be there

        viewer = Viewer(source, loaded, render, runtime, (options.host, port), rays, options.output)
        try:
            serve(viewer, options, stop)
        finally:
            viewer.stop()
        kept = viewer.key_frames.unsaved and len(viewer.key_frames) >= FEWEST
        print(f"stopped; the key frames are in {viewer.write_key_frames()}" if kept else "stopped", flush=True)


def first_model(source: Source, stop: StopRequest) -> Loaded | None:
    """The model; of a training that has saved nothing yet, as soon as it has. None when asked to stop before."""
    if isinstance(source, TrainingSource) and source.stamp() is None:
        print(f"waiting for the first checkpoint in {source.checkpoints}; Ctrl-C ends", flush=True)
        while source.stamp() is None and not stop.requested:
            time.sleep(LOOK_SECONDS)
        if stop.requested:
            return None
    return source.load()


def serve(viewer: Viewer, options: Options, stop: StopRequest) -> None:
    """Say where the page is, and wait until asked to stop. Raises what the drawing thread died of."""
    host, port = viewer.address
    name = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    url = f"http://{name}:{port}"
    about, where = viewer.about, viewer.painter.source.describe()
    print(f"{about.scene}, {about.method}, from {where}: look at {url} - Ctrl-C ends", flush=True)
    if viewer.reason:
        say(viewer.reason)
    if options.open:
        webbrowser.open(url)
    while not stop.requested:
        time.sleep(LOOK_SECONDS)
        if viewer.painter.failure is not None:
            raise viewer.painter.failure


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
