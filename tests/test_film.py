"""The rendered film: its files, its panels and its camera paths."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from conftest import BALL_RADIUS, PARAMS
from torch import Tensor
from typer.testing import CliRunner

from nerfpipe.camera_paths.path import choose_camera_path
from nerfpipe.cli.app import app
from nerfpipe.config.defaults import RENDER, RUNTIME
from nerfpipe.config.options import checked
from nerfpipe.config.params import PATHS, RenderParams
from nerfpipe.fields.base import Field
from nerfpipe.film.film import render_film
from nerfpipe.geometry.cameras import look_at
from nerfpipe.models.model import Model
from nerfpipe.models.model_file import ModelHeader
from nerfpipe.rendering.render_rays import Pass
from nerfpipe.rendering.renderer import Renderer
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.samplers.stratified import Stratified
from nerfpipe.types import COLOUR, FieldOutput
from stages.render import in_sight

SAMPLES = 64


class Ball(Field):
    """A soft-edged ball at the origin, coloured by place: what a well-trained model of the scene would be."""

    def forward(self, positions: Tensor, directions: Tensor) -> FieldOutput:
        distance = positions.norm(dim=1) - BALL_RADIUS
        density = 200 * torch.sigmoid(-distance / 0.02)
        return FieldOutput(density, {COLOUR: (positions / 2 + 0.5).clamp(0, 1)})


@pytest.fixture
def trained(header: ModelHeader) -> tuple[Renderer, ModelHeader]:
    """A ball, and what a model file says of its scene."""
    model = Model([Pass(Stratified(SAMPLES, header.space), Ball())])
    return Renderer(model, torch.device("cpu"), RUNTIME, bf16=False), header


def write_path(file: Path, eyes: list[list[float]], target: list[float], loop: bool = False) -> str:
    up = torch.tensor([0.0, 0.0, 1.0])
    poses = [look_at(torch.tensor(eye), torch.tensor(target), up).tolist() for eye in eyes]
    file.write_text(json.dumps({"loop": loop, "frames": [{"transform_matrix": pose} for pose in poses]}))
    return str(file)


def hashes(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def few(**more: object) -> RenderParams:
    return checked(RenderParams, **(RENDER.model_dump() | {"frames": 5, "size": 16} | more))


def test_a_turn_is_two_gifs_and_a_page_the_same_in_every_run(trained, tmp_path: Path) -> None:
    for name in ("one", "two"):
        render_film(*trained, few(), tmp_path / name)
    assert hashes(tmp_path / "one").keys() - {"orbit.mp4"} == {"orbit.gif", "orbit_depth.gif", "turntable.html"}
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


def test_panels_stand_side_by_side_in_the_order_named(trained, tmp_path: Path) -> None:
    render_film(*trained, few(panels=["depth", "colour", "normals"]), tmp_path / "turn")
    panels = iio.imread(tmp_path / "turn/panels.gif")
    assert panels.shape == (5, 12, 48, 3)
    depth, colour, normals = np.split(panels.astype(int), 3, axis=2)
    rough = 8  # a GIF has 256 colours, and three panels share them
    assert np.abs(depth - iio.imread(tmp_path / "turn/orbit_depth.gif")).mean() < rough
    assert np.abs(colour - iio.imread(tmp_path / "turn/orbit.gif")).mean() < rough
    assert np.abs(depth - colour).mean() > 2 * rough
    # The ball is coloured (place / 2 + 0.5): nearly as its normals are, which reach a little further.
    middle = (slice(None), slice(5, 7), slice(7, 9))
    truth = (colour[middle] / 255 - 0.5) / BALL_RADIUS + 0.5
    assert np.abs(normals[middle] / 255 - truth).mean() < 0.1
    assert (tmp_path / "turn/panels.mp4").exists() == (tmp_path / "turn/orbit.mp4").exists()


def test_orbit_gif_is_the_same_whatever_the_panels(trained, tmp_path: Path) -> None:
    render_film(*trained, few(), tmp_path / "plain")
    render_film(*trained, few(panels=["normals"]), tmp_path / "panels")
    plain, panels = hashes(tmp_path / "plain"), hashes(tmp_path / "panels")
    assert {name: panels[name] for name in plain} == plain
    assert panels.keys() - plain.keys() - {"panels.mp4"} == {"panels.gif"}


@pytest.mark.parametrize("path", [name for name in PATHS if name != "spiral"])
def test_every_named_path_closes(trained, path: str) -> None:
    chosen = choose_camera_path(few(path=path), trained[1])
    assert chosen.closed
    assert chosen.poses.shape == (5, 3, 4)
    assert chosen.kind == ("swing" if path == "auto" else path)  # six cameras leave a gap of 108 degrees


def test_a_tilt_leans_the_orbit_of_a_render(trained) -> None:
    level = choose_camera_path(few(path="orbit", elevation=0), trained[1]).poses[:, 2, 3]
    leaning = choose_camera_path(few(path="orbit", elevation=0, tilt=30), trained[1]).poses[:, 2, 3]
    assert level.max() - level.min() < 1e-4
    assert leaning.max() - leaning.min() > 1


@pytest.mark.parametrize("loop", [False, True])
def test_a_file_of_key_frames_is_a_camera_path(trained, tmp_path: Path, loop: bool) -> None:
    name = write_path(tmp_path / "mine.json", [[3.0, 0.0, 1.0], [0.0, 3.0, 1.0], [-3.0, 0.0, 1.0]], [0, 0, 0.0], loop)
    chosen = choose_camera_path(few(path=name), trained[1])
    assert (chosen.kind, chosen.closed, len(chosen.poses)) == ("file", loop, 5)
    assert torch.allclose(chosen.poses[0, :, 3], torch.tensor([3.0, 0.0, 1.0]), atol=1e-5)
    render_film(*trained, few(path=name), tmp_path / "turn")
    assert iio.imread(tmp_path / "turn/orbit.gif").shape == (5, 12, 16, 3)


def test_a_path_that_looks_past_everything_shows_the_background(trained, tmp_path: Path) -> None:
    name = write_path(tmp_path / "away.json", [[3.0, 0.0, 0.0], [3.0, 1.0, 0.0]], [9.0, 0.0, 0.0])
    render_film(*trained, few(path=name, panels=["colour", "depth", "normals"]), tmp_path / "turn")
    assert (iio.imread(tmp_path / "turn/panels.gif") == 255).all()


@pytest.mark.parametrize(("name", "told"), [("no.json", "not found"), ("one.json", "2 key frames at least")])
def test_nothing_is_lost_where_the_path_is_faulty(trained, tmp_path: Path, name: str, told: str) -> None:
    write_path(tmp_path / "one.json", [[3.0, 0.0, 1.0]], [0.0, 0.0, 0.0])
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("precious")
    with pytest.raises(NerfpipeError, match=told):
        render_film(*trained, few(path=str(tmp_path / name)), tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_check_tells_a_faulty_path_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    shutil.copy(PARAMS.parent / "data/scenes.yaml", "data/scenes.yaml")
    Path("params.yaml").write_text(PARAMS.read_text().replace("path: auto ", "path: data/mine.json "))
    told = "error: params.yaml: render.path: data/mine.json: not found; correct the name, or save key frames there\n"
    assert CliRunner().invoke(app, ["check"]).stderr == told
    write_path(tmp_path / "data/mine.json", [[3.0, 0.0, 1.0]], [0.0, 0.0, 0.0])
    told = "error: params.yaml: data/mine.json: frames: a path needs 2 key frames at least (got 1); add one\n"
    assert CliRunner().invoke(app, ["check"]).stderr == told
    write_path(tmp_path / "data/mine.json", [[3.0, 0.0, 1.0], [0.0, 3.0, 1.0]], [0.0, 0.0, 0.0])
    assert CliRunner().invoke(app, ["check"]).exit_code == 0


@pytest.mark.parametrize(
    ("path", "seen"),
    [("data/paths/mine.json", True), ("data/paths/../mine.json", False), ("mine.json", False), ("~/mine.json", False)],
)
def test_dvc_sees_what_lies_in_the_folder_of_paths(path: str, seen: bool) -> None:
    assert in_sight(Path(path)) is seen


def test_the_projects_own_paths_are_sound(trained) -> None:
    files = sorted((PARAMS.parent / "data/paths").glob("*.json"))
    assert files
    for file in files:
        assert choose_camera_path(few(path=str(file)), trained[1]).kind == "file"
