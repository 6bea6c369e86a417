"""The page of `nerfpipe view` in a real browser."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from browser import open_browser
from conftest import PARAMS
from tiny_pipeline import environment
from viewer_subject import PATIENCE, until

from nerfpipe.camera_paths.key_frames import read_key_frames
from nerfpipe.models.model_file import load_model, save_model
from nerfpipe.models.registry import build_model
from nerfpipe.raybank.bank import RayBank
from nerfpipe.training.header import describe_model
from nerfpipe.viewer.cameras import find_scene_cameras

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VIEWPORT = {"width": 640, "height": 400}
CLIP = {"x": 20, "y": 180, "width": 260, "height": 200}  # of it: left of the controls, below notifications
COLOURED = 60  # of 255, how far red, green and blue of a pixel are apart
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


def visit(page: Page, url: str) -> np.ndarray:
    """What the page shows when the full picture is there."""
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(url)
    size = page.viewport_size
    page.get_by_text(f"{size['width']}×{size['height']}", exact=True).wait_for()  # the full picture is sent
    shots = [changed_from(page, np.full_like(pixels(page), 255), 1.0)]

    def at_rest() -> bool:
        shots.append(pixels(page))
        return np.array_equal(*shots[-2:])

    until(at_rest, "a page at rest")
    return shots[-1]


def pixels(page: Page) -> np.ndarray:
    """What the page shows left of the controls."""
    return iio.imread(page.screenshot(clip=CLIP))[..., :3].astype(int)


def changed_from(page: Page, before: np.ndarray, least: float) -> np.ndarray:
    """What the page shows when it has become something else."""
    until(lambda: np.abs(pixels(page) - before).mean() >= least, "a change of the page")
    return pixels(page)


def choose(page: Page, label: str, option: str) -> None:
    """Choose from a dropdown."""
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def says(page: Page, text: str) -> None:
    """Wait until the page says something."""
    page.get_by_text(text).first.wait_for()


def end(process: subprocess.Popen) -> str:
    """Ctrl-C; what the viewer says then."""
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    return process.stdout.read()


@pytest.mark.slow
def test_the_page_shows_the_field_and_turns_it_without_leaving_the_machine(served, browser) -> None:
    url, process, model = served
    page = browser.new_page(viewport=VIEWPORT)
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda sockets: asked.append(sockets.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    first = visit(page, url)
    page.mouse.move(100, 260)
    page.mouse.down()
    page.mouse.move(260, 310, steps=8)
    page.mouse.up()
    turned = changed_from(page, first, 1.0)

    status = model.stat()  # a newer model: as if trained again, and wholly empty
    content = model.read_bytes()
    start = len(content) - 4 * 200
    model.with_name("new").write_bytes(content[:start] + np.full(200, -3, np.float32).tobytes())
    os.replace(model.with_name("new"), model)
    assert model.stat().st_mtime_ns != status.st_mtime_ns
    says(page, "a newer model is shown")
    page.get_by_text("a newer model is shown").wait_for(state="hidden")
    changed_from(page, turned, 0.5)

    with page.expect_download() as download:
        page.get_by_text("Save still").click()  # of 800 pixels, as the slider says
    assert iio.imread(download.value.path()).shape == (500, 800, 3)

    host = url.removeprefix("http://")
    allowed = (f"http://{host}", f"ws://{host}", f"blob:http://{host}", "data:")
    assert [address for address in asked if not address.startswith(allowed)] == []
    assert any(address.startswith("ws://") for address in asked)
    assert errors == []
    page.close()
    assert end(process) == "stopped\n"


@pytest.mark.slow
def test_cameras_modes_key_frames_and_films_through_the_page(served, browser, bank: RayBank, tmp_path: Path) -> None:
    url, process, model = served
    cameras = find_scene_cameras(load_model(model)[1], bank.folder)[0][-2:]  # of test: a page begins in one of train
    page = browser.new_page(viewport=VIEWPORT)
    shown = visit(page, url)
    for mode in ("normals", "colour"):
        choose(page, "Show", mode)
        shown = changed_from(page, shown, 2.0)
    choose(page, "Stand in", cameras[0].name)
    shown = changed_from(page, shown, 0.5)
    photograph = page.get_by_text("Photograph", exact=True).get_attribute("for")
    for key in ("End", "Home"):  # laid over the render, and away again
        page.locator(f"[id='{photograph}'] [role=slider]").press(key)
        shown = changed_from(page, shown, 2.0)

    page.get_by_text("Key frames").click()
    add_key_frame(page, 1)
    page.get_by_role("button", name="Next").click()
    until(lambda: page.get_by_label("Stand in", exact=True).input_value() == cameras[1].name, "the next camera")
    add_key_frame(page, 2)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as JSON").click()
    kept = tmp_path / "viewer/key_frames_001.json"
    assert Path(download.value.path()).read_bytes() == kept.read_bytes()
    frames = read_key_frames(kept, bank.header.similarity, torch.zeros(3))
    for pose, taken in zip(frames.poses, cameras, strict=True):
        assert pose == pytest.approx(taken.pose.numpy(), abs=1e-4)

    choose(page, "Show", "depth")
    page.get_by_text("Film through them").click()
    film(page, frames=3, size=32)
    says(page, "saved viewer/film_001.gif")
    assert iio.imread(tmp_path / "viewer/film_001.gif").shape == (3, 24, 32, 3)
    film(page, frames=500, size=400)
    says(page, "of 500 frames")
    page.get_by_role("button", name="Render").click()
    says(page, "a film is being made")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("of 500 frames").wait_for(state="hidden")
    page.close()
    assert end(process) == "stopped\n"
    assert not list(tmp_path.glob("viewer/film_002*"))


def add_key_frame(page: Page, number: int) -> None:
    """Add the page's camera, as the key frame of this number."""
    page.get_by_role("button", name="Add", exact=True).click()
    until(lambda: page.get_by_label("Key frame", exact=True).input_value().startswith(f"{number}: "), "a key frame")


