"""Access control and message validation of the viewer: a real server and real WebSocket clients on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

pytest.importorskip("viser")
import viser
import websockets
from websockets.datastructures import Headers

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.viewer import admission, command, messages, page
from nerfpipe.viewer.admission import admitted, guarded
from nerfpipe.viewer.messages import MessageFilter
from nerfpipe.viewer.ports import free_port

CAMERA = {
    "type": "ViewerCameraMessage", "wxyz": [1.0, 0.0, 0.0, 0.0], "position": [0.0, 0.0, 1.0], "fov": 0.8, "near": 0.1,
    "far": 100.0, "image_height": 300, "image_width": 400, "look_at": [0.0, 0.0, 0.0], "up_direction": [0.0, 1.0, 0.0],
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[page.Server]:
    server = page.Server("127.0.0.1", free_port("127.0.0.1", 18_080))
    yield server
    server.stop()


def connect(server: page.Server, host: str | None, origin: str | None, headers: dict[str, str] | None = None) -> int:
    """The status of a handshake; 101 where it is accepted."""

    async def run() -> int:
        port = server.get_port()
        try:
            async with websockets.connect(
                f"ws://{host or '127.0.0.1'}:{port}/",
                host="127.0.0.1",
                port=port,
                origin=origin,
                additional_headers=headers,
                subprotocols=[f"viser-v{viser.__version__}"],
            ):
                return 101
        except websockets.InvalidStatus as refused:
            return refused.response.status_code

    return asyncio.run(run())


def test_pages_of_other_sites_are_refused_and_its_own_is_not(server: page.Server) -> None:
    own = f"http://127.0.0.1:{server.get_port()}"
    assert connect(server, None, None) == connect(server, None, own) == 101
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", f"{own}.evil.example"):
        assert connect(server, None, origin) == 403
    assert connect(server, "evil.example", None) == connect(server, "127.0.0.1.evil.example", None) == 403


@pytest.mark.parametrize("host", ["localhost:8080", "LOCALHOST", "127.0.0.1:1", "[::1]:8080", "box.lan:8080"])
def test_addresses_and_the_name_served_are_hosts(host: str) -> None:
    assert admitted(Headers({"Host": host}), "box.lan")


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost.", "a@localhost", "l\u00f6calhost", "", "[localhost]"]
)
def test_other_names_are_not(host: str) -> None:
    assert not admitted(Headers({"Host": host}), "127.0.0.1")


def test_no_host_and_two_hosts_are_refused() -> None:
    assert not admitted(Headers(), "127.0.0.1")
    assert not admitted(Headers([("Host", "localhost"), ("Host", "localhost")]), "127.0.0.1")


@pytest.fixture
def closed() -> Iterator[page.Server]:
    """A server that asks for a token."""
    server = page.Server("127.0.0.1", free_port("127.0.0.1", 18_080), "open-sesame")
    yield server
    server.stop()


def fetch(server: page.Server, path: str, cookie: str | None = None, host: str | None = None) -> tuple[int, dict, str]:
    """Status, headers and text of what a server answers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.get_port(), timeout=30)
    headers = {"Host": host or f"127.0.0.1:{server.get_port()}", **({"Cookie": cookie} if cookie else {})}
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read().decode(errors="replace")


def test_a_page_is_served_and_other_names_are_refused_over_http_too(server: page.Server) -> None:
    assert fetch(server, "/")[0] == 200
    status, _, text = fetch(server, "/", host="evil.example")
    assert (status, text) == (403, admission.REFUSED)


def test_with_a_token_only_who_has_it_gets_in(closed: page.Server) -> None:
    port = closed.get_port()
    for path in ("/", "/?token=", "/?token=open", "/?token=open-sesame2", "/?taken=open-sesame"):
        assert fetch(closed, path)[::2] == (403, admission.NO_TOKEN)
    status, headers, _ = fetch(closed, "/?token=open-sesame")
    assert (status, headers["Location"]) == (303, "/")
    assert headers["Set-Cookie"] == f"nerfpipe-{port}=open-sesame; Path=/; HttpOnly; SameSite=Strict"
    assert fetch(closed, "/", cookie=f"nerfpipe-{port}=open-sesame; other=1")[0] == 200
    assert fetch(closed, "/", cookie=f"nerfpipe-{port}=else")[0] == 403
    assert fetch(closed, "/", cookie="nerfpipe-1=open-sesame")[0] == 403
    assert fetch(closed, "/", cookie="=;;;")[0] == 403


