"""Actions of the viewer's controls, and models that change while it runs, without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import ORBIT_RADIUS
from torch import Tensor
from viewer_subject import UP, until

from nerfpipe.camera_paths.key_frames import read_key_frames
from nerfpipe.camera_paths.shapes import view_target
from nerfpipe.config.defaults import RENDER, RUNTIME
from nerfpipe.geometry.cameras import look_at
from nerfpipe.geometry.spaces import Forward
from nerfpipe.models.model_file import save_model
from nerfpipe.models.registry import build_model
from nerfpipe.raybank.bank import RayBank
from nerfpipe.training.header import describe_model
from nerfpipe.viewer.ports import free_port
from nerfpipe.viewer.sources import FileSource

viser = pytest.importorskip("viser")
from nerfpipe.viewer.viewer import Viewer  # noqa: E402, not without viser

FIRST_PORT = 18080
SIDE = look_at(torch.tensor([0.0, 3.0, 1.0]), torch.zeros(3), UP)
FRONT = look_at(torch.tensor([3.0, 0.0, 1.0]), torch.zeros(3), UP)


class Page:
    """A page with nobody before it."""

    client_id = 7

    def __init__(self, pose: Tensor = SIDE) -> None:
        self.camera = SimpleNamespace(
            position=pose[:, 3].numpy(),
            wxyz=np.array([1.0, 0, 0, 0]),
            fov=1.0,
            aspect=1.5,
            image_width=60,
            image_height=40,
            look_at=np.zeros(3),
            up_direction=UP.numpy(),
            on_update=lambda callback: setattr(self, "moved", callback),
        )
        self.atomic = contextlib.nullcontext


class Untrained:
    """A model file, as a training of the small scene leaves it, and viewers of it."""

    def __init__(self, bank: RayBank, params, folder: Path) -> None:
        self.params, self.bank, self.folder = params, bank, folder
        self.file = folder / "field.safetensors"
        self.header = describe_model(params, bank)

    def save(self, **header: object) -> None:
        described = replace(self.header, **header)
        save_model(self.file, build_model(self.params.recipe, described.seed, described.space), described)

    def view(self, **header: object) -> Viewer:
        self.save(**header)
        source, address = FileSource(self.file), ("127.0.0.1", free_port("127.0.0.1", FIRST_PORT))
        rays, output = self.bank.folder, self.folder / "viewer"
        viewer = Viewer(source, source.load(), RENDER, RUNTIME.model_copy(update={"threads": 1}), address, rays, output)
        viewer.told = []
        viewer.server.notify = lambda client, told, seconds=None: viewer.told.append(str(told))
        viewer.server.notify_all = lambda told, seconds=None: viewer.told.append(str(told))
        viewer.render_thread.tell = viewer.film_jobs._tell = viewer.server.notify_all
        return viewer


@pytest.fixture
def untrained(bank: RayBank, with_params, tmp_path: Path) -> Untrained:
    return Untrained(
        bank, with_params(**{"method": "tiny", "tiny.field.width": 8, "tiny.sampling.samples": 8}), tmp_path
    )


@pytest.fixture
def start(untrained: Untrained) -> Iterator[Callable[..., Viewer]]:
    """Starts a viewer of the model, described otherwise where that is said."""
    running = []

    def begin(**header: object) -> Viewer:
        running.append(untrained.view(**header))
        return running[-1]

    yield begin
    for viewer in running:
        viewer.stop()
        assert viewer.render_thread.failure is None


def happens(viewer: Viewer, true: Callable[[], object], what: str) -> None:
    """Wait for something; not for what cannot come any more."""
    until(lambda: true() or viewer.render_thread.failure, what)
    assert viewer.render_thread.failure is None


def add_key_frames(viewer: Viewer) -> None:
    for pose in (SIDE, FRONT):
        viewer.key_frames.add(pose, 3.0)


def shown_progress(viewer: Viewer) -> float:
    return viewer.panel.handles["progress"].value


def test_another_scenes_model_ends_the_film_and_keeps_the_key_frames(start, untrained: Untrained) -> None:
    viewer = start()
    add_key_frames(viewer)
    viewer.film(Page(), frames=500, fps=5.0, size=200)
    happens(viewer, lambda: shown_progress(viewer) > 0, "a film's first picture")
    panel = viewer.panel
    untrained.save(scene="another")
    happens(viewer, lambda: viewer.panel is not panel, "another scene")
    happens(viewer, lambda: viewer.told, "a word of it")
    kept = untrained.folder / "viewer/key_frames_001.json"
    said = "a model of another scene is shown; the stills and films not drawn yet are given up"
    assert viewer.told == [f"{said}; the key frames are in {kept}"]
    assert len(read_key_frames(kept, untrained.header.similarity, torch.zeros(3)).poses) == 2
    assert viewer.header.scene == "another"
    assert (len(viewer.key_frames), viewer.key_frames.unsaved) == (0, False)
    assert not viewer.panel.handles["progress"].visible
    add_key_frames(viewer)
    viewer.film(Page(), frames=2, fps=5.0, size=16)
    happens(viewer, lambda: "film_001.gif" in viewer.told[-1], "a film of the other scene")


def test_a_newer_model_of_the_same_scene_leaves_all_as_it_is(start, untrained: Untrained) -> None:
    viewer = start()
    add_key_frames(viewer)
    panel = viewer.panel
    untrained.save(seed=1)
    happens(viewer, lambda: viewer.told == ["a newer model is shown"], "a newer model")
    assert (viewer.panel, viewer.header.seed, len(viewer.key_frames)) == (panel, 1, 2)


def test_files_that_cannot_be_written_are_told_and_the_viewer_goes_on(start, untrained: Untrained) -> None:
    viewer = start()
    viewer.output.write_text("a file, no folder")
    viewer.save_still(Page())
    happens(viewer, lambda: viewer.told, "a word of the still")
    add_key_frames(viewer)
    viewer.save_key_frames(Page())
    viewer.film(Page(), frames=2, fps=5.0, size=16)
    assert ["File exists" in text for text in viewer.told] == [True] * 3
    viewer.output.unlink()
    viewer.save_still(Page())
    happens(viewer, (viewer.output / "still_001.png").exists, "a still")


def test_key_frames_without_a_focus_make_the_path_that_render_makes(
    start, untrained: Untrained, tmp_path: Path
) -> None:
    """Among forward-facing cameras, too, where what they look at is not the middle of anything."""
    forward = Forward(((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)), near=1.0, frustum=(1.2, 1.5))
    poses = [torch.eye(3, 4).tolist()] * 2
    viewer = start(space=forward, centre=(0.0, 0.0, -1.5), poses=poses)
    poses = [np.eye(4), np.eye(4)]
    poses[1][0, 3] = 0.5
    content = json.dumps({"frames": [{"transform_matrix": pose.tolist()} for pose in poses]})
    (tmp_path / "path.json").write_text(content)
    viewer.load_key_frames(Page(), "path.json", content.encode())
    centre = view_target(torch.tensor(viewer.header.centre), forward=True)
    expected = read_key_frames(tmp_path / "path.json", viewer.header.similarity, centre)
    assert viewer.key_frames.frames().focus == pytest.approx(expected.focus)
    viewer.overlay.look_from(page := Page(), np.eye(4)[:3], None, None)
    assert page.camera.look_at == pytest.approx(centre.numpy())


def test_a_page_looks_from_where_it_is_sent(start, untrained: Untrained) -> None:
    viewer, page = start(), Page()
    taken = viewer.render_thread.scene_cameras[2]
    viewer.go_to_camera(page, taken)
    pose = taken.pose.double().numpy()
    assert page.camera.position == pytest.approx(pose[:, 3])
    ahead = page.camera.look_at - page.camera.position
    assert ahead == pytest.approx(-pose[:, 2] * ORBIT_RADIUS, abs=1e-4)  # the centre is what all cameras look at
    assert viewer.panel.handles["camera"].value == taken.name
    viewer.go_home(page)
    assert np.linalg.norm(page.camera.position) == pytest.approx(ORBIT_RADIUS, rel=1e-4)
    assert page.camera.look_at == pytest.approx(np.zeros(3), abs=1e-6)


def test_a_camera_is_hidden_while_any_page_stands_in_it(start) -> None:
    frusta = start().overlay.frusta
    here, there = frusta._positions[1], frusta._positions[4]
    frusta.show(True)

    def hidden() -> list[int]:
        return [number for number, handle in enumerate(frusta._handles) if not handle.visible]

    for page, place, expected in (
        ("a", here, [1]),
        ("b", here, [1]),
        ("a", there, [1, 4]),
        ("b", here + 0.1, [4]),
        ("b", there, [4]),
        ("a", None, [4]),
        ("b", None, []),
    ):
        frusta.move_page(page, place)
        assert hidden() == expected
    frusta.move_page("a", here)
    frusta.forget()
    frusta.move_page("a", there)  # word that comes late is no fault


def test_cameras_are_taken_in_where_they_come_in_one_after_another(start, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer, page = start(), Page()
    asked, left = [], []
    monkeypatch.setattr(viewer.server, "get_clients", lambda: {page.client_id: page})
    monkeypatch.setattr(viewer.render_thread.requests, "submit", lambda *request: asked.append(request))
    monkeypatch.setattr(viewer.render_thread.requests, "remove", left.append)
    asyncio.run(viewer._connect(page))
    assert all(
        map(inspect.iscoroutinefunction, (page.moved, viewer._connect, viewer._disconnect))
    )  # in no other thread
    place = viewer.overlay.frusta._positions[3]
    page.camera.position = place
    asyncio.run(page.moved(page.camera))
    assert [request[1].pose[:, 3].tolist() for request in asked] == [SIDE[:, 3].tolist(), pytest.approx(place.tolist())]
    assert viewer.overlay.frusta._stood_in == {7: 3}
    monkeypatch.setattr(viewer.server, "get_clients", dict)
    asyncio.run(viewer._disconnect(page))
    asyncio.run(page.moved(page.camera))
    assert (left, len(asked), viewer.overlay.frusta._stood_in) == ([7], 2, {})
