"""Temporary copies of the project, small enough to run in seconds: run once undisturbed, then copied for each trial."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from nerfpipe.project.check import broken_locks
from tests.tiny_pipeline import clone, dvc, edit, environment, hashes, run, shrink

STAGES = {
    "download": "data/raw",
    "rays": "data/rays",
    "train": "data/model",
    "evaluate": "data/views",
    "render": "data/renders",
}
METRICS = ("train.json", "history.csv", "test.json", "views.csv")  # speed.* hold what the clock said
START, TRAINING = "start", "training"  # before the first stage; and the loop of the stage `train`
STAGE_LINE = "Running stage '{}'"
BEGINS = {  # what is said when a phase of a run begins, in their order
    START: "",
    "download": STAGE_LINE.format("download"),
    "rays": STAGE_LINE.format("rays"),
    "train": STAGE_LINE.format("train"),
    TRAINING: "; previews in ",  # the last words before the first step
    "evaluate": STAGE_LINE.format("evaluate"),
    "render": STAGE_LINE.format("render"),
}
PHASES = tuple(BEGINS)
LOCK_MENDED = "dvc.lock was cut short, and deleted"
NOTHING_TO_DO = "Data and pipelines are up to date."
CHECKPOINTS = ".nerfpipe/checkpoints/*/checkpoint.safetensors"
CACHED_NAME = re.compile(r"[0-9a-f]{32}(\.dir)?")  # of a file in DVC's cache, its folder's name before it
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
    starts: dict[str, float]  # seconds after the start at which each phase began, in order
    seconds: float

    def length(self, phase: str) -> float:
        """Seconds from a phase's beginning to the next one's."""
        following = [began for other, began in self.starts.items() if PHASES.index(other) > PHASES.index(phase)]
        return min(following, default=self.seconds) - self.starts[phase]

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
    """Run all stages and note when each phase began and what came out."""
    edit(folder / "params.yaml", {"method": method, **LONGER})
    dvc(folder, "repro")  # compiles bytecode and looks into everything once, as no later run has to
    forget(folder, list(STAGES))
    process, log, started = *start(folder), time.monotonic()
    starts: dict[str, float] = {}
    while process.poll() is None:
        text, now = log.read_text(), time.monotonic() - started
        starts |= {phase: now for phase in PHASES if phase not in starts and BEGINS[phase] in text}
        time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - started
    if process.returncode or len(starts) < len(PHASES):
        raise AssertionError(f"the undisturbed run failed:\n{log.read_text()}")
    return Project(folder, method, result(folder), {**starts, START: 0.0}, seconds)


def stage_of(phase: str) -> str:
    """The stage that a phase belongs to, or with which it ends."""
    return {START: "download", TRAINING: "train"}.get(phase, phase)


def phase_in(said: str) -> str:
    """The last phase that began, by what was said."""
    return [phase for phase in PHASES if BEGINS[phase] in said][-1]


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


def finish(folder: Path) -> str:
    """`dvc repro`, where nobody else is at work; all that was said. Raises AssertionError where it fails."""
    mended = mend_lock(folder)
    done = dvc(folder, "repro", check=False)
    if done.returncode:
        raise AssertionError(f"`dvc repro` failed: {done.stdout + done.stderr}")
    return mended + done.stdout + done.stderr


def mend_lock(folder: Path) -> str:
    """What `nerfpipe check` tells a user to do where DVC was killed writing a lock file; LOCK_MENDED if it was."""
    broken = broken_locks(folder)
    for file in broken:
        remove(file)
    return f"{LOCK_MENDED}\n" if broken else ""


def unsettled(folder: Path) -> str:
    """What is wrong with a project in which `dvc repro` is through; empty when nothing is.

    Asked again it must have nothing to do, and each file in DVC's cache must be what its name says.
    """
    again = dvc(folder, "repro", check=False)
    if again.returncode or again.stdout.strip().splitlines()[-1:] != [NOTHING_TO_DO]:
        return f"asked again, `dvc repro` said {(again.stdout + again.stderr).strip().splitlines()[-3:]}"
    wrong = misnamed(folder / ".dvc/cache/files/md5")
    return f"other bytes than their names say, in the cache: {', '.join(wrong)}" if wrong else ""


def misnamed(cache: Path) -> list[str]:
    """The files of a cache whose content is not what their names, MD5 sums, say."""
    found = {file: file.parent.name + file.name for file in cache.glob("??/*") if file.is_file()}
    return [
        name
        for file, name in found.items()
        if CACHED_NAME.fullmatch(name) and hashlib.md5(file.read_bytes()).hexdigest() != name.removesuffix(".dir")
    ]


def has_checkpoint(folder: Path) -> bool:
    return any(folder.glob(CHECKPOINTS))


def partial_files(folder: Path) -> list[str]:
    """What was begun and neither finished nor cleared away."""
    return [str(path.relative_to(folder)) for path in folder.rglob(".partial-*")]


def unclear(said: str) -> str:
    """What is wrong with how a fault was told; empty when nothing is."""
    if "Traceback (most recent call last)" in said:
        return "a traceback: " + said.strip().splitlines()[-1]
    return ""
