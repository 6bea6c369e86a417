"""Experiments that travel between clones, a queue of them, and models that are known by name and version."""

from __future__ import annotations

import csv
import hashlib
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import psutil
import pytest
import yaml
from sharing import MODEL, NOTHING_TO_DO, Published, colleague, last_line
from tiny_pipeline import ROOT, dvc, environment, hashes, run

STEPS = 200  # of the experiment that is pushed
QUEUED_STEPS, ROW_EVERY = 400, 10
CHANGED = ("tiny.train.validate_views=1", "evaluate.error_scale=0.5", "render.frames=2", "rays.margin=0.01")
POLL_SECONDS, PATIENCE_SECONDS = 0.02, 240


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def metrics(clone: Path, name: str) -> dict[str, Any]:
    return json.loads((clone / f"metrics/{name}.json").read_text())[name]


# --- Experiments between clones ---


@pytest.fixture(scope="module")
def experiment(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which the experiment `longer` has run, and been pushed to git and to the DVC remote."""
    clone = colleague(published, tmp_path_factory.mktemp("experiment") / "clone", str(published.remote))
    dvc(clone, "pull")
    dvc(clone, "exp", "run", "-n", "longer", "-S", f"tiny.train.steps={STEPS}")
    pushed = dvc(clone, "exp", "push", "origin", "longer").stdout
    assert "Pushed experiment longer to Git remote 'origin'." in pushed
    assert "files uploaded" in pushed
    return clone


@pytest.mark.slow
def test_a_pushed_experiment_is_whole_in_another_clone(published: Published, experiment: Path, tmp_path: Path) -> None:
    clone = colleague(published, tmp_path / "clone", str(published.remote))
    assert "longer" in dvc(clone, "exp", "list", "origin").stdout
    dvc(clone, "exp", "pull", "origin", "longer")
    dvc(clone, "exp", "apply", "longer")
    assert yaml.safe_load((clone / "params.yaml").read_text())["tiny"]["train"]["steps"] == STEPS
    assert metrics(clone, "train") == metrics(experiment, "train")
    assert metrics(clone, "train")["steps"] == STEPS
    assert metrics(clone, "test") == metrics(experiment, "test")
    assert hashes(clone) == hashes(experiment)
    assert sha256(clone / MODEL) != sha256(published.author / MODEL)
    assert last_line(dvc(clone, "repro").stdout) == NOTHING_TO_DO


@pytest.mark.slow
def test_an_experiment_becomes_a_branch_that_git_can_merge(
    published: Published, experiment: Path, tmp_path: Path
) -> None:
    clone = colleague(published, tmp_path / "clone", str(published.remote))
    dvc(clone, "exp", "pull", "origin", "longer")
    dvc(clone, "exp", "branch", "longer", "best")
    run(clone, "git", "merge", "-q", "best")
    dvc(clone, "pull")
    assert hashes(clone) == hashes(experiment)


# --- The model registry ---


def register(clone: Path, version: str) -> str:
    """Tag HEAD as a version of the artifact `field`; the tag's name."""
    run(clone, "gto", "register", "field", "--version", version)
    run(clone, "git", "push", "-q", "origin", f"field@{version}")
    return f"field@{version}"


def fetch(published: Published, folder: Path, output: str, *options: str) -> Path:
    """`dvc artifacts get` from the bare git repository, in a folder that is no project."""
    folder.mkdir(exist_ok=True)
    where = ("--remote", "storage", "--remote-config", f"url={published.remote}")
    dvc(folder, "artifacts", "get", str(published.git), "field", "-o", output, *where, *options)
    return folder / output


@pytest.mark.slow
def test_a_registered_model_is_fetched_by_name_and_version_and_rendered_alone(
    published: Published, experiment: Path, tmp_path: Path
) -> None:
    clone = colleague(published, tmp_path / "clone", str(published.remote))
    first = register(clone, "v1.0.0")
    assert run(clone, "git", "tag").stdout.split() == [first]
    dvc(clone, "exp", "pull", "origin", "longer")
    dvc(clone, "exp", "apply", "longer")
    run(clone, "git", "commit", "-qam", "a longer training")
    run(clone, "git", "push", "-q", "origin", "HEAD:refs/heads/registered")
    register(clone, "v2.0.0")
    folder = tmp_path / "elsewhere"
    old = fetch(published, folder, "old.safetensors", "--rev", "v1.0.0")
    new = fetch(published, folder, "m.safetensors")
    assert sha256(old) == sha256(published.author / MODEL)
    assert sha256(new) == sha256(experiment / MODEL)
    render(new, "--frames", "3", "--size", "16", "--output", "turn")
    assert iio.imread(folder / "turn/orbit.gif").shape == (3, 16, 16, 3)


def render(model: Path, *options: str) -> None:
    """`nerfpipe render` beside the model, with this project's code and no pipeline around it."""
    subprocess.run(
        [sys.executable, "-m", "nerfpipe", "render", model.name, *options],
        cwd=model.parent,
        env={**environment(), "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )


# --- The queue ---


def start_worker(clone: Path) -> None:
    """`dvc queue start` without pipes: the worker would inherit them, and reading them would wait for its end."""
    command = [sys.executable, "-m", "dvc", "queue", "start", "-j", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command, cwd=clone, env=environment(), check=True, **quiet)


def training_in(folder: Path) -> psutil.Process | None:
    """The training that runs in a folder, if one does."""
    for process in psutil.process_iter():
        try:
            if "stages.train" in process.cmdline() and Path(process.cwd()) == folder:
                return process
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return None


def rows(clone: Path) -> list[dict[str, str]]:
    """`dvc exp show`, one dict per row."""
    return list(csv.DictReader(dvc(clone, "exp", "show", "--csv").stdout.splitlines()))


def wait_for_rows_of_training(clone: Path) -> psutil.Process:
    """Wait until a queued training has reported at least once, and hold it there, so that it can be looked at."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for file in (clone / ".dvc/tmp/exps").glob("*/metrics/train.json"):
            process = training_in(file.parents[1])
            if process is not None:
                process.suspend()
                return process
        time.sleep(POLL_SECONDS)
    raise AssertionError("no queued training reported anything")


def wait_for_the_queue(clone: Path) -> list[str]:
    """The states of all tasks, once none waits or runs."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        tasks = dvc(clone, "queue", "status").stdout
        if "Running" not in tasks and "Queued" not in tasks:
            return [line.split()[-1] for line in tasks.splitlines()[1:] if line and "Worker" not in line]
        time.sleep(1)
    raise AssertionError(f"the queue did not come to its end\n{dvc(clone, 'queue', 'status').stdout}")


def runs_table(clone: Path) -> list[dict[str, str]]:
    """What `make runs` shows, one dict per row."""
    asked = subprocess.run(["make", "--dry-run", "runs"], cwd=clone, capture_output=True, text=True, check=True).stdout
    _, _, *arguments = shlex.split(next(line for line in asked.splitlines() if "dvc exp show" in line))
    return list(csv.DictReader(run(clone, sys.executable, "-m", *arguments, "--csv").stdout.splitlines()))


@pytest.mark.slow
def test_a_queue_of_two_shows_live_rows_and_ends_well(published: Published, tmp_path: Path) -> None:
    clone = colleague(published, tmp_path / "clone", str(published.remote))
    dvc(clone, "pull")
    settings = (f"tiny.train.steps={QUEUED_STEPS}", f"tiny.train.validate_every={ROW_EVERY}", *CHANGED)
    sets = [part for each in ("tiny.train.lr=1e-3,5e-4", *settings) for part in ("-S", each)]
    dvc(clone, "exp", "run", "--queue", *sets)
    start_worker(clone)
    training = wait_for_rows_of_training(clone)
    try:
        [live] = [row for row in rows(clone) if row["State"] == "Running"]
        [shown] = [row for row in runs_table(clone) if row["State"] == "Running"]
    finally:
        training.resume()
    assert 0 < int(live["train.steps"]) < QUEUED_STEPS
    assert float(live["train.psnr"]) > 0
    assert {name: shown[name] for name in ("train.steps", "train.psnr")} == {
        name: live[name] for name in ("train.steps", "train.psnr")
    }
    changed = {assignment.split("=")[0] for assignment in (*settings, "tiny.train.lr=")}
    assert changed | {"scene", "method", "test.psnr", "test.ssim", "speed.seconds"} <= shown.keys()
    dropped = ("runtime.", "speed.", "train.weights", "test.views", "test.background")
    assert not [name for name in shown if name.startswith(dropped) and name != "speed.seconds"]
    assert not [name for name in shown if "/" in name]
    assert wait_for_the_queue(clone) == ["Success", "Success"]
    done = [row for row in rows(clone) if row["State"] == "Success"]
    assert {float(row["tiny.train.lr"]) for row in done} == {1e-3, 5e-4}
    assert {int(row["train.steps"]) for row in done} == {QUEUED_STEPS}
    assert len({float(row["test.psnr"]) for row in done}) == 2
    assert metrics(clone, "train")["steps"] != QUEUED_STEPS, "the workspace is left as it was"
