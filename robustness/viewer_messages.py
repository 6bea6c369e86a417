"""What a hostile page may send to the viewer: other sites, other names, messages of every wrong kind.

A real viewer of a small model is served on loopback. After each batch it must still draw for a page that behaves.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robustness.counts import Counts
from robustness.numbers import NUMBERS
from robustness.project import Project

PATIENCE = 60.0  # seconds in which a page must get its picture
FLOOD = 10_000  # messages at once
WRONG: tuple[Any, ...] = (*NUMBERS[:6], 2**63, "1", "", None, True, [], {}, [0.0] * 1000, b"x", "..", "a" * 100_000)
CAMERA = {
    "type": "ViewerCameraMessage", "wxyz": [0.0, 1.0, 0.0, 0.0], "position": [0.0, 0.0, 3.0], "fov": 0.8, "near": 0.1,
    "far": 100.0, "image_height": 60, "image_width": 80, "look_at": [0.0, 0.0, 0.0], "up_direction": [0.0, 1.0, 0.0],
}  # fmt: skip
UPLOAD = {
    "type": "FileTransferStartUpload", "source_component_uuid": "u", "transfer_uuid": "t", "filename": "../../x",
    "mime_type": "", "part_count": 1, "size_bytes": 9,
}  # fmt: skip
PART = {
    "type": "FileTransferPart",
    "source_component_uuid": "u",
    "transfer_uuid": "t",
    "part_index": 0,
    "content": b"x",
}
STRANGERS = (
    (None, "http://evil.example"), (None, "null"), ("evil.example", None), ("127.0.0.1.evil.example", None),
    ("localhost.evil.example", None), (None, "https://127.0.0.1:1"),
)  # fmt: skip


def fuzz_viewer(project: Project, seed: int, work: Path) -> Counts:
    """All strangers, all wrong messages, and a flood."""
    import importlib.util

    counts = Counts("viewer messages")
    if importlib.util.find_spec("viser") is None:
        counts.skipped = "viser is not installed"
        return counts
    from nerfpipe.config.defaults import render_params
    from nerfpipe.viewer.ports import free_port
    from nerfpipe.viewer.sources import FileSource
    from nerfpipe.viewer.viewer import Viewer

    model = work / "viewed.safetensors"
    shutil.copy(project.folder / "data/model/field.safetensors", model)
    source = FileSource(model)
    address = ("127.0.0.1", free_port("127.0.0.1", 18_100))
    viewer = Viewer(source, source.load(), *render_params(), address, work / "no-rays", work / "viewer")
    try:
        asyncio.run(_all(viewer, counts, random.Random(seed)))
    finally:
        viewer.stop()
    if viewer.render_thread.failure is not None:
        counts.quiet("the thread that draws", f"it died of {viewer.render_thread.failure!r}")
    return counts


async def _all(viewer: Any, counts: Counts, random_: random.Random) -> None:
    port = viewer.address[1]
    for host, origin in STRANGERS:
        counts.quiet(f"a page of {origin or 'no site'} for {host or 'this host'}", await _gets_in(port, host, origin))
    uuids = list(viewer.server.gui._gui_input_handle_from_uuid)
    for name, messages in _batches(uuids, random_):
        fault = await _sent(port, messages)
        counts.quiet(name, fault or await _still_draws(port))
    counts.quiet(f"{FLOOD:,} cameras at once", await _sent(port, [_packed(CAMERA)] * FLOOD) or await _still_draws(port))


def _batches(uuids: list[str], random_: random.Random) -> Iterator[tuple[str, list[bytes]]]:
    """Names, and messages that are sent together."""
    for message in (CAMERA, UPLOAD, PART):
        for key in message:
            changed = [_packed({**message, key: value}) for value in WRONG]
            yield f"{message['type']}: {key} of every kind", [each for each in changed if each]
            yield f"{message['type']}: no {key}", [_packed({k: v for k, v in message.items() if k != key})]
    for uuid in [*uuids, "nobody"]:
        for key in ("value", "update_cb", "_impl", "removed", "visible"):
            sent = [_packed({"type": "GuiUpdateMessage", "uuid": uuid, "updates": {key: value}}) for value in WRONG]
            yield f"a control's {key} of every kind", [each for each in sent if each]
    kinds = ("RunJavascriptMessage", "ShareUrlRequest", "ShareUrlDisconnect", "GuiCloseModalMessage", "x" * 1000)
    yield "messages of other kinds", [_packed({"type": kind, "uuid": uuids[0], "source": "x"}) for kind in kinds]
    sound = _packed(CAMERA)
    yield "bytes", [random_.randbytes(random_.randrange(200)) for _ in range(200)]
    yield "cameras cut short", [sound[:n] for n in range(len(sound))]
    yield "deep nesting", [b"\x91" * 100_000]


def _packed(message: dict[str, Any]) -> bytes:
    import msgspec

    try:
        return msgspec.msgpack.encode(message)
    except (OverflowError, TypeError):
        return b""  # no message can say so


def _connection(port: int, host: str | None = None, origin: str | None = None) -> Any:
    import viser
    import websockets

    return websockets.connect(
        f"ws://{host or '127.0.0.1'}:{port}/", host="127.0.0.1", port=port, origin=origin, max_size=None,
        subprotocols=[f"viser-v{viser.__version__}"], proxy=None,
    )  # fmt: skip


async def _gets_in(port: int, host: str | None, origin: str | None) -> str:
    import websockets

    try:
        async with _connection(port, host, origin):
            return "it got in"
    except websockets.InvalidStatus as refused:
        status = refused.response.status_code
        return "" if status == 403 else f"it was answered {status}"


async def _sent(port: int, messages: list[bytes]) -> str:
    """Send them all, behind a sound camera; a server may close such a page."""
    import websockets

    try:
        async with _connection(port) as page:
            await page.send(_packed(CAMERA))
            for message in messages:
                await page.send(message)
    except websockets.ConnectionClosed:
        pass
    except OSError as error:
        return f"the server is gone ({error})"
    return ""


async def _still_draws(port: int) -> str:
    """A page that behaves must get a picture."""
    try:
        return await asyncio.wait_for(_pictured(port), PATIENCE)
    except asyncio.TimeoutError:
        return f"no picture came in {PATIENCE:.0f} s"
    except OSError as error:
        return f"the server is gone ({error})"


async def _pictured(port: int) -> str:
    async with _connection(port) as page:
        await page.send(_packed(CAMERA))
        async for message in page:
            if isinstance(message, bytes) and b"BackgroundImageMessage" in message:
                return ""
    return "the server closed the page"
