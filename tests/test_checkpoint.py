"""Checkpoints: exact, exclusive, named by what decides the result."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import torch

from nerfpipe.runtime.checkpoint import Checkpoint, fingerprint, forget_finished, runs_folder
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import PARTIAL

TENSORS = {"model.w": torch.tensor([1.0, -2.5]), "adam.0.step": torch.tensor(3.0)}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "run", tmp_path / "workspace")


def test_what_is_saved_is_what_is_loaded(checkpoint: Checkpoint) -> None:
    state = {"at": {"step": 7, "seconds": 0.1 + 0.2}, "history": []}
    checkpoint.save(TENSORS, state)
    tensors, loaded = checkpoint.load()
    assert loaded == state
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    checkpoint.save(TENSORS, {"at": 8})
    assert checkpoint.load()[1] == {"at": 8}


def test_nothing_saved_and_removed_load_as_none(checkpoint: Checkpoint) -> None:
    assert checkpoint.load() is None
    checkpoint.save(TENSORS, {})
    checkpoint.remove()
    assert checkpoint.load() is None


def test_a_finished_run_is_forgotten_when_its_model_is_in_use_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    runs = [Checkpoint(runs_folder() / name, tmp_path / "workspace") for name in ("finished", "begun", "held")]
    for run in runs:
        run.save(TENSORS, {"at": 8})
    runs[0].finish()
    runs[2].finish()
    with runs[2]:
        forget_finished()
    assert [run.load() is None for run in runs] == [True, False, False]
    forget_finished()
    assert [run.load() is None for run in runs] == [True, False, True]


def test_a_finished_run_is_taken_up_again_once(checkpoint: Checkpoint) -> None:
    checkpoint.save(TENSORS, {"at": 8})
    checkpoint.finish()
    assert checkpoint.load()[1] == {"at": 8}
    checkpoint.finish()
    assert checkpoint.load() is None
    checkpoint.save(TENSORS, {"at": 9})
    checkpoint.finish()
    assert checkpoint.load()[1] == {"at": 9}


def test_a_damaged_checkpoint_is_said_and_passed_over(checkpoint: Checkpoint, capsys) -> None:
    checkpoint.save(TENSORS, {})
    checkpoint.file.write_bytes(checkpoint.file.read_bytes()[:40])
    assert checkpoint.load() is None
    assert "damaged, starting from the first step" in capsys.readouterr().err


def test_what_a_killed_process_left_half_written_is_cleared_away(checkpoint: Checkpoint) -> None:
    checkpoint.save(TENSORS, {"at": 8})
    half = checkpoint.file.with_name(f"{PARTIAL}4711-checkpoint.safetensors")
    half.write_bytes(b"half")
    with checkpoint:
        assert not half.exists()
        assert checkpoint.load()[1] == {"at": 8}


def hold(run: Path, workspace: Path, ready, release) -> None:
    with Checkpoint(run, workspace):
        ready.set()
        release.wait(30)


@pytest.mark.parametrize("shared", ["run", "workspace"])
def test_two_trainings_at_once_are_refused_in_one_line(tmp_path: Path, shared: str) -> None:
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path / "run", tmp_path / "workspace", ready, release))
    process.start()
    try:
        assert ready.wait(60)
        run = tmp_path / ("run" if shared == "run" else "other-run")
        workspace = tmp_path / ("workspace" if shared == "workspace" else "other-workspace")
        with (
            pytest.raises(NerfpipeError, match="another training is running here") as caught,
            Checkpoint(run, workspace),
        ):
            pass
        assert "\n" not in str(caught.value)
    finally:
        release.set()
        process.join()
    with Checkpoint(tmp_path / "run", tmp_path / "workspace"):
        pass  # the locks went with the process


def test_the_fingerprint_changes_with_params_rays_and_nothing_else(tmp_path: Path) -> None:
    rays = tmp_path / "rays"
    rays.mkdir()
    (rays / "a.npy").write_bytes(b"12")
    (rays / "b.npy").write_bytes(b"34")
    name = fingerprint({"seed": 0, "lr": 1e-3}, rays, {})
    assert name == fingerprint({"lr": 1e-3, "seed": 0}, rays, {})
    assert name != fingerprint({"seed": 1, "lr": 1e-3}, rays, {})
    (rays / "a.npy").write_bytes(b"123")
    (rays / "b.npy").write_bytes(b"4")
    assert name != fingerprint({"seed": 0, "lr": 1e-3}, rays, {})


def test_the_fingerprint_changes_with_the_code_and_not_with_the_folder_that_it_is_in(tmp_path: Path) -> None:
    here, copy, rays = tmp_path / "module.py", tmp_path / "copy.py", tmp_path / "rays"
    for file in (here, copy):
        file.write_text("a = 1")
    rays.mkdir()
    name = fingerprint({}, rays, {"nerfpipe/module.py": here})
    assert name == fingerprint({}, rays, {"nerfpipe/module.py": copy})  # a queued experiment runs in a copy
    assert name != fingerprint({}, rays, {"nerfpipe/other.py": here})
    assert name != fingerprint({}, rays, {"nerfpipe/module.py": here, "nerfpipe/other.py": here})
    here.write_text("a = 2")
    assert name != fingerprint({}, rays, {"nerfpipe/module.py": here})


def test_any_flipped_bit_is_noticed(checkpoint: Checkpoint, capsys) -> None:
    checkpoint.save(TENSORS, {"at": {"step": 7}})
    content = checkpoint.file.read_bytes()
    for bit in range(0, 8 * len(content), 7):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        checkpoint.file.write_bytes(damaged)
        assert checkpoint.load() is None, bit
        assert capsys.readouterr().err == f"{checkpoint.file}: damaged, starting from the first step\n"
