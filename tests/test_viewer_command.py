"""`nerfpipe view` as a command: ports, browsers, and the first model."""

from __future__ import annotations

import importlib.util
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from nerfpipe.cli.app import app
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.viewer import command
from nerfpipe.viewer.command import first_model, has_display, open_page
from nerfpipe.viewer.ports import free_port, is_loopback
from nerfpipe.viewer.sources import FileSource, NotYetError, TrainingSource

URL = "http://127.0.0.1:8080"


def test_a_port_in_use_is_passed_by() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < free_port("127.0.0.1", port) < port + 100
    with pytest.raises(NerfpipeError, match=r"--host: cannot serve on 192\.0\.2\.1:8080"):
        free_port("192.0.2.1", 8080)


def test_loopback_is_told_from_other_addresses() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "192.168.0.7", "::", "example.org"))


def test_without_viser_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "viser" else found(name))
    result = CliRunner().invoke(app, ["view", "m.safetensors"])
    assert (result.exit_code, result.output) == (
        1,
        "error: the viewer needs viser: pip install 'nerfpipe[viewer]'\n",
    )


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    pytest.importorskip("viser")
    result = CliRunner().invoke(app, ["view", str(tmp_path / "m.safetensors")])
    assert result.exit_code == 1
    assert "m.safetensors: not found; run `dvc repro train` first" in result.output


# A browser


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ""}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"BROWSER": "my-browser"}, True),
        ("darwin", {}, True),
    ],
)
def test_where_a_browser_can_appear(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], expected: bool
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert has_display() is expected


def refuse(url: str) -> bool:
    raise webbrowser.Error("could not locate runnable browser")


@pytest.mark.parametrize("opens", [lambda url: False, refuse])
def test_where_no_browser_opens_it_is_said_how_to_see_the_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], opens: Callable[[str], bool]
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", opens)
    open_page(URL, 8080)
    said = capsys.readouterr().err
    assert said.startswith(f"no browser could be opened here; open {URL}, or on another machine run ssh -L 8080:")
    monkeypatch.setattr(webbrowser, "open", lambda url: True)
    open_page(URL, 8080)
    assert capsys.readouterr().err == ""


def test_without_a_display_no_browser_is_asked_that_might_take_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "has_display", lambda: False)
    monkeypatch.setattr(webbrowser, "open", lambda url: pytest.fail("asked"))
    open_page(URL, 8080)
    assert "no browser could be opened here" in capsys.readouterr().err


def test_a_browser_that_does_not_come_back_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, stop = threading.Event(), SimpleNamespace(requested=True)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda url: closed.wait(60))
    viewer = SimpleNamespace(
        address=("127.0.0.1", 8080),
        header=SimpleNamespace(scene="arm", method="ngp"),
        render_thread=SimpleNamespace(source=FileSource(Path("m")), failure=None),
        reason=None,
    )
    command.serve(viewer, SimpleNamespace(open=True), stop)
    [waiting] = [thread for thread in threading.enumerate() if thread.name == "browser"]
    assert waiting.daemon  # so that it does not hold up the end either
    closed.set()
    waiting.join()


# The first model


class Training(TrainingSource):
    """A training whose checkpoints are what a test says: one after another, errors or models."""

    def __init__(self, stop: SimpleNamespace, *found: object) -> None:
        super().__init__(Path("field.safetensors"), Path("rays"), Path("checkpoints"))
        self.stop, self.found, self.looks = stop, list(found), 0

    def version(self) -> object:
        self.looks += 1
        if self.looks > 20:
            self.stop.requested = True  # Ctrl-C
        return self.looks // 4 if self.looks >= 4 and self.found else None  # the same for some looks

    def _read(self) -> object:
        found = self.found.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def test_a_checkpoint_that_another_training_left_is_told_and_passed_by(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "CHECK_SECONDS", 0.001)
    stop = SimpleNamespace(requested=False)
    assert first_model(Training(stop, NotYetError("old: does not fit method ngp"), "model"), stop) == "model"
    said = capsys.readouterr()
    assert said.out == "waiting for the first checkpoint in checkpoints; Ctrl-C ends\n"
    assert said.err == "old: does not fit method ngp - waiting for a newer checkpoint; Ctrl-C ends\n"
    assert first_model(Training(stop, NotYetError("old")), stop) is None
    assert stop.requested
    stop.requested = False
    with pytest.raises(NerfpipeError, match=r"params\.yaml"):
        first_model(Training(stop, NerfpipeError("params.yaml: method: unknown")), stop)
