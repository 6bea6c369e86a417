"""Disks that fill up in the midst of a stage: what is said names the file, nothing half written stays, repro goes on.

`data/`, or `.nerfpipe/` for checkpoints, lies on a tmpfs of its own, which a ballast file fills until a few pages are
left. The mounts live in a mount namespace that ends with this process: as root through `unshare -m`, else through
`unshare -Urm`, which some systems forbid; then the part is skipped and says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from robustness.counts import Counts
from robustness.project import STAGES, Project, dvc, finish, partial_files, result, unclear

NAMESPACE = ["unshare", "-m"] if hasattr(os, "geteuid") and os.geteuid() == 0 else ["unshare", "-Urm"]
TMPFS_BYTES, PAGE = 8 << 20, 4096
FULL_LINE = "no room left on the disk; free some space and run the same command again"
# stage, what lies on the small disk, pages left free: each amount lets another file be the one that finds no room
CASES = [
    ("download", "data", 1),
    ("download", "data", 4),
    ("rays", "data", 0),
    ("rays", "data", 2),
    ("rays", "data", 4),
    ("train", ".nerfpipe", 0),
    ("train", ".nerfpipe", 4),
    ("train", "data", 0),
    ("train", "data", 2),
    ("evaluate", "data", 0),
    ("evaluate", "data", 1),
    ("render", "data", 0),
    ("render", "data", 1),
    ("render", "data", 2),
]


def fill_disks(project: Project, work: Path, cases: int | None = None) -> Counts:
    """All cases, in a child process with mounts of its own."""
    counts = Counts("disk full")
    try:
        subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        counts.skipped = f"`{' '.join(NAMESPACE)}` and mounting a tmpfs are not allowed here"
        return counts
    for stage, disk, pages in CASES[:cases]:
        name = f"{stage}, {disk}/ with {pages} free pages"
        folder = project.copy(work / "full", forget_from=stage)
        given = json.dumps([str(folder), stage, disk, pages, project.truth])
        command = [*NAMESPACE, sys.executable, "-m", "robustness.disk"]
        done = subprocess.run(command, input=given, capture_output=True, text=True)
        if done.returncode:
            counts.trial(name, unclear=f"the trial itself failed: {done.stderr.strip()[-300:]}", identical=False)
            continue
        fault, identical = json.loads(done.stdout.splitlines()[-1])
        counts.trial(name, fault, identical)
    return counts


def fill_once(folder: Path, stage: str, disk: str, pages: int, truth: dict[str, str]) -> tuple[str, bool]:
    """Run a stage on a disk that is too small, then free it and go on: what was said badly, and the bytes' verdict."""
    place = folder / disk
    place.mkdir(exist_ok=True)
    aside = folder.with_name("aside")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(place, aside)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", str(place)], check=True)
    shutil.copytree(aside, place, dirs_exist_ok=True)
    out = folder / STAGES[stage]
    ballast = place / "ballast"
    fill(ballast, pages)
    said = dvc(folder, "repro", stage, check=False)
    told = [line for line in said.stderr.splitlines() if line.startswith("error: ")]
    fault = unclear(said.stdout + said.stderr)
    if not said.returncode:
        fault = "it exited with 0"
    elif len(told) != 1 or FULL_LINE not in told[0] or not told[0].startswith(f"error: {disk}"):
        full_path = f"error: {folder / disk}"
        if len(told) != 1 or FULL_LINE not in told[0] or not told[0].startswith(full_path):
            fault = fault or f"it said {told or said.stderr.splitlines()[-5:]}"
    left = [name for name in partial_files(folder) if name.startswith(disk)]
    fault = fault or (f"left behind: {', '.join(left)}" if left else "")
    fault = fault or ("a part of the out is there" if out.exists() and any(out.iterdir()) else "")
    ballast.unlink()
    finish(folder)
    return fault, result(folder) == truth


def fill(ballast: Path, pages: int) -> None:
    """Write until the disk is full, then give `pages` pages back."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE))
        except OSError:
            file.truncate(max(0, file.tell() // PAGE - pages) * PAGE)
    free = shutil.disk_usage(ballast.parent).free
    assert free == pages * PAGE, f"{free} bytes are free"


if __name__ == "__main__":
    folder_, *rest, truth_ = json.loads(sys.stdin.read())
    print(json.dumps(fill_once(Path(folder_), *rest, truth_)))
