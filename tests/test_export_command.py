"""`nerfpipe export` as a command: defaults, refusals, and errors of one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import PARAMS
from typer.testing import CliRunner

from nerfpipe.cli.app import app
from nerfpipe.config.params import Params
from nerfpipe.models.model_file import save_model
from nerfpipe.models.registry import build_model
from nerfpipe.raybank.bank import RayBank
from nerfpipe.training.header import describe_model


@pytest.fixture
def model(bank: RayBank, with_params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An untrained model at the default path, in a folder of its own."""
    folder = tmp_path / "elsewhere"
    (folder / "data/model").mkdir(parents=True)
    monkeypatch.chdir(folder)
    params: Params = with_params(**{"method": "tiny", "tiny.field.width": 8, "tiny.field.density": "softplus"})
    file = folder / "data/model/field.safetensors"
    save_model(file, build_model(params.recipe, 0, bank.space), describe_model(params, bank))
    return file


def invoke(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["export", *(str(argument) for argument in arguments)])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("kind", "options", "files"),
    [
        ("image", ("--view", 1), {"image.png"}),
        ("depth", ("--azimuth", 30), {"depth.png", "depth.npy", "depth.json"}),
        ("normals", (), {"normals.png", "normals.npy"}),
        ("pointcloud", ("--points", 50, "--opacity", 0.05), {"points.ply"}),
        ("mesh", ("--resolution", 12, "--density", 0.69), {"mesh.ply"}),
    ],
)
def test_every_export_has_a_place_and_does_not_overwrite_unasked(
    model: Path, kind: str, options: tuple, files: set[str]
) -> None:
    code, printed = invoke(kind, *options)
    assert code == 0, printed
    assert {file.name for file in Path("exports").iterdir()} == files
    assert all(f"exports/{name}" in printed for name in files if not name.endswith(".json"))
    before = {name: (Path("exports") / name).read_bytes() for name in files}
    code, printed = invoke(kind, *options)
    assert code == 1
    assert "is there already; name another file with --output, or say --force" in printed
    assert {name: (Path("exports") / name).read_bytes() for name in files} == before
    assert invoke(kind, *options, "--force")[0] == 0


def test_a_file_beside_the_picture_is_not_overwritten_either(model: Path) -> None:
    Path("mine.npy").write_text("precious")
    code, printed = invoke("depth", "--output", "mine.png")
    assert (code, printed.count("\n")) == (1, 1)
    assert "mine.npy: is there already" in printed
    assert Path("mine.npy").read_text() == "precious"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("image", "--view", 99), "--view: must be from 0 to 5, the train views of the model (got 99)"),
        (("image", "--view", 0, "--azimuth", 3), "--azimuth: does not go with --view"),
        (("image", "--size", -1), "--size: must be greater than or equal to 0 (got -1)"),
        (("image", "--radius", 0), "--radius: must be greater than 0 (got 0.0)"),
        (("image", "--output", "a.jpg"), "--output: a.jpg: must end in .png"),
        (("depth", "--kind", "y"), "--kind: must be 'z' or 'ray' (got 'y')"),
        (("pointcloud", "--points", 0), "--points: must be greater than 0 (got 0)"),
        (
            ("pointcloud", "--opacity", 1, "--points", 50),
            "no point: the train cameras see nothing with an opacity of 1 or more",
        ),
        (("mesh", "--resolution", 1), "--resolution: must be greater than or equal to 8 (got 1)"),
        (("mesh", "--density", "nan"), "--density: must be"),
        (("mesh", "--output", "a.stl"), "--output: a.stl: must end in .ply or .glb"),
        (("mesh", "--resolution", 9, "--density", 1e6), "no surface at density 1e+06; densities run from 0."),
        (("image", "nothing.safetensors"), "nothing.safetensors: not found"),
    ],
)
def test_faults_are_told_in_one_line_and_nothing_is_written(model: Path, given: tuple, told: str) -> None:
    code, printed = invoke(*given)
    assert code == 1
    assert printed.startswith("error: ")
    assert told in printed
    assert printed.count("\n") == 1
    assert {file.name for file in Path(".").iterdir()} == {"data"}


def test_a_model_of_another_version_is_told(model: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_file(load_file(model), "old.safetensors", metadata={"nerfpipe": '{"version": "0"}'})
    code, printed = invoke("mesh", "old.safetensors")
    assert (code, printed.count("\n")) == (1, 1)
    assert "old.safetensors: its header is of another version of nerfpipe" in printed


def test_the_help_does_not_wait_for_torch() -> None:
    import subprocess
    import sys

    asked = "import sys; from nerfpipe.cli import app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], cwd=PARAMS.parent).returncode == 0
