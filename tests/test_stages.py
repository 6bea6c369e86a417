"""The stages themselves, in this process: bad input is told in plain lines, exits with 1, and loses nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scene_files
from tiny_pipeline import ROOT, edit, hashes, shrink
from typer.testing import CliRunner

from nerfpipe.cli.app import app
from nerfpipe.download.acquire import make_raw
from nerfpipe.project.catalogue import Entry
from nerfpipe.runtime.checkpoint import Checkpoint
from nerfpipe.runtime.stage import read_timings, stage
from nerfpipe.scenes.scene import Scene
from stages import check, download, evaluate, rays, render, train

STAGES = {"check": check, "download": download, "rays": rays, "train": train, "evaluate": evaluate, "render": render}
Run = Callable[[str], None]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which all stages have run, without DVC around them."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "data").mkdir()
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copy(ROOT / "data/scenes.yaml", folder / "data")
    shrink(folder)
    edit(folder / "params.yaml", {"tiny.train.steps": 6, "tiny.train.validate_every": 3})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("DVC_ROOT", raising=False)
        for name, module in STAGES.items():
            with stage(name):
                module.main()
    return folder


@pytest.fixture
def workspace(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to spoil."""
    folder = tmp_path / "workspace"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return folder


@pytest.fixture
def faults(workspace: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], list[str]]:
    """Runs a stage that must fail; returns its error lines, after checking that every out is as it was."""

    def run(name: str) -> list[str]:
        before, module = hashes(workspace), STAGES[name]
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_, stage(name):
            module.main()
        assert exit_.value.code == 1
        assert hashes(workspace) == before
        assert not list(workspace.rglob(".partial-*"))
        lines = capsys.readouterr().err.splitlines()
        return [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]

    return run


def npz(workspace: Path, **changes: object) -> None:
    """Make data/raw a tiny_nerf scene of four views, with some arrays replaced."""
    turns = np.linspace(0, 2 * np.pi, 4, endpoint=False)
    poses = np.zeros((4, 4, 4), dtype=np.float32)
    for pose, turn in zip(poses, turns, strict=True):
        c, s = np.cos(turn), np.sin(turn)
        pose[:] = [[-s, 0, c, 3 * c], [c, 0, s, 3 * s], [0, 1, 0, 0], [0, 0, 0, 1]]
    arrays = {"images": np.zeros((4, 8, 8, 3), dtype=np.float32), "poses": poses, "focal": np.float32(10)}
    shutil.rmtree(workspace / "data/raw")
    (workspace / "data/raw").mkdir()
    arrays = {name: value for name, value in {**arrays, **changes}.items() if value is not None}
    np.savez(workspace / "data/raw/scene.npz", **arrays)
    entry = Entry(format="tiny_nerf", path="scene.npz", train_views=3).model_dump(mode="json")
    (workspace / "data/raw/entry.json").write_text(json.dumps({**entry, "name": "desk", "file": "scene.npz"}))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"poses": None}, "missing poses"),
        ({"images": np.zeros((4, 8, 8), dtype=np.float32)}, "images: must be [N, H, W, 3] (got [4, 8, 8])"),
        ({"images": np.full((4, 8, 8, 3), np.nan, dtype=np.float32)}, "images: hold NaN or infinity"),
        ({"images": np.zeros((0, 8, 8, 3), dtype=np.float32)}, "images: there are none"),
        ({"images": np.array([{}, {}], dtype=object)}, "holds pickled objects, which are never loaded"),
        ({"poses": np.zeros((4, 4, 4), dtype=np.float32)}, "poses: pose 0 is singular"),
        ({"poses": np.tile(np.diag([-1, 1, 1, 1]).astype(np.float32), (4, 1, 1))}, "poses: pose 0 is left-handed"),
    ],
)
def test_a_faulty_npz_is_named_and_the_rays_stay(workspace: Path, faults, changes: dict, told: str) -> None:
    npz(workspace, **changes)
    lines = faults("rays")
    assert lines
    assert all(line.startswith("data/raw/scene.npz: ") for line in lines)
    assert told in lines[0]


