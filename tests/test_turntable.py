"""The turntable: its frames, and a real browser that opens it from disk and turns it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from browser import open_browser
from hypothesis import given
from hypothesis import strategies as st

from nerfpipe.camera_paths.path import CameraPath
from nerfpipe.camera_paths.shapes import orbit
from nerfpipe.film.turntable import LARGEST, MOST_FRAMES, drag_order, write_turntable

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

COUNT, HEIGHT, WIDTH = 24, 60, 80
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
PATIENCE, TICK_MS = 200, 50
STILL = {"reduced_motion": "reduce"}
FILL = "Array.from(document.getElementById('view').getContext('2d').getImageData(40, 30, 1, 1).data)"


def camera_path(kind: str = "orbit", closed: bool = True) -> CameraPath:
    return CameraPath(torch.empty(0), kind, closed)


def grey(number: int) -> int:
    """The brightness of a frame, by which a test tells which it sees."""
    return 5 + 10 * number


def frames(count: int = COUNT, height: int = HEIGHT, width: int = WIDTH) -> list[np.ndarray]:
    return [np.full((height, width, 3), grey(number) % 256, dtype=np.uint8) for number in range(count)]


def make(file: Path, kind: str = "orbit", closed: bool = True, scene: str = "robot-arm", **shape: int) -> str:
    header: Any = SimpleNamespace(scene=scene, background="white")
    write_turntable(file, frames(**shape), camera_path(kind, closed), header, fps=20)
    return file.read_text(encoding="utf-8")


@given(st.integers(1, 300), st.sampled_from(["orbit", "swing", "spiral", "wobble", "file"]), st.booleans())
def test_frames_are_shown_once_each_in_order_and_not_too_many(count: int, kind: str, closed: bool) -> None:
    order, wraps, stride = drag_order(count, camera_path(kind, closed))
    spanned = (len(order) - (not wraps)) * stride  # frames of the turn that playing the page once takes the time of
    assert 1 <= len(order) <= MOST_FRAMES
    assert len(set(order)) == len(order)
    assert set(order) <= set(range(count))
    assert not (wraps and not closed)
    steps = {abs(b - a) for a, b in pairwise(order[1:])}
    assert not steps or max(steps) - min(steps) <= 1  # evenly
    if kind != "swing":
        assert spanned == pytest.approx(count - (not wraps))
    if kind not in ("swing", "orbit"):
        assert order == sorted(order)
        assert wraps == closed
        if not closed and len(order) > 1:
            assert (order[0], order[-1]) == (0, count - 1)


def test_what_is_seen_turns_with_the_hand() -> None:
    order, wraps, _ = drag_order(12, camera_path("orbit"))
    assert (order[:3], wraps) == ([0, 11, 10], True)
    poses = orbit(torch.zeros(3), 3.0, 20.0, 12)
    ahead = torch.tensor([0.5, 0.0, 0.0])  # a point that the first camera has before it

    def column(pose: torch.Tensor) -> float:
        x, _, z = (ahead - pose[:, 3]) @ pose[:, :3]
        return float(x / -z)

    assert column(poses[order[1]]) > column(poses[order[0]]) + 0.01  # it goes to the right


def test_a_swing_is_followed_from_its_right_end_to_its_left() -> None:
    assert drag_order(60, camera_path("swing")) == (list(range(15, 46)), False, 1)


def test_a_long_turn_takes_as_long_as_its_gif(tmp_path: Path) -> None:
    def pause(count: int) -> float:
        return float(re.search(r"pause = ([\d.]+);", make(tmp_path / "a.html", count=count))[1])

    assert pause(COUNT) == 50  # at 20 frames a second
    assert pause(360) * MOST_FRAMES == pytest.approx(360 * 50)


def test_the_page_is_the_same_in_every_run_and_loads_nothing(tmp_path: Path) -> None:
    html = make(tmp_path / "a.html")
    assert make(tmp_path / "b.html") == html
    assert not re.search(r"https?:|//\w|@import|url\(|<link", re.sub(r'"data:image/jpeg;base64,[^"]+"', "", html))
    assert html.count("data:image/jpeg;base64,") == COUNT + 1  # and one for those without scripts
    assert "$" not in re.sub(r"\$\{", "", html)


def test_a_scene_of_no_text_has_a_page_all_the_same(tmp_path: Path) -> None:
    html = make(tmp_path / "odd.html", scene="a\ud800\x1b[31m\n<b>\u202e")
    assert "<title>a\\ud800\\x1b[31m\\n&lt;b&gt;\\u202e</title>" in html


def test_large_frames_are_made_smaller(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    header: Any = SimpleNamespace(scene="large", background="black")
    write_turntable(tmp_path / "large.html", [noise] * 2, camera_path(), header, 15)
    html = (tmp_path / "large.html").read_text()
    assert f"--wide: {LARGEST}; --high: {LARGEST * 3 // 4};" in html
    assert len(html) < 3 * 1.4 * 900 * 1200 * 3 / 4


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as running:
        yield running


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens a turntable from disk without a network. A fault of the page's script fails the test."""
    contexts, faults = [], []

    def open_page(kind: str = "orbit", closed: bool = True, scene: str = "robot-arm", **options: Any) -> Page:
        make(tmp_path / "turntable.html", kind, closed, scene)
        contexts.append(browser.new_context(offline=True, **(options or STILL)))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto((tmp_path / "turntable.html").as_uri())
        wait(page, lambda: page.evaluate(FILL)[3] == 255)  # something is drawn
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def shown(page: Page) -> int:
    """The number of the frame whose brightness the picture has."""
    red, green, blue, _ = page.evaluate(FILL)
    assert abs(red - green) <= 3
    assert abs(red - blue) <= 3
    return round((red - 5) / 10)


