"""A temporary copy of the project with a pipeline small enough to run in seconds."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
OUTS = ("data/raw", "data/rays", "data/model", "data/views", "data/renders")
EXACT_METRICS = ("train.json", "history.csv", "test.json", "views.csv")  # and not speed.*, which is wall-clock
NOT_INHERITED = (
    "PYTHONDONTWRITEBYTECODE",
    "DVC_ROOT",
    "DVC_STAGE",
    "PYTHONPATH",
)  # the first would hide __pycache__ faults


def environment() -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    return {**env, "PATH": str(Path(sys.executable).parent) + os.pathsep + env["PATH"]}


def clone(folder: Path) -> Path:
    """The project as it lies here, changes included, as a git and DVC project of its own."""
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in files:
        if (ROOT / name).is_file() and name != "dvc.lock" and not name.startswith("metrics/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-qm", "copy")
    return folder


def run(folder: Path, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    if check and result.returncode:
        raise AssertionError(f"{command} exited with {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result


def dvc(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run(folder, sys.executable, "-m", "dvc", *arguments, check=check)


def edit(file: Path, changes: dict[str, object]) -> None:
    """Set dotted keys of a YAML file."""
    content = yaml.safe_load(file.read_text())
    for dotted, value in changes.items():
        *sections, key = dotted.split(".")
        section = content
        for name in sections:
            section = section[name]
        section[key] = value
    file.write_text(yaml.safe_dump(content, sort_keys=False))


def shrink(folder: Path) -> None:
    """Params and scene for a run of seconds."""
    edit(
        folder / "params.yaml",
        {
            "method": "tiny",
            "tiny.field.width": 16,
            "tiny.sampling.samples": 8,
            "tiny.train.steps": 150,
            "tiny.train.batch_rays": 32,
            "tiny.train.validate_every": 50,
            "nerf.field.width": 8,
            "nerf.sampling.coarse": 4,
            "nerf.sampling.fine": 4,
            "nerf.train.steps": 4,
            "nerf.train.batch_rays": 16,
            "nerf.train.validate_every": 2,
            "ngp.field.levels": 3,
            "ngp.field.max_resolution": 32,
            "ngp.field.log2_hashmap_size": 10,
            "ngp.field.width": 16,
            "ngp.sampling.steps": 32,
            "ngp.sampling.render_steps": 32,
            "ngp.sampling.grid": 16,
            "ngp.train.steps": 60,
            "ngp.train.batch_samples": 2000,
            "ngp.train.validate_every": 30,
            "render.frames": 3,
            "runtime.threads": 1,
            "runtime.checkpoint_seconds": 0,
        },
    )
    edit(folder / "data/scenes.yaml", {"robot-arm.size": 16, "robot-arm.views": {"train": 3, "val": 1, "test": 2}})


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that must be the same in every run: all data outs, and metrics but for the clock's."""
    files = [file for out in OUTS for file in (folder / out).rglob("*") if file.is_file()]
    files += [folder / "metrics" / name for name in EXACT_METRICS if (folder / "metrics" / name).is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