def spoilt_transforms(scene: Scene, data: Path) -> None:
    scene_files.write_transforms(scene, data, [scene.cameras[0]] * scene.views)
    (data / "images/003.png").write_bytes(b"no picture")


def spoilt_llff(scene: Scene, data: Path) -> None:
    scene_files.write_llff(scene, data, 1.0, 5.0)
    (data / "images/003.png").unlink()


def spoilt_colmap(scene: Scene, data: Path) -> None:
    camera = scene.cameras[0]
    scene_files.write_colmap(scene, data, "SIMPLE_PINHOLE", [camera.fx, 8, 6], np.zeros((3, 3)))
    (data / "sparse/0/images.bin").write_bytes((data / "sparse/0/images.bin").read_bytes()[:-9])


def cut_picture(scene: Scene, data: Path) -> None:
    """Its header is sound: the fault shows when half of the new rays are written."""
    scene_files.write_transforms(scene, data, [scene.cameras[0]] * scene.views)
    whole = (data / "images/005.png").read_bytes()
    (data / "images/005.png").write_bytes(whole[:-60])


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (spoilt_transforms, "data/raw/images/003.png: not a readable picture"),
        (spoilt_llff, "data/raw/poses_bounds.npy: has 10 rows"),
        (spoilt_colmap, "data/raw/sparse/0/images.bin: damaged or cut short"),
        (cut_picture, "data/raw/images/005.png: a damaged or truncated picture"),
    ],
)
def test_a_faulty_scene_of_files_is_named_and_the_rays_stay(
    workspace: Path, faults, scene: Scene, write: Callable[[Scene, Path], None], told: str
) -> None:
    write(scene, workspace / "stranger")
    shutil.rmtree(workspace / "data/raw")
    (workspace / "data/raw").mkdir()
    make_raw("stranger", Entry.model_validate({"path": "stranger", "space": "bounded"}), workspace / "data/raw")
    [line] = faults("rays")
    assert line.startswith(told)


def test_a_split_that_is_empty_is_told(workspace: Path, faults) -> None:
    npz(workspace)
    entry = json.loads((workspace / "data/raw/entry.json").read_text())
    (workspace / "data/raw/entry.json").write_text(json.dumps({**entry, "train_views": 4}))
    [line] = faults("rays")
    assert "the test split is empty: the first 4 views train and there are 4; set `train_views:`" in line


def test_a_sound_npz_becomes_rays(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    npz(workspace)
    rays.main()
    assert "scene desk: 3 train, 1 val, 1 test views" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "value", "told"), [("scene", "robotarm", "did you mean robot-arm?"), ("method", "ngpp", "must be")]
)
def test_an_unknown_scene_or_method_is_told(workspace: Path, faults, key: str, value: str, told: str) -> None:
    edit(workspace / "params.yaml", {key: value})
    [line] = faults("download")
    assert told in line


def test_missing_keys_are_all_told_at_once(workspace: Path, faults) -> None:
    text = (workspace / "params.yaml").read_text()
    kept = [line for line in text.splitlines() if not line.strip().startswith(("seed:", "min_near:", "fps:"))]
    (workspace / "params.yaml").write_text("\n".join(kept))
    assert faults("train") == [
        "params.yaml: seed: missing",
        "params.yaml: rays.min_near: missing",
        "params.yaml: render.fps: missing",
    ]


def test_a_stage_before_its_input_says_what_to_run(workspace: Path, faults) -> None:
    shutil.rmtree(workspace / "data/rays")
    assert faults("train") == ["data/rays/bank.json: not found; run `dvc repro rays` first"]
    (workspace / "data/model/field.safetensors").unlink()
    assert faults("render") == ["data/model/field.safetensors: not found; run `dvc repro train` first"]