def wait(page: Page, until: Callable[[], bool]) -> None:
    """The page's own rules forbid scripts made of strings, by which playwright waits."""
    for _ in range(PATIENCE):
        if until():
            return
        page.wait_for_timeout(TICK_MS)
    raise AssertionError("it did not come about")


def view(page: Page) -> Locator:
    return page.get_by_role("slider", name="a turn around")


def drag(page: Page, share: float) -> None:
    """Drag with a mouse over a share of the picture's width, from its middle."""
    box = view(page).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + share * box["width"], y, steps=8)
    page.mouse.up()


def test_dragging_turns_the_picture_and_the_end_joins_the_beginning(visit) -> None:
    page = visit()
    assert shown(page) == 0
    drag(page, 0.25)  # two widths are once round
    assert shown(page) == COUNT - 3
    drag(page, -0.25)
    assert shown(page) == 0
    drag(page, -0.25)
    assert shown(page) == 3
    page.mouse.move(5, 5)  # the button is up: nothing moves any more
    assert shown(page) == 3


def test_a_path_with_two_ends_stops_there(visit) -> None:
    page = visit(kind="file", closed=False)
    drag(page, -0.4)
    assert shown(page) == 0
    for _ in range(6):
        drag(page, 0.45)
    assert shown(page) == COUNT - 1
    view(page).press("ArrowRight")
    assert shown(page) == COUNT - 1


def test_keys_turn_it_and_say_where_it_is(visit) -> None:
    page = visit(kind="file")
    for key, number in [("ArrowRight", 1), ("ArrowUp", 2), ("ArrowLeft", 1), ("PageUp", 11), ("End", 23)]:
        view(page).press(key)
        assert shown(page) == number
        assert view(page).get_attribute("aria-valuenow") == str(number)
        assert view(page).get_attribute("aria-valuetext") == f"view {number + 1} of {COUNT}"
    view(page).press("ArrowRight")
    assert shown(page) == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "play"


def test_it_plays_until_it_is_touched_and_waits_where_motion_is_unwelcome(visit) -> None:
    page = visit(reduced_motion="no-preference")
    button = page.get_by_role("button")
    assert button.inner_text() == "Pause"
    first = shown(page)
    wait(page, lambda: shown(page) != first)
    drag(page, 0.1)
    assert button.inner_text() == "Play"
    still = shown(page)
    page.wait_for_timeout(200)  # four frames' time
    assert shown(page) == still
    button.click()
    wait(page, lambda: shown(page) != still)
    button.click()

    waiting = visit(**STILL)
    assert waiting.get_by_role("button").inner_text() == "Play"
    waiting.wait_for_timeout(200)
    assert shown(waiting) == 0


def test_a_finger_turns_it_on_a_phone_and_nothing_sticks_out(visit) -> None:
    page = visit(**PHONE, **STILL)
    box = view(page).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)

    def finger(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": px, "y": py} for px, py in places]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    finger("touchStart", (x, y))
    for step in range(1, 9):
        finger("touchMove", (x - step / 8 * 0.25 * box["width"], y))
    finger("touchEnd")
    assert shown(page) == 3
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert box["width"] > 300
    assert page.get_by_role("button").bounding_box()["height"] >= 24


def test_the_scenes_name_is_text_and_nothing_else(visit) -> None:
    name = '<b onclick="x">"$last" & ${at}</b>'
    page = visit(scene=name)
    assert page.get_by_role("heading").inner_text() == name
    assert page.title() == name
    assert view(page).get_attribute("aria-label") == f"a turn around {name}"
    assert page.locator("b").count() == 0


def test_without_scripts_one_view_is_there(browser: Browser, tmp_path: Path) -> None:
    make(tmp_path / "turntable.html")
    with browser.new_context(offline=True, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto((tmp_path / "turntable.html").as_uri())
        assert page.get_by_role("img", name="robot-arm").bounding_box()["width"] > 50
