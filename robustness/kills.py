"""kill -9 at random moments of every phase, of the stage, of DVC, or of both; then `dvc repro`, once.

The phases take turns, and within one the moment is drawn evenly from its seconds in an undisturbed run. What lies
before its stage stays as it is - the stage would only find it done - and that stage and all after it have their outs,
cached copies and DVC's memory of runs taken away, so that there is work to interrupt. A kill that comes too late
for its phase is drawn again. Where a checkpoint was left, the training that follows must go on from it.

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
    BEGINS,
    LOCK_MENDED,
    PHASES,
    POLL_SECONDS,
    START,
    TRAINING,
    Project,
    dvc,
    finish,
    has_checkpoint,
    mend_lock,
    partial_files,
    phase_in,
    result,
    running,
    stage_of,
    start,
    unclear,
    unsettled,
    wait_for,
)

KINDS = ("stage", "dvc", "group")
BUSY_LINE = "another training is running here"
RESUMED = "going on from step"
OTHER_METHOD_EVERY = 5  # most trials are of the first project, one in so many of each of the others in turn
DRAWS = 4  # a moment may fall behind its phase when the machine is faster than it was; then an earlier one is drawn
TURNS = PHASES[PHASES.index(TRAINING) :] + PHASES[: PHASES.index(TRAINING)]  # the loop first: few kills see it too


def kill_many(projects: list[Project], count: int, seed: int, work: Path) -> Counts:
    """Kill `count` runs, most of them of the first project. Phases, kinds and methods: 7, 3 and 5, so all meet."""
    counts, random_ = Counts("kills", kills=True), random.Random(seed)
    for number in range(count):
        others = projects[1:]
        other = others and number % OTHER_METHOD_EVERY == OTHER_METHOD_EVERY - 1
        project = others[number // OTHER_METHOD_EVERY % len(others)] if other else projects[0]
        phase, kind = TURNS[number % len(TURNS)], KINDS[number % len(KINDS)]
        kill_once(project, phase, kind, random_, counts, work / "killed")
    counts.missed(list(TURNS[:count]))
    return counts


def kill_once(project: Project, phase: str, kind: str, random_: random.Random, counts: Counts, folder: Path) -> None:
    """One trial, counted."""
    for attempt in range(DRAWS):
        offset = random_.uniform(0, project.length(phase)) / 2**attempt
        name = f"{kind} of {project.method}, {offset:.1f} s after the beginning of {phase}"
        project.copy(folder, forget_from=stage_of(phase))
        met = kill_at(folder, phase, offset, kind)
        if met is None:
            continue
        fell, orphans = met
        if fell == phase or attempt == DRAWS - 1 or (kind, phase) == ("stage", START):
            break  # before the first stage there is none to kill
        for each in orphans:
            end(each)
        psutil.wait_procs(orphans)  # before their folder is taken away
    else:
        counts.trial(name, unclear=f"it was not met in {DRAWS} attempts")
        return
    counts.places[fell] += 1
    try:
        said, fault = go_on(folder, orphans)
        fault = fault or unsettled(folder)
    except AssertionError as error:
        counts.trial(name, unclear=str(error), identical=False)
        return
    fault = fault or unclear(said)
    if left := partial_files(folder):
        fault = fault or f"left behind: {', '.join(left)}"
    counts.trial(
        f"{name}, fell into {fell}", fault, result(folder) == project.truth, RESUMED in said, LOCK_MENDED in said
    )


def kill_at(folder: Path, phase: str, offset: float, kind: str) -> tuple[str, list[psutil.Process]] | None:
    """Start `dvc repro`, kill so long after the phase began.

    The phase in which it fell and what is still alive of the run; or None: it ended before.
    """
    process, log = start(folder)
    if wait_for(BEGINS[phase], log, process):
        time.sleep(offset)
    if kind == "stage":
        while not (found := stage_processes(process)) and process.poll() is None:
            time.sleep(POLL_SECONDS)  # DVC is between two stages: the next one it is
    if process.poll() is not None:
        return None
    if kind == "stage":
        for each in found:
            end(each)
    elif kind == "group":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    alive = alive_in_group(process.pid)
    if kind != "dvc":  # the kernel is still taking them down
        psutil.wait_procs(alive)
        alive = []
    return phase_in(log.read_text(errors="replace")), alive


def stage_processes(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """What DVC has started to do a stage's work: a shell, perhaps, and Python."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return [each for each in children if any(part.startswith("stages.") for part in each.cmdline())]
    except psutil.NoSuchProcess:
        return []


def alive_in_group(group: int) -> list[psutil.Process]:
    """What is alive of the processes that a run began with: a stage that has lost its DVC, and its shell."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it was quicker
        process.kill()


def go_on(folder: Path, orphans: list[psutil.Process]) -> tuple[str, str]:
    """Repro until done: all that was said, and what is wrong with how it was said, if anything."""
    said, fault = mend_lock(folder), ""
    if orphans:
        at_once = dvc(folder, "repro", check=False)
        psutil.wait_procs(orphans)
        said += at_once.stdout + at_once.stderr
        told = [line for line in at_once.stderr.splitlines() if line.startswith("error: ")]
        if at_once.returncode and not (len(told) == 1 and BUSY_LINE in told[0]):
            fault = f"beside the orphan it failed with {at_once.stderr.splitlines()}"
    something_to_resume = has_checkpoint(folder)
    finished = finish(folder)
    if something_to_resume and running("train") in finished and RESUMED not in finished:
        fault = fault or "a checkpoint was there, and training did not go on from it"
    return said + finished, fault
