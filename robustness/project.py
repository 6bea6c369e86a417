"""Temporary copies of the project, small enough to run in seconds: run once undisturbed, then copied for each trial."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.tiny_pipeline import clone, dvc, edit, environment, hashes, run, shrink

STAGES = {
    "download": "data/raw",
    "rays": "data/rays",
    "train": "data/model",
    "evaluate": "data/views",
    "render": "data/renders",
}
METRICS = ("train.json", "history.csv", "test.json", "views.csv")  # speed.* hold what the clock said
STAGE_LINE = "Running stage '{}'"
POLL_SECONDS, PATIENCE_SECONDS = 0.01, 300
LONGER = {  # than in the tests, so that training is a good part of a run
    "tiny.train.steps": 1500,
    "tiny.train.validate_every": 500,
    "ngp.train.steps": 400,
    "ngp.train.validate_every": 200,
    "runtime.checkpoint_seconds": 0.05,
}


def result(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of all outs, and of the metrics that hold no wall-clock."""
    metrics = [folder / "metrics" / name for name in METRICS]
    found = {f"metrics/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest() for file in metrics if file.exists()}
    return hashes(folder) | found


@dataclass
class Project:
    """A clone in which `dvc repro` has run once, undisturbed. It is copied, never touched."""

    folder: Path
    method: str
    truth: dict[str, str]  # what every trial must end in
    starts: dict[str, float]  # seconds after the start at which each stage began
    seconds: float

    def copy(self, folder: Path, forget_from: str | None = None) -> Path:
        """A fresh copy at `folder`, without the outs, metrics and caches of a stage and of all that follow it."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder, symlinks=True)
        if forget_from:
            names = list(STAGES)
            forget(folder, names[names.index(forget_from) :])
        return folder


def make_project(folder: Path, method: str = "tiny", compiled: bool = True) -> Project:
    """Clone, shrink, run. `compiled`: compile the kernels first, so that no trial waits for it."""
    clone(folder)
    shrink(folder)
    if compiled:
        run(folder, sys.executable, "-m", "nerfpipe", "compile")
    return undisturbed(folder, method)


def other_method(project: Project, folder: Path, method: str) -> Project:
    """The same clone with another method; its kernels stay compiled."""
    return undisturbed(project.copy(folder, forget_from="train"), method)


def undisturbed(folder: Path, method: str) -> Project:
    """Run all stages and note when each began and what came out."""
    edit(folder / "params.yaml", {"method": method, **LONGER})
    dvc(folder, "repro")  # compiles bytecode and looks into everything once, as no later run has to
    names = list(STAGES)
    forget(folder, names)
    process, log, started = *start(folder), time.monotonic()
    starts: dict[str, float] = {}
    while process.poll() is None:
        text = log.read_text()
        starts |= {name: time.monotonic() - started for name in names if name not in starts and running(name) in text}
        time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - started
    if process.returncode or len(starts) < len(names):
        raise AssertionError(f"the undisturbed run failed:\n{log.read_text()}")
    return Project(folder, method, result(folder), starts, seconds)


def running(stage: str) -> str:
    return STAGE_LINE.format(stage)


def forget(folder: Path, stages: list[str]) -> None:
    """Delete these stages' outs and metrics, their copies in the cache, all checkpoints, and DVC's memory of runs."""
    locked = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    cache = folder / ".dvc/cache/files/md5"
    for stage in stages:
        for out in locked[stage].get("outs", []):
            listed = cache / out["md5"][:2] / out["md5"][2:]
            if out["md5"].endswith(".dir") and listed.exists():
                for entry in json.loads(listed.read_text()):
                    (cache / entry["md5"][:2] / entry["md5"][2:]).unlink(missing_ok=True)
            listed.unlink(missing_ok=True)
            remove(folder / out["path"])
    for name in (".dvc/cache/runs", ".nerfpipe"):
        shutil.rmtree(folder / name, ignore_errors=True)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def start(folder: Path, *arguments: str, log: str = "run.log") -> tuple[subprocess.Popen[bytes], Path]:
    """`dvc repro`, or DVC with other arguments, in a session of its own, writing to a file beside the project."""
    file = folder.with_name(f"{folder.name}-{log}")
    with file.open("wb") as stream:
        command = [sys.executable, "-m", "dvc", *(arguments or ("repro",))]
        process = subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    return process, file


def wait_for(text: str, log: Path, process: subprocess.Popen[bytes]) -> bool:
    """Wait until `text` is said; False when the process ended without saying it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while text not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            return text in log.read_text(errors="replace")
        time.sleep(POLL_SECONDS)
    return True


def finish(folder: Path, attempts: int = 3) -> str:
    """`dvc repro` until it is done; all that was said. Raises AssertionError when it does not come to an end."""
    said = ""
    for _ in range(attempts):
        done = dvc(folder, "repro", check=False)
        said += done.stdout + done.stderr
        if done.returncode == 0:
            return said
    raise AssertionError(f"`dvc repro` failed {attempts} times: {said}")


def partial_files(folder: Path) -> list[str]:
    """What was begun and neither finished nor cleared away."""
    return [str(path.relative_to(folder)) for path in folder.rglob(".partial-*")]


def unclear(said: str) -> str:
    """What is wrong with how a fault was told; empty when nothing is."""
    if "Traceback (most recent call last)" in said:
        return "a traceback: " + said.strip().splitlines()[-1]
    return ""