def test_a_damaged_model_is_told_and_views_and_renders_stay(workspace: Path, faults) -> None:
    model = workspace / "data/model/field.safetensors"
    model.write_bytes(model.read_bytes()[:1000])
    for name in ("evaluate", "render"):
        [line] = faults(name)
        assert line.startswith("data/model/field.safetensors: not a whole .safetensors file")


def test_a_second_training_at_once_is_refused(workspace: Path, faults) -> None:
    with Checkpoint(workspace / "elsewhere", Path(".nerfpipe")):
        [line] = faults("train")
    assert "another training is running here" in line


def test_a_disk_that_fills_up_is_told_with_the_file(workspace: Path, faults, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    assert faults("rays") == ["data/rays: no room left on the disk; free some space and run the same command again"]


def test_rays_are_within_twelve_bytes_and_told(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rays.main()
    assert "bytes per ray on disk" in capsys.readouterr().out


def test_every_stage_notes_its_seconds(workspace: Path) -> None:
    assert read_timings().keys() == STAGES.keys()


def test_check_tells_every_fault_of_both_files(workspace: Path) -> None:
    edit(workspace / "params.yaml", {"tiny.train.lr": -1, "render.fps": 0})
    edit(workspace / "data/scenes.yaml", {"robot-arm.size": 0})
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "error: params.yaml: tiny.train.lr: must be greater than 0 (got -1)",
        "error: params.yaml: render.fps: must be greater than 0 (got 0)",
        "error: data/scenes.yaml: robot-arm.size: must be greater than or equal to 8 (got 0)",
    ]


def test_the_stage_check_tells_the_same_and_leaves_all_as_it_was(workspace: Path, faults) -> None:
    edit(workspace / "params.yaml", {"tiny.train.lr": -1, "scene": "nowhere"})
    edit(workspace / "data/scenes.yaml", {"robot-arm.size": 0})
    assert faults("check") == [
        "params.yaml: tiny.train.lr: must be greater than 0 (got -1)",
        "data/scenes.yaml: robot-arm.size: must be greater than or equal to 8 (got 0)",
    ]
    edit(workspace / "params.yaml", {"tiny.train.lr": 1e-3, "render.path": "nowhere.json"})
    edit(workspace / "data/scenes.yaml", {"robot-arm.size": 16})
    [scene, path] = faults("check")
    assert scene.startswith("data/scenes.yaml: no scene 'nowhere'")
    assert path == "params.yaml: render.path: nowhere.json: not found; correct the name, or save key frames there"


def test_the_stage_check_does_not_ask_for_data_that_others_may_have_made_use_of(workspace: Path) -> None:
    edit(workspace / "data/scenes.yaml", {"desk": {"format": "tiny_nerf", "path": "nowhere.npz"}})
    edit(workspace / "params.yaml", {"scene": "desk"})
    before = (workspace / "data/checked").read_bytes()
    with stage("check"):
        check.main()
    assert (workspace / "data/checked").read_bytes() == before


def test_check_tells_a_local_path_that_is_not_there(workspace: Path) -> None:
    edit(workspace / "data/scenes.yaml", {"desk": {"format": "tiny_nerf", "path": "nowhere.npz"}})
    edit(workspace / "params.yaml", {"scene": "desk"})
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 1
    assert result.stderr == (
        "error: data/scenes.yaml: desk.path: there is no nowhere.npz; correct it, or put the data there\n"
    )


@pytest.mark.parametrize(
    "left", ["", "schema: '2.0'\nstages:\n  check:\n    cmd: python -m st\n    de", "stages: {}\n"]
)
def test_check_tells_a_lock_file_that_dvc_was_killed_in(workspace: Path, left: str) -> None:
    (workspace / "dvc.lock").write_text(left)
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 1
    assert result.stderr == (
        "error: dvc.lock: cut short, as when DVC is killed while it writes it; delete it (or `git restore` it) and run "
        "`dvc repro`, which restores finished stages from DVC's cache\n"
    )


@pytest.mark.parametrize("left", ["", '{"/project/data/raw": {"wri'])
def test_check_tells_a_list_of_readers_and_writers_that_dvc_was_killed_in(workspace: Path, left: str) -> None:
    held = workspace / ".dvc/tmp/rwlock"
    held.parent.mkdir(parents=True, exist_ok=True)
    held.write_text(left)
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 1
    assert result.stderr == (
        "error: .dvc/tmp/rwlock: cut short, as when DVC is killed while it writes it; delete it when no dvc is running "
        "(it lists who reads and writes what), and run `dvc repro`\n"
    )
    held.write_text("{}")
    assert CliRunner().invoke(app, ["check"]).exit_code == 0


def test_check_is_content_with_the_project_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(app, ["check"])
    assert (result.exit_code, result.stderr) == (0, "")


def test_doctor_tells_machine_and_scene_and_draws_the_cameras(workspace: Path) -> None:
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    words = result.stdout
    for part in (
        "device  cpu",
        "bf16",
        "robot-arm: 6 views of 16x16",
        "3 train, 1 val, 2 test",
        "bounds",
        "near",
        "far",
    ):
        assert part in words
    assert (workspace / "data/doctor.png").read_bytes().startswith(b"\x89PNG")


def test_doctor_without_data_says_how_to_get_it(workspace: Path) -> None:
    shutil.rmtree(workspace / "data/raw")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    assert "not here yet; `dvc repro rays` gets it" in result.stdout


def test_summary_tells_scene_method_numbers_seconds_and_gif(workspace: Path) -> None:
    test = json.loads((workspace / "metrics/test.json").read_text())["test"]
    test["depth_error"] = 0.25  # a field of six steps may be seen nowhere, and then has none
    (workspace / "metrics/test.json").write_text(json.dumps({"test": test}))
    result = CliRunner().invoke(app, ["summary"])
    assert result.exit_code == 0
    for part in (
        "robot-arm, 2 held-out views",
        "tiny, 6 steps",
        "PSNR",
        "SSIM",
        "depth error 0.25 scene units",
        "train",
        "orbit.gif",
    ):
        assert part in result.stdout


@pytest.mark.parametrize("content", ["{", "[]", '{"test": {"psnr": 20.0}}'])
def test_summary_of_damaged_or_older_metrics_says_what_to_run(workspace: Path, content: str) -> None:
    (workspace / "metrics/test.json").write_text(content)
    result = CliRunner().invoke(app, ["summary"])
    assert (result.exit_code, result.stderr) == (1, "error: metrics/test.json: damaged; run `dvc repro` again\n")


def test_check_tells_a_fault_of_the_scene_in_use_once(workspace: Path) -> None:
    edit(workspace / "data/scenes.yaml", {"robot-arm.size": 0})
    result = CliRunner().invoke(app, ["check"])
    assert result.stderr == "error: data/scenes.yaml: robot-arm.size: must be greater than or equal to 8 (got 0)\n"


def test_summary_before_a_run_says_what_to_run(workspace: Path) -> None:
    (workspace / "metrics/test.json").unlink()
    result = CliRunner().invoke(app, ["summary"])
    assert (result.exit_code, result.stderr) == (1, "error: metrics/test.json: not found; run `dvc repro` first\n")


def test_what_was_left_out_of_a_scene_is_told(
    workspace: Path, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    data = workspace / "others"
    scene_files.write_transforms(scene, data, [scene.cameras[0]] * scene.views)
    (data / "images" / "002.png").unlink()
    raw = workspace / "data/raw"
    shutil.rmtree(raw)
    raw.mkdir()
    make_raw("desk", Entry(path=str(data), missing="skip", space="bounded"), raw)
    rays.main()
    assert "notice: 1 of 10 pictures are not there (002.png): left out" in capsys.readouterr().out.splitlines()