def film(page: Page, frames: int, size: int) -> None:
    """Have the key frames filmed."""
    for label, number in (("Frames", frames), ("Pixels", size)):
        page.get_by_label(label, exact=True).fill(str(number))
    page.get_by_role("button", name="Render").click()


@pytest.mark.slow
def test_a_click_on_a_camera_stands_in_it(served, browser) -> None:
    page = browser.new_page(viewport=VIEWPORT)
    shown = visit(page, served[0])
    choose(page, "Show", "opacity")  # grey: cameras are what has a colour
    changed_from(page, shown, 1.0)
    page.get_by_label("Show cameras", exact=True).check()
    page.mouse.move(150, 280)

    def cameras() -> np.ndarray:
        page.mouse.wheel(0, 100)  # away from the scene, until one comes into view
        return np.argwhere(np.ptp(pixels(page), axis=2) > COLOURED)

    until(lambda: len(cameras()) > 20, "a camera in view")
    standing = page.get_by_label("Stand in", exact=True)

    def stands() -> bool:
        places = np.argwhere(np.ptp(pixels(page), axis=2) > COLOURED)
        if len(places):
            row, column = places[len(places) // 2]
            page.mouse.click(CLIP["x"] + int(column), CLIP["y"] + int(row))
        return standing.input_value() != "-"

    until(stands, "standing in the camera that was clicked on")


@pytest.mark.slow
def test_saved_key_frames_are_uploaded_through_the_page(served, browser) -> None:
    page = browser.new_page(viewport=VIEWPORT)
    visit(page, served[0])
    page.get_by_text("Key frames").click()
    add_key_frame(page, 1)
    page.get_by_role("button", name="Next").click()
    until(lambda: page.get_by_label("Stand in", exact=True).input_value() != "-", "the next camera")
    add_key_frame(page, 2)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as JSON").click()
    chosen = page.get_by_label("Key frame", exact=True)
    page.get_by_role("button", name="Clear").click()
    until(lambda: chosen.input_value() == "-", "an empty list")
    page.locator("input[type=file]").first.set_input_files(str(download.value.path()))
    until(lambda: chosen.input_value().startswith("2:"), "the uploaded key frames")
    page.close()
