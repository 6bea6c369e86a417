"""`nerfpipe view`: sizes, order of work, sources, key frames, crop and photographs, and the page in a real browser."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from conftest import BALL_RADIUS, PARAMS
from tiny_pipeline import environment
from torch import Tensor, nn
from typer.testing import CliRunner

from nerfpipe.cameras import Camera, look_at
from nerfpipe.checkpoint import Checkpoint
from nerfpipe.cli import app
from nerfpipe.defaults import RUNTIME
from nerfpipe.errors import NerfpipeError
from nerfpipe.keyframes import read_key_frames
from nerfpipe.methods import Model, Pass, build_model
from nerfpipe.modelfile import save_model
from nerfpipe.raybank import RayBank
from nerfpipe.sampling.stratified import Stratified
from nerfpipe.similarity import Similarity
from nerfpipe.training import Trainer, describe_model
from nerfpipe.viewer.desk import SETTLE, Desk
from nerfpipe.viewer.drawing import Artist, z_depth
from nerfpipe.viewer.jobs import Film, free_file
from nerfpipe.viewer.keyframe_list import KeyFrameList
from nerfpipe.viewer.pace import ENOUGH, SLOWEST, SMALLEST, SMOOTH, Pace, dimensions
from nerfpipe.viewer.photographs import find_stations, seen_from, standing_in
from nerfpipe.viewer.ports import free_port, is_loopback
from nerfpipe.viewer.settings import Settings, View, vertical_fov
from nerfpipe.viewer.sources import FileSource, TrainingSource

ROOT = Path(__file__).parents[1]
UP = torch.tensor([0.0, 0.0, 1.0])
EYE = look_at(torch.tensor([3.0, 0.0, 0.0]), torch.zeros(3), UP)
CAMERA = Camera.centred(40, 30, 50.0)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WEBGL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


class Ball(nn.Module):
    """The ball of the test scene, opaque and coloured by its normal, as `ball_image` draws it."""

    def forward(self, positions: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        return 200.0 * (positions.norm(dim=1) < BALL_RADIUS), ((positions / BALL_RADIUS).clamp(-1, 1) + 1) / 2


@pytest.fixture
def about(bank: RayBank, with_params):
    return describe_model(with_params(method="tiny"), bank)


@pytest.fixture
def artist(about) -> Artist:
    return Artist(Model([Pass(Stratified(128), Ball())]), about, torch.device("cpu"), RUNTIME)


def view(pose: Tensor = EYE) -> View:
    return View(pose, vertical_fov(CAMERA), 4 / 3, 400, 300)


# Sizes


@pytest.mark.parametrize("cost", [1e-7, 1e-6, 4e-6, 2e-5, 1e-3])
@pytest.mark.parametrize("aspect", [0.5, 1.0, 1.8])
def test_moving_pictures_are_as_large_as_five_a_second_allow(cost: float, aspect: float) -> None:
    side = Pace(cost).moving(aspect, largest=10_000)
    width, height = dimensions(side, aspect)
    rate = 1 / (width * height * cost)
    assert rate >= 0.97 * SLOWEST or side == SMALLEST
    assert rate >= 0.97 * SMOOTH or side <= ENOUGH  # what is smooth is given up only to reach a useful size


def test_two_hundred_pixels_are_drawn_where_five_a_second_can_be() -> None:
    assert Pace(1 / (SLOWEST * ENOUGH**2)).moving(1.0, largest=800) == ENOUGH
    assert Pace(1e-9).moving(1.0, largest=300) == 300


def test_the_pace_follows_what_frames_cost_but_not_a_single_hitch() -> None:
    pace = Pace(1e-6)
    pace.note(10_000, 100.0)
    assert pace.cost < 1.5e-6
    for _ in range(40):
        pace.note(10_000, 0.05)
    assert pace.cost == pytest.approx(5e-6, rel=0.01)


@pytest.mark.parametrize(("first", "largest"), [(48, 800), (200, 800), (150, 151), (800, 800)])
def test_pictures_at_rest_grow_to_the_full_size(first: int, largest: int) -> None:
    sizes = [first, *Pace.ladder(first, largest)]
    assert sizes[-1] == largest
    assert all(a < b <= 3 * a for a, b in pairwise(sizes))


# Order of work


def test_only_the_newest_camera_is_drawn() -> None:
    desk = Desk()
    for place in range(5):
        desk.ask("page", place, now=0.0)
    wish = desk.take(now=0.0)
    assert (wish.subject, wish.level) == (4, 0)
    desk.ask("page", 5, now=0.1)
    assert not desk.stale(wish)  # a moving picture is finished, or nothing would be seen while moving
    desk.finish(wish, last=False)
    assert desk.take(now=0.1).subject == 5


def test_fine_work_waits_for_rest_and_is_dropped_for_a_newer_camera() -> None:
    desk = Desk()
    desk.ask("page", "a", now=0.0)
    desk.finish(desk.take(now=0.0), last=False)
    assert desk.take(now=SETTLE / 2) is None
    fine = desk.take(now=SETTLE)
    assert (fine.subject, fine.level) == ("a", 1)
    assert not desk.stale(fine)
    desk.ask("page", "b", now=1.0)
    assert desk.stale(fine)
    desk.finish(fine, last=True)  # too late: it must not count for the new camera
    assert (desk.take(now=1.0).subject, desk.take(now=1.0).level) == ("b", 0)


def test_a_finished_picture_is_not_drawn_again_until_it_is_asked_for() -> None:
    desk = Desk()
    desk.ask("page", "a", now=0.0)
    for last in (False, True):
        desk.finish(desk.take(now=9.0), last)
    assert desk.take(now=9.0) is None
    desk.ask_again()
    assert desk.take(now=9.0).level == 0


def test_pages_take_turns_and_whoever_moves_goes_before_whoever_rests() -> None:
    desk = Desk()
    desk.ask("resting", "r", now=0.0)
    desk.finish(desk.take(now=0.0), last=False)
    fine = desk.take(now=1.0)
    assert fine.page == "resting"
    served = []
    for moment in range(6):
        for page in ("one", "two"):
            desk.ask(page, moment, now=2.0 + moment)
        assert desk.stale(fine)
        wish = desk.take(now=2.0 + moment)
        served.append(wish.page)
        desk.finish(wish, last=False)
    assert sorted(served) == ["one"] * 3 + ["two"] * 3
    assert all(a != b for a, b in pairwise(served))


def test_a_closed_page_is_forgotten() -> None:
    desk = Desk()
    desk.ask("page", "a", now=0.0)
    wish = desk.take(now=0.0)
    desk.leave("page")
    assert desk.stale(wish)
    desk.finish(wish, last=False)
    assert desk.take(now=9.0) is None


# Drawing


def test_what_is_drawn_in_strips_is_the_picture_as_a_whole(artist: Artist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nerfpipe.viewer.drawing.BLOCK_PIXELS", 7 * CAMERA.width)
    for mode in ("colour", "depth", "opacity", "normals"):
        strips = artist.draw(CAMERA, EYE, mode, dropped=lambda: False)
        whole = artist.draw(CAMERA, EYE, mode)
        assert np.array_equal(artist.coloured(strips, mode), artist.coloured(whole, mode))


def test_work_is_left_between_two_strips(artist: Artist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nerfpipe.viewer.drawing.BLOCK_PIXELS", 7 * CAMERA.width)
    looks = iter([False, False, True])
    assert artist.draw(CAMERA, EYE, dropped=lambda: next(looks)) is None


def test_a_crop_box_hides_what_lies_outside_it(artist: Artist) -> None:
    whole = artist.draw(CAMERA, EYE).picture
    behind = artist.draw(CAMERA, EYE, crop=((-0.8, -0.8, -0.8), (0.2, 0.8, 0.8)), samples=2.0).picture
    middle = (CAMERA.height // 2, CAMERA.width // 2)
    assert whole.depth[middle] == pytest.approx(3 - BALL_RADIUS, abs=0.03)
    assert behind.depth[middle] == pytest.approx(3 - 0.2, abs=0.03)  # the cut, seen from +x
    upper = artist.draw(CAMERA, EYE, crop=((-0.8, -0.8, 0.1), (0.8, 0.8, 0.8))).picture
    assert upper.opacity[: CAMERA.height // 3].max() > 0.9
    assert upper.opacity[-CAMERA.height // 3 :].max() == 0


def test_samples_are_changed_for_one_drawing_only(artist: Artist) -> None:
    sampler = artist.model.passes[0].sampler
    seen = []
    artist.renderer.view = lambda rays, background, height, width, kept=artist.renderer.view: (
        seen.append(sampler.samples_per_ray),
        kept(rays, background, height, width),
    )[1]
    artist.draw(CAMERA, EYE, samples=0.5)
    artist.draw(CAMERA, EYE)
    assert seen == [64, 128]


def test_depth_for_hiding_is_along_the_cameras_axis(artist: Artist) -> None:
    depth = z_depth(artist.draw(CAMERA, EYE).picture, CAMERA, missing=99.0)
    assert depth[15, 20] == pytest.approx(3 - BALL_RADIUS, abs=0.03)
    assert depth[0, 0] == 99.0


def test_vertical_fov_holds_the_whole_picture() -> None:
    assert vertical_fov(CAMERA) == pytest.approx(2 * np.arctan(0.3))
    assert vertical_fov(CAMERA, aspect=1.0) == pytest.approx(2 * np.arctan(0.4))  # a page narrower than the picture
    assert view().camera(40) == CAMERA


# Cameras and photographs


def test_photographs_lie_exactly_where_the_field_shows_the_same(make_scene, build_bank, artist: Artist) -> None:
    bank = build_bank(make_scene(sizes=((64, 48),)))
    stations, reason = find_stations(artist.about, bank.folder)
    assert reason is None
    assert [station.name for station in stations if station.split == "test"] == ["test 0", "test 1"]
    station = stations[-1]
    shown, within = seen_from(station, station.camera, station.pose)
    assert within.all()
    assert torch.allclose(shown, station.photograph(), atol=1e-5)
    turned = look_at(station.pose[:, 3], torch.tensor([0.0, 0.3, 0.1]), UP)  # on the spot, away from the middle
    camera = Camera.centred(64, 64, 60.0)
    shown, within = seen_from(station, camera, turned)
    assert 0.3 < within.float().mean() < 1
    render = artist.draw(camera, turned, samples=4.0).picture
    error = (render.colour - shown).abs().mean(dim=2)[within]
    assert error.quantile(0.9) < 0.02  # edges are softer in the photograph
    assert (render.opacity[within] > 0.5).float().mean() > 0.2


def test_a_page_stands_in_a_camera_only_at_its_very_place(bank: RayBank, about) -> None:
    stations, _ = find_stations(about, bank.folder)
    place = stations[3].pose[:, 3]
    assert standing_in(stations, place) is stations[3]
    assert standing_in(stations, place + 0.01) is None


def test_without_a_bank_of_its_own_scene_a_model_has_its_train_cameras_only(
    bank: RayBank, about, tmp_path: Path
) -> None:
    stations, reason = find_stations(about, tmp_path / "nothing")
    assert (len(stations), reason) == (6, None)
    assert all(station.photograph is None for station in stations)
    text = (bank.folder / "bank.json").read_text()
    (bank.folder / "bank.json").write_text(text.replace('"ball"', '"cube"'))
    assert "another scene (cube)" in find_stations(about, bank.folder)[1]


# Models that change


def test_a_training_is_followed_from_checkpoint_to_model(
    bank: RayBank, with_params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = {"field.width": 8, "sampling.samples": 8, "train.steps": 2, "train.batch_rays": 32}
    changes = {f"tiny.{name}": value for name, value in small.items()}
    params = with_params(method="tiny", **changes, **{"runtime.checkpoint_seconds": 0})
    Path("params.yaml").write_text(json.dumps(params.model_dump()))
    source = TrainingSource(Path("field.safetensors"), bank.folder)
    assert source.stamp() is None
    with pytest.raises(NerfpipeError, match="no checkpoint yet; start a training"):
        source.load()
    with Checkpoint(Path(".nerfpipe/checkpoints/abc"), tmp_path) as checkpoint:
        model = build_model(params.recipe, params.seed, bank.space)
        Trainer(model, bank, params, torch.device("cpu"), checkpoint).run(report=lambda row: None)
    first = source.stamp()
    loaded, about = source.load()
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    assert about == describe_model(params, bank)
    assert (source.stamp() == first, source.newer()) == (True, False)
    time.sleep(0.02)
    save_model(Path("field.safetensors"), model, about)
    assert source.newer()
    assert source.describe() == "field.safetensors"


def test_a_checkpoint_of_other_params_is_told(
    bank: RayBank, with_params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(PARAMS, "params.yaml")
    other = build_model(with_params(method="tiny").recipe, 0, bank.space)
    tensors = {f"model.{name}": tensor for name, tensor in other.state_dict().items()}
    Checkpoint(Path(".nerfpipe/checkpoints/abc"), tmp_path).save(tensors, {})
    with pytest.raises(NerfpipeError, match=r"does not fit method ngp as params\.yaml has it now"):
        TrainingSource(Path("field.safetensors"), bank.folder).load()


def test_a_model_file_that_is_gone_is_waited_for_and_a_bad_one_told_once(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    source = FileSource(file)
    assert not source.newer()  # DVC deletes it before it trains: it is waited for
    file.write_bytes(b"x")
    assert source.newer()
    with pytest.raises(NerfpipeError, match="not a whole"):
        source.load()
    assert not source.newer()  # a bad one is told once, not every second


# Key frames and films


def test_key_frames_are_added_deleted_saved_and_loaded(tmp_path: Path) -> None:
    similarity = Similarity.of(np.array([1.0, 2.0, 3.0]), np.eye(3)[[1, 2, 0]], 0.5)
    frames = KeyFrameList()
    places = [torch.tensor([3.0, y, 1.0]) for y in (0.0, 1.0, 2.0)]
    for focus, place in enumerate(places, start=1):
        frames.add(look_at(place, torch.zeros(3), UP), float(focus))
    frames.delete(1)
    frames.delete(7)
    assert frames.names() == ["1: at (3.00, 0.00, 1.00)", "2: at (3.00, 2.00, 1.00)"]
    frames.loop = True
    assert frames.unsaved
    frames.save(tmp_path / "keys.json", similarity)
    assert not frames.unsaved
    read = read_key_frames(tmp_path / "keys.json", similarity, torch.zeros(3))
    assert np.allclose(read.poses, frames.frames().poses, atol=1e-6)
    assert read.focus == pytest.approx([1, 3])
    other = KeyFrameList()
    other.load("keys.json", (tmp_path / "keys.json").read_bytes(), similarity, torch.zeros(3))
    assert other.names() == frames.names()
    assert other.loop
    frames.clear()
    with pytest.raises(NerfpipeError, match=r"needs 2 key frames at least \(there are 0\)"):
        frames.save(tmp_path / "none.json", similarity)


def test_a_faulty_upload_is_told_by_its_own_name_and_changes_nothing() -> None:
    frames = KeyFrameList()
    frames.add(EYE, 1.0)
    content = json.dumps({"frames": [{"transform_matrix": np.eye(4).tolist()}]}).encode()
    with pytest.raises(NerfpipeError, match=r"^mine\.json: frames: a path needs 2 key frames"):
        frames.load("../mine.json", content, Similarity(), torch.zeros(3))
    assert len(frames) == 1


def test_a_film_is_drawn_frame_by_frame_and_written(artist: Artist, tmp_path: Path) -> None:
    poses = torch.stack([look_at(torch.tensor([3.0, y, 0.5]), torch.zeros(3), UP) for y in (0.0, 0.5, 1.0)])
    progress, written = [], []
    file = free_file(tmp_path / "out", "film", ".gif", ".mp4")
    film = Film(
        CAMERA,
        poses,
        Settings(mode="depth"),
        file,
        5.0,
        lambda done, total, left: progress.append((done, total)),
        written.extend,
        pytest.fail,
    )
    assert film.advance(artist, dropped=lambda: True) is False  # someone moved: the frame is drawn later
    assert progress == []
    while not film.advance(artist, dropped=lambda: False):
        pass
    for _ in range(100):
        if written:
            break
        time.sleep(0.1)
    assert progress == [(1, 3), (2, 3), (3, 3)]
    assert iio.imread(written[0]).shape == (3, 30, 40, 3)
    assert free_file(tmp_path / "out", "film", ".gif").name == "film_002"


# The command


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


# The page


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
def browser():
    """A headless chromium with WebGL in software."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=WEBGL)
        yield chromium
        chromium.close()


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
