"""The whole pipeline under DVC, in a temporary clone: it runs, it rests, it reproduces, it survives being killed."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import pytest
import yaml
from tiny_pipeline import OUTS, clone, dvc, edit, environment, hashes, run, shrink

POLL_SECONDS, PATIENCE_SECONDS = 0.02, 120


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which `dvc repro` has run once."""
    folder = clone(tmp_path_factory.mktemp("project"))
    shrink(folder)
    first = dvc(folder, "repro")
    assert "Running stage 'render'" in first.stdout
    return folder


def forget(folder: Path, *outs: str) -> None:
    """Delete outs, their copies in the cache, and DVC's memory of the runs that made them."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"].values()
    md5 = {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", [])}
    for name in outs:
        (folder / ".dvc/cache/files/md5" / md5[name][:2] / md5[name][2:]).unlink()
    for name in (*outs, ".dvc/cache/runs", ".nerfpipe"):
        shutil.rmtree(folder / name)


def test_the_promised_files_are_there(project: Path) -> None:
    assert (project / "data/model/field.safetensors").is_file()
    assert iio.imread(project / "data/renders/orbit.gif").shape[:3] == (3, 16, 16)
    assert iio.imread(project / "data/renders/orbit_depth.gif").shape[:3] == (3, 16, 16)
    sheets = sorted((project / "data/views").glob("*.png"))
    assert [iio.imread(sheet).shape for sheet in sheets] == [(16, 4 * 16 + 3 * 2, 3)] * 2


def test_the_metrics_have_the_promised_keys(project: Path) -> None:
    train = json.loads((project / "metrics/train.json").read_text())["train"]
    test = json.loads((project / "metrics/test.json").read_text())["test"]
    assert train["steps"] == 150
    assert train.keys() == {"scene", "method", "psnr", "steps", "weights"}, "nothing that a clock or a machine decides"
    speed = json.loads((project / "metrics/speed.json").read_text())["speed"]
    assert {"seconds", "rays_per_second", "device", "processor", "threads", "versions"} == speed.keys()
    assert {"psnr", "ssim", "depth_error", "background"} <= test.keys()
    history = list(csv.DictReader((project / "metrics/history.csv").open()))
    clock = list(csv.DictReader((project / "metrics/speed.csv").open()))
    assert [row["step"] for row in clock] == [row["step"] for row in history]
    assert sorted(float(row["seconds"]) for row in clock) == [float(row["seconds"]) for row in clock]
    assert [int(row["step"]) for row in history] == [50, 100, 150]
    assert float(history[-1]["val_psnr"]) == pytest.approx(train["psnr"], abs=1e-3)
    views = list(csv.DictReader((project / "metrics/views.csv").open()))
    assert sum(float(row["psnr"]) for row in views) / len(views) == pytest.approx(test["psnr"], abs=1e-3)


def test_a_second_run_does_nothing(project: Path) -> None:
    assert dvc(project, "repro").stdout.strip().splitlines()[-1] == "Data and pipelines are up to date."
    assert list((project / "nerfpipe").rglob("*.pyc")), "bytecode was written, and still nothing ran"


def test_git_sees_only_lock_and_metrics(project: Path) -> None:
    changed = {line.split()[-1] for line in run(project, "git", "status", "--porcelain").stdout.splitlines()}
    assert changed == {"params.yaml", "data/scenes.yaml", "dvc.lock", "metrics/"}


def test_a_lock_file_that_dvc_was_killed_in_is_deleted_and_nothing_is_lost(project: Path) -> None:
    before, lock = hashes(project), (project / "dvc.lock").read_text()
    (project / "dvc.lock").write_text("")  # as it is for an instant while DVC writes it
    assert dvc(project, "repro", check=False).returncode != 0
    (project / "dvc.lock").unlink()  # as `nerfpipe check` says
    again = dvc(project, "repro").stdout
    assert "Running stage" not in again
    assert (hashes(project), (project / "dvc.lock").read_text()) == (before, lock)


def test_deleted_and_run_again_it_gives_the_same_bytes(project: Path) -> None:
    before = hashes(project)
    forget(project, *OUTS)
    again = dvc(project, "repro")
    assert "Running stage 'download'" in again.stdout
    assert "going on" not in again.stdout
    assert hashes(project) == before


@pytest.mark.parametrize(("checkpoints", "kills"), [(1, 1), (3, 2)])
def test_killed_in_training_it_resumes_to_the_same_bytes(project: Path, checkpoints: int, kills: int) -> None:
    before = hashes(project)
    forget(project, "data/model")
    for _ in range(kills):
        kill_after_checkpoints(project, checkpoints)
        assert not (project / "data/model/field.safetensors").exists()
    resumed = dvc(project, "repro")
    assert "going on from step" in resumed.stdout
    assert hashes(project) == before


def test_a_training_that_outlives_dvc_is_not_done_again(project: Path) -> None:
    before = hashes(project)
    forget(project, "data/model")
    process = train_to_checkpoint(project)
    process.kill()  # DVC alone: the stage goes on, and nobody takes what it writes into the cache
    process.wait()
    patiently(lambda: any(project.glob(".nerfpipe/checkpoints/*/finished")))
    again = dvc(project, "repro").stdout
    assert "going on from step 150 of 150" in again
    assert hashes(project) == before
    assert not list((project / ".nerfpipe/checkpoints").rglob("*.safetensors"))


def kill_after_checkpoints(project: Path, count: int) -> None:
    """Start `dvc repro train` and kill -9 all of it when its checkpoint has been written `count` times anew."""
    process = train_to_checkpoint(project, count)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def train_to_checkpoint(project: Path, count: int = 1) -> subprocess.Popen:
    """`dvc repro train`, which has just written its checkpoint `count` times anew."""
    seen = set(checkpoint_times(project))
    wanted = len(seen) + count
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "train"],
        cwd=project,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def written() -> bool:
        assert process.poll() is None, "the training ended before it could be killed"
        seen.update(checkpoint_times(project))
        return len(seen) >= wanted

    patiently(written)
    return process


def checkpoint_times(project: Path) -> list[int]:
    """When each checkpoint was written, in nanoseconds; none for one that is just being replaced."""
    with contextlib.suppress(FileNotFoundError):
        return [file.stat().st_mtime_ns for file in project.glob(".nerfpipe/checkpoints/*/checkpoint.safetensors")]
    return []


def patiently(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)


def test_another_method_trains_anew_and_the_first_one_comes_back_from_the_run_cache(project: Path) -> None:
    tiny = hashes(project)
    edit(project / "params.yaml", {"method": "nerf"})
    other = dvc(project, "repro").stdout
    assert "Running stage 'train'" in other
    assert "Running stage 'rays'" not in other
    assert hashes(project) != tiny
    edit(project / "params.yaml", {"method": "tiny"})
    back = dvc(project, "repro").stdout
    assert "Stage 'train' is cached" in back
    assert hashes(project) == tiny


def test_ngp_compiles_its_kernels_once_and_gives_the_same_bytes_twice(project: Path) -> None:
    edit(project / "params.yaml", {"method": "ngp"})
    try:
        first = dvc(project, "repro").stdout
        assert first.count("compiling the CPU kernels") == 1  # in training; the later stages load what is kept
        assert list((project / "nerfpipe/kernels/numba/__pycache__").glob("kernels-*/*/*.nbc"))
        before = hashes(project)
        forget(project, "data/model", "data/views", "data/renders")
        again = dvc(project, "repro").stdout
        assert "Running stage 'train'" in again
        assert "compiling" not in again
        assert hashes(project) == before

        # Compiled anew, and asked for by another stage first: the code, and so all bytes, must be the same.
        shutil.rmtree(project / "nerfpipe/kernels/numba/__pycache__")
        assert "compiling" in run(project, sys.executable, "-m", "stages.evaluate").stdout
        run(project, sys.executable, "-m", "stages.render")
        assert hashes(project) == before
        forget(project, "data/model", "data/views", "data/renders")
        assert "compiling" not in dvc(project, "repro").stdout
        assert hashes(project) == before
    finally:
        edit(project / "params.yaml", {"method": "tiny"})
        dvc(project, "repro")


def test_a_change_of_runtime_or_of_the_idle_method_is_checked_and_runs_nothing_else(project: Path) -> None:
    edit(project / "params.yaml", {"runtime.threads": 2, "nerf.train.lr": 1e-3})
    ran = [line for line in dvc(project, "repro").stdout.splitlines() if line.startswith("Running stage")]
    assert ran == ["Running stage 'check':"]


def test_a_faulty_parameter_stops_the_run_before_any_out_is_deleted(project: Path) -> None:
    before, original = hashes(project), (project / "params.yaml").read_text()
    edit(project / "params.yaml", {"tiny.train.lr": -1, "rays.margin": -1})
    try:
        refused = dvc(project, "repro", check=False)
        assert refused.returncode != 0
        assert [line for line in refused.stderr.splitlines() if line.startswith("error: ")] == [
            "error: params.yaml: rays.margin: must be greater than or equal to 0 (got -1)",
            "error: params.yaml: tiny.train.lr: must be greater than 0 (got -1)",
        ]
        assert hashes(project) == before
    finally:
        (project / "params.yaml").write_text(original)


def test_a_faulty_parameter_fails_in_one_line(project: Path) -> None:
    before = hashes(project)
    original = (project / "params.yaml").read_text()
    edit(project / "params.yaml", {"tiny.train.lr": -1})
    try:
        checked = run(project, sys.executable, "-m", "nerfpipe", "check", check=False)
        assert (checked.returncode, checked.stdout) == (1, "")
        assert checked.stderr == "error: params.yaml: tiny.train.lr: must be greater than 0 (got -1)\n"
        assert hashes(project) == before
    finally:
        (project / "params.yaml").write_text(original)
