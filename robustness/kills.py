"""kill -9 at random moments over the whole run, of the stage, of DVC, or of both; then `dvc repro` until it is done.

A moment is drawn evenly from the seconds of an undisturbed run. What lies before the stage in which it falls stays as
it is - the stage would only find it done - and that stage and all after it have their outs, cached copies and DVC's
memory of runs taken away, so that there is work to interrupt. A kill that comes after the end is drawn again.

Where DVC alone dies, its stage goes on as an orphan, and `dvc repro` is asked at once: it may do the work beside it, or
say in one line that another training is running; once the orphan has ended it must succeed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import psutil

from robustness.counts import Counts
from robustness.project import (
    POLL_SECONDS,
    Project,
    dvc,
    finish,
    partial_files,
    result,
    running,
    start,
    unclear,
    wait_for,
)

KINDS = ("stage", "dvc", "group")
BUSY_LINE = "another training is running here"
RESUMED = "going on from step"
OTHER_METHOD_EVERY = 5  # most trials are of the first project, one in so many of each of the others in turn
DRAWS = 4  # a moment may fall behind the end when the machine is faster than it was; then it is drawn again


def kill_many(projects: list[Project], count: int, seed: int, work: Path) -> Counts:
    """Kill `count` runs, most of them of the first project."""
    counts, random_ = Counts("kills", kills=True), random.Random(seed)
    for number in range(count):
        others = projects[1:]
        other = others and number % OTHER_METHOD_EVERY == OTHER_METHOD_EVERY - 1
        project = others[number // OTHER_METHOD_EVERY % len(others)] if other else projects[0]
        kill_once(project, KINDS[number % len(KINDS)], random_, counts, work / "killed")
    return counts


def kill_once(project: Project, kind: str, random_: random.Random, counts: Counts, folder: Path) -> None:
    """One trial, counted."""
    name = f"{kind} of {project.method}, never met"
    for _ in range(DRAWS):
        moment = random_.uniform(0, project.seconds)
        stage, offset = place(project, moment)
        name = f"{kind} of {project.method} at {moment:.1f} s, in {stage or 'the start'}"
        project.copy(folder, forget_from=stage or "download")
        orphans = kill_at(folder, stage, offset, kind)
        if orphans is not None:
            break
    else:
        counts.trial(name, unclear=f"it was not met in {DRAWS} attempts")
        return
    try:
        said, fault = go_on(folder, orphans)
    except AssertionError as error:
        counts.trial(name, unclear=str(error), identical=False)
        return
    fault = fault or unclear(said)
    if left := partial_files(folder):
        fault = fault or f"left behind: {', '.join(left)}"
    counts.trial(name, fault, result(folder) == project.truth, RESUMED in said)


def place(project: Project, moment: float) -> tuple[str | None, float]:
    """The stage in which a moment of the undisturbed run falls, None before the first, and seconds since it began."""
    before = [(began, stage) for stage, began in project.starts.items() if began <= moment]
    if not before:
        return None, moment
    began, stage = max(before)
    return stage, moment - began


def kill_at(folder: Path, stage: str | None, offset: float, kind: str) -> list[psutil.Process] | None:
    """Start `dvc repro`, kill so long after the stage began; what is still alive of it, or None: it ended before."""
    process, log = start(folder)
    if stage is None or wait_for(running(stage), log, process):
        time.sleep(offset)
    if kind == "stage":
        while not (found := stage_processes(process)) and process.poll() is None:
            time.sleep(POLL_SECONDS)  # DVC is between two stages: the next one it is
    if process.poll() is not None:
        return None
    if kind == "stage":
        for each in found:
            end(each)
        process.wait()
        return []
    children = stage_processes(process)
    if kind == "group":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    return children if kind == "dvc" else []


def stage_processes(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """What DVC has started to do a stage's work: a shell, perhaps, and Python."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return [each for each in children if any(part.startswith("stages.") for part in each.cmdline())]
    except psutil.NoSuchProcess:
        return []


def end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it was quicker
        process.kill()


def go_on(folder: Path, orphans: list[psutil.Process]) -> tuple[str, str]:
    """Repro until done: all that was said, and what is wrong with how it was said, if anything."""
    if not orphans:
        return finish(folder), ""
    at_once = dvc(folder, "repro", check=False)
    psutil.wait_procs(orphans)
    told = [line for line in at_once.stderr.splitlines() if line.startswith("error: ")]
    fault = ""
    if at_once.returncode and not (len(told) == 1 and BUSY_LINE in told[0]):
        fault = f"beside the orphan it failed with {at_once.stderr.splitlines()}"
    return at_once.stdout + at_once.stderr + finish(folder), fault