def test_the_socket_asks_for_the_token_too(closed: page.Server) -> None:
    assert connect(closed, None, None) == 403
    cookie = {"Cookie": f"nerfpipe-{closed.get_port()}=open-sesame"}
    assert connect(closed, None, None, cookie) == 101
    assert connect(closed, None, "http://evil.example", cookie) == 403


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {admission.new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 20


def test_a_viser_that_cannot_be_guarded_is_not_served() -> None:
    with pytest.raises(NerfpipeError, match="cannot be guarded"), guarded("localhost", MessageFilter(dict)):
        pass
    assert admission.websockets.asyncio.server.serve.__name__ == "serve"


@pytest.mark.parametrize(
    ("key", "value"),
    [("fov", 0), ("fov", float("nan")), ("wxyz", [0.0] * 4), ("position", [float("inf"), 0, 0]), ("image_width", 10**9),
     ("fov", "1"), ("position", None), ("position", [0.0] * 1000), ("image_height", -1), ("up_direction", {}),
     ("type", "ShareUrlRequest"), ("type", [])],
)  # fmt: skip
def test_a_camera_that_sees_nothing_is_dropped(key: str, value: Any) -> None:
    gate = MessageFilter(dict)
    assert gate.passed(msgspec.msgpack.encode(CAMERA)) is not None
    assert gate.passed(msgspec.msgpack.encode({**CAMERA, key: value})) is None


@pytest.mark.parametrize(
    "raw", [b"", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x91" * 100_000, "text", msgspec.msgpack.encode([])]
)
def test_what_is_no_message_is_dropped(raw: Any) -> None:
    assert MessageFilter(dict).passed(raw) is None


def test_controls_take_only_values_that_they_can_have(server: page.Server) -> None:
    gui = server.gui
    controls = [
        (gui.add_slider("s", 0.25, 2.0, 0.25, 1.0), [0.25, 2, 1.5], [0, math.nan, -1, 10**6, "1", None, [1], True]),
        (gui.add_dropdown("d", ("a", "b")), ["b"], ["c", 1, None, ["a"]]),
        (gui.add_checkbox("c", False), [True], [1, "True", None]),
        (gui.add_multi_slider("m", 0.0, 1.0, 0.1, (0.0, 1.0)), [[0.2, 0.8]], [[0.8, 0.2], [0.1], [0.0, 2.0], 1, None]),
        (gui.add_button_group("g", ("x", "y")), ["y"], ["z", 0]),
        (gui.add_button("b"), [True], ["x", [], None]),
        (gui.add_number("n", 5, min=2, max=10, step=1), [7], [1, 11, math.inf, "7"]),
    ]
    gate = MessageFilter(lambda: gui._gui_input_handle_from_uuid)
    for control, sound, unsound in controls:

        def passes(uuid: str = control._impl.uuid, **updates: Any) -> bool:
            message = {"type": "GuiUpdateMessage", "uuid": uuid, "updates": updates}
            return gate.passed(msgspec.msgpack.encode(message)) is not None

        assert all(passes(value=value) for value in sound)
        assert not any(passes(value=value) for value in unsound)
        assert not passes(update_cb=[])
        assert not passes(value=sound[0], removed=True)
        assert not passes("other", value=sound[0])


def test_uploads_of_one_page_are_bounded_together() -> None:
    """The kind may stand anywhere in a message; what a page never finishes must not pile up."""
    content = bytes(messages.UPLOAD // 2)
    part = {"content": content, "transfer_uuid": "t", "source_component_uuid": "u", "part_index": 0}
    sent = [msgspec.msgpack.encode({**part, "type": "FileTransferPart"})] * 20 + [msgspec.msgpack.encode(CAMERA)]

    async def receive() -> bytes:
        if not sent:
            raise EOFError
        return sent.pop(0)

    async def run() -> int:
        read, passed = MessageFilter(lambda: {}).reader(receive), 0
        with contextlib.suppress(EOFError):
            while True:
                passed += len(await read())
        return passed

    assert len(content) < asyncio.run(run()) <= messages.UPLOADS


def test_an_upload_has_a_constant_name_and_a_bounded_size() -> None:
    start = {"type": "FileTransferStartUpload", "source_component_uuid": "u", "transfer_uuid": "t", "filename": "..",
             "mime_type": "", "part_count": 1, "size_bytes": 9}  # fmt: skip
    gate = MessageFilter(lambda: {"u": SimpleNamespace()})
    raw = gate.passed(msgspec.msgpack.encode(start))
    assert raw is not None
    assert msgspec.msgpack.decode(raw)["filename"] == "key_frames.json"
    assert gate.passed(msgspec.msgpack.encode({**start, "size_bytes": 10**12})) is None


def test_key_frames_are_kept_where_the_drawing_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Dying:
        """A viewer whose drawing thread has died."""

        def __init__(self, *_: object) -> None:
            source = SimpleNamespace(describe=lambda: "m")
            self.render_thread = SimpleNamespace(source=source, failure=ZeroDivisionError("drawing"))
            self.header, self.address, self.reason = SimpleNamespace(scene="s", method="m"), ("127.0.0.1", 1), None

        def stop(self) -> None:
            pass

        def keep_key_frames(self) -> Path:
            return tmp_path / "key_frames_1.json"

    monkeypatch.setattr("nerfpipe.viewer.viewer.Viewer", Dying)
    monkeypatch.setattr(command, "first_model", lambda *_: ())
    options = command.Options(tmp_path / "m", "127.0.0.1", 18_080, None, tmp_path, follow=False, open=False)
    with pytest.raises(ZeroDivisionError):
        command.view(options)
    assert "stopped; the key frames are in" in capsys.readouterr().out
