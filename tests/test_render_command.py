"""`nerfpipe render`, from a model file alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import imageio.v3 as iio
import pytest
from conftest import PARAMS
from typer.testing import CliRunner

from nerfpipe.cli.app import app
from nerfpipe.cli.output_folder import RENDERED
from nerfpipe.config.defaults import RENDER, RUNTIME
from nerfpipe.config.params import load_params
from nerfpipe.models.model_file import save_model
from nerfpipe.models.registry import build_model
from nerfpipe.raybank.bank import RayBank
from nerfpipe.training.header import describe_model

FEW = ("--frames", "3", "--size", "20")


@pytest.fixture
def model(bank: RayBank, with_params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An untrained model, alone in the current folder."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    params = with_params(**{"method": "tiny", "tiny.field.width": 8})
    save_model(folder / "m.safetensors", build_model(params.recipe, 0, bank.space), describe_model(params, bank))
    return folder / "m.safetensors"


def invoke(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_the_defaults_are_those_of_the_projects_params() -> None:
    params = load_params(PARAMS)
    assert params.render == RENDER
    assert params.runtime == RUNTIME


def test_a_bare_model_is_rendered(model: Path) -> None:
    code, printed = invoke("render", model, *FEW, "--output", "turn")
    assert code == 0
    assert "3 frames of 20x15 in turn" in printed
    assert iio.imread("turn/orbit.gif").shape == (3, 15, 20, 3)
    assert iio.imread("turn/orbit_depth.gif").shape == (3, 15, 20, 3)
    assert {file.name for file in model.parent.iterdir()} == {"m.safetensors", "turn"}


def test_params_of_the_folder_are_used_where_nothing_is_given(model: Path) -> None:
    text = PARAMS.read_text().replace("frames: 60", "frames: 2").replace("size: 0 ", "size: 16 ")
    Path("params.yaml").write_text(text)
    code, printed = invoke("render", model)
    assert (code, "2 frames of 16x12 in renders" in printed) == (0, True)
    code, printed = invoke("render", model, "--frames", "4", "--force")
    assert (code, "4 frames of 16x12 in renders" in printed) == (0, True)


def test_a_folder_that_is_there_is_not_replaced_unasked(model: Path) -> None:
    Path("renders").mkdir()
    Path("renders/mine.txt").write_text("precious")
    code, printed = invoke("render", model, *FEW)
    assert code == 1
    assert "renders: is there already; name another folder with --output, or say --force" in printed
    assert Path("renders/mine.txt").read_text() == "precious"


def test_only_a_render_is_replaced_by_force(model: Path) -> None:
    Path("data/model").mkdir(parents=True)
    shutil.copy(model, "data/model/field.safetensors")
    code, printed = invoke("render", model, *FEW, "--output", "data", "--force")
    assert (code, printed.count("\n")) == (1, 1)
    assert "data: holds model, which no render made, and --force would delete it; name another folder" in printed
    assert Path("data/model/field.safetensors").read_bytes() == model.read_bytes()


def test_a_render_is_replaced_by_force_also_after_a_file_manager_looked_at_it(model: Path) -> None:
    assert invoke("render", model, *FEW, "--panels", "colour,depth")[0] == 0
    Path("renders/.DS_Store").touch()
    code, printed = invoke("render", model, *FEW, "--frames", "2", "--force")
    assert (code, "2 frames" in printed) == (0, True)
    assert not list(Path("renders").glob("panels.*"))  # those of the first
    Path("renders/panels.gif").mkdir()
    assert invoke("render", model, *FEW, "--force")[0] == 1


def test_all_that_a_render_makes_is_known_to_be_replaceable(model: Path) -> None:
    pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed")
    assert invoke("render", model, *FEW, "--panels", "colour,normals")[0] == 0
    assert sorted(file.name for file in Path("renders").iterdir()) == sorted(RENDERED)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (".", "holds the folder you are in"),
        ("..", "holds the folder you are in"),
        ("/", "holds the folder you are in"),
        ("new/..", "holds the folder you are in, or has no name of its own"),
        ("m.safetensors", "m.safetensors: is a file; name another folder with --output"),
    ],
)
def test_what_cannot_be_the_folder_of_a_render_is_told(model: Path, output: str, told: str) -> None:
    before = model.read_bytes()
    code, printed = invoke("render", model, *FEW, "--output", output, "--force")
    assert (code, printed.count("\n")) == (1, 1)
    assert told in printed
    assert [file.name for file in model.parent.iterdir()] == ["m.safetensors"]
    assert model.read_bytes() == before


def test_the_folder_one_is_in_is_told_also_by_its_full_name(model: Path) -> None:
    Path("inner").mkdir()
    code, printed = invoke("render", model, *FEW, "--output", model.parent, "--force")
    assert (code, "holds the folder you are in" in printed) == (1, True)
    assert Path("inner").is_dir()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--frames", "0"), "--frames: must be greater than 0 (got 0)"),
        (
            ("--path", "zigzag"),
            "--path: must be auto, orbit, swing, spiral, wobble or a file of key frames, NAME.json (got 'zigzag')",
        ),
        (("--path", "mine.json"), "render.path: mine.json: not found; correct the name, or save key frames there"),
        (("--tilt", "90"), "--tilt: must be less than 90 (got 90.0)"),
        (("--panels", "colour,shade"), "--panels.1: must be 'colour', 'depth' or 'normals' (got 'shade')"),
        (("--panels", "depth,depth"), "--panels: must not name a panel twice (got ['depth', 'depth'])"),
    ],
)
def test_faulty_options_are_told_in_one_line(model: Path, given: tuple[str, ...], told: str) -> None:
    code, printed = invoke("render", model, *given)
    assert (code, printed) == (1, f"error: {told}\n")


def test_a_model_that_is_not_there_or_damaged_is_told(model: Path) -> None:
    assert invoke("render", "nothing.safetensors", *FEW)[0] == 1
    shutil.copy(model, "cut.safetensors")
    Path("cut.safetensors").write_bytes(model.read_bytes()[:-100])
    code, printed = invoke("render", "cut.safetensors", *FEW)
    assert code == 1
    assert "cut.safetensors: not a whole .safetensors file" in printed
    assert not Path("renders").exists()
