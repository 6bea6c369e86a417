"""`nerfpipe view` as a command, and its page in a real browser."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
from browser import open_browser
from conftest import PARAMS
from tiny_pipeline import environment

from nerfpipe.methods import build_model
from nerfpipe.modelfile import save_model
from nerfpipe.raybank import RayBank
from nerfpipe.training import describe_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@pytest.fixture
def served(bank: RayBank, with_params, tmp_path: Path):
    """`nerfpipe view` of an untrained model, as a user starts it, and its URL."""
    pytest.importorskip("viser")
    params = with_params(**{"method": "tiny", "tiny.field.width": 8, "tiny.sampling.samples": 8})
    model = build_model(params.recipe, 3, bank.space)
    file = tmp_path / "data/model/field.safetensors"
    file.parent.mkdir(parents=True)
    save_model(file, model, describe_model(params, bank))
    shutil.copytree(bank.folder, tmp_path / "data/rays")
    (tmp_path / "params.yaml").write_text(PARAMS.read_text().replace("threads: 0 ", "threads: 1 "))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = {**environment(), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-u", "-m", "nerfpipe", "view", "--port", str(port)]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            lines = [process.stdout.readline(), process.stdout.readline()]
            assert lines[0].startswith(f"port {port} is in use, so it is "), lines
            assert "look at http://127.0.0.1:" in lines[1], lines
            yield lines[1].split("look at ")[1].split(" ")[0], process, file
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A headless browser with WebGL in software."""
    with open_browser(*WEBGL) as running:
        yield running


def pixels(page) -> np.ndarray:
    """What the page shows left of the controls."""
    return iio.imread(page.screenshot(clip={"x": 20, "y": 180, "width": 260, "height": 200}))[..., :3].astype(int)


def changed_from(page, before: np.ndarray, least: float, seconds: float = 20) -> np.ndarray:
    """What the page shows when it has become something else."""
    deadline = time.monotonic() + seconds
    while (difference := np.abs(pixels(page) - before).mean()) < least:
        assert time.monotonic() < deadline, f"the page did not change (mean difference {difference:.2f})"
        time.sleep(0.2)
    return pixels(page)


@pytest.mark.slow
def test_the_page_shows_the_field_and_turns_it_without_leaving_the_machine(served, browser) -> None:
    url, process, model = served
    page = browser.new_page(viewport={"width": 640, "height": 400})
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda sockets: asked.append(sockets.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    page.get_by_text("Save still").wait_for(timeout=20_000)
    page.get_by_text("640×400").wait_for(timeout=20_000)  # the full picture is sent
    blank = np.full_like(pixels(page), 255)
    first = changed_from(page, blank, 1.0)

    page.mouse.move(100, 260)
    page.mouse.down()
    for step in range(8):
        page.mouse.move(100 + 20 * step, 260 + 6 * step)
        time.sleep(0.05)
    page.mouse.up()
    turned = changed_from(page, first, 1.0)

    status = model.stat()  # a newer model: as if trained again, and wholly empty
    content = model.read_bytes()
    start = len(content) - 4 * 200
    model.with_name("new").write_bytes(content[:start] + np.full(200, -3, np.float32).tobytes())
    os.replace(model.with_name("new"), model)
    assert model.stat().st_mtime_ns != status.st_mtime_ns
    page.get_by_text("a newer model is shown").wait_for(timeout=20_000)
    changed_from(page, turned, 0.5)

    with page.expect_download(timeout=20_000) as download:
        page.get_by_text("Save still").click()  # of 800 pixels, as the slider says
    assert iio.imread(download.value.path()).shape == (500, 800, 3)

    host = url.removeprefix("http://")
    allowed = (f"http://{host}", f"ws://{host}", f"blob:http://{host}", "data:")
    assert [address for address in asked if not address.startswith(allowed)] == []
    assert any(address.startswith("ws://") for address in asked)
    assert errors == []
    page.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert process.stdout.read() == "stopped\n"
